"""What every source of pictures becomes, a listing, and the reader that makes one array of it, on all cores."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from kerastl.checks import list_some
from kerastl.reading import UnreadableError, file_notes, warn_of_files
from kerastl.resizing import UNKNOWN
from kerastl.storage import find_room_for_pictures, release

PART_NAMES = {  # the names under which a part is found, in capitals, too
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
READ_AT_ONCE = 16  # files, by one core; then they leave memory again if they go to a file
DEFAULT_SIZE = (224, 224)
FEW = 5  # training images of a class, below which it is named to the user


class Listing(NamedTuple):
    """The pictures of a source before they are read: each is a number, from 0."""

    read: Callable[[int, tuple[int, int], str], np.ndarray]  # (number, size, resize) -> uint8 (height, width, 3)
    labels: np.ndarray  # (pictures,) int64
    rows: dict[str, np.ndarray]  # {part: the numbers of its pictures}
    class_names: list[str]
    names: Sequence[str]  # of each picture, within its class: they decide who is set aside
    groups: Sequence[Any] | None = None  # of each picture: those of one group stay in one part
    left_out: Sequence[str] = ()  # a line for each thing that is not read, and what to do
    size: tuple[int, int] = DEFAULT_SIZE  # where nobody asks for another


class Chain:
    """Several sequences of pictures, one for each part, counted through: which part, and where in it, is a number?"""

    def __init__(self, parts: Iterable[str], lengths: Sequence[int]):
        self._ends = np.cumsum(lengths).tolist()
        self._starts = [0, *self._ends[:-1]]
        self.rows = {
            part: np.arange(start, end) for part, start, end in zip(parts, self._starts, self._ends, strict=True)
        }
        self.names = [str(number) for length in lengths for number in range(length)]

    def find(self, number: int) -> tuple[int, int]:
        """The place of the part, and the number in it."""
        part = int(np.searchsorted(self._ends, number, side="right"))
        return part, number - self._starts[part]


class Pictures(NamedTuple):
    """All pictures of a source, read once, and which of them belong to which part: parts are numbers, never copies."""

    images: np.ndarray  # (pictures, height, width, 3) uint8, in memory or in a temporary file
    labels: np.ndarray  # (pictures,) int64
    rows: dict[str, np.ndarray]  # {part: the numbers of its pictures}
    class_names: list[str]
    names: Sequence[str]
    groups: Sequence[Any] | None
    digests: list[bytes]  # of the pixels: copies of a picture have the same


def read_listing(
    listing: Listing, size: tuple[int, int] | None = None, resize: str = UNKNOWN, strict: bool = False
) -> Pictures:
    """Read the pictures of a listing, each once.

    Raises:
        TypeError: a group that is no key, such as a list.
        ValueError: a class has no readable picture to learn from, or a part none at all; with `strict`, something
            cannot be read, or is left out.
    """
    _check_groups(() if listing.groups is None else listing.groups)
    count = len(listing.labels)
    images, digests, unreadable = find_room_for_pictures(count, size or listing.size), [b""] * count, {}

    def read_some(start: int) -> None:
        for number in range(start, min(start + READ_AT_ONCE, count)):
            try:
                images[number] = listing.read(number, images.shape[1:3], resize)
                digests[number] = digest(images[number])
            except UnreadableError as error:
                unreadable[number] = error
        release([images])

    with file_notes(), ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes outside the interpreter's lock
        list(pool.map(read_some, range(0, count, READ_AT_ONCE)))
    if listing.left_out:
        warn_of_files("Not read", listing.left_out, strict=strict)
    if unreadable:
        _say_what_is_unreadable(sorted(unreadable.values(), key=str), strict)
    rows = {part: np.setdiff1d(numbers, list(unreadable)) for part, numbers in listing.rows.items()}
    pictures = Pictures(images, listing.labels, rows, listing.class_names, listing.names, listing.groups, digests)
    check_filled(pictures)
    return pictures


def _check_groups(groups: Sequence) -> None:
    for group in groups:
        try:
            hash(group)
        except TypeError:
            raise TypeError(
                f"Received the group {group!r}, a {type(group).__name__}. Expected a text, a number or a tuple of them "
                "for each picture. Of a list make one: `tuple(group)`."
            ) from None


def _say_what_is_unreadable(errors: list[UnreadableError], strict: bool) -> None:
    what = f"{len(errors)} unreadable {'file is' if len(errors) == 1 else 'files are'} left out"
    advice = sorted({f"Expected {error.expected}." for error in errors})
    warn_of_files(what, [error.said for error in errors], advice, strict)


def check_filled(pictures: Pictures) -> None:
    """Raise ValueError when a class has no picture to learn from, or a part none at all."""
    for part, rows in pictures.rows.items():
        counts = np.bincount(pictures.labels[rows], minlength=len(pictures.class_names))
        empty = [name for name, count in zip(pictures.class_names, counts, strict=True) if not count]
        if part == "train" and empty:
            raise ValueError(
                f"The class {empty[0]!r} holds no readable image to learn from, or only copies of images in another "
                "part. Add images, or remove the class."
            )
        if not len(rows):
            raise ValueError(
                f"The {part} part holds no readable image, or only copies of images in another part. Add images, or "
                "remove the part."
            )


def digest(pixels: np.ndarray) -> bytes:
    """What stands for the pixels of a picture: only copies have the same."""
    return hashlib.blake2b(np.ascontiguousarray(pixels), digest_size=16).digest()


def find_part_names(names: Iterable[str], where: str) -> dict[str, str]:
    """{part: the one of these names that means it}. Raises ValueError where two names mean one part."""
    found = {}
    for part, aliases in PART_NAMES.items():
        meant = [name for name in names if name.lower() in aliases]
        if len(meant) > 1:
            raise ValueError(
                f"{where} has more than one {part} part: {', '.join(map(repr, meant))}. Expected one. Put their "
                "pictures together, or take one of them out."
            )
        if meant:
            found[part] = meant[0]
    return found


def order_classes(names: Iterable[str]) -> list[str]:
    """Names of classes in their order: 0, 1, … 10 where all are whole numbers, else that of letters."""
    names = sorted(names)
    return sorted(names, key=int) if all(re.fullmatch(r"-?\d+", name) for name in names) else names


def number_labels(labels: Sequence, where: str) -> tuple[np.ndarray, list[str]]:
    """(labels int64, class names) of labels that are names or whole numbers.

    Raises:
        ValueError: other labels, or fewer than two classes.
    """
    wrong = [label for label in labels if not isinstance(label, str | bool | np.bool_) and not _is_whole(label)]
    if wrong:
        raise ValueError(f"{where} has the label {wrong[0]!r}. Expected names or whole numbers, one for each picture.")
    said = [_as_name(label) for label in labels]
    class_names = order_classes(set(said))
    if len(class_names) < 2:
        raise ValueError(
            f"{where} has {len(class_names)} class ({list_some(class_names) or 'no picture'}). Expected two or more."
        )
    numbers = {name: number for number, name in enumerate(class_names)}
    return np.array([numbers[name] for name in said], np.int64), class_names


def _as_name(label) -> str:
    """The name of a class, composed: some systems write an é as an e and an accent."""
    if isinstance(label, str):
        return unicodedata.normalize("NFC", label.strip())
    return str(label if isinstance(label, bool | np.bool_) else int(label))


def _is_whole(label) -> bool:
    try:
        return int(label) == label
    except (TypeError, ValueError, OverflowError):
        return False
