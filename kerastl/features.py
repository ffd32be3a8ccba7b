"""Split a model at its frontier, run the frozen part once for each image, and keep what comes out.

The frontier is the set of tensors (usually one) at or below the first trainable layer through which every path from the
image passes. Below it nothing is learned, so an image gives the same values there in every epoch.
"""

from collections.abc import Iterator
from typing import NamedTuple

import keras
import numpy as np

from kerastl.data import check_pixels
from kerastl.graph import (
    acts_differently_in_training,
    find_base_model,
    has_trainable_weights,
    is_batch_norm,
    live_tensors,
    size_in_bytes,
    work,
)
from kerastl.progress import Progress

WORK_TO_REPEAT = 0.05  # share of the frozen part's work that may be repeated in each epoch to keep fewer bytes


class Split(NamedTuple):
    """A model in three parts that share its layers: `upper(lower(front(images)))` is the model's prediction."""

    front: keras.Model  # raw images -> augmented (in training mode) and scaled images
    lower: keras.Model  # scaled images -> the tensors of the frontier; always run as inference
    upper: keras.Model  # the tensors of the frontier -> probabilities; all that training changes is in here
    depth: int  # operations of the base inside `lower`: 0 when everything is trained


def split_model(model: keras.Model) -> Split:
    """Cut a model at its frontier.

    With the base frozen the frontier lies after the pooling; with its top unfrozen, at the cheapest place to keep at or
    below the first trainable layer; with all of it trainable, at the image. Nothing that acts differently in training
    (dropout inside the base) is left between the frontier and the first trainable layer, so that what is frozen acts as
    inference on every path.

    Args:
        model: any functional or Sequential model that calls one base as a layer in an otherwise plain chain.

    Returns:
        `Split(front, lower, upper, depth)`.

    Raises:
        ValueError: the layers around the base are not a plain chain.
    """
    base = find_base_model(model)
    operations = keras.Model(model.inputs, model.outputs).operations
    place = operations.index(base)
    head = operations[place + 1 :]
    chain = [operation.output for operation in operations]
    if any(isinstance(tensor, list | tuple) for tensor in chain):
        raise ValueError(f"Expected a plain chain of layers around the base {base.name!r} in {model.name!r}.")
    front = keras.Model(model.inputs, chain[place - 1], name="front")

    operations_in_base = [operation for operation, _ in live_tensors(base)]
    first = _index(operations_in_base, has_trainable_weights)
    image = keras.Input(base.input_shape[1:], name="scaled_image")
    if first == len(operations_in_base):  # the whole base is frozen: go on into the head
        kept = _index(
            head, lambda operation: has_trainable_weights(operation) or acts_differently_in_training(operation)
        )
        lower = keras.Model(image, _apply(head[:kept], base(image)), name="lower")
        inputs = [keras.Input(tensor.shape[1:], dtype=tensor.dtype) for tensor in lower.outputs]
        upper = keras.Model(inputs, _apply(head[kept:], inputs[0]), name="upper")
        return Split(front, lower, upper, first)
    depth, tensors = _cheapest_place(base, first)
    lower = keras.Model(base.input, tensors, name="lower") if depth else keras.Model(image, image, name="lower")
    inputs = [keras.Input(tensor.shape[1:], dtype=tensor.dtype) for tensor in tensors]
    top = keras.Model(tensors, base.outputs) if depth else base
    upper = keras.Model(inputs, _apply(head, keras.tree.flatten(top(inputs if depth else inputs[0]))[0]), name="upper")
    return Split(front, lower, upper, depth)


def _index(operations: list, condition) -> int:
    """Place of the first operation that meets the condition, or their number if none does."""
    return next((number for number, operation in enumerate(operations) if condition(operation)), len(operations))


def _apply(operations: list, tensor):
    for operation in operations:
        tensor = operation(tensor)
    return tensor


def _cheapest_place(base: keras.Model, first: int) -> tuple[int, list]:
    """How many operations of the base come before the cut, besides its input, and the tensors to keep there.

    Of the places that leave little of the frozen part's work to be done again, the one with the fewest bytes: inside a
    block the tensors are often several times as large as between two blocks.
    """
    places = live_tensors(base)[:first]
    allowed = WORK_TO_REPEAT * sum(work(operation) for operation, _ in places)
    candidates, repeated = [], 0
    for number in reversed(range(first)):
        operation, tensors = places[number]
        candidates.append((size_in_bytes(tensors), -number))
        repeated += work(operation)
        if repeated > allowed or (acts_differently_in_training(operation) and not is_batch_norm(operation)):
            break
    number = -min(candidates)[1]
    return number, places[number][1]


class Kept(NamedTuple):
    """The frozen part's output for every image of a dataset, in memory."""

    tensors: list[np.ndarray]  # one array (views, images, ...) for each tensor of the frontier, float32
    labels: np.ndarray  # (images,), int64
    batch_size: int  # images in a batch of the dataset

    def batch(self, index: np.ndarray, view: np.ndarray | int = 0) -> tuple[list[np.ndarray], np.ndarray]:
        """The rows at `index`, each from its own view."""
        return [tensor[view, index] for tensor in self.tensors], self.labels[index]


def run_frozen(split: Split, dataset, views: int = 0, verbose: int = 1, label: str = "reading images") -> Kept:
    """Run the frozen part over a dataset once, or once for each augmented view, and keep the result.

    Args:
        split: as `split_model` returns it.
        dataset: batches of (images, labels): images uint8 or float, 0–255, (batch, height, width, 3).
        views: 0 keeps one plain view; k keeps k augmented views.
        verbose: 0 for silence, 1 for a progress bar.
        label: what the progress bar calls the pass.

    Returns:
        `Kept(tensors, labels, batch_size)`.
    """
    rows, labels = [[] for _ in range(max(views, 1))], []
    with Progress(label, verbose) as progress:
        for images, batch_labels in dataset:
            labels.append(np.asarray(batch_labels))
            progress.expect(count_batches(dataset) * len(labels[0]) * len(rows))
            for view in rows:
                view.append(run_batch(split, images, augment=views > 0, batch_size=len(labels[0])))
                progress.advance(len(labels[-1]))
    tensors = [
        np.stack([np.concatenate([batch[number] for batch in view]) for view in rows])
        for number in range(len(split.lower.outputs))
    ]
    return Kept(tensors, np.concatenate(labels), len(labels[0]))


def count_batches(dataset) -> int:
    """Batches in a dataset; 0 when it does not know."""
    return max(int(dataset.cardinality()), 0)


def stream_frozen(split: Split, dataset, augment: bool) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
    """Run the frozen part over a dataset without keeping anything: batches of (tensors, labels)."""
    batch_size = 0
    for images, labels in dataset:
        batch_size = max(batch_size, len(labels))
        yield run_batch(split, images, augment, batch_size), np.asarray(labels)


def run_batch(split: Split, images, augment: bool, batch_size: int) -> list[np.ndarray]:
    """The frontier's tensors for one batch of raw images. Outside any training step, so always as inference."""
    check_pixels(images)
    scaled = split.front(keras.ops.convert_to_tensor(images, dtype="float32"), training=augment)
    return keras.tree.flatten(predict_padded(split.lower, scaled, batch_size))


def predict_padded(model: keras.Model, images, batch_size: int):
    """`predict_on_batch`, filling up a smaller last batch, since Keras compiles a model anew for another shape."""
    missing = batch_size - len(images)
    if missing > 0:
        images = keras.ops.concatenate([images, keras.ops.repeat(images[-1:], missing, axis=0)])
    return keras.tree.map_structure(lambda array: array[: batch_size - max(missing, 0)], model.predict_on_batch(images))
