"""Remember what the frozen part gave for each image as it is, so that the next training goes on from there.

Phase 1 keeps pooled features, phase 2 tensors from inside the base. On the way to either, the images pass one place
below both; what comes by there is remembered, so phase 2 need not run the lower part over the same images again. The
memory belongs to the model, and goes with it.
"""

import hashlib
import weakref
from collections.abc import Callable

import keras
import numpy as np

from kerastl.engine.digest import digest_weights
from kerastl.graph import size_in_bytes
from kerastl.storage import SHARE_FOR_RECALL, memory_budget

_memories = weakref.WeakKeyDictionary()  # model: (what has to be as it was, {image: its tensors})


class Recall:
    """The frozen part in two steps, with a memory between them."""

    def __init__(self, model: keras.Model, front: keras.Model, below: keras.Model, above: keras.Model | None):
        """Take up the memory of `model`, if what it holds is still true.

        Args:
            model: the owner of the memory.
            front: raw images -> scaled images.
            below: scaled images -> the tensors that are remembered.
            above: from there to the frontier; None if the frontier is there.
        """
        self.below, self.above = below, above
        state = (tuple(tensor.name for tensor in below.outputs), digest_weights([*front.weights, *below.weights]))
        known, self._rows = _memories.get(model, (None, {}))
        if known != state:
            self._rows = {}
            _memories[model] = (state, self._rows)
        self._most = int(SHARE_FOR_RECALL * memory_budget() / size_in_bytes(below.outputs))  # images
        self._full = len(self._rows) > self._most
        if self._full:
            self._rows.clear()

    def run(self, images, compute: Callable[[keras.Model, list], list], scaled: Callable) -> list[np.ndarray]:
        """The frontier's tensors for one batch.

        Args:
            images: raw, (batch, height, width, 3).
            compute: gives the list of a model's outputs for the list of its inputs.
            scaled: gives the scaled images; called only if an image is new.
        """
        keys = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in np.asarray(images)]
        if all(key in self._rows for key in keys):
            tensors = [np.stack(arrays) for arrays in zip(*(self._rows[key] for key in keys), strict=True)]
        else:
            tensors = compute(self.below, [scaled()])
            if not self._full:
                self._rows.update(zip(keys, zip(*tensors, strict=True), strict=True))
            if len(self._rows) > self._most:  # a part would not help: datasets that shuffle mix new images into it
                self._full = True
                self._rows.clear()
        return compute(self.above, tensors) if self.above else tensors
