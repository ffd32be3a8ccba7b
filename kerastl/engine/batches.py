"""Run the frozen part of a model once for each image, and keep what comes out: batches for the part that learns."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import numpy as np

from kerastl.checks import check_labels, count_by_walking
from kerastl.engine.frozen import run_batch
from kerastl.engine.split import Split
from kerastl.engine.witness import Glance
from kerastl.graph import acts_differently_in_training, leaf_layers
from kerastl.progress import Progress
from kerastl.storage import find_room, release

FRESH = "fresh"


class Source(NamedTuple):
    """Where the upper part gets its batches from, one epoch at a time."""

    epoch: Callable[[], Iterator]  # gives one epoch of batches (frontier's tensors, labels)
    steps: int  # batches in an epoch
    images: int  # images in an epoch; of a streamed dataset, at most
    kept: bool  # whether a batch is only read, and not computed


class Kept(NamedTuple):
    """The frozen part's output for every image of a dataset."""

    tensors: list[np.ndarray]  # for each tensor of the frontier an array (1 + views, images, ...), the plain row first
    labels: np.ndarray  # (images,), integers
    batch_size: int  # images in a batch of the dataset

    def draw_epoch(self, shuffle: bool) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
        """One epoch of batches, for each image at random one of its views or the image as it is.

        Chance comes from NumPy's own generator, which `keras.utils.set_random_seed` seeds. It is asked now, not when
        the batches are read, which may be in another thread.
        """
        images, rows = len(self.labels), len(self.tensors[0])
        order = np.random.permutation(images) if shuffle else np.arange(images)
        batches = [order[start : start + self.batch_size] for start in range(0, images, self.batch_size)]
        chosen = [np.random.randint(rows, size=len(index)) if rows > 1 else 0 for index in batches]
        return (self._batch(row, index) for row, index in zip(chosen, batches, strict=True))

    def _batch(self, row, index: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        batch = [np.asarray(tensor[row, index]) for tensor in self.tensors]
        release(self.tensors)
        return batch, self.labels[index]


def make_source(split: Split, dataset, views, shuffle: bool, verbose: int, label: str) -> Source:
    """Batches for the upper part: drawn from what is kept, or streamed if that is wanted or there is no room to keep.

    Args:
        split, dataset, views, verbose, label: as for `run_frozen`; `views` may also be "fresh". In a model without
            augmentation all views are alike: none is kept.
        shuffle: draw what is kept in a new order in each epoch: the images are learned from. If the dataset gives other
            pixels in another pass, because it augments them itself, nothing is kept.
    """
    augments = any(acts_differently_in_training(layer) for layer in leaf_layers(split.front))
    if views != FRESH and (split.depth or not shuffle):  # with nothing frozen, training has nothing to keep
        glance = Glance(dataset)
        kept = run_frozen(split, glance, views if augments else 0, verbose, label)
        if kept and not (shuffle and glance.finds_other_pixels()):
            images = len(kept.labels)
            return Source(lambda: kept.draw_epoch(shuffle), -(-images // kept.batch_size), images, True)
        if verbose:
            reason = (
                "other pixels in each pass (augmentation?)" if kept else "no room to keep the frozen part's outputs"
            )
            print(f"{label}: {reason}, so the frozen part runs in every epoch")
    return stream_source(split, dataset, augment=augments and views != 0)


def stream_source(split: Split, dataset, augment: bool) -> Source:
    """Run the frozen part anew in each epoch, in the order that the dataset gives."""

    count = count_batches(dataset)
    batch_size = _usual_size(itertools.islice(dataset, 2))

    def epoch() -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
        for images, labels in dataset:
            check_labels(labels, split.upper.output_shape[-1])
            yield run_batch(split, images, augment, batch_size), np.asarray(labels)

    return Source(epoch, count, count * batch_size, False)


def _usual_size(first_batches) -> int:
    """Images in a batch, from the first two: batches that were shuffled may begin with the smaller last one."""
    return max(len(labels) for _, labels in first_batches)


def count_batches(dataset) -> int:
    """How many batches a dataset has."""
    count = int(dataset.cardinality())
    return count if count > 0 else count_by_walking(dataset)


def run_frozen(split: Split, dataset, views: int = 0, verbose: int = 1, label: str = "reading images") -> Kept | None:
    """Run the frozen part over a dataset, once as it is and once for each augmented view, and keep the result.

    Args:
        split: as `split_model` returns it.
        dataset: batches of (images, labels): images uint8 or float, 0–255, (batch, height, width, 3).
        views: augmented views of each image to keep beside the image as it is.
        verbose: 0 for silence, 1 for a progress bar.
        label: what the progress bar calls the pass.

    Returns:
        `Kept(tensors, labels, batch_size)`, in memory or in a temporary file; None where there is room in neither.

    Raises:
        ValueError, OSError: as `find_room` does.
    """
    count, batches = count_batches(dataset), iter(dataset)
    first = list(itertools.islice(batches, 2))
    batch_size = _usual_size(first)
    rows, most = 1 + views, count * batch_size
    shapes = [(rows, most, *output.shape[1:]) for output in split.lower.outputs]
    dtype = np.dtype("float64" if keras.config.floatx() == "float64" else "float32")
    least = dtype.itemsize * sum(math.prod(shape[2:]) for shape in shapes) * batch_size
    room = find_room(shapes, least, dtype)
    if room is None:
        return None
    labels = []
    with Progress(label, verbose) as progress:
        progress.expect(rows * most)
        progress.advance(0, room.place)
        start = 0
        for images, batch_labels in itertools.chain(first, batches):
            check_labels(batch_labels, split.upper.output_shape[-1])
            if len(batch_labels) > batch_size:
                raise ValueError(
                    f"The batches hold {batch_size} images and {len(batch_labels)}. Expected one size, apart from a "
                    f"smaller one: `dataset.unbatch().batch({batch_size})`."
                )
            end = start + len(batch_labels)
            for row in range(rows):
                tensors = run_batch(split, images, row > 0, batch_size, remember=True)
                for array, tensor in zip(room.arrays, tensors, strict=True):
                    array[row, start:end] = tensor
                progress.advance(end - start)
            release(room.arrays)
            labels.append(np.asarray(batch_labels))
            start = end
    return Kept([array[:, :start] for array in room.arrays], np.concatenate(labels), batch_size)
