"""Look at what comes from outside before it is used: what to load, datasets, labels, pixels."""

import itertools
import os
import shutil
import time
import warnings
from numbers import Integral
from pathlib import Path

import numpy as np

PATIENCE = 10  # seconds of silent counting

# How to make what is expected, as lines to be copied.
_DATASET = "tf.data.Dataset.from_tensor_slices((images, labels)).batch(32)"


def check_file(source) -> None:
    """Raise ValueError when `load_images` is given an empty name, or a file that it does not read."""
    expected = "Expected a folder with one folder of images for each class, a .zip, .csv or .tsv file, or a name."
    if source == "":
        raise ValueError(f"Received an empty name. {expected} The folder in which you are is '.'.")
    path = Path(source).expanduser()
    if not path.is_file():
        return
    endings = [ending for _, known, _ in shutil.get_unpack_formats() for ending in known]
    if path.name.lower().endswith(tuple(endings)):
        stem = path.name.split(".")[0]
        names = itertools.chain([stem], (f"{stem}_{number}" for number in itertools.count(2)))
        folder = next(name for name in names if not os.path.lexists(name))  # what is there is not written over
        advice = f"Unpack it, `shutil.unpack_archive({str(path)!r}, {folder!r})`, then load_images({folder!r})."
    elif path.suffix.lower() in (".npy", ".npz"):
        advice = "Load the arrays with `numpy.load`, then load_images((images, labels))."
    else:
        advice = f"Did you mean {str(path.absolute().parent.parent)!r}?"
    raise ValueError(f"{str(path)!r} is a file. {expected} {advice}")


def check_dataset(dataset, part: str) -> None:
    """Raise TypeError or ValueError when a part of `ImageData` is not as its docstring describes it."""
    import tensorflow as tf

    if not isinstance(dataset, tf.data.Dataset):
        raise TypeError(
            f"The {part} part is a {type(dataset).__name__}. Expected a tf.data.Dataset of batches (images, labels); "
            f"from arrays: `{_DATASET}`."
        )
    if int(dataset.cardinality()) == 0:
        raise ValueError(f"The {part} dataset is empty. Expected one that gives each of its images once.")
    check_end(dataset, f"{part} dataset")
    spec = dataset.element_spec
    if not (_is_images_and_labels(spec) or _is_texts_and_labels(spec)):
        raise ValueError(
            f"The {part} dataset has elements {spec}. Expected batches (images, labels) with images of "
            f"shape (batch, height, width, 3) and integer labels of shape (batch,).{_advice(spec)}"
        )
    if None in spec[0].shape[1:]:
        raise ValueError(
            f"The {part} dataset has images of unknown size {tuple(spec[0].shape[1:])}. Expected one size for all: "
            "resize them, with `dataset.map`, before they are put into batches."
        )


def check_end(dataset, name: str = "dataset") -> None:
    """Raise ValueError when a dataset is known to have no end."""
    if hasattr(dataset, "cardinality") and int(dataset.cardinality()) == -1:
        raise ValueError(
            f"The {name} repeats without end. Expected one that gives each of its images once: leave out `.repeat()`."
        )


def count_batches(dataset) -> int:
    """How many batches a dataset has."""
    count = int(dataset.cardinality())
    if count <= 0 and not (count := count_by_walking(dataset)):
        raise ValueError("A dataset gave no batch. Expected one that gives each of its images once, in each pass.")
    return count


def count_by_walking(dataset) -> int:
    """How many batches a dataset has that does not know it itself, as one from a generator or after `filter`.

    Whether it has an end nobody can know before it is there: so it is said, once, when that takes long.
    """
    start, count, said = time.monotonic(), 0, False
    for count, _ in enumerate(dataset, start=1):
        if not said and time.monotonic() - start > PATIENCE:
            said = True
            warnings.warn(
                f"A dataset does not know how many batches it has. They are counted: {count:,} in {PATIENCE} s. If it "
                "repeats without end, this never ends: stop it, and use `dataset.take(batches)`. If you know their "
                "number: `dataset.apply(tf.data.experimental.assert_cardinality(batches))`.",
                stacklevel=2,
            )
    return count


def _are_pairs(spec) -> bool:
    """Whether elements may be images and labels, as far as their specification tells."""
    pair = isinstance(spec, tuple) and len(spec) == 2 and all(hasattr(one, "shape") for one in spec)
    return pair and spec[1].shape.rank in (1, None) and spec[1].dtype.is_integer


def _is_images_and_labels(spec) -> bool:
    return (
        isinstance(spec, tuple)
        and len(spec) == 2
        and all(hasattr(one, "shape") for one in spec)
        and spec[0].shape.rank == 4
        and spec[0].shape[-1] == 3
        and spec[1].shape.rank == 1
        and spec[1].dtype.is_integer
    )


def _is_texts_and_labels(spec) -> bool:
    """Whether elements are texts, strings (batch,), or their token ids, integers (batch, length), with labels."""
    known = _are_pairs(spec) and spec[1].shape.rank == 1 and not spec[0].dtype.is_floating
    return known and spec[0].shape.rank == (1 if spec[0].dtype == "string" else 2)


def _advice(spec) -> str:
    """What to do about the most common elements that are something else."""
    if hasattr(spec, "shape"):
        return f" It has no labels: from arrays, `{_DATASET}`."
    if not (isinstance(spec, tuple) and len(spec) == 2 and all(hasattr(one, "shape") for one in spec)):
        return ""
    images, labels = spec
    if images.shape.rank == 3 and labels.shape.rank == 0:
        return " Put them into batches: `dataset.batch(32)`."
    if labels.shape.rank == 2:
        return _advice_on_labels(labels.shape)
    if images.shape.rank == 4 and images.shape[-1] == 1:
        return " Of grey images: `dataset.map(lambda images, labels: (tf.repeat(images, 3, axis=-1), labels))`."
    return ""


def _advice_on_labels(shape) -> str:
    """What to do about labels of two axes."""
    if shape[1] == 1:
        return " Take one axis off the labels: `dataset.map(lambda images, labels: (images, labels[:, 0]))`."
    return " Of one-hot labels: `dataset.map(lambda images, labels: (images, tf.argmax(labels, axis=1)))`."


def list_some(names) -> str:
    """The first few of some names, for people."""
    return ", ".join(map(str, names[:5])) + ("…" if len(names) > 5 else "")


def is_whole(number, least: int) -> bool:
    """Whether something is a whole number, Python's or NumPy's, and not below `least`. True and False are none."""
    return isinstance(number, Integral) and not isinstance(number, bool) and number >= least


def check_seed(seed) -> None:
    """Raise ValueError when a seed is none for NumPy or Keras."""
    if not (is_whole(seed, least=0) and seed < 2**32):
        raise ValueError(f"Received seed={seed!r}. Expected a whole number from 0 to {2**32 - 1}.")


def check_batches(dataset) -> None:
    """Raise TypeError or ValueError when what is given as a dataset cannot give batches (images, labels)."""
    arrays = [dataset, *dataset] if isinstance(dataset, tuple | list) else [dataset]
    if not hasattr(dataset, "__iter__") or any(hasattr(one, "shape") for one in arrays):
        raise TypeError(
            f"Received {type(dataset).__name__}. Expected a tf.data.Dataset of batches (images, labels); from arrays: "
            f"`{_DATASET}`."
        )
    spec = getattr(dataset, "element_spec", None)
    if spec is not None and not _are_pairs(spec):
        advice = _advice(spec) or " The labels are whole numbers, of shape (batch,)."
        raise ValueError(f"The dataset has elements {spec}. Expected batches (images, labels).{advice}")
    check_end(dataset)


def check_labels(labels, classes: int) -> None:
    """Raise ValueError unless there are labels, each the number of a class; one output stands for two classes."""
    labels, classes = np.asarray(labels), max(classes, 2)
    if labels.ndim != 1:
        raise ValueError(
            f"The labels have the shape {labels.shape}. Expected one whole number for each image."
            f"{_advice_on_labels(labels.shape) if labels.ndim == 2 else ''}"
        )
    if not len(labels):
        raise ValueError(
            "The dataset has a batch without an image. Expected one at least in each: "
            "`dataset.filter(lambda images, labels: tf.size(labels) > 0)`."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"The labels run from {labels.min()} to {labels.max()}; the model knows {classes} classes, 0 to "
            f"{classes - 1}. Use the dataset that the model was built for. Where labels count from 1: "
            "`dataset.map(lambda images, labels: (images, labels - 1))`."
        )


def check_pixels(images) -> None:
    """Raise ValueError when a batch looks as if its pixels had been scaled already: the most common silent mistake.

    Resizing with a bicubic filter goes a little below 0 at edges, and a dark picture has small whole numbers: that is
    none.
    """
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return
    if not np.isfinite(images).all():
        raise ValueError("Some pixels are no numbers (NaN or infinite). Expected 0 to 255.")
    scaled_to_1 = images.min() >= -1.0 and images.max() <= 1.0 and not np.array_equal(images, np.round(images))
    whole = images.dtype.kind in "iu"
    outside = np.mean((images < 0) | (images > 255)) > (0 if whole else 0.1)
    if (scaled_to_1 and not whole) or outside:
        raise ValueError(
            f"Pixels run from {images.min():.3g} to {images.max():.3g}. Expected 0 to 255: the scaling that "
            "the base needs is inside the model, so do not divide by 255 or call preprocess_input."
        )
