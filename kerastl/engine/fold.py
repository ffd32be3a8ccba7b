"""Let convolutions do the work of the BatchNorm after them: in what is frozen, both are one multiplication and one sum.

At inference BatchNorm multiplies each channel by a number and adds another. So does a convolution whose kernel and bias
were changed for it, and the tensor in between need not be written and read again: 1.5 to 2 times less time
(benchmarks/inference.py). Jacob et al. 2018, arXiv 1712.05877, section 3.2, do it for phones.
"""

from collections import Counter

import keras
import numpy as np

from kerastl.calls import call_again
from kerastl.graph import is_network, run_order, single
from kerastl.private import forget_calls, told_to_train

_CONVOLUTIONS = keras.layers.Conv2D, keras.layers.DepthwiseConv2D


def fold_norms(part: keras.Model, folded: dict) -> keras.Model:
    """A model that gives what `part` gives at inference, to rounding, in less time. `part` stays as it is.

    Only Keras's own Conv2D and DepthwiseConv2D with a BatchNorm right after them become other layers, which take the
    weights as they are now. All other layers are shared with `part`.

    Args:
        part: what is frozen, or a part of it.
        folded: the layers that were made for other parts of the same model; new ones are added.
    """
    instead = {}
    _look_for_pairs(part, folded, instead)
    if not instead:
        return part
    inputs = [keras.Input(tensor.shape[1:], dtype=tensor.dtype) for tensor in part.inputs]
    tensors = {id(old): new for old, new in zip(part.inputs, inputs, strict=True)}
    with forget_calls(_operations(part)):
        call_again(run_order(part), tensors, instead=lambda node: instead.get(id(node), node.operation))
        return keras.Model(single(inputs), single([tensors[id(tensor)] for tensor in part.outputs]), name=part.name)


def _operations(network: keras.Model) -> list:
    """What a network calls, and what networks in it call."""
    called = [node.operation for node in run_order(network)]
    inside = [operation for network in filter(is_network, called) for operation in _operations(network)]
    return list({id(operation): operation for operation in [*called, *inside]}.values())


def _look_for_pairs(network: keras.Model, folded: dict, instead: dict) -> None:
    """By the id of a node, what to call instead of its operation: for a BatchNorm nothing, None."""
    nodes = run_order(network)
    maker = {id(tensor): node for node in nodes for tensor in node.outputs}
    reads = Counter(map(id, [*(tensor for node in nodes for tensor in node.input_tensors), *network.outputs]))
    calls = Counter(id(node.operation) for node in nodes)
    for node in nodes:
        if is_network(node.operation):
            _look_for_pairs(node.operation, folded, instead)
        elif type(node.operation) is keras.layers.BatchNormalization:
            before, norm = maker[id(node.input_tensors[0])], node.operation
            convolution = before.operation
            once = reads[id(node.input_tensors[0])] == calls[id(convolution)] == 1
            if once and _can_fold(convolution, norm) and not told_to_train(node):
                pair = id(convolution), id(norm)
                if pair not in folded:
                    folded[pair] = _fold(convolution, norm, before.input_tensors[0].shape)
                instead[id(before)], instead[id(node)] = folded[pair], None


def _can_fold(layer, norm: keras.layers.BatchNormalization) -> bool:
    """Whether a layer is a convolution and nothing else (no activation, LoRA or quantization), of the same channels."""
    return (
        type(layer) in _CONVOLUTIONS
        and layer.activation is keras.activations.linear
        and len(layer.weights) == 1 + layer.use_bias
        and layer.quantization_mode is None
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
    layer = type(convolution).from_config({**convolution.get_config(), "use_bias": True, "trainable": False})
    layer.build(shape)
    layer.set_weights([kernel * scale.reshape(channels), bias])
    return layer
