"""The model as others use it: without the layers that act by chance in training."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from kerastl.calls import call_again, find_calls
from kerastl.graph import all_layers, is_network
from kerastl.inputs import resize_of, takes_texts


def without_augmentation(model: keras.Model) -> keras.Model:
    """The same model without its augmentation, for `export` and for every converter. The last step of the workflow.

    Keras's augmentation layers take it that they are in training unless they are told, and `export` does not tell them:
    a server then gives another answer each time, and converters meet operations that they do not know (fact 13 in
    tests/test_traps.py).

    Args:
        model: as `build_model` returns it or `load` gives it; or one of your own, with one base called as a layer. It
            stays as it is, and can be trained further.

    Returns:
        A `keras.Model` that shares all weights with `model`, and gives what `model.predict` gives: images (batch,
        height, width, 3), raw pixels 0–255 -> probabilities (batch, classes). The scaling is inside.

    Raises:
        TypeError, ValueError: not a built Keras model with one base; a layer before the base augments and also
            changes pictures in use (it scales them, for example), so it cannot be left out.

    Example:
        >>> without_augmentation(model).export("served", verbose=False)  # a TensorFlow SavedModel

    Keras 3.15 on torch cannot write one: `save` the model there, and `load` it in Keras on TensorFlow for the export.
    """
    calls = find_calls(model)
    if takes_texts(model):
        raise ValueError(
            f"{model.name!r} takes texts, which are not augmented: export it as it is. It takes token ids, as its "
            "`preprocessor` makes them."
        )
    base, scaled, features = calls.call.operation, calls.call.input_tensors[0], calls.call.outputs[0]
    tensors = {id(tensor): tensor for tensor in model.inputs}  # of the old model, and what stands for it in the new one
    call_again(calls.before, tensors, leave_out=_can_go)
    tensors[id(features)] = base(tensors[id(scaled)], training=False)
    call_again(calls.after, tensors)
    in_use = keras.Model(model.inputs[0], tensors[id(calls.output)], name=model.name)
    in_use.resize = resize_of(model)
    in_use(model.inputs[0])  # Keras refuses to export a model to ONNX that was never called
    _check_it_is_calm(in_use)
    return in_use


@contextmanager
def in_float32(model: keras.Model) -> Iterator[None]:
    """Layers that keep 32 bits and compute with 16 (mixed precision) compute with 32 in this block, too.

    A file then answers the same on each processor, and LiteRT, which has no convolution of 16 bits, can hold it.
    """
    mixed = (layer for layer in all_layers(model) if layer.variable_dtype == "float32" != layer.compute_dtype)
    changed = {layer: layer.dtype_policy for layer in mixed}
    try:
        for layer in changed:
            layer.dtype_policy = "float32"
        yield
    finally:
        for layer, policy in changed.items():
            layer.dtype_policy = policy


def _check_it_is_calm(model: keras.Model) -> None:
    """Raise ValueError when a model still acts by chance, although nobody says that it is in training."""
    shape = [size or 96 for size in model.input_shape[1:]]  # a model may take any size, and resize it first
    image = np.random.default_rng(0).uniform(0, 255, (1, *shape)).astype("float32")
    by_itself, in_use = (keras.ops.convert_to_numpy(said) for said in (model(image), model(image, training=False)))
    if not np.allclose(by_itself, in_use, atol=1e-4, equal_nan=True):
        raise ValueError(
            f"The base of {model.name!r} acts by chance. Expected layers that ask whether it is in training, "
            "`call(self, x, training=None)`, as those of Keras do."
        )


def _can_go(node) -> bool:
    """Whether a layer acts by chance, and may be left out. Raises ValueError when it changes a picture in use, too."""
    operation = node.operation
    chance = any(variable.name == "seed_generator_state" for variable in getattr(operation, "variables", []))
    if is_network(operation) or not chance:
        return False
    shape = [size or 32 for size in node.input_tensors[0].shape[1:]]
    picture = np.linspace(-255, 255, math.prod(shape), dtype="float32").round().reshape(1, *shape)
    if not np.array_equal(keras.ops.convert_to_numpy(operation(picture, training=False)), picture):
        raise ValueError(
            f"The layer {operation.name!r} acts by chance in training, and changes the picture in use, too: it "
            "cannot be left out. Put what it does in use, such as the scaling, into a layer of its own. Or keep it, "
            "and say that the model is in use: `keras.Model(image, model(image, training=False))`, where "
            "`image = keras.Input(model.input_shape[1:])`."
        )
    return True
