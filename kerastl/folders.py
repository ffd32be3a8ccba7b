"""A folder of class folders, with or without parts: which pictures it holds, and of what class."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerastl.checks import list_some
from kerastl.reading import find_pictures, picture_endings, read_image, warn_of_files
from kerastl.sources import PART_NAMES, Listing, Pictures, find_part_names, order_classes, read_listing


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, sorted: all but hidden ones, and what a Mac puts into archives."""
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not _is_hidden(entry.name))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def nearest_parent(folder: Path) -> str:
    """A sentence on what is there, on the way to a folder that is not."""
    parent = next((parent for parent in folder.absolute().parents if parent.is_dir()), Path("/"))
    inside = [entry.name for entry in folders_in(parent)]
    return f"{str(parent)!r} holds: {', '.join(inside[:8]) or 'no folders'}."


class Found(NamedTuple):
    """A file that should be a picture."""

    file: Path
    part: str
    class_name: str
    name: str  # within its class


class LeftOut(NamedTuple):
    """A link, or a folder, that is not read, or not as a whole: what it is or does, and what to do."""

    path: Path
    reason: str
    advice: str


def find_files(folder: Path, places: dict[str, dict[str, Path]]) -> tuple[list[Found], list[LeftOut]]:
    """The files of a folder, in the order of parts, classes and names; and what in it is not read.

    `places` are the class folders, as `find_places` gives them. Warns where they look like parts.
    """
    _warn_of_parts_as_classes(places["train"])
    found, outside = [], []
    for part, classes in places.items():
        for class_name, place in classes.items():
            around = {_real(parent) for parent in [*place.parents, *_real(place).parents]}  # there, other classes lie
            for file in _pictures_within(place, _real(folder), around, outside):
                name = unicodedata.normalize("NFC", file.relative_to(place).as_posix())
                found.append(Found(file, part, class_name, name))
    advice = "Expected what lies inside: copy it there, or load its own folder."
    links = [LeftOut(link, "leads out of the folder", advice) for link in outside]
    return found, links + _find_beside(folder, places)


def list_folder(folder: Path, groups: Callable[[Path], object] | None = None) -> Listing:
    """The pictures of a folder. `groups` gives the group of a file by its path in the folder."""
    places = find_places(folder)
    found, left_out = find_files(folder, places)
    numbers = {name: number for number, name in enumerate(places["train"])}
    parts = np.array([one.part for one in found])
    return Listing(
        lambda number, size, resize: read_image(found[number].file, size, resize),
        np.array([numbers[one.class_name] for one in found], np.int64),
        {part: np.flatnonzero(parts == part) for part in places},
        list(places["train"]),
        [one.name for one in found],
        None if groups is None else [groups(one.file.relative_to(folder)) for one in found],
        [f"{str(one.path)!r} {one.reason}. {one.advice}" for one in left_out],
    )


def read_folder(folder: Path, size: tuple[int, int]) -> Pictures:
    """Read the pictures of a folder into one array."""
    return read_listing(list_folder(folder), size)


def _pictures_within(folder: Path, source: Path, seen: set[Path], outside: list[Path]) -> list[Path]:
    """The pictures of a class folder and of the folders in it, each folder once. Links lead nowhere out of the source.

    `seen` are folders that are not looked into (again); `outside` takes each link that is left out.
    """

    def stays(entry: Path) -> bool:
        inside = _real(entry).is_relative_to(source)
        if not inside:
            outside.append(entry)
        return inside

    if not stays(folder) or _real(folder) in seen:
        return []
    seen.add(_real(folder))
    files = [file for file in find_pictures(folder) if not file.is_symlink() or stays(file)]
    for inside in sorted(folders_in(folder), key=Path.is_symlink):  # what a link names has its own name first
        files += _pictures_within(inside, source, seen, outside)
    return files


def _find_beside(folder: Path, places: dict[str, dict[str, Path]]) -> list[LeftOut]:
    """Folders with pictures that are no part, where there are parts; and pictures that lie in no class folder."""
    parts = [next(iter(classes.values())).parent for classes in places.values()]
    found = []
    for other in folders_in(folder) if folder not in parts else []:
        if other not in parts and _holds_pictures(other):
            said = f"is not one of {', '.join(PART_NAMES)}", "Name it so to use its pictures, or take it out."
            if any(other.name.lower() in names for names in PART_NAMES.values()):
                said = "holds no class folders", "Put its pictures into some, or take it out."
            found.append(LeftOut(other, *said))
    for place in dict.fromkeys([folder, *parts]):
        if stray := [file.name for file in find_pictures(place) if _is_picture_name(file.name)]:
            reason = f"holds {len(stray)} picture{'s' * (len(stray) != 1)} outside its folders, first {stray[0]!r}"
            found.append(LeftOut(place, reason, "Put each into the folder of its class, or take it out."))
    return found


def _holds_pictures(folder: Path) -> bool:
    """Whether a picture lies in a folder, or in one within. Links are not followed."""
    for _, inside, files in os.walk(folder):
        if any(map(_is_picture_name, files)):
            return True
        inside[:] = [name for name in inside if not _is_hidden(name)]
    return False


def _is_picture_name(name: str) -> bool:
    return not _is_hidden(name) and os.path.splitext(name)[1].lower() in picture_endings()


def _real(path: Path) -> Path:
    """Where a path leads. `Path.resolve` raises an error where a link leads to itself."""
    return Path(os.path.realpath(path))


def _warn_of_parts_as_classes(classes: dict[str, Path]) -> None:
    """Say so where the class folders look like parts under other names: `training_set/cats`, `test_set/cats`."""
    inside = [{entry.name for entry in folders_in(place)} for place in classes.values()]
    if (
        len(inside[0]) > 1
        and all(names == inside[0] for names in inside)
        and not any(map(find_pictures, classes.values()))
    ):
        warn_of_files(
            f"Are these the classes: {list_some(list(classes))}? They hold only folders, of the same names",
            [list_some(sorted(inside[0]))],
            ["If those are the classes, name the folders around them train, validation and test, or load one of them."],
        )


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
    # a class may be called "train", too: it holds files, no folders
    inside = {entry.name: entry for entry in folders_in(folder) if folders_in(entry)}
    found = {part: inside[name] for part, name in find_part_names(inside, repr(str(folder))).items()}
    return found if "train" in found else {"train": folder}


def _find_classes(folder: Path) -> dict[str, Path]:
    """{class name: its folder}, in order. Names are composed: some systems write an é as an e and an accent."""
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
    return {name: found[name] for name in order_classes(found)}


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
