"""Read a folder of class folders into one array, each file once, on all cores."""

import os
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerastl.reading import UnreadableError, file_notes, find_pictures, read_image, warn_of_files
from kerastl.storage import find_room_for_pictures, release

PART_NAMES = {  # the folder names under which a part is found, in capitals, too
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
READ_AT_ONCE = 16  # files, by one core; then they leave memory again if they go to a file


class Pictures(NamedTuple):
    """All pictures of a source, read once, and which of them belong to which part: parts are numbers, never copies."""

    images: np.ndarray  # (pictures, height, width, 3) uint8, in memory or in a temporary file
    labels: np.ndarray  # (pictures,) int64
    rows: dict[str, np.ndarray]  # {part: the numbers of its pictures}
    class_names: list[str]


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, sorted: all but hidden ones, and what a Mac puts into archives."""
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.name.startswith(".") and entry.name != "__MACOSX"
    )


def nearest_parent(folder: Path) -> str:
    """A sentence on what is there, on the way to a folder that is not."""
    parent = next((parent for parent in folder.absolute().parents if parent.is_dir()), Path("/"))
    inside = [entry.name for entry in folders_in(parent)]
    return f"{str(parent)!r} holds: {', '.join(inside[:8]) or 'no folders'}."


def read_folder(folder: Path, size, how: str = "squash") -> Pictures:
    """Read the pictures of a folder, in the order of parts, classes and file names."""
    places = find_places(folder)
    paths, labels, rows = [], [], {}
    for part, classes in places.items():
        start = len(paths)
        for label, place in enumerate(classes.values()):
            files = find_pictures(place)
            paths += files
            labels += [label] * len(files)
        rows[part] = np.arange(start, len(paths))
    images, labels, unreadable = find_room_for_pictures(len(paths), size), np.array(labels, np.int64), {}
    with file_notes():
        _read_files(paths, images, unreadable, how)
    for part, classes in places.items():
        rows[part] = np.setdiff1d(rows[part], list(unreadable))
        for label, place in enumerate(classes.values()):
            if not np.any(labels[rows[part]] == label):
                raise ValueError(f"{str(place)!r} holds no readable image. Add images, or remove the folder.")
    if unreadable:
        errors = sorted(unreadable.values(), key=str)
        warn_of_files(
            f"{len(errors)} unreadable {'file is' if len(errors) == 1 else 'files are'} left out",
            [error.said for error in errors],
            sorted({f"Expected {error.expected}." for error in errors}),
        )
    deeper = [line for classes in places.values() for place in classes.values() for line in _pictures_below(place)]
    if deeper:
        advice = "Only the files of a class folder itself are read: move those up that belong to the class."
        warn_of_files("Folders inside class folders are left out", deeper, [advice])
    return Pictures(images, labels, rows, list(places["train"]))


def find_places(folder: Path, held: str = "images") -> dict[str, dict[str, Path]]:
    """{part: {class name: its folder}}, with the same classes in each part. `held` is what errors call the files."""
    parts = _find_parts(folder)
    places = {part: _find_classes(place) for part, place in parts.items()}
    classes = places["train"]
    if len(classes) < 2:
        raise ValueError(
            f"{str(parts['train'])!r} has {_what_is_in(parts['train'], list(classes))}. Expected at least two: one "
            f"folder of {held} for each class.{_near(parts['train'])}"
        )
    for part, others in places.items():
        if others.keys() != classes.keys():
            raise ValueError(
                f"The classes in {str(parts[part])!r} are not those in {str(parts['train'])!r}; they differ in "
                f"{', '.join(sorted(others.keys() ^ classes.keys()))}."
            )
    return places


def _find_parts(folder: Path) -> dict[str, Path]:
    """{part: folder}; the folder itself is the training part if it holds none."""
    found = {}  # a class may be called "train", too: it holds files, no folders
    inside = [entry for entry in folders_in(folder) if folders_in(entry)]
    for part, aliases in PART_NAMES.items():
        places = [entry for entry in inside if entry.name.lower() in aliases]
        if len(places) > 1:
            raise ValueError(
                f"{str(folder)!r} has more than one {part} part: {', '.join(repr(place.name) for place in places)}. "
                "Expected one. Put their pictures together, or move one of them out of this folder."
            )
        if places:
            found[part] = places[0]
    return found if "train" in found else {"train": folder}


def _find_classes(folder: Path) -> dict[str, Path]:
    """{class name: its folder}, sorted. Names are composed: some systems write an é as an e and an accent."""
    found = {}
    for entry in folders_in(folder):
        if entry.name != entry.name.encode("utf-8", "replace").decode():
            raise ValueError(
                f"The name of the class folder {entry.name!r} is no valid text: it may come from an archive of another "
                "system. Rename the folder."
            )
        name = unicodedata.normalize("NFC", entry.name)
        if name in found:
            raise ValueError(
                f"{str(folder)!r} has two folders named {name!r}: in one of them accents are letters of their own. "
                "Expected one: put their pictures together."
            )
        found[name] = entry
    return dict(sorted(found.items()))


def _pictures_below(folder: Path) -> list[str]:
    """A line for each folder inside a class folder that holds pictures, at any depth."""
    lines = []
    for inside in folders_in(folder):
        count = sum(len(find_pictures(Path(place))) for place, _, _ in os.walk(inside))
        if count:
            lines.append(f"{str(inside)!r}: {count} picture{'s' * (count != 1)}")
    return lines


def _what_is_in(folder: Path, classes: list[str]) -> str:
    if classes:
        return f"1 class folder: {classes[0]}"
    pictures = len(find_pictures(folder))
    return "0 class folders" + (f", but {pictures} picture{'s' * (pictures != 1)}" if pictures else "")


def _near(folder: Path) -> str:
    """Asks for the folder of class folders just inside, or just above a folder of pictures, if there is one."""
    folder = folder.absolute()
    inside = [place for place in folders_in(folder) if len(folders_in(place)) > 1]
    if inside:
        return f" Did you mean {str(inside[0])!r}?"
    if find_pictures(folder) and len(folders_in(folder.parent)) > 1:
        return f" Did you mean the folder above, {str(folder.parent)!r}?"
    return ""


def _read_files(paths: list[Path], images: np.ndarray, unreadable: dict[int, UnreadableError], how: str) -> None:
    """Fill the array with the pictures in these files; note, by their numbers, those that cannot be read."""

    def read_some(start: int) -> None:
        for number, path in enumerate(paths[start : start + READ_AT_ONCE], start):
            try:
                images[number] = read_image(path, images.shape[1:3], how)
            except UnreadableError as error:
                unreadable[number] = error
        release([images])

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes and resizes outside the interpreter's lock
        list(pool.map(read_some, range(0, len(paths), READ_AT_ONCE)))
