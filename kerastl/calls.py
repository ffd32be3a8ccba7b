"""A whole model seen from its base: what comes before it, what is made of its output, and what of that can learn."""

import weakref
from typing import NamedTuple

import keras

from kerastl.graph import (
    acts_differently_in_training,
    find_base_model,
    is_network,
    learns,
    run_order,
)
from kerastl.private import call_like

_sized = weakref.WeakKeyDictionary()  # base: {shape of an image: the base for it}


class Calls(NamedTuple):
    """The calls of a whole model, seen from its base."""

    base: keras.Model  # for images of the size that it is given here
    before: list  # from the image to the base
    call: object  # of the base; its input is the scaled image, its output the features
    after: list  # from the features to the probabilities; what was nested in the head is opened
    output: object  # the probabilities, as the last of these calls gives them


def find_calls(model: keras.Model) -> Calls:
    """Take a model apart at its base.

    Raises:
        TypeError, ValueError: as `find_base_model` does; the size of the images is not known; the base is called more
            than once, or takes or gives several tensors; the head reads something else than the base.
    """
    base, nodes = find_base_model(model), run_order(model)
    places = [number for number, node in enumerate(nodes) if node.operation is base]
    call, after = nodes[places[0]], nodes[places[0] + 1 :]
    if len(places) > 1 or len(call.input_tensors) > 1 or len(call.outputs) > 1:
        raise ValueError(
            f"The base {base.name!r} is called {len(places)} times in {model.name!r}, with {len(call.input_tensors)} "
            f"inputs and {len(call.outputs)} outputs. Expected one call, one input and one output: `x = base(x)`."
        )
    if None in call.input_tensors[0].shape[1:]:
        raise ValueError(
            f"The base in {model.name!r} is given images of any size, {tuple(call.input_tensors[0].shape[1:])}. "
            "Expected one size: begin the model with `keras.Input((height, width, 3))`; the base may take any."
        )
    known = {id(tensor) for node in [call, *after] for tensor in node.outputs}
    for node in after:
        if any(id(tensor) not in known for tensor in node.input_tensors):
            raise ValueError(
                f"{node.operation.name!r} in {model.name!r} reads something that goes past the base {base.name!r}. "
                "Expected that everything after the base is made from what the base gives."
            )
    output = model.outputs[0]
    if any(is_network(node.operation) for node in after):
        tensors = {id(call.outputs[0]): call.outputs[0]}
        call_again(after, tensors)
        output = tensors[id(output)]
        after = run_order(keras.Model(model.inputs, output))[places[0] + 1 :]
    return Calls(_of_size(base, call.input_tensors[0].shape), nodes[: places[0]], call, after, output)


def pooled_outputs(calls: Calls) -> list:
    """The tensors above the base that training of the head cannot change: usually one, the pooled features.

    They are all that is needed to go on to the probabilities.
    """
    still, read = [calls.call.outputs[0]], {id(calls.output)}
    for node in calls.after:
        changes = learns(node.operation) or acts_differently_in_training(node.operation)
        known = {id(tensor) for tensor in still}
        if changes or any(id(tensor) not in known for tensor in node.input_tensors):
            read |= {id(tensor) for tensor in node.input_tensors}
        else:
            still += node.outputs
    return [tensor for tensor in still if id(tensor) in read]


def last_activation(calls: Calls) -> str:
    """The name of what makes the model's output from its logits, such as "softmax": a layer, or part of the last."""
    operation = [calls.call, *calls.after][-1].operation
    activation = getattr(operation, "activation", None)
    return getattr(activation, "__name__", type(activation or operation).__name__.lower())


def _of_size(base: keras.Model, shape: tuple) -> keras.Model:
    """A base for images of one shape, where it takes any: the same layers, with tensors whose sizes are known."""
    if base.inputs[0].shape[1:] == shape[1:]:
        return base
    known = _sized.setdefault(base, {})  # the same tensors each time: by their names it is known what they hold
    if shape[1:] not in known:
        image = keras.Input(shape[1:])
        tensors = {id(base.inputs[0]): image}
        call_again(run_order(base), tensors)
        known[shape[1:]] = keras.Model(image, tensors[id(base.outputs[0])], name=base.name)
    return known[shape[1:]]


def call_again(nodes: list, tensors: dict, leave_out=lambda node: False) -> None:
    """Call the operations of some nodes again, on other tensors. Networks among them are opened.

    Args:
        nodes: in the order in which they run.
        tensors: by the id of a tensor that the nodes know, the one that stands for it now. What is made is added.
        leave_out: says of a node whether to go past it.
    """
    for node in nodes:
        if not node.input_tensors:  # the image itself
            continue
        given = [tensors[id(tensor)] for tensor in node.input_tensors]
        if leave_out(node):
            made = given
        elif is_network(node.operation):
            inside = node.operation
            tensors |= {id(old): new for old, new in zip(inside.inputs, given, strict=True)}
            call_again(run_order(inside), tensors, leave_out)
            made = [tensors[id(tensor)] for tensor in inside.outputs]
        else:
            made = keras.tree.flatten(call_like(node, tensors))
        tensors |= {id(old): new for old, new in zip(node.outputs, made, strict=True)}
