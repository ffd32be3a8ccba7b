"""A network that somebody brings as a base, such as a backbone of KerasHub: as one whose layers can be unfrozen.

A transformer often comes as one layer that holds all its blocks. Then there would be nothing to unfreeze between all
and nothing, and no place at which the network could be cut. Such a layer is opened: its call is made again on symbolic
tensors, and each layer in it becomes one of the network.
"""

import inspect
import json
import warnings
from collections.abc import Callable
from contextlib import suppress

import keras
import numpy as np

from kerastl.graph import (
    all_layers,
    check_network,
    is_network,
    is_whole_block,
    own_weights,
    run_order,
    sublayers,
)
from kerastl.private import call_arguments, call_like

_TAKEN = ("image", "augmentation", "scale", "pool", "mean", "max", "dropout", "classifier")


def take_network(network: keras.Model, image_shape: tuple, preprocess, weights, builder_arguments: dict) -> tuple:
    """A network without its head as a base, its transformers opened, and what makes its input of pixels.

    Args, errors: as for `kerastl.build_model`.
    """
    check_network(network)
    _check_shapes(network, image_shape)
    if weights != "imagenet" or builder_arguments:
        raise ValueError(
            f"Received weights={weights!r} and {builder_arguments} with the network {network.name!r}, which is built "
            "already. Leave them out: it keeps the weights that it has."
        )
    if preprocess is None:
        raise ValueError(
            f"Received the network {network.name!r} without `preprocess`. Expected what makes of pixels 0–255 what it "
            "was trained on, such as `keras.layers.Rescaling(1 / 255)`; `keras.layers.Identity()` where it takes "
            "0–255."
        )
    if network.name in _TAKEN:
        raise ValueError(
            f"Received a network named {network.name!r}, as a layer of the whole model is called. Give it another "
            "name: `keras.Model(network.inputs, network.outputs, name='mine')`."
        )
    if not callable(preprocess):
        raise TypeError(f"Received preprocess={preprocess!r}. Expected a layer or a function.")
    opened = None
    if any(map(_is_hubs, all_layers(network))):
        mend_hub()
        opened = _opened(network)
    if not opened and not _comes_back(network):
        warnings.warn(
            f"Keras cannot make {network.name!r} again from its settings. Train it and use it, but what `save` writes "
            "will not load.",
            stacklevel=3,
        )
    return opened or network, _as_scaling(preprocess)


def mend_hub() -> None:
    """Let Keras find a shape by itself that KerasHub 0.32 gets wrong: it counts a class token that SigLIP has not."""
    with suppress(ImportError):  # another version may have it elsewhere, and texts do not need it
        from keras_hub.src.models.siglip.siglip_layers import SigLIPVisionEmbedding

        SigLIPVisionEmbedding.compute_output_shape = keras.Layer.compute_output_shape


def _check_shapes(network: keras.Model, image_shape: tuple) -> None:
    """Raise ValueError when a network does not make features of images of this shape."""
    taken, given = network.inputs[0].shape, network.outputs[0].shape
    if len(taken) != 4 or taken[3] not in (None, 3):
        raise ValueError(f"{network.name!r} takes {tuple(taken)}. Expected images: (None, height, width, 3).")
    if any(size not in (None, wanted) for size, wanted in zip(taken[1:3], image_shape, strict=False)):
        raise ValueError(
            f"{network.name!r} takes {taken[1]}×{taken[2]} pixels, the data have {image_shape[0]}×{image_shape[1]}: "
            f"load them with `image_size={tuple(taken[1:3])}`."
        )
    activation = getattr(run_order(network)[-1].operation, "activation", None)
    if getattr(activation, "__name__", None) in ("softmax", "sigmoid") or len(given) not in (2, 3, 4):
        raise ValueError(
            f"{network.name!r} gives {tuple(given)}, as a network with a head does. Expected features: take a layer "
            "before the head, `keras.Model(network.inputs, network.get_layer(NAME).output)`."
        )


def _as_scaling(preprocess: Callable) -> Callable:
    """Of a converter of KerasHub, which also resizes, only the scaling: a layer of Keras, which a file can hold."""
    if not _is_hubs(preprocess):
        return preprocess
    scale, offset = getattr(preprocess, "scale", None), getattr(preprocess, "offset", None)
    return keras.layers.Rescaling(1.0 if scale is None else scale, 0.0 if offset is None else offset, name="scale")


def _is_hubs(thing) -> bool:
    return type(thing).__module__.split(".")[0] == "keras_hub"


def _opened(network: keras.Model) -> keras.Model | None:
    """The network with its large layers opened; None where that would not compute the same or could not be saved."""
    names = [(layer, layer.name) for layer in all_layers(network)]
    try:
        for layer, _ in names:
            if _is_hubs(layer):
                _mend_settings(layer)
        opened = _open(network)
        good = _agree(network, opened) and _comes_back(opened)
    except Exception:  # not every layer can compute outside of what holds it, and it may raise anything then
        good = False
    if good:
        return opened
    for layer, name in names:
        layer.name = name
    return None


def _comes_back(network: keras.Model) -> bool:
    """Whether Keras can make a network again from its settings and weights, as from a file. Of some it cannot."""
    try:
        settings = json.dumps(keras.saving.serialize_keras_object(network))
        again = keras.saving.deserialize_keras_object(json.loads(settings))
        again.set_weights(network.get_weights())
        return _agree(network, again)
    except Exception:  # as many kinds of errors as there are layers
        return False


def _open(network: keras.Model) -> keras.Model:
    """The network with each layer that `_has_to_be_opened` replaced by the layers in it."""
    image = keras.Input(network.inputs[0].shape[1:], name="image")
    tensors = {id(network.inputs[0]): image}
    for node in run_order(network):
        if node.input_tensors:
            made = _call_inside(node, tensors) if _has_to_be_opened(node.operation) else call_like(node, tensors)
            tensors |= {id(old): new for old, new in zip(node.outputs, keras.tree.flatten(made), strict=True)}
    opened = keras.Model(image, tensors[id(network.outputs[0])], name=network.name)
    return _open(opened) if any(_has_to_be_opened(node.operation) for node in run_order(opened)) else opened


def _call_inside(node, tensors: dict):
    """What the layer of a node computes, by the layers in it. In a network each needs a name of its own."""
    layer = node.operation
    for inside in sublayers(layer):
        inside.name = f"{layer.name}_{inside.name}"
    args, kwargs = call_arguments(node, tensors)
    return layer.call(*args, **kwargs)


def _has_to_be_opened(operation) -> bool:
    """Whether an operation is a layer around others that holds several blocks, or that Keras could not load again.

    Only one of KerasHub: another may do something else in training, which its call does not show from outside.
    """
    if not isinstance(operation, keras.Layer) or is_network(operation) or not _is_hubs(operation):
        return False
    if own_weights(operation) or not sublayers(operation):
        return False
    kinds = [type(inside) for inside in sublayers(operation) if is_whole_block(inside)]
    return len(kinds) > len(set(kinds)) or not _makes_again(operation, operation.get_config)


def _mend_settings(layer: keras.Layer) -> None:
    """Let a layer leave out settings that it writes but does not take, as some of KerasHub 0.32 do (ViT)."""
    takes = {*inspect.signature(type(layer).__init__).parameters, *keras.Layer().get_config()}
    whole = layer.get_config

    def settings() -> dict:
        return {name: value for name, value in whole().items() if name in takes}

    if not _makes_again(layer, whole) and _makes_again(layer, settings):
        layer.get_config = settings


def _makes_again(layer: keras.Layer, get_settings: Callable) -> bool:
    try:
        type(layer).from_config(get_settings())
    except Exception:  # as many kinds of errors as there are layers
        return False
    return True


def _agree(one: keras.Model, other: keras.Model) -> bool:
    """Whether two networks give the same features, for one picture and for more of them, of the shape that they say."""
    shape = [size or 64 for size in one.inputs[0].shape[1:]]
    pictures = np.random.default_rng(0).uniform(0, 1, (3, *shape)).astype("float32")
    for some in (pictures[:1], pictures):
        wanted, made = (keras.ops.convert_to_numpy(network(some, training=False)) for network in (one, other))
        said = other.outputs[0].shape[1:]
        if any(size not in (None, real) for size, real in zip(said, made.shape[1:], strict=True)):
            return False
        if not np.allclose(wanted, made, atol=1e-5):
            return False
    return True
