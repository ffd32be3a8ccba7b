"""What is needed of Keras and it keeps to itself: one function for each, and a test that notices a change."""

import re
from contextlib import contextmanager

import keras
from keras.src.backend.common import global_state


def nodes_by_depth(model: keras.Model) -> dict[int, list]:
    """The calls (Keras: nodes) of a functional model, by how far they are from its outputs."""
    return model._nodes_by_depth


def call_like(node, tensors: dict):
    """Call the operation of a node again; `tensors` has by the id of a tensor the one that stands for it now."""
    args, kwargs = call_arguments(node, tensors)
    return node.operation(*args, **kwargs)


def call_arguments(node, tensors: dict) -> tuple[tuple, dict]:
    """What the operation of a node was called with, on other tensors, as in `call_like`."""
    return node.arguments.fill_in(tensors)


@contextmanager
def forget_calls(operations: list):
    """The operations do not remember the calls that are made in this block. (They would keep alive what is made there.)

    A model has to be made in the block, too: its calls are found through the operations.
    """
    before = [(operation, len(operation._inbound_nodes), len(operation._outbound_nodes)) for operation in operations]
    try:
        yield
    finally:
        for operation, inbound, outbound in before:
            del operation._inbound_nodes[inbound:], operation._outbound_nodes[outbound:]


def told_to_train(node) -> bool:
    """Whether the call was written with `training=True`. Keras after 3.15.1 heeds that at inference, too (fact 1)."""
    return node.arguments.kwargs.get("training") is True  # Keras takes no flag by its place


def held_layers(layer: keras.layers.Layer) -> list:
    """The layers that a layer holds in its attributes."""
    return list(layer._layers)


def weights_of(optimizer: keras.optimizers.Optimizer) -> list:
    """The weights that an optimizer was built for."""
    return optimizer._trainable_variables


def can_train(optimizer: keras.optimizers.Optimizer, weights: list) -> bool:
    """Whether an optimizer is new, or has trained these weights before: it knows no others."""
    known = {id(weight) for weight in weights_of(optimizer)}
    return not optimizer.built or known.issuperset(map(id, weights))


def strategy_of(model: keras.Model):
    """The `tf.distribute` strategy in whose scope a model was made; None if there was none."""
    return getattr(model, "_distribute_strategy", None)


def version() -> tuple[int, ...]:
    """The first three numbers of the version of Keras."""
    return tuple(map(int, re.findall(r"\d+", keras.__version__)[:3]))


def seed() -> int | None:
    """What `keras.utils.set_random_seed` was given."""
    known = global_state.get_global_attribute("global_random_seed")
    if known is None and version() < (3, 10):  # older ones tell only TensorFlow
        from tensorflow.python.eager import context

        known = context.global_seed()
    return known
