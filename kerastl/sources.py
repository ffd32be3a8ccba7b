"""Read a folder of class folders into arrays, each file once, on all cores."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kerastl.reading import UnreadableError, file_notes, find_pictures, read_image, warn_of_files

PART_NAMES = {  # the folder names under which a part is found
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}


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


def read_folder(folder: Path, size) -> tuple[dict, list[str]]:
    """{part: (images, labels)} and the class names of a folder."""
    names = {entry.name: entry for entry in folders_in(folder)}
    found = {
        part: names[alias]
        for part, aliases in PART_NAMES.items()
        for alias in aliases
        if alias in names and folders_in(names[alias])  # a class may be called "train", too: it holds files, no folders
    }
    if "train" not in found:
        found = {"train": folder}
    classes = [entry.name for entry in folders_in(found["train"])]
    if len(classes) < 2:
        raise ValueError(
            f"{str(found['train'])!r} has {_what_is_in(found['train'], classes)}. Expected at least two: one "
            f"folder of images for each class.{_near(found['train'])}"
        )
    for name in classes:
        if name != name.encode("utf-8", "replace").decode():
            raise ValueError(
                f"The name of the class folder {name!r} is no valid text: it may come from an archive of another "
                "system. Rename the folder."
            )
    for place in found.values():
        others = {entry.name for entry in folders_in(place)}
        if others != set(classes):
            raise ValueError(
                f"The classes in {str(place)!r} are not those in {str(found['train'])!r}; they differ in "
                f"{', '.join(sorted(others ^ set(classes)))}."
            )
    unreadable: list[UnreadableError] = []
    with file_notes():
        parts = {part: _read_classes(place, classes, size, unreadable) for part, place in found.items()}
    if unreadable:
        files = "file is" if len(unreadable) == 1 else "files are"
        expected = sorted({f"Expected {error.expected}." for error in unreadable})
        warn_of_files(
            f"{len(unreadable)} unreadable {files} left out", sorted(error.said for error in unreadable), expected
        )
    return parts, classes


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


def _read_classes(
    folder: Path, classes: list[str], size, unreadable: list[UnreadableError]
) -> tuple[np.ndarray, np.ndarray]:
    paths, labels = [], []
    for label, name in enumerate(classes):
        files = find_pictures(folder / name)
        paths += files
        labels += [label] * len(files)
    images = np.empty((len(paths), *size, 3), np.uint8)
    readable = np.ones(len(paths), bool)

    def read(number: int) -> None:
        try:
            images[number] = read_image(paths[number], size)
        except UnreadableError as error:
            readable[number] = False
            unreadable.append(error)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes and resizes outside the interpreter's lock
        list(pool.map(read, range(len(paths))))
    labels = np.array(labels, np.int64)
    for label, name in enumerate(classes):
        if not np.any(readable & (labels == label)):
            raise ValueError(f"{str(folder / name)!r} holds no readable image. Add images, or remove the folder.")
    return (images, labels) if readable.all() else (images[readable], labels[readable])
