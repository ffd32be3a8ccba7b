"""Split a model at its frontier, run the frozen part once for each image, and keep what comes out.

The frontier is the set of tensors (usually one) at or below the first trainable layer through which every path from the
image passes. Below it nothing is learned, so an image gives the same values there in every epoch.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import numpy as np

from kerastl.data import check_pixels
from kerastl.graph import (
    acts_differently_in_training,
    find_base_model,
    has_trainable_weights,
    is_batch_norm,
    leaf_layers,
    live_tensors,
    run_order,
    size_in_bytes,
    work,
)
from kerastl.progress import Progress
from kerastl.storage import find_room

FRESH = "fresh"
WORK_TO_REPEAT = 0.15  # share of the frozen part's work that may be repeated in each epoch to keep fewer bytes


class Split(NamedTuple):
    """A model in three parts that share its layers: `upper(lower(front(images)))` is the model's prediction."""

    front: keras.Model  # raw images -> augmented (in training mode) and scaled images
    lower: keras.Model  # scaled images -> the tensors of the frontier; always run as inference
    upper: keras.Model  # the tensors of the frontier -> probabilities; all that training changes is in here
    depth: int  # calls of the base inside `lower`; 0 when they do no work, because all of the base is trained


def split_model(model: keras.Model) -> Split:
    """Cut a model at its frontier.

    With the base frozen the frontier lies after the pooling; with its top unfrozen, at the cheapest place to keep at or
    below the first trainable layer; with all of it trainable, at the image. Nothing that acts differently in training
    (dropout inside the base) is left between the frontier and the first trainable layer, so that what is frozen acts as
    inference on every path.

    Args:
        model: any functional or Sequential model that calls one base as a layer and goes on from it in a plain chain.

    Returns:
        `Split(front, lower, upper, depth)`.

    Raises:
        ValueError: what follows the base is not a plain chain.
    """
    base = find_base_model(model)
    calls = run_order(model)
    place = [node.operation for node in calls].index(base)
    if any(len(node.input_tensors) != 1 or len(node.outputs) != 1 for node in calls[place:]):
        raise ValueError(f"Expected a plain chain of layers from the base {base.name!r} to the end of {model.name!r}.")
    scaled_image, features = calls[place].input_tensors[0], calls[place].outputs[0]
    front = keras.Model(model.inputs[0], scaled_image, name="front")

    nodes = run_order(base)
    first = next((number for number, node in enumerate(nodes) if has_trainable_weights(node.operation)), len(nodes))
    if first == len(nodes):  # the whole base is frozen: go on into the head, as far as training changes nothing
        for node in calls[place + 1 :]:
            if has_trainable_weights(node.operation) or acts_differently_in_training(node.operation):
                break
            features = node.outputs[0]
        lower = keras.Model(scaled_image, features, name="lower")
        return Split(front, lower, keras.Model(features, model.outputs[0], name="upper"), first)
    depth, tensors = _cheapest_place(nodes, first)
    lower = keras.Model(base.inputs[0], tensors, name="lower")
    head = keras.Model(features, model.outputs[0], name="head")
    top = keras.Model(single(tensors), base.outputs[0], name="top")
    inputs = single([keras.Input(tensor.shape[1:], dtype=tensor.dtype) for tensor in tensors])
    upper = keras.Model(inputs, head(top(inputs)), name="upper")
    return Split(front, lower, upper, depth)


def single(tensors: list):
    """The tensor itself where there is only one: Keras wants the structure that a model was built with."""
    return tensors if len(tensors) > 1 else tensors[0]


def _cheapest_place(nodes: list, first: int) -> tuple[int, list]:
    """How many calls of the base come before the cut (0 if they do no work), and the tensors to keep there.

    Of the places that leave little of the frozen part's work to be done again, the one with the fewest bytes: inside a
    block the tensors are often several times as large as between two blocks.
    """
    places = live_tensors(nodes)[:first]
    allowed = WORK_TO_REPEAT * sum(work(node) for node in nodes[:first])
    candidates, repeated = [], 0
    for number in reversed(range(first)):
        candidates.append((size_in_bytes(places[number]), -number))
        repeated += work(nodes[number])
        operation = nodes[number].operation
        if repeated > allowed or (acts_differently_in_training(operation) and not is_batch_norm(operation)):
            break
    number = -min(candidates)[1]
    depth = number if any(work(node) for node in nodes[: number + 1]) else 0
    return depth, places[number]


class Source(NamedTuple):
    """Where the upper part gets its batches from, one epoch at a time."""

    epoch: Callable[[], Iterator]  # gives one epoch of batches (frontier's tensors, labels)
    steps: int  # batches in an epoch
    images: int  # images in an epoch; of a streamed dataset, at most


class Kept(NamedTuple):
    """The frozen part's output for every image of a dataset."""

    tensors: list[np.ndarray]  # one array (views, images, ...) for each tensor of the frontier, float32
    labels: np.ndarray  # (images,), integers
    batch_size: int  # images in a batch of the dataset

    def draw_epoch(self, shuffle: bool) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
        """One epoch of batches, for each image one of its views at random.

        Chance comes from NumPy's own generator, which `keras.utils.set_random_seed` seeds.
        """
        images, views = len(self.labels), len(self.tensors[0])
        order = np.random.permutation(images) if shuffle else np.arange(images)
        for start in range(0, images, self.batch_size):
            index = order[start : start + self.batch_size]
            view = np.random.randint(views, size=len(index)) if views > 1 else 0
            yield [np.asarray(tensor[view, index]) for tensor in self.tensors], self.labels[index]


def make_source(split: Split, dataset, views, shuffle: bool, verbose: int, label: str) -> Source:
    """Batches for the upper part: drawn from what is kept, or streamed if that is wanted or there is no room to keep.

    Args:
        split, dataset, views, verbose, label: as for `run_frozen`; `views` may also be "fresh". In a model without
            augmentation all views are alike: one is kept.
        shuffle: draw what is kept in a new order in each epoch.
    """
    if not any(acts_differently_in_training(layer) for layer in leaf_layers(split.front)):
        views = 0
    if views != FRESH and (split.depth or not shuffle):  # with nothing frozen, training has nothing to keep
        kept = run_frozen(split, dataset, views, verbose, label)
        if kept:
            images = len(kept.labels)
            return Source(lambda: kept.draw_epoch(shuffle), -(-images // kept.batch_size), images)
        if verbose:
            print(f"{label}: no room to keep the frozen part's outputs, so it runs in every epoch")
    return stream_source(split, dataset, augment=views != 0)


def stream_source(split: Split, dataset, augment: bool) -> Source:
    """Run the frozen part anew in each epoch, in the order that the dataset gives."""

    def epoch() -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
        batch_size = 0
        for images, labels in dataset:
            batch_size = batch_size or len(labels)
            yield run_batch(split, images, augment, batch_size), np.asarray(labels)

    batches, batch_size = measure_dataset(dataset)
    return Source(epoch, batches, batches * batch_size)


def measure_dataset(dataset) -> tuple[int, int]:
    """How many batches a dataset has, and how many images the first one. Walks over it if it does not know."""
    batches = int(dataset.cardinality())
    return batches if batches > 0 else sum(1 for _ in dataset), len(next(iter(dataset))[1])


def run_frozen(split: Split, dataset, views: int = 0, verbose: int = 1, label: str = "reading images") -> Kept | None:
    """Run the frozen part over a dataset once, or once for each augmented view, and keep the result.

    Args:
        split: as `split_model` returns it.
        dataset: batches of (images, labels): images uint8 or float, 0–255, (batch, height, width, 3).
        views: 0 keeps one plain view; k keeps k augmented views.
        verbose: 0 for silence, 1 for a progress bar.
        label: what the progress bar calls the pass.

    Returns:
        `Kept(tensors, labels, batch_size)`, in memory or in a temporary file; None where there is room in neither.

    Raises:
        ValueError, OSError: as `find_room` does.
    """
    batches, batch_size = measure_dataset(dataset)
    rows, most = max(views, 1), batches * batch_size
    shapes = [(rows, most, *output.shape[1:]) for output in split.lower.outputs]
    room = find_room(shapes, least=4 * sum(math.prod(shape[2:]) for shape in shapes) * batch_size)
    if room is None:
        return None
    labels = []
    with Progress(label, verbose) as progress:
        progress.expect(rows * most)
        progress.advance(0, room.place)
        start = 0
        for images, batch_labels in dataset:
            end = start + len(batch_labels)
            for view in range(rows):
                tensors = run_batch(split, images, views > 0, batch_size)
                for array, tensor in zip(room.arrays, tensors, strict=True):
                    array[view, start:end] = tensor
                progress.advance(end - start)
            labels.append(np.asarray(batch_labels))
            start = end
    return Kept([array[:, :start] for array in room.arrays], np.concatenate(labels), batch_size)


def run_batch(split: Split, images, augment: bool, batch_size: int) -> list[np.ndarray]:
    """The frontier's tensors for one batch of raw images. Outside any training step, so always as inference."""
    check_pixels(images)
    scaled = split.front(keras.ops.convert_to_tensor(images, dtype="float32"), training=augment)
    return keras.tree.flatten(predict_padded(split.lower, scaled, batch_size))


def predict_padded(model: keras.Model, images, batch_size: int):
    """`predict_on_batch`, filling up a smaller last batch, since Keras compiles a model anew for another shape."""
    count = len(images)
    if count < batch_size:
        images = keras.ops.concatenate([images, keras.ops.repeat(images[-1:], batch_size - count, axis=0)])
    return keras.tree.map_structure(lambda array: array[:count], model.predict_on_batch(images))
