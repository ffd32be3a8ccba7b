"""Data as all steps of the workflow take them: three datasets, and the names of the classes."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kerastl.checks import check_dataset, list_some
from kerastl.resizing import UNKNOWN, check_resize
from kerastl.rows import Rows
from kerastl.sources import PART_NAMES

if TYPE_CHECKING:
    import tensorflow as tf


class ImageData(NamedTuple):
    """Three datasets without a common image, and the names of the classes.

    Each dataset is a `tf.data.Dataset` of batches (images, labels): images uint8 or float32, 0–255, of shape (batch,
    height, width, 3); labels integers that index `class_names`. Whoever has datasets already makes one by hand.
    `resize` is how the images came to their size (see `load_images`); `build_model` hands it on to the model.

    Example:
        >>> german = ImageData(*flowers[:3], ["Gänseblümchen", "Löwenzahn", "Rose", "Sonnenblume", "Tulpe"])
        >>> german.class_names[1]
        'Löwenzahn'
    """

    train: "tf.data.Dataset"
    validation: "tf.data.Dataset"
    test: "tf.data.Dataset"
    class_names: list[str]
    resize: str = UNKNOWN


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


def labels_of(dataset) -> np.ndarray:
    """All labels of a dataset: (images,). Of one that `make_dataset` made, no image is read for them."""
    rows = getattr(dataset, "rows", None)
    if rows is None:
        return np.concatenate([np.asarray(labels) for _, labels in dataset])
    return rows.labels[rows.numbers]


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
    check_resize(data.resize)
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
