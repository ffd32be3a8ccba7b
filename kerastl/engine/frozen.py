"""The part of a model below the cut: it always runs as inference, and remembers what it gave.

Phase 1 keeps pooled features, phase 2 tensors from inside the base. On the way to either, the images pass one place
below both; what comes by there is remembered, so phase 2 need not run the lower part over the same images again. The
memory belongs to the model, and goes with it. What runs are copies in which convolutions do the work of BatchNorm.
"""

import hashlib
import weakref
from collections.abc import Callable
from functools import cached_property

import keras
import numpy as np

from kerastl.devices import count_replicas, share
from kerastl.engine.digest import digest_layers, digest_weights
from kerastl.engine.fold import fold_norms
from kerastl.engine.split import Split, usual_layers
from kerastl.graph import (
    acts_differently_in_training,
    find_base_model,
    is_all_kerass,
    leaf_layers,
    single,
    size_in_bytes,
)
from kerastl.inputs import check_values, noun_of
from kerastl.storage import SHARE_FOR_MEMORIES, Room, find_room, release

DRAWS = 8  # of a layer that may draw: each of them may be as if it had not
LARGEST_ROOM = 1 << 30  # bytes that are made at once for what is remembered

_memories = weakref.WeakKeyDictionary()  # model: what it remembers


class Frozen:
    """Raw images in, the frontier's tensors out. Outside any training step, so always as inference."""

    def __init__(self, model: keras.Model, split: Split):
        """Args: model, the whole, which owns the memory; split, its parts, as `split_model` returns them."""
        self.outputs = split.lower.outputs  # the frontier, as symbolic tensors
        self.depth = split.depth  # 0 when it does no work
        self.layers_later = usual_layers(find_base_model(model))  # what phase 2 opens, if nothing else is asked for
        self.bytes_later = size_in_bytes(split.below.outputs) if split.above else 0  # what it keeps of an image
        self.augments = any(map(acts_differently_in_training, leaf_layers(split.front)))
        self.classes = model.output_shape[-1]
        self._image, self.noun = model.inputs[0], noun_of(model)
        self._split, self._batch_size = split, 0
        self._folded = {}
        self._memory = _memory_of(model, split) if split.depth else None

    def run(self, images, augment: bool = False, remember: bool = False) -> list[np.ndarray]:
        """The frontier's tensors for one batch.

        Args:
            images: raw, (batch, height, width, 3), 0–255; or token ids, (batch, length).
            augment: take an augmented view of each image.
            remember: look what is known of the images as they are, and remember what is new; not with `augment`.

        Returns:
            One float array (batch, ...) for each tensor of the frontier.

        Raises:
            ValueError: pixels outside 0–255.
        """
        check_values(images, self._image)
        if augment:
            return self._compute(self._augmented, [self._tensor(images)])
        if not remember or self._memory is None:
            return self._compute(self._lower, [self._scale(images)])
        keys = [_key_of(image) for image in np.asarray(images)]
        tensors = self._memory.find(keys)
        if tensors is None:
            tensors = self._compute(self._below, [self._scale(images)])
            self._memory.add(keys, tensors)
        return self._compute(self._above, tensors) if self._split.above else tensors

    def draws_unasked(self, images) -> bool:
        """Whether what is frozen, or in front of it, gives other numbers each time, although it is not told to augment.

        Keras's own layers inside the frozen part do not.
        """
        front, lower = self._split.front, self._split.lower
        if _varies(lambda: [keras.ops.convert_to_numpy(self._scale(images))], front):
            return True
        if is_all_kerass(lower):
            return False
        scaled = self._scale(images)
        return _varies(lambda: self._compute(self._lower, [scaled]), lower)

    @cached_property
    def _lower(self) -> keras.Model:
        return fold_norms(self._split.lower, self._folded)

    @cached_property
    def _below(self) -> keras.Model:
        return fold_norms(self._split.below, self._folded)

    @cached_property
    def _above(self) -> keras.Model:
        return fold_norms(self._split.above, self._folded)

    @cached_property
    def _augmented(self) -> keras.Model:
        image = keras.Input(self._image.shape[1:], dtype=self._image.dtype)  # the model's own would remember this call
        return keras.Model(image, self._lower(_Augment(self._split.front)(image)), name="augmented")

    def _scale(self, images):
        return self._split.front(self._tensor(images), training=False)

    def _tensor(self, images):
        return keras.ops.convert_to_tensor(images, dtype=self._image.dtype)

    def _compute(self, part: keras.Model, tensors: list) -> list[np.ndarray]:
        self._batch_size = max(self._batch_size, len(tensors[0]))
        return keras.tree.flatten(predict_padded(part, single(tensors), self._batch_size))


def _varies(run: Callable[[], list[np.ndarray]], part: keras.Model) -> bool:
    """Whether a part of a model gives other numbers when it runs again, by more than rounding."""
    first = run()
    least = [1e-5 * np.abs(array).max(initial=0) for array in first]
    for _ in range(1 if is_all_kerass(part) else DRAWS):
        if any(np.abs(one - two).max(initial=0) > most for one, two, most in zip(first, run(), least, strict=True)):
            return True
    return False


def _key_of(image: np.ndarray) -> bytes:
    """What an image is known by."""
    return hashlib.blake2b(image.tobytes() + f"{image.shape}{image.dtype}".encode(), digest_size=16).digest()


class _Augment(keras.Layer):
    """The front in training mode, in a model that runs as inference otherwise."""

    def __init__(self, front: keras.Model):
        super().__init__()
        self.front = front

    def call(self, images):
        return self.front(images, training=True)

    def compute_output_spec(self, images):
        return self.front.compute_output_spec(images)  # else Keras runs it to find out; on torch that took minutes


class _Memory:
    """What came by at one place for images as they are, while everything below that place is as it was."""

    def __init__(self, state: tuple, outputs: list):
        """Args: state, what has to be as it was; outputs, the symbolic tensors of that place."""
        self.state, self.full = state, False
        self._shapes, self._most = [tensor.shape[1:] for tensor in outputs], LARGEST_ROOM // size_in_bytes(outputs)
        self._rows, self._rooms, self._free = {}, [], 0  # {image: (room, row)}; rows left in the last room

    def find(self, keys: list[bytes]) -> list[np.ndarray] | None:
        """The tensors for a batch of images; None if one of them is new."""
        if not all(key in self._rows for key in keys):
            return None
        rows = [self._rows[key] for key in keys]
        tensors = [np.stack([arrays[number][row] for arrays, row in rows]) for number in range(len(self._shapes))]
        for arrays in self._rooms:
            release(arrays)
        return tensors

    def add(self, keys: list[bytes], tensors: list[np.ndarray]) -> None:
        """Remember a batch. Without room nothing at all: datasets that shuffle would mix new images into any part."""
        new = [number for number, key in enumerate(keys) if key not in self._rows]
        if self.full or (len(new) > self._free and not self._find_more(len(new))):
            return
        arrays = self._rooms[-1]
        start = len(arrays[0]) - self._free
        self._free -= len(new)  # before a row has a name: Ctrl-C may come between any two of these lines
        for array, tensor in zip(arrays, tensors, strict=True):
            array[start : start + len(new)] = tensor[new]
        release(arrays)
        self._rows.update((keys[number], (arrays, row)) for row, number in enumerate(new, start))

    def _find_more(self, least: int) -> bool:
        """Make a room as large as all that there are, or as is possible. What has no place in memory lies in a file."""
        rows = max(least, min(len(self._rows), self._most))
        while (room := self._try_room(rows)) is None:
            if rows == least:
                self.full = True
                self._rows.clear()
                self._rooms.clear()
                return False
            rows = max(least, rows // 2)
        self._rooms.append(room.arrays)
        self._free = rows
        return True

    def _try_room(self, rows: int) -> Room | None:
        try:
            return find_room([(rows, *shape) for shape in self._shapes], 0, share=SHARE_FOR_MEMORIES)
        except OSError:
            return None


def _memory_of(model: keras.Model, split: Split) -> _Memory:
    """What the model remembers, as long as it is true.

    What a layer of the user's own does can change unseen: with one below, nothing is taken over from an earlier phase.
    """
    below = split.below
    state = (
        *(tensor.name for tensor in below.outputs),
        *(digest_layers(part) if is_all_kerass(part) else object() for part in (split.front, below)),
        digest_weights([*split.front.weights, *below.weights]),
    )
    memory = _memories.get(model)
    if memory is None or memory.full or memory.state != state:
        _memories[model] = memory = _Memory(state, below.outputs)
    return memory


def predict_padded(model: keras.Model, inputs, batch_size: int):
    """`predict_on_batch`, filling up a smaller last batch, since Keras compiles a model anew for another shape.

    Where several devices share a batch, it is filled up to be shared equally.

    Args:
        model: any Keras model.
        inputs: one array (images, ...) or several, as the model takes them.
        batch_size: images in the usual batch; `inputs` may hold fewer, or more.

    Returns:
        What the model gives for the images, as NumPy arrays (images, ...).
    """
    count, devices = len(keras.tree.flatten(inputs)[0]), count_replicas(model)
    missing = -(-max(batch_size, count) // devices) * devices - count

    def fill(array):
        return keras.ops.concatenate([array, keras.ops.repeat(array[-1:], missing, axis=0)])

    if missing:
        inputs = keras.tree.map_structure(fill, inputs)
    return keras.tree.map_structure(lambda array: array[:count], model.predict_on_batch(share(model, inputs)))
