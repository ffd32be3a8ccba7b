"""Let convolutions do the work of the BatchNorm after them: in what is frozen, both are one multiplication and one sum.

At inference BatchNorm multiplies each channel by a number and adds another. So does a convolution whose kernel and bias
were changed for it, and the tensor in between need not be written and read again: 1.5 to 2 times less time
(benchmarks/inference.py). Jacob et al. 2018, arXiv 1712.05877, section 3.2, do it for phones.
"""

import warnings
from collections import Counter

import keras
import numpy as np

from kerastl.graph import is_network, run_order, single
from kerastl.private import forget_calls, told_to_train

# What a copy needs to know of a convolution. (The last is the name of its initializer, which "zeros" replaces: its own
# would draw from chance. Like regularizers and constraints, it may be the user's own, and does not matter here.)
_SETTINGS = {
    keras.layers.Conv2D: ("filters", "groups", "kernel_initializer"),
    keras.layers.DepthwiseConv2D: ("depth_multiplier", "depthwise_initializer"),
}
_SETTINGS_OF_BOTH = ("kernel_size", "strides", "padding", "data_format", "dilation_rate", "name")


def fold_norms(part: keras.Model, folded: dict) -> keras.Model:
    """A model that gives what `part` gives at inference, to rounding, in less time. `part` stays as it is.

    Only Keras's own Conv2D and DepthwiseConv2D with a BatchNorm right after them become other layers, which take the
    weights as they are now. All other layers are shared with `part`.

    Args:
        part: what is frozen, or a part of it.
        folded: the layers that were made for other parts of the same model; new ones are added.
    """
    nodes = run_order(part)
    told = {id(node.operation) for node in nodes if told_to_train(node)}
    networks = [node.operation for node in nodes if is_network(node.operation) and id(node.operation) not in told]
    instead = {id(network): fold_norms(network, folded) for network in networks}
    gone = set()
    for before, node in _pairs(nodes, part.outputs):
        convolution, norm = before.operation, node.operation
        pair = id(convolution), id(norm)
        if pair not in folded:
            folded[pair] = _fold(convolution, norm, before.input_tensors[0].shape)
        instead[id(convolution)] = folded[pair]
        gone.add(id(norm))
    if not gone and all(instead[id(network)] is network for network in networks):
        return part

    def call(operation, *inputs, **options):
        if id(operation) in gone:
            return inputs[0] if inputs else options["inputs"]
        return operation(*inputs, **options)

    whole = part
    if isinstance(part, keras.Sequential):  # Keras would clone it without looking at its calls
        whole = keras.Model(single(part.inputs), single(part.outputs), name=part.name)
    with forget_calls([node.operation for node in nodes]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="When providing `inputs` as a dict")  # as it said of `part`
        return keras.models.clone_model(
            whole, clone_function=lambda operation: instead.get(id(operation), operation), call_function=call
        )


def _pairs(nodes: list, outputs: list) -> list[tuple]:
    """The calls of a convolution and of the BatchNorm after it that can become one."""
    maker = {id(tensor): node for node in nodes for tensor in node.outputs}
    reads = Counter(map(id, [*(tensor for node in nodes for tensor in node.input_tensors), *outputs]))
    calls = Counter(id(node.operation) for node in nodes)
    norms = [node for node in nodes if type(node.operation) is keras.layers.BatchNormalization]
    pairs = [(maker[id(node.input_tensors[0])], node) for node in norms]
    return [
        (before, node)
        for before, node in pairs
        if reads[id(node.input_tensors[0])] == calls[id(before.operation)] == calls[id(node.operation)] == 1
        and _can_fold(before.operation, node.operation)
        and not told_to_train(node)
    ]


def _can_fold(layer, norm: keras.layers.BatchNormalization) -> bool:
    """Whether a layer is a convolution and nothing else (no activation, LoRA or quantization), of the same channels."""
    return (
        type(layer) in _SETTINGS
        and layer.activation is keras.activations.linear
        and len(layer.weights) == 1 + layer.use_bias
        and getattr(layer, "quantization_mode", None) is None  # Keras 3.3 has none
        and layer.data_format == "channels_last"
        and norm.axis in (-1, 3)
        and norm.compute_dtype == layer.compute_dtype
        and layer.compute_dtype in ("float32", "float64")  # in 16 bits it would round as much again
    )


def _fold(convolution: keras.Layer, norm: keras.layers.BatchNormalization, shape: tuple) -> keras.Layer:
    gamma, beta, mean, variance = (
        None if weight is None else keras.ops.convert_to_numpy(weight).astype("float64")
        for weight in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    kernel, bias = [*(weight.astype("float64") for weight in convolution.get_weights()), 0.0][:2]
    scale = (1.0 if gamma is None else gamma) / np.sqrt(variance + norm.epsilon)
    bias = (bias - mean) * scale + (0.0 if beta is None else beta)
    channels = kernel.shape[2:] if isinstance(convolution, keras.layers.DepthwiseConv2D) else (-1,)
    *own, initializer = _SETTINGS[type(convolution)]
    settings = {name: getattr(convolution, name) for name in (*own, *_SETTINGS_OF_BOTH)}
    layer = type(convolution)(**settings, **{initializer: "zeros"}, dtype=convolution.dtype_policy, trainable=False)
    layer.build(shape)
    layer.set_weights([kernel * scale.reshape(channels), bias])
    return layer
