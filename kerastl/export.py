"""The model as others use it: without the layers that act by chance in training."""

import math

import keras
import numpy as np

from kerastl.graph import find_calls


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
    """
    calls = find_calls(model)
    left_out = [node for node in calls.before if _acts_by_chance(node.operation)]
    tensors = {id(tensor): tensor for tensor in model.inputs}  # of the old model, and what stands for it in the new one
    for node in [*calls.before, calls.call, *calls.after]:
        if node in left_out:
            _check_it_can_go(node)
            tensors[id(node.outputs[0])] = tensors[id(node.input_tensors[0])]
        elif node.input_tensors:  # else it is the image itself
            args, kwargs = node.arguments.fill_in(tensors)
            outputs = keras.tree.flatten(node.operation(*args, **kwargs))
            tensors |= {id(old): new for old, new in zip(node.outputs, outputs, strict=True)}
    in_use = keras.Model(model.inputs[0], tensors[id(model.outputs[0])], name=model.name)
    in_use(model.inputs[0])  # Keras refuses to export a model to ONNX that was never called
    _check_it_is_calm(in_use)
    return in_use


def _check_it_is_calm(model: keras.Model) -> None:
    """Raise ValueError when a model still acts by chance, although nobody says that it is in training."""
    image = np.random.default_rng(0).uniform(0, 255, (1, *model.input_shape[1:])).astype("float32")
    if not np.allclose(model(image), model(image, training=False), atol=1e-4):
        raise ValueError(
            f"The base of {model.name!r} holds layers that act by chance, such as augmentation. Put them in front of "
            "the base. Or say that the model is in use: `keras.Model(image, model(image, "
            "training=False))`, where `image = keras.Input(model.input_shape[1:])`."
        )


def _acts_by_chance(operation) -> bool:
    """Whether a layer, or one inside it, has a seed."""
    return any(variable.name == "seed_generator_state" for variable in getattr(operation, "variables", []))


def _check_it_can_go(node) -> None:
    """Raise ValueError when a layer changes a picture outside of training, too."""
    shape = [size or 32 for size in node.input_tensors[0].shape[1:]]
    picture = np.linspace(-255, 255, math.prod(shape), dtype="float32").round().reshape(1, *shape)
    if not np.array_equal(node.operation(picture, training=False), picture):
        raise ValueError(
            f"The layer {node.operation.name!r} acts by chance in training, and changes the picture in use, too: it "
            "cannot be left out. Put what it does in use, such as the scaling, into a layer of its own. Or keep it, "
            "and say that the model is in use: `keras.Model(image, model(image, training=False))`, where "
            "`image = keras.Input(model.input_shape[1:])`."
        )
