"""What makes a training run this run and no other: the texts in which a backup and a run have to agree."""

import importlib
import math

import keras

import kerastl
from kerastl import private
from kerastl.calls import find_calls
from kerastl.engine.digest import digest_layers, digest_weights
from kerastl.engine.split import Split

START = "weights at the start of the phase"


def describe_run(model: keras.Model, split: Split, data, phase: str, **arguments) -> dict[str, str]:
    """The model, the arguments, the seed and the versions, as texts by name. The images are not looked at."""
    calls = find_calls(model)
    head = keras.Model(calls.call.outputs[0], model.outputs[0])
    seed = private.seed()
    trained = split.upper.trainable_weights
    facts = {
        "seed": str(seed),
        "versions": _versions(),
        "classes": str(list(data.class_names)),
        "shape of an image": str(tuple(split.front.input_shape[1:])),
        "training batches": str(int(data.train.cardinality())),
        "trained weights": f"{len(trained)}, with {sum(math.prod(weight.shape) for weight in trained):,} numbers",
        "layers before the base (augmentation, scaling)": digest_layers(split.front),
        "layers of the base": digest_layers(calls.base),
        "layers of the head": digest_layers(head),
        "frozen weights": digest_weights([*split.front.weights, *split.lower.weights]),
    } | {name: str(value) for name, value in arguments.items()}
    if seed is not None or phase == "phase 2":  # without a seed, a new head is another one in each program
        facts[START] = digest_weights(split.upper.weights)
    return facts


def _versions() -> str:
    modules = sorted({"tensorflow", keras.backend.backend()})  # the data are TensorFlow's on every backend
    return ", ".join(
        f"{module.__name__} {module.__version__}" for module in (kerastl, keras, *map(importlib.import_module, modules))
    )
