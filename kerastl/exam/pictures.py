"""The pictures of a folder and of a dataset, told apart by what they show, and never by their names."""

import os
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from kerastl.exam.missing import MissingError, in_short

GRID = 16  # of this many places on a side a picture is known
# Pictures this much alike (cosine) are one picture. Two different drawn flowers are alike by .91 at the most, and one
# flower and its copy, made smaller and larger again, or a JPEG of quality 60, by .992 at the least.
SAME = 0.97
BATCH = 64


class Folder(NamedTuple):
    """The pictures of a folder with one folder for each class. `n` files."""

    files: list[Path]
    labels: np.ndarray  # (n,) int64
    class_names: list[str]
    prints: np.ndarray  # (n, GRID * GRID * 3) float32
    images: np.ndarray  # (n, height, width, 3) float32, 0–255
    first: np.ndarray  # (n,) int64, of all files with one picture the number of the first

    def find(self, prints: np.ndarray) -> np.ndarray:
        """For each print the number of the first file with that picture; -1 where there is none."""
        best, likeness = _nearest(prints, self.prints)
        return np.where(likeness >= SAME, self.first[best], -1)

    def classes_of(self, picture: int) -> set[int]:
        """The classes of all files with one picture."""
        return set(self.labels[self.first == picture].tolist())


class Part(NamedTuple):
    """One pass over a dataset of `n` pictures."""

    labels: np.ndarray  # (n,) int64
    prints: np.ndarray  # (n, GRID * GRID * 3) float32
    images: np.ndarray  # the first few, as the dataset gives them


def read_folder(folder, size: tuple[int, int]) -> Folder:
    """Read a folder with Keras, as a student does."""
    if not isinstance(folder, str | os.PathLike):
        raise MissingError(f"The folder is a {type(folder).__name__}: hand over the name of the folder of the task.")
    if not Path(folder).is_dir():
        raise MissingError(f"There is no folder {str(folder)[:80]!r}: hand over the folder of the task.")
    try:
        dataset = keras.utils.image_dataset_from_directory(
            folder, image_size=size, shuffle=False, batch_size=BATCH, verbose=False
        )
        images = np.concatenate([images for images, _ in dataset.as_numpy_iterator()])
    except Exception as error:  # of a damaged file TensorFlow raises errors of several kinds
        raise MissingError(
            f"{str(folder)!r} cannot be read by Keras, so remove what it names ({in_short(error)})."
        ) from error
    files, names = [Path(path) for path in dataset.file_paths], list(dataset.class_names)
    prints = fingerprints(images)
    first = np.concatenate(
        [np.argmax(prints[start : start + BATCH] @ prints.T >= SAME, axis=1) for start in range(0, len(files), BATCH)]
    )
    labels = np.array([names.index(path.relative_to(folder).parts[0]) for path in files])
    return Folder(files, labels, names, prints, images, np.minimum(first, np.arange(len(files))))


def read_part(dataset, part: str) -> Part:
    """Read a dataset once."""
    _check_dataset(dataset, part)
    labels, prints, kept = [], [], []
    try:
        for images, numbers in dataset.as_numpy_iterator():
            labels.append(as_numbers(numbers, part))
            prints.append(fingerprints(images))
            kept = kept or [images]
    except MissingError:
        raise
    except Exception as error:
        raise MissingError(
            f"The {part} dataset cannot be read to its end ({in_short(error)}), so make it again."
        ) from error
    if not labels:
        raise MissingError(f"The {part} dataset is empty: put a share of the pictures of each class into it.")
    return Part(np.concatenate(labels), np.concatenate(prints), kept[0][:BATCH])


def fingerprints(images: np.ndarray) -> np.ndarray:
    """What a picture shows, whatever the scale of its pixels: (n, height, width, 3) -> (n, GRID * GRID * 3)."""
    import tensorflow as tf

    small = tf.image.resize(np.nan_to_num(np.asarray(images, "float32")), (GRID, GRID), method="area").numpy()
    small = small.reshape(len(small), -1)
    small -= small.mean(axis=1, keepdims=True)
    return small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6)


def _nearest(prints: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) the number of the most alike of the known ones, and (n,) how much they are alike."""
    blocks = [prints[start : start + BATCH] @ known.T for start in range(0, len(prints), BATCH)]
    return np.concatenate([b.argmax(axis=1) for b in blocks]), np.concatenate([b.max(axis=1) for b in blocks])


def _check_dataset(dataset, part: str) -> None:
    import tensorflow as tf

    if not isinstance(dataset, tf.data.Dataset):
        raise MissingError(
            f"The {part} part is a {type(dataset).__name__}: hand over the tf.data.Dataset that you gave to Keras."
        )
    if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise MissingError(f"The {part} dataset never ends: leave out `repeat`.")
    spec = dataset.element_spec
    pair = isinstance(spec, tuple) and len(spec) == 2 and all(hasattr(one, "shape") for one in spec)
    if not pair or spec[0].shape.rank != 4 or spec[0].shape[-1] != 3:
        raise MissingError(
            f"The {part} dataset does not give batches (images, labels) with images (batch, height, width, 3): make it "
            "as `image_dataset_from_directory` does."
        )


def as_numbers(labels: np.ndarray, part: str) -> np.ndarray:
    """(batch,) int64 of labels as `image_dataset_from_directory` gives them: "int", "categorical" or "binary"."""
    if labels.ndim == 2 and labels.shape[1] > 1:
        return labels.argmax(axis=1)
    if labels.ndim not in (1, 2):
        raise MissingError(f"The labels of the {part} dataset have {labels.ndim} axes: give each picture one number.")
    return labels.reshape(-1).astype("int64")
