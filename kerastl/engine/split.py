"""Split a model at its frontier: what training cannot change, and what it can.

The frontier is the set of tensors (usually one) at or below the first trainable layer through which every path from the
image passes. Below it nothing is learned, so an image gives the same values there in every epoch.
"""

from typing import NamedTuple

import keras

from kerastl.calls import find_calls, pooled_outputs
from kerastl.graph import (
    acts_differently_in_training,
    between,
    is_batch_norm,
    leaf_layers,
    learns,
    live_tensors,
    run_order,
    single,
    size_in_bytes,
    work,
)

USUAL_LAYERS = 30  # what `unfreeze_top` is usually asked for
WORK_TO_REPEAT = 0.15  # share of the frozen part's work that may be repeated in each epoch to keep fewer bytes


class Split(NamedTuple):
    """A model in three parts that share its layers: `upper(lower(front(images)))` is the model's prediction."""

    front: keras.Model  # raw images -> augmented (in training mode) and scaled images
    lower: keras.Model  # scaled images -> the tensors of the frontier; always run as inference
    upper: keras.Model  # the tensors of the frontier -> probabilities; all that training changes is in here
    depth: int  # how far up the base the cut is, as a place in its order of calls; 0 when nothing below does any work
    below: keras.Model  # `lower` up to the place that both phases pass: what comes by there is worth remembering
    above: keras.Model | None  # from there to the frontier; None where the frontier is there


def split_model(model: keras.Model) -> Split:
    """Cut a model at its frontier.

    With the base frozen the frontier lies after the pooling; with its top unfrozen, at the cheapest place to keep at or
    below the first trainable layer; with all of it trainable, at the image. Nothing that acts differently in training
    (dropout inside the base) is left between the frontier and the first trainable layer, so that what is frozen acts as
    inference on every path.

    Args:
        model: any functional or Sequential model that calls one base as a layer and makes probabilities of its output.

    Returns:
        `Split(front, lower, upper, depth, below, above)`.

    Raises:
        TypeError, ValueError: as `find_calls` does; a layer in front of the base learns.
    """
    calls = find_calls(model)
    base, scaled_image, features = calls.base, calls.call.input_tensors[0], calls.call.outputs[0]
    front = keras.Model(model.inputs[0], scaled_image, name="front")
    learning = [node.operation.name for node in calls.before if learns(node.operation)]
    if learning:
        raise ValueError(
            f"The layer {learning[0]!r} in front of the base learns, but training here begins above what is frozen. "
            f"Set `model.get_layer({learning[0]!r}).trainable = False`, or train with Keras's own `fit`."
        )

    nodes = run_order(base)
    first = next((number for number, node in enumerate(nodes) if learns(node.operation)), len(nodes))
    if first == len(nodes):  # the whole base is frozen: go on into the head, as far as training changes nothing
        pooled = pooled_outputs(calls)
        depth, frontier, after = first, base.outputs, between([features], pooled, "after")
        lower = between([scaled_image], pooled, "lower")
        upper = between(pooled, [calls.output], "upper")
    else:
        (depth, frontier), after = _cheapest_place(nodes, first), None
        lower = between(base.inputs, frontier, "lower")
        top = between(frontier, base.outputs, "top")
        upper = _join(frontier, top, between([features], [calls.output], "head"), "upper")

    below, above = lower, None
    stop, tensors = _cheapest_place(nodes, _usual_start(base, nodes))
    if 0 < stop < depth:  # the place where to remember is on the way to the frontier
        below = between(base.inputs, tensors, "below")
        above = between(tensors, frontier, "above")
        above = _join(tensors, above, after, "above") if after else above
    return Split(front, lower, upper, depth, below, above)


def _join(tensors: list, first: keras.Model, second: keras.Model, name: str) -> keras.Model:
    """One model from the tensors through both models."""
    inputs = single([keras.Input(tensor.shape[1:], dtype=tensor.dtype) for tensor in tensors])
    return keras.Model(inputs, second(first(inputs)), name=name)


def usual_layers(base: keras.Model) -> int:
    """How many layers at the top phase 2 usually opens: so far it can go on from phase 1. Of a small base, half."""
    return min(USUAL_LAYERS, len(base.layers) // 2)


def _usual_start(base: keras.Model, nodes: list) -> int:
    """The call where training usually begins in phase 2."""
    usual = {id(layer) for layer in base.layers[-usual_layers(base) :]}
    for number, node in enumerate(nodes):
        if id(node.operation) in usual and any(
            leaf.weights and not is_batch_norm(leaf) for leaf in leaf_layers(node.operation)
        ):
            return number
    return len(nodes) - 1


def _cheapest_place(nodes: list, first: int) -> tuple[int, list]:
    """How many calls of the base come before the cut (0 if they do no work), and the tensors to keep there.

    Of the places that leave little of the frozen part's work to be done again, the one with the fewest bytes: inside a
    block the tensors are often several times as large as between two blocks.
    """
    places = live_tensors(nodes)[:first]
    allowed = WORK_TO_REPEAT * sum(work(node) for node in nodes[:first])
    candidates, repeated = [], 0
    for number in reversed(range(first)):
        if all(tensor.shape[0] is None for tensor in places[number]):  # what is the same for all images is not kept
            candidates.append((size_in_bytes(places[number]), -number))
        repeated += work(nodes[number])
        operation = nodes[number].operation
        if repeated > allowed or (acts_differently_in_training(operation) and not is_batch_norm(operation)):
            break
    number = -min(candidates, default=(0, 0))[1]
    depth = number if any(work(node) for node in nodes[: number + 1]) else 0
    return depth, places[number]
