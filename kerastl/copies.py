"""Copies of a picture, and pictures of one group: none may lie in two parts, and copies should have one label."""

import warnings

import numpy as np

from kerastl.checks import list_some
from kerastl.reading import warn_of_files
from kerastl.sources import Pictures


def check_groups(pictures: Pictures) -> None:
    """Raise ValueError where the source has parts of its own, and a group lies in more than one."""
    home = {}
    for part, rows in pictures.rows.items():
        for number in rows.tolist():
            group = pictures.groups[number]
            if home.setdefault(group, part) != part:
                raise ValueError(
                    f"Received groups, but {group!r} is in the {home[group]} and in the {part} part of the source. "
                    "Expected each group in one: move its pictures there, or load the source without parts."
                )


def leave_copies_out(pictures: Pictures, strict: bool = False) -> None:
    """Take each picture out of `pictures.rows` that has a copy in a later part: what is tested must be new.

    Warns:
        UserWarning: that was done. With `strict` it is a ValueError.
    """
    seen, gone = set(), 0
    for part in ("test", "validation", "train"):
        if part in pictures.rows:
            rows = pictures.rows[part]
            copies = np.array([pictures.digests[number] in seen for number in rows.tolist()], bool)
            pictures.rows[part], gone = rows[~copies], gone + int(copies.sum())
            seen.update(pictures.digests[number] for number in rows.tolist())
    if gone:
        said = (
            f"{gone} {'picture is' if gone == 1 else 'pictures are'} left out: the same pixels are in a later part, "
            "too (of train, validation, test), and what a model has learned is no test of it."
        )
        if strict:
            raise ValueError(f"{said} With strict=True that is an error: take them out. `check_images` names them.")
        warnings.warn(said, stacklevel=3)


def warn_of_two_labels(pictures: Pictures, strict: bool = False) -> None:
    """Warn of copies of a picture that have different labels, in one part or in two. With `strict` raise ValueError."""
    copies = {}
    for part, rows in pictures.rows.items():
        for number in rows.tolist():
            copies.setdefault(pictures.digests[number], []).append((part, number))

    def name(part: str, number: int) -> str:
        where = f"{part}/" if len(pictures.rows) > 1 else ""
        return f"{where}{pictures.class_names[pictures.labels[number]]}/{pictures.names[number]}"

    lines = [
        "the same picture: " + list_some([name(*one) for one in same])
        for same in copies.values()
        if len({int(pictures.labels[number]) for _, number in same}) > 1
    ]
    if lines:
        warn_of_files(
            f"{len(lines)} {'picture has' if len(lines) == 1 else 'pictures have'} more than one label",
            lines,
            ["Expected one: look at them, and remove the copies that are wrong."],
            strict,
        )
