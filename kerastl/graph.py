"""Read the structure of a Keras model: its base, the layers inside it, and the places where it can be cut."""

import inspect
import math
from collections.abc import Iterator

import keras

from kerastl.private import held_layers, nodes_by_depth


def check_model(model) -> None:
    """Raise TypeError or ValueError when `model` is no built Keras model from one batch of images to one output."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"Received {type(model).__name__}. Expected a keras.Model, as `build_model` returns it.")
    if not model.built:
        raise ValueError(
            f"{model.name!r} is not built: it has no weights yet. Begin it with `keras.Input((height, width, 3))`, or "
            "use `build_model`."
        )
    inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
    if len(inputs) > 1 or len(outputs) > 1:
        raise ValueError(
            f"{model.name!r} has {len(inputs)} inputs and {len(outputs)} outputs. Expected one of each, images and the "
            "probabilities of the classes. Take one output, `keras.Model(model.inputs, model.outputs[0])`; a model "
            "with more inputs trains with Keras's own `fit`."
        )
    shape = tuple(inputs[0].shape[1:]) if inputs else ()
    if len(shape) == 3 and shape[0] == 3 and shape[2] != 3:
        raise ValueError(
            f"{model.name!r} takes images {shape}, with the channels first. Expected (height, width, 3), as the "
            "data give them: call `keras.config.set_image_data_format('channels_last')` and build the model again."
        )


def check_network(model) -> None:
    """As `check_model`; and raise ValueError when it cannot be seen from outside how a model computes."""
    check_model(model)
    if not is_network(model):
        raise ValueError(
            f"{model.name!r} has a `call` of its own: how it computes cannot be seen from outside. Expected a model "
            "that is built from tensors, `keras.Model(inputs, outputs)`, or a Sequential."
        )


def find_base_model(model: keras.Model) -> keras.Model:
    """The base inside a model: its one nested functional network with weights.

    Where there are several, the one that makes features of images: a head may be nested, too, or a normalization.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: it is not built, or has several inputs or outputs; there is no such network in it, or more than one.
    """
    check_network(model)
    nested = [layer for layer in model.layers if is_network(layer) and layer.weights]
    if len(nested) > 1:
        nested = [layer for layer in nested if _makes_features(layer)] or nested
    if len(nested) != 1:
        found = ", ".join(layer.name for layer in nested) or "none"
        raise ValueError(
            f"Expected a model with one nested base network; found {found} in {model.name!r}. "
            "Build it with `build_model`, or call the base as one layer: `x = base(x)`."
        )
    return nested[0]


def is_network(operation) -> bool:
    """Whether an operation is a model that Keras knows from the inside: its calls can be listed and are all it does."""
    return isinstance(operation, keras.Function | keras.Sequential) and is_kerass(type(operation).call)


def is_all_kerass(model: keras.Model) -> bool:
    """Whether all operations are Keras's own, or KerasHub's: then settings and weights tell all that a model does."""

    def look(operation) -> bool:
        if is_network(operation):
            return all(look(node.operation) for node in run_order(operation))
        inside = sublayers(operation) if isinstance(operation, keras.Layer) else []
        known = _tells_all(type(operation)) and not isinstance(operation, keras.layers.Lambda)
        functions = [value for value in vars(operation).values() if callable(value)]  # such as an activation
        return known and all(map(_tells_all, functions)) and all(map(look, inside))

    return look(model)


def is_kerass(thing) -> bool:
    """Whether a class or function comes with Keras."""
    return thing.__module__.split(".")[0] == "keras"


def _tells_all(thing) -> bool:
    """Whether a class or function comes with Keras, or with KerasHub, whose layers tell all that they do, too."""
    return is_kerass(thing) or thing.__module__.split(".")[0] == "keras_hub"


def _makes_features(network: keras.Model) -> bool:
    channels = [tensors[0].shape[-1] for tensors in (network.inputs, network.outputs)]
    return len(network.inputs[0].shape) == 4 and channels[0] == 3 and channels[1] != 3


def sublayers(layer: keras.layers.Layer) -> list:
    """The layers that a layer holds: of a model its layers, of a layer that wraps others what it wraps."""
    return list(layer.layers if isinstance(layer, keras.Model) else held_layers(layer))


def leaf_layers(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Every layer in `layer`, or itself, that holds no other layers or has weights of its own beside theirs, in order.

    (ConvNeXt nests its layers; a block of the user's own may hold some, too.)
    """
    children = sublayers(layer)
    if not children or own_weights(layer):
        yield layer
    for child in children:
        yield from leaf_layers(child)


def all_layers(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """A layer, and all in it, at any depth."""
    yield layer
    for child in sublayers(layer):
        yield from all_layers(child)


def own_weights(layer: keras.layers.Layer) -> list:
    """The weights of a layer without those of the layers in it."""
    theirs = {id(weight) for child in sublayers(layer) for weight in child.weights}
    return [weight for weight in layer.weights if id(weight) not in theirs]


def is_whole_block(operation) -> bool:
    """Whether an operation is one layer that holds several with weights, such as a transformer's."""
    inside = leaf_layers(operation) if isinstance(operation, keras.Layer) and not is_network(operation) else ()
    return sum(bool(leaf.weights) for leaf in inside) > 1


def is_batch_norm(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def acts_differently_in_training(operation) -> bool:
    """Whether an operation (a layer, or a bare function in the graph) asks if it is in training: Dropout, BatchNorm.

    Also one that wraps such a layer: Keras tells it whether it is in training, past what is around it. Functional and
    Sequential models only hand on what they are told.
    """
    asks = "training" in inspect.signature(operation.call).parameters
    if not isinstance(operation, keras.layers.Layer):
        return asks
    if is_network(operation):
        asks = False
    return asks or any(map(acts_differently_in_training, sublayers(operation)))


def learns(operation) -> bool:
    """Whether training changes it: trainable weights, or the moving statistics of a BatchNorm without any."""
    if not isinstance(operation, keras.layers.Layer):
        return False
    norms = (leaf for leaf in leaf_layers(operation) if is_batch_norm(leaf))
    return bool(operation.trainable_weights) or (operation.trainable and any(norm.trainable for norm in norms))


def size_in_bytes(tensors: list) -> int:
    """Bytes that the float32 values of symbolic tensors take for one image."""
    return sum(4 * math.prod(tensor.shape[1:]) for tensor in tensors)


def run_order(model: keras.Model) -> list:
    """The calls (Keras: nodes) of a functional model, in the order in which they run.

    Each has `.operation`, `.input_tensors` and `.outputs`. The public `operation.output` will not do: of a nested model
    it is the tensor inside, not the one outside. ConvNeXt and MobileNetV3 have operations that are not layers.
    """
    by_depth = nodes_by_depth(keras.Model(model.inputs, model.outputs))
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def work(node) -> int:
    """Multiplications that a call takes for one image, roughly: its weights times the places they are used at."""
    kernels = [math.prod(weight.shape) for weight in getattr(node.operation, "weights", []) if len(weight.shape) > 1]
    return sum(kernels) * math.prod(node.outputs[0].shape[1:-1])


def live_tensors(nodes: list) -> list[list]:
    """What is still needed after each call of a functional model, given its `run_order`.

    The tensors that a later call reads, or that nothing reads (the model's outputs), are all that has to be kept to go
    on from there. Where it is one tensor, the network can be cut in two.

    Returns:
        For each call, the list of symbolic tensors.
    """
    last_reader = {id(tensor): number for number, node in enumerate(nodes) for tensor in node.input_tensors}
    places, live = [], []
    for number, node in enumerate(nodes):
        live = [tensor for tensor in [*live, *node.outputs] if last_reader.get(id(tensor), len(nodes)) > number]
        places.append(live)
    return places


def between(inputs: list, outputs: list, name: str) -> keras.Model:
    """The part of a model from some of its tensors to others."""
    known = {id(tensor) for tensor in inputs}  # Keras finds no way from an input to itself
    ends = [keras.layers.Identity()(tensor) if id(tensor) in known else tensor for tensor in outputs]
    return keras.Model(single(inputs), single(ends), name=name)


def single(tensors: list):
    """The tensor itself where there is only one, else a tuple: Keras wants the structure that a model was built with.

    (TensorFlow's datasets take a list for one tensor.)
    """
    return tuple(tensors) if len(tensors) > 1 else tensors[0]
