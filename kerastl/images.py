"""Load images: from a folder, a table, arrays, a zip file, a named set -> ImageData."""

import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kerastl.archives import unpacked
from kerastl.arrays import list_arrays
from kerastl.bases import BUNDLED_SETS, folder_of
from kerastl.catalogue import read_tfds
from kerastl.checks import check_file, is_whole, list_some
from kerastl.copies import check_groups, leave_copies_out, warn_of_two_labels
from kerastl.data import ImageData, make_dataset
from kerastl.folders import list_folder, nearest_parent
from kerastl.hugging_face import is_hugging_face, list_hugging_face
from kerastl.reading import warn_of_files
from kerastl.resizing import DEFAULT, check_resize
from kerastl.sources import DEFAULT_SIZE, FEW, PART_NAMES, Pictures, check_filled, read_listing
from kerastl.splitting import check_splitting, draw_places, find_units, set_parts_aside
from kerastl.tables import list_table, list_table_file


def load_images(
    source: Any,
    *,
    image_size: int | tuple[int, int] | None = None,
    resize: str = DEFAULT,
    batch_size: int = 32,
    validation_split: float = 0.1,
    test_split: float = 0.2,
    seed: int = 0,
    groups: Any = None,
    strict: bool = False,
) -> ImageData:
    """Load labelled images, the first step of the workflow. Every file is read once, on all cores.

    Pixels are kept in memory, as long as they take at most half of what kerastl may use of it (that is half of the free
    memory, or what the variable KERASTL_MEMORY_MB says); more go to a temporary file, and memory stays free.

    Args:
        source: one of
            - the name of a bundled set: "drawn_flowers", "drawn_butterflies" or "drawn_species";
            - a folder with one folder of images for each class, or with such folders below `train` and, if you have
              them, `validation` (or `val`, `valid`) and `test`, in small letters or capitals. Folders inside a class
              folder belong to the class. Links are followed inside the folder, not out of it;
            - a `.zip` file of such a folder. It is unpacked for as long as its pictures are read;
            - a `.csv` or `.tsv` file, or a DataFrame of pandas or Polars, with the columns `file` (or `filename`,
              `file_name`, `path`, `filepath`, `image`), `label` (or `class`) and, if you like, `split` (or `part`):
              train, validation or test. Paths count from the folder of the table, of a DataFrame from yours;
            - arrays, `(images, labels)`, or `{"train": (images, labels), "test": (images, labels)}`: images 0–255 of
              shape (n, height, width, 3), or grey, (n, height, width); labels (n,), whole numbers or names;
            - a `Dataset` or `DatasetDict` of Hugging Face's `datasets` with one Image and one ClassLabel column;
            - the name of a TensorFlow Datasets image classification set, such as "tf_flowers"; it is downloaded once.
        image_size: pixels, as one number or (height, width); images are resized to it, whatever their shape. Default:
            96 for the bundled sets, for arrays their own size, else 224.
        resize: what becomes of an image of another shape. "squash": its proportions change. "crop": the largest middle
            part of the wanted shape is kept. "pad": all of it is kept, and the rest is black. The model and its file
            remember it, so that `predict` does the same.
        batch_size: images in a batch, here and in all training on these data.
        validation_split: share of the images set aside for validation where no part holds them already.
        test_split: the same for the test part. A source with `train` and one other part keeps the other part for the
            test, whatever its name, because only images that chose nothing give an honest result.
        seed: decides which images are set aside, by their names. Every class is split by itself; no image is in two
            parts, and copies (the same pixels, once they are resized) count as one. A new image moves itself, and at
            most one other over each border between two parts; with copies and groups a few more.
        groups: what keeps images of one plant, patient or video in one part: for a folder or zip file a function that
            gives a file's group by its path in the folder (`lambda path: path.name.split("_")[0]`), for a table or
            `datasets` the name of a column, for arrays `(images, labels)` a sequence.
        strict: raise an error where something cannot be read or is left out, or a picture has two labels, instead of a
            warning.

    Returns:
        `ImageData(train, validation, test, class_names)`; images uint8, labels int64. Each epoch shuffles `train` anew.
        Classes are in the order of their names, as numbers where all are whole numbers: 0, 1, … 10.

    Raises:
        FileNotFoundError: the folder, the file, or each file in a table is not there.
        ValueError: unknown name; no such `resize`; another file; no classes, or only one; too few images or groups in a
            class; parts that do not agree, or two for the same use, such as `val` and `validation`; a group in two
            parts of the source; a zip file that leads out of its folder, has a password, or becomes too large; with
            `strict`, see there.
        OSError: neither memory nor the temporary folder has room for the pictures.
        TypeError: something else than a source.
        ConnectionError: a download failed.
        ImportError: a name of TensorFlow Datasets, which is not installed.

    Warns:
        UserWarning: files that are no readable images, links out of the folder, folders with pictures beside `train`
            that are no part, and pictures in no class folder: they are left out, not deleted. Files that are no
            pictures by their ending, such as .txt, are passed over (`kerastl.reading.OTHER_ENDINGS`). Copies that are
            left out of one part, since they are in another. Copies with different labels. Classes with fewer than five
            training images, without any in another part, or with nearly the name of another. Class folders that look
            like parts; a column that does, such as `subset`.

    Example:
        >>> load_images("drawn_flowers").class_names
        ['daisy', 'dandelion', 'rose', 'sunflower', 'tulip']
    """
    check_splitting(batch_size, validation_split, test_split, seed)
    check_resize(resize)
    size = None if image_size is None else as_size(image_size)
    with _opened(source, groups) as read:
        pictures = read(size, resize, strict)
    _, labels, rows, class_names, names, groups, digests = pictures
    warn_of_two_labels(pictures, strict)
    leave_copies_out(pictures, strict)
    check_filled(pictures)
    _warn_of_names(class_names)
    if groups is None:
        names, units = [f"{class_names[label]}/{name}" for label, name in zip(labels, names, strict=True)], [digests]
    else:
        check_groups(pictures)
        names, units = groups, [digests, groups]
    shares, units = {"validation": validation_split, "test": test_split}, find_units(*units)
    set_parts_aside(rows, labels, draw_places(names, seed), units, shares, class_names)
    if not (isinstance(source, str) and source in BUNDLED_SETS):
        _warn_of_few(labels, rows, class_names)
    parts = [make_dataset(pictures.images, labels, batch_size, part == "train", rows[part]) for part in PART_NAMES]
    for part in parts:
        part.rows.units = units  # so that who splits them again keeps together what belongs together
    return ImageData(*parts, class_names, resize)


@contextmanager
def _opened(source, groups) -> Iterator[Callable[..., Pictures]]:
    """A function that reads the pictures of a source, (size, resize, strict) -> Pictures; to be called in the block."""
    if is_hugging_face(source):
        yield partial(read_listing, list_hugging_face(source, _as_column(groups)))
    elif hasattr(source, "columns"):
        yield partial(read_listing, list_table(source, _as_column(groups)))
    elif isinstance(source, tuple | Mapping):
        parts = source if isinstance(source, Mapping) else {"train": source}
        yield partial(read_listing, list_arrays(parts, groups))
    elif isinstance(source, str | os.PathLike):
        with _opened_path(source, groups) as read:
            yield read
    else:
        raise TypeError(
            f"Received {type(source).__name__}. Expected a folder, a .zip or .csv file, a name such as "
            "'drawn_flowers', a table with the columns `file` and `label`, or arrays: `(images, labels)`. Of datasets "
            "that you have already make one by hand: `kerastl.ImageData(train, validation, test, class_names)`."
        )


@contextmanager
def _opened_path(source, groups) -> Iterator[Callable[..., Pictures]]:
    name, path = os.fspath(source), Path(source).expanduser()
    if path.suffix.lower() in (".csv", ".tsv", ".zip") and not path.exists():
        raise FileNotFoundError(
            f"There is no file {name!r}. Expected a path that counts from {str(Path.cwd())!r}, or an absolute one."
        )
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv"):
        yield partial(read_listing, list_table_file(path, _as_column(groups)))
        return
    if groups is not None and not callable(groups):
        raise TypeError(f"Received groups={groups!r}. Expected a function that gives the group of a file, by its path.")
    if path.is_file() and path.suffix.lower() == ".zip":
        with unpacked(path) as folder:
            yield partial(read_listing, list_folder(folder, groups))
        return
    check_file(source)
    folder = folder_of(source)
    if folder.is_dir():
        side = DEFAULT_SIZE if folder == path else (BUNDLED_SETS[name],) * 2
        yield partial(read_listing, list_folder(folder, groups)._replace(size=side))
    elif path.is_absolute() or name.startswith((".", "~")) or isinstance(source, Path):
        raise FileNotFoundError(
            f"There is no folder {name!r}. Expected a folder with one folder of images for each "
            f"class. {nearest_parent(path)}"
        )
    elif groups is not None:
        raise ValueError("Received groups and the name of a TensorFlow Datasets set. Expected a source with groups.")
    else:
        yield lambda size, resize, _: read_tfds(name, size or DEFAULT_SIZE, resize)


def _as_column(groups) -> str | None:
    if not isinstance(groups, str | None):
        raise TypeError(f"Received groups={groups!r}. Expected the name of a column.")
    return groups


def _warn_of_names(class_names: list[str]) -> None:
    alike = defaultdict(list)
    for name in class_names:
        alike["".join(name.split()).casefold()].append(name)
    lines = [", ".join(map(repr, names)) for names in alike.values() if len(names) > 1]
    if lines:
        advice = ["If they are one class, give it one name: put the pictures together."]
        warn_of_files("Names of classes differ only in capitals or blanks", lines, advice)


def _warn_of_few(labels: np.ndarray, rows: dict[str, np.ndarray], class_names: list[str]) -> None:
    """Warn of classes of which there is little to learn from, and of those that a part does not measure."""
    for part in ("validation", "test"):
        none = [repr(class_names[label]) for label in np.setdiff1d(range(len(class_names)), labels[rows[part]])]
        if none:
            warnings.warn(
                f"The {part} part has no image of {len(none)} of {len(class_names)} classes: {list_some(none)}. It "
                "says nothing of them: add images, or leave the part out, so that some of each class are set aside.",
                stacklevel=3,
            )
    counts = np.bincount(labels[rows["train"]], minlength=len(class_names))
    few = [f"{name!r} ({count})" for name, count in zip(class_names, counts, strict=True) if count < FEW]
    if few:
        warnings.warn(
            f"{len(few)} of {len(class_names)} classes have fewer than {FEW} training images: {list_some(few)}. Expect "
            "little of them: add images.",
            stacklevel=3,
        )


def as_size(image_size) -> tuple[int, int]:
    """(height, width) of an `image_size`. Raises ValueError when it is none."""
    size = tuple(image_size) if isinstance(image_size, list | tuple) else (image_size, image_size)
    if len(size) != 2 or not all(is_whole(side, least=1) for side in size):
        raise ValueError(f"Received image_size={image_size!r}. Expected pixels, as in 224 or (224, 224).")
    return int(size[0]), int(size[1])
