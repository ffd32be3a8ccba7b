"""Which places are the user's, and which are a run's: the one that may be replaced."""

import os
from pathlib import Path

MODEL = "model.keras"
FILES = (MODEL, "metrics.json", "report.html", "history.png", "confusion.png", "predictions.png")
MARKER = ".kerastl-run"  # in each folder of a run, as the sign that it is one
_NOT_OURS_NOR_YOURS = {".DS_Store", "Thumbs.db", "desktop.ini"}  # what systems put into any folder that is looked at


def real_path(path) -> Path:
    """Where a path leads. Unlike `Path.resolve`, it holds for links that go in circles."""
    return Path(os.path.realpath(os.path.expanduser(path)))


def check_apart(shown: str, out: Path, others: dict[str, Path | None]) -> None:
    """Raise ValueError when a place is one of the user's folders, holds it, or (of `others`, by name) lies in it."""
    for name, other in {"your home folder": "~", "the current folder": os.getcwd()}.items():
        if _lies_in(other, out):
            relation = "is" if _lies_in(out, other) else "holds"
            raise ValueError(f"--out {shown!r} {relation} {name}. Choose a new folder in it.")
    for name, other in others.items():
        if other is None:
            continue
        holds, lies_in = _lies_in(other, out), _lies_in(out, other)
        if holds or lies_in:
            relation = "is" if holds and lies_in else "holds" if holds else "lies in"
            raise ValueError(f"--out {shown!r} {relation} {name} {str(other)!r}. Choose a folder apart from it.")


def _lies_in(path, folder) -> bool:
    """Whether `path` is `folder` or lies in it, whatever links and letters the two are named with."""
    path, folder = real_path(path), real_path(folder)
    return any(
        place == folder or (place.exists() and folder.exists() and place.samefile(folder))
        for place in (path, *path.parents)
    )


def check_run(folder: Path) -> None:
    """Raise FileExistsError unless all that is in a folder was written by a run."""
    if os.path.ismount(folder):
        raise FileExistsError(f"{str(folder)!r} is a whole disk. Choose a folder on it as --out.")
    inside = {entry.name for entry in folder.iterdir()} - _NOT_OURS_NOR_YOURS
    if not inside:
        return
    if MARKER not in inside:
        raise FileExistsError(
            f"{str(folder)!r} holds no file {MARKER!r}, the sign of a run (older versions wrote none), so --overwrite "
            "leaves it alone. Delete or rename the folder yourself, or choose another --out."
        )
    others = sorted(name for name in inside if name not in (*FILES, MARKER) or not (folder / name).is_file())
    if others:
        raise FileExistsError(
            f"{str(folder)!r} holds what no run wrote: {', '.join(others[:5])}{', …' if len(others) > 5 else ''}. "
            "Move it away, or choose another --out."
        )


def remove_run(folder: Path) -> None:
    """Delete the folder of a run: the files that can be the run's, and then the folder, if nothing else is left."""
    for name in (*FILES, MARKER, *_NOT_OURS_NOR_YOURS):
        (folder / name).unlink(missing_ok=True)
    folder.rmdir()
