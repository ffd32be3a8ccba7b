"""What makes a training run this run and no other: the texts in which a backup and a run have to agree."""

import hashlib
import importlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator

import keras
import numpy as np
from keras.src.backend.common import global_state

import kerastl
from kerastl.frontier import Split
from kerastl.graph import find_calls, leaf_layers
from kerastl.recall import digest_weights

DIGEST = "SHA-256 "  # a text that begins so tells people nothing: that it differs is said, and not the text
START = "weights at the start of the phase"


def describe_run(model: keras.Model, split: Split, data, phase: str, **arguments) -> dict[str, str]:
    """The model, the arguments, the seed and the versions, as texts by name. The images are not looked at."""
    calls = find_calls(model)
    head = keras.Model(calls.call.outputs[0], model.outputs[0])
    seed = global_state.get_global_attribute("global_random_seed")  # what `keras.utils.set_random_seed` was given
    trained = split.upper.trainable_weights
    facts = {
        "seed": str(seed),
        "versions": _versions(),
        "classes": str(list(data.class_names)),
        "shape of an image": str(tuple(split.front.input_shape[1:])),
        "training batches": str(int(data.train.cardinality())),
        "trained weights": f"{len(trained)}, with {sum(math.prod(weight.shape) for weight in trained):,} numbers",
        "layers before the base (augmentation, scaling)": _digest_layers(split.front),
        "layers of the base": _digest_layers(calls.base),
        "layers of the head": _digest_layers(head),
        "frozen weights": DIGEST + digest_weights([*split.front.weights, *split.lower.weights]),
    } | {name: str(value) for name, value in arguments.items()}
    if seed is not None or phase == "phase 2":  # without a seed, a new head is another one in each program
        facts[START] = DIGEST + digest_weights(split.upper.weights)
    return facts


class Witnessed:
    """A dataset that counts how often it was begun, and knows what it gave in the first pass.

    One that shuffles gives another order each time, so a pass of our own would change what training sees. So we look at
    the images while somebody else reads them.
    """

    def __init__(self, dataset):
        self._dataset, self.passes = dataset, 0
        if hasattr(dataset, "rows"):
            self.rows = dataset.rows  # `load_images` made it
        self._first, self._images, self._labels, self.batch_size = None, [], Counter(), 0

    def __iter__(self) -> Iterator:
        self.passes += 1
        if self.passes > 1:
            return iter(self._dataset)
        self._first = self._look()
        return self._first

    def cardinality(self):
        return self._dataset.cardinality()

    def begin(self, passes: int) -> None:
        """Begin passes until there were so many: a dataset that shuffles gets to where it would be."""
        while self.passes < passes:
            next(iter(self))

    def describe(self, part: str) -> dict[str, str]:
        """The images and labels, in any order, as texts by name. What is left of the first pass is read."""
        self.begin(1)
        for _ in self._first:
            pass
        return {
            f"{part} images of each class": str(dict(sorted(self._labels.items()))),
            f"{part} images or their labels": DIGEST + hashlib.sha256(b"".join(sorted(self._images))).hexdigest(),
        }

    def _look(self) -> Iterator:
        for images, labels in self._dataset:
            numbers = np.asarray(labels).tolist()
            self.batch_size = max(self.batch_size, len(numbers))
            self._labels.update(numbers)
            for image, label in zip(np.asarray(images), numbers, strict=True):
                digest = hashlib.blake2b(np.ascontiguousarray(image), digest_size=16)
                digest.update(b"%d" % label)
                self._images.append(digest.digest())
            yield images, labels


def _versions() -> str:
    modules = sorted({"tensorflow", keras.backend.backend()})  # the data are TensorFlow's on every backend
    return ", ".join(
        f"{module.__name__} {module.__version__}" for module in (kerastl, keras, *map(importlib.import_module, modules))
    )


def _digest_layers(model: keras.Model) -> str:
    """The layers, how they are connected, and their settings. Keras's numbers in names count models, so they go."""
    try:
        config = model.get_config()
    except NotImplementedError:  # a layer of the user's own that does not tell its settings
        config = [type(layer).__name__ for layer in leaf_layers(model)]
    text = json.dumps(config, default=lambda value: type(value).__name__)
    text = re.sub(r'_\d+(CLONE)?(?=")', "", text)
    return DIGEST + hashlib.sha256(text.encode()).hexdigest()
