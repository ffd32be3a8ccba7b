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


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def read_folder(folder: Path, size) -> tuple[dict, list[str]]:
    """{part: (images, labels)} and the class names of a folder."""
    names = {entry.name: entry for entry in _folders(folder)}
    found = {
        part: names[alias]
        for part, aliases in PART_NAMES.items()
        for alias in aliases
        if alias in names and _folders(names[alias])  # a class may be called "train", too: it holds files, no folders
    }
    if "train" not in found:
        found = {"train": folder}
    classes = [entry.name for entry in _folders(found["train"])]
    if len(classes) < 2:
        raise ValueError(
            f"{str(found['train'])!r} has {len(classes)} class folders{': ' + classes[0] if classes else ''}. "
            "Expected at least two: one folder of images for each class."
        )
    for place in found.values():
        others = {entry.name for entry in _folders(place)}
        if others != set(classes):
            raise ValueError(
                f"The classes in {str(place)!r} are not those in {str(found['train'])!r}; they differ in "
                f"{', '.join(sorted(others ^ set(classes)))}."
            )
    unreadable = []
    with file_notes():
        parts = {part: _read_classes(place, classes, size, unreadable) for part, place in found.items()}
    if unreadable:
        files = "file is" if len(unreadable) == 1 else "files are"
        warn_of_files(f"{len(unreadable)} unreadable {files} left out", unreadable)
    return parts, classes


def _read_classes(folder: Path, classes: list[str], size, unreadable: list[str]) -> tuple[np.ndarray, np.ndarray]:
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
            unreadable.append(str(error).split(" Expected")[0])

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes and resizes outside the interpreter's lock
        list(pool.map(read, range(len(paths))))
    labels = np.array(labels, np.int64)
    for label, name in enumerate(classes):
        if not np.any(readable & (labels == label)):
            raise ValueError(f"{str(folder / name)!r} holds no readable image. Add images, or remove the folder.")
    unreadable.sort()
    return (images, labels) if readable.all() else (images[readable], labels[readable])
