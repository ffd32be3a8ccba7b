"""Look at a folder of pictures before it is used: what cannot be read, what is there twice, what is missing."""

import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerastl.bases import BUNDLED_SETS, folder_of
from kerastl.doubles import SIDE, difference_hash, near_pairs
from kerastl.folders import find_files, find_places, nearest_parent
from kerastl.reading import UnreadableError, file_notes, read_image
from kerastl.sources import FEW, digest

SHOWN = 10  # lines of a kind when a check is printed


class Picture(NamedTuple):
    """A readable picture: its file, relative to the folder, its part, and its class."""

    file: str
    part: str
    class_name: str


class Unreadable(NamedTuple):
    """A file or folder that `load_images` does not read, relative to the folder, and the reason."""

    file: str
    reason: str


class NearDouble(NamedTuple):
    """Two pictures that look alike, and in how many of 64 bits their hashes differ."""

    first: Picture
    second: Picture
    bits: int


class ImageCheck(NamedTuple):
    """What `check_images` found. Printed, it is a page for people; false as a condition when nothing is wrong.

    Example:
        >>> check = check_images("drawn_flowers")
        >>> check.counts["test"]["rose"]
        50
    """

    folder: str
    counts: dict[str, dict[str, int]]  # {part: {class name: readable pictures}}
    unreadable: list[Unreadable]
    doubles: list[list[Picture]]  # each a group of pictures with the same pixels
    near_doubles: list[NearDouble]  # those most alike first; of a group of doubles only its first picture
    near_empty: dict[str, int]  # {class name: pictures in the training part}, below what `needed` says

    def __bool__(self) -> bool:
        return bool(self.unreadable or self.doubles or self.near_doubles or self.near_empty)

    def __str__(self) -> str:
        parts = list(self.counts)
        names = list(self.counts[parts[0]])
        width = max(map(len, ["class", *names])) + 2
        titles = parts if len(parts) > 1 else ["pictures"]  # which nobody has split yet
        lines = ["".join([f"{'class':<{width}}", *(f"{title:>12}" for title in titles)])]
        for name in names:
            lines.append("".join([f"{name:<{width}}", *(f"{self.counts[part][name]:>12,}" for part in parts)]))
        lines += _section("Not read", [f"{file}: {reason}" for file, reason in self.unreadable])
        groups = [
            f"{' = '.join(one.file for one in group)}{where(group)}"
            for group in sorted(self.doubles, key=lambda group: not where(group))
        ]
        lines += _section("The same pixels more than once", groups)
        pairs = [
            f"{a.file} ~ {b.file}, {bits} bit{'s' * (bits != 1)}{where([a, b])}"
            for a, b, bits in sorted(self.near_doubles, key=lambda pair: not where(pair[:2]))
        ]
        lines += _section("Nearly the same (bits of 64 that differ)", pairs)
        few = [f"{name}: {count}" for name, count in self.near_empty.items()]
        use = "to train on" if len(parts) > 1 else "for training, validation and test"
        lines += _section(f"Fewer than {needed(parts)} pictures {use}", few)
        return "\n".join([*lines, *([] if self else ["", "Nothing was found."])])


def check_images(source: str | os.PathLike) -> ImageCheck:
    """Look at the pictures of a folder, before `load_images`. Every file is read once, small, and none is changed.

    Pictures that lie in two parts make a test too good; those with two labels teach the model nothing. Remove what you
    do not want yourself: a near-double may be another photo of the same scene, which belongs to one part.

    Args:
        source: a folder as `load_images` takes it, or the name of a bundled set; no zip file, and no table.

    Returns:
        `ImageCheck(folder, counts, unreadable, doubles, near_doubles, near_empty)`. Doubles are found by their pixels,
        at 64×64; near-doubles by a difference hash, in which at most 4 of 64 bits differ. That finds pictures saved
        anew or made smaller, and few that were cut by more than 2 % on each side, almost none that were mirrored;
        turned ones were not tried. Different pictures without detail, such as blank pages, look alike to it.

    Raises:
        FileNotFoundError, TypeError, ValueError: as `load_images` does, of a source that is no folder of classes.

    Warns:
        UserWarning: the class folders look like parts under other names.

    Example:
        >>> print(check_images("drawn_butterflies").near_empty)
        {}
    """
    folder = _folder_of(source)
    places = find_places(folder)
    found, left_out = find_files(folder, places)
    pictures = [Picture(str(one.file.relative_to(folder)), one.part, one.class_name) for one in found]
    with file_notes(), ThreadPoolExecutor(os.cpu_count()) as pool:
        seen = list(pool.map(lambda one: _look_at(folder / one.file), pictures))
    unreadable = [Unreadable(one.file, said) for one, said in zip(pictures, seen, strict=True) if isinstance(said, str)]
    unreadable += [Unreadable(str(one.path.relative_to(folder)), f"it {one.reason}") for one in left_out]
    readable = [(one, said) for one, said in zip(pictures, seen, strict=True) if not isinstance(said, str)]
    counts = {part: dict.fromkeys(classes, 0) for part, classes in places.items()}
    groups, hashes = defaultdict(list), {}
    for one, (copy, bits) in readable:
        counts[one.part][one.class_name] += 1
        groups[copy].append(one)
        hashes.setdefault(copy, bits)
    groups = list(groups.values())
    return ImageCheck(
        str(folder),
        counts,
        unreadable,
        [group for group in groups if len(group) > 1],
        [
            NearDouble(groups[first][0], groups[second][0], bits)
            for first, second, bits in near_pairs(np.array(list(hashes.values()), np.uint64))
        ],
        {name: count for name, count in counts["train"].items() if count < needed(counts)},
    )


def _folder_of(source) -> Path:
    sets = ", ".join(BUNDLED_SETS)
    expected = f"Expected a folder with one folder of images for each class, or the name of a bundled set ({sets})."
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"Received {type(source).__name__}. {expected}")
    if not os.fspath(source):
        raise ValueError(f"Received an empty name. {expected} The folder in which you are is '.'.")
    folder = folder_of(source)
    if folder.is_file():
        advice = "Unpack an archive first; of a table, check the folder of its pictures."
        raise ValueError(f"{str(folder)!r} is a file. {expected} {advice}")
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {os.fspath(source)!r}. {expected} {nearest_parent(folder)}")
    return folder


def needed(parts: Collection[str]) -> int:
    """Pictures that each class needs in the training part: twice as many if all other parts are taken from it."""
    return FEW if len(parts) > 1 else 2 * FEW


def _look_at(path: Path) -> tuple[bytes, int] | str:
    """A digest of the small picture, which only the same pixels share, and its hash; or why it cannot be read."""
    try:
        pixels = read_image(path, (SIDE, SIDE))
    except UnreadableError as error:
        return error.reason
    return digest(pixels), difference_hash(pixels)


def where(pictures: Sequence[Picture]) -> str:
    """What is bad about these being alike, beside that they are."""
    labels, parts = ({getattr(one, name) for one in pictures} for name in ("class_name", "part"))
    said = [f"{len(labels)} labels"] * (len(labels) > 1) + [f"{len(parts)} parts"] * (len(parts) > 1)
    return f" ({', in '.join(said)})" if said else ""


def _section(title: str, found: list[str]) -> list[str]:
    if not found:
        return []
    more = [f"  … and {len(found) - SHOWN:,} more (all: --json, or in Python the fields of the result)"]
    more *= len(found) > SHOWN
    return ["", f"{title}: {len(found):,}", *(f"  {line}" for line in found[:SHOWN]), *more]
