"""Load images: a bundled set, a folder of class folders, or a TensorFlow Datasets name -> ImageData."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kerastl.bases import BUNDLED_SETS, bundled_folder
from kerastl.catalogue import read_tfds
from kerastl.checks import check_dataset, check_source, is_whole, list_some
from kerastl.rows import Rows
from kerastl.sources import PART_NAMES, nearest_parent, read_folder
from kerastl.splitting import check_splitting, set_parts_aside

if TYPE_CHECKING:
    import tensorflow as tf


class ImageData(NamedTuple):
    """Three datasets without a common image, and the names of the classes.

    Each dataset is a `tf.data.Dataset` of batches (images, labels): images uint8 or float32, 0–255, of shape (batch,
    height, width, 3); labels integers that index `class_names`. Whoever has datasets already makes one by hand.

    Example:
        >>> german = ImageData(*flowers[:3], ["Gänseblümchen", "Löwenzahn", "Rose", "Sonnenblume", "Tulpe"])
        >>> german.class_names[1]
        'Löwenzahn'
    """

    train: "tf.data.Dataset"
    validation: "tf.data.Dataset"
    test: "tf.data.Dataset"
    class_names: list[str]


class TextData(ImageData):
    """As `ImageData`, with texts in the place of the images: strings, (batch,), or token ids, int32 (batch, length).

    Example:
        >>> import tensorflow as tf
        >>> pairs = [(["a rose", "a nut"], [0, 1]), (["a tulip"], [0]), (["a plum"], [1])]
        >>> parts = [tf.data.Dataset.from_tensor_slices(pair).batch(32) for pair in pairs]
        >>> TextData(*parts, ["flower", "fruit"]).class_names
        ['flower', 'fruit']
    """

    __slots__ = ()


def load_images(
    source: str | os.PathLike,
    *,
    image_size: int | tuple[int, int] | None = None,
    batch_size: int = 32,
    validation_split: float = 0.1,
    test_split: float = 0.2,
    seed: int = 0,
) -> ImageData:
    """Load labelled images, the first step of the workflow. Every file is read once, on all cores.

    Pixels are kept in memory, as long as they take at most half of what kerastl may use of it (that is half of the free
    memory, or what the variable KERASTL_MEMORY_MB says); more go to a temporary file, and memory stays free.

    Args:
        source: one of
            - the name of a bundled set: "drawn_flowers", "drawn_butterflies" or "drawn_species";
            - a folder with one folder of images for each class, or with such folders below `train` and, if you have
              them, `validation` (or `val`) and `test`;
            - the name of a TensorFlow Datasets image classification set, such as "tf_flowers"; it is downloaded once.
        image_size: pixels, as one number or (height, width); images are resized to it, whatever their shape. Default:
            96 for the bundled sets, else 224.
        batch_size: images in a batch, here and in all training on these data.
        validation_split: share of the images set aside for validation where no part holds them already.
        test_split: the same for the test part. A source with `train` and one other part keeps the other part for the
            test, whatever its name, because only images that chose nothing give an honest result.
        seed: decides which images are set aside. Every class is split by itself; no image is in two parts.

    Returns:
        `ImageData(train, validation, test, class_names)`; images uint8, labels int64. Each epoch shuffles `train` anew.

    Raises:
        FileNotFoundError: the folder is not there.
        ValueError: unknown name; an archive, a table or another file; no class folders, or only one; too few images in
            a class; parts that do not agree, or two for the same use, such as `val` and `validation`.
        OSError: neither memory nor the temporary folder has room for the pictures.
        TypeError: neither a folder nor a name, such as arrays.
        ConnectionError: a download failed.
        ImportError: a name of TensorFlow Datasets, which is not installed.

    Warns:
        UserWarning: files that are no readable images, and pictures in folders inside a class folder; they are left
            out, not deleted. Files that are no pictures by their ending, such as .txt and .csv, are passed over
            (`kerastl.reading.OTHER_ENDINGS`).

    Example:
        >>> load_images("drawn_flowers").class_names
        ['daisy', 'dandelion', 'rose', 'sunflower', 'tulip']
    """
    check_splitting(batch_size, validation_split, test_split, seed)
    check_source(source)
    name = os.fspath(source)
    folder = Path(name).expanduser()
    size = as_size(BUNDLED_SETS.get(name, 224) if image_size is None else image_size)
    if folder.is_dir():
        images, labels, rows, class_names = read_folder(folder, size)
    elif name in BUNDLED_SETS:
        images, labels, rows, class_names = read_folder(bundled_folder() / name, size)
    elif folder.is_absolute() or name.startswith((".", "~")) or isinstance(source, Path):
        raise FileNotFoundError(
            f"There is no folder {name!r}. Expected a folder with one folder of images for each "
            f"class. {nearest_parent(folder)}"
        )
    else:
        images, labels, rows, class_names = read_tfds(name, size)
    set_parts_aside(rows, labels, validation_split, test_split, seed, class_names)
    return ImageData(
        *(make_dataset(images, labels, batch_size, part == "train", rows[part]) for part in PART_NAMES), class_names
    )


def make_dataset(
    images: np.ndarray, labels: np.ndarray, batch_size: int = 32, shuffle: bool = False, rows: np.ndarray | None = None
):
    """A `tf.data.Dataset` of batches (images, labels) from arrays, shuffled anew in each epoch if asked for.

    `images` may be texts, too: strings, of dtype object. `rows` are the numbers of the images that it gives; all, if
    that is None. Only numbers are shuffled, and images that lie in a file are in memory only while their batch is made.
    """
    import tensorflow as tf

    held = Rows(images, labels, np.arange(len(labels)) if rows is None else rows)
    order = tf.data.Dataset.range(len(held.numbers))
    if shuffle:
        order = order.shuffle(len(held.numbers))
    read = held.reader()

    def fetch(index):
        some, their_labels = tf.numpy_function(
            read, [index], [tf.string if images.dtype == object else images.dtype, labels.dtype]
        )
        return tf.ensure_shape(some, (None, *images.shape[1:])), tf.ensure_shape(their_labels, (None,))

    dataset = order.batch(batch_size).map(fetch).prefetch(2)
    dataset.rows = held  # they live as long as the dataset, or one that is made from it
    return dataset


def as_arrays(dataset) -> tuple[np.ndarray, np.ndarray]:
    """All (images, labels) of a dataset, as two arrays: the way back from `make_dataset`.

    They come from one pass, so that each label stays with its image, also where the dataset shuffles itself. All images
    are in memory then.
    """
    batches = [(np.asarray(images), np.asarray(labels)) for images, labels in dataset]
    images, labels = zip(*batches, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def few_of_each(labels: np.ndarray, count: int, seed: int | None = None) -> np.ndarray:
    """The places of `count` images of each class in an array of labels: the first ones, or, with a seed, any.

    Raises:
        ValueError: a class has fewer.
    """
    chance, chosen = np.random.default_rng(seed), []
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        if len(places) < count:
            raise ValueError(
                f"Received count={count}. Expected at most {len(places)}: class {label} has no more images."
            )
        chosen.append((places if seed is None else chance.permutation(places))[:count])
    return np.concatenate(chosen)


def check_image_data(data) -> None:
    """Raise TypeError or ValueError when something is not `ImageData` as its docstring describes it."""
    if not isinstance(data, ImageData):
        raise TypeError(
            f"Received {type(data).__name__}. Expected ImageData, as `load_images` returns it; from datasets "
            "of your own: `ImageData(train, validation, test, class_names)`."
        )
    if len(data.class_names) < 2:
        raise ValueError(
            f"Received {len(data.class_names)} class ({list_some(data.class_names)}). Expected two or more."
        )
    for part in PART_NAMES:
        check_dataset(getattr(data, part), part)


def find_part(data, part: str):
    """One of the three datasets, by name. Raises TypeError or ValueError when it is none, or `data` no `ImageData`."""
    check_image_data(data)
    if part not in PART_NAMES:
        raise ValueError(f"Received part={part!r}. Expected one of {', '.join(PART_NAMES)}.")
    return getattr(data, part)


def pick_images(dataset, numbers) -> list[tuple[np.ndarray, int]]:
    """(image, label) for each of these numbers of images, counted from 0 in one pass over the dataset.

    For a number beyond the end it is the last image.
    """
    wanted, found, start, last = set(map(int, numbers)), {}, 0, None
    for images, labels in dataset:
        for number in wanted.intersection(range(start, start + len(labels))):
            found[number] = np.asarray(images[number - start]), int(labels[number - start])
        last = np.asarray(images[-1]), int(labels[-1])
        start += len(labels)
        if len(found) == len(wanted):
            break
    return [found.get(int(number), last) for number in numbers]


def as_size(image_size) -> tuple[int, int]:
    """(height, width) of an `image_size`. Raises ValueError when it is none."""
    size = tuple(image_size) if isinstance(image_size, list | tuple) else (image_size, image_size)
    if len(size) != 2 or not all(is_whole(side, least=1) for side in size):
        raise ValueError(f"Received image_size={image_size!r}. Expected pixels, as in 224 or (224, 224).")
    return int(size[0]), int(size[1])
