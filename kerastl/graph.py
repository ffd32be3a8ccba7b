"""Read the structure of a Keras model: its base, the layers inside it, and the places where it can be cut."""

import inspect
import math
from collections.abc import Iterator

import keras


def find_base_model(model: keras.Model) -> keras.Model:
    """The base inside a model: its one nested functional network with weights.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: there is no such network in it, or more than one.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"Received {type(model).__name__}. Expected a keras.Model, as `build_model` returns it.")
    nested = [layer for layer in model.layers if isinstance(layer, keras.Model) and layer.weights]
    if len(nested) != 1:
        found = ", ".join(layer.name for layer in nested) or "none"
        raise ValueError(
            f"Expected a model with one nested base network; found {found} in {model.name!r}. "
            "Build it with `build_model`, or call the base as one layer: `x = base(x)`."
        )
    return nested[0]


def leaf_layers(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Every layer below `layer` that holds no other layers, in order. (ConvNeXt nests them.)"""
    children = getattr(layer, "layers", None)
    if not children:
        yield layer
        return
    for child in children:
        yield from leaf_layers(child)


def is_batch_norm(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def acts_differently_in_training(operation) -> bool:
    """Whether an operation (a layer, or a bare function in the graph) asks if it is in training: Dropout, BatchNorm."""
    return "training" in inspect.signature(operation.call).parameters


def has_trainable_weights(operation) -> bool:
    return isinstance(operation, keras.layers.Layer) and bool(operation.trainable_weights)


def size_in_bytes(tensors: list) -> int:
    """Bytes that the float32 values of symbolic tensors take for one image."""
    return sum(4 * math.prod(tensor.shape[1:]) for tensor in tensors)


def work(operation) -> int:
    """Multiplications that an operation takes for one image, roughly: its weights times the places they are used at."""
    if not isinstance(operation, keras.layers.Layer) or not operation.weights:
        return 0
    output = keras.tree.flatten(operation.output)[0]
    return operation.count_params() * math.prod(output.shape[1:-1])


def live_tensors(model: keras.Model) -> list[tuple]:
    """What is still needed after each operation of a functional model.

    The operations come in the order in which they run (ConvNeXt and MobileNetV3 have some that are not layers). After
    each one, the tensors that a later operation reads, or that the model returns, are all that has to be kept to go on
    from there. Where it is one tensor, the network can be cut in two.

    Returns:
        A list of (operation, tensors): one entry for each operation.
    """
    operations = model.operations
    last_reader = {id(tensor): len(operations) for tensor in model.outputs}
    for number, operation in enumerate(operations):
        for tensor in _inputs(operation):
            last_reader[id(tensor)] = max(number, last_reader.get(id(tensor), 0))
    places, live = [], []
    for number, operation in enumerate(operations):
        live = [
            tensor
            for tensor in [*live, *keras.tree.flatten(operation.output)]
            if last_reader.get(id(tensor), -1) > number
        ]
        places.append((operation, live))
    return places


def _inputs(operation) -> list:
    return [] if isinstance(operation, keras.layers.InputLayer) else keras.tree.flatten(operation.input)
