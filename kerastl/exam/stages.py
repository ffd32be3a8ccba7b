"""A saved model, opened in Keras's safe mode: its weight arrays, and the pixels that reach its base."""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from kerastl.exam.missing import MissingError, in_short
from kerastl.graph import between, is_batch_norm, leaf_layers, own_weights, run_order
from kerastl.untrusted import CONFIG, METADATA, WEIGHTS, load_checked, read_members

FIRST = "Conv1"  # the first layer of MobileNetV2


class Array(NamedTuple):
    """One weight array of a model."""

    value: np.ndarray
    in_base: bool
    is_open: bool  # training would change it, as the file says
    is_statistic: bool  # a mean or a variance of BatchNorm


def read_model(file: Path) -> keras.Model:
    """Open a file that `model.save` wrote; compiled, if it was. Only layers of Keras itself are let in."""
    if not file.is_file():
        raise MissingError(f"There is no file {file.name!r}: write it with `model.save({file.name!r})`.")
    if file.suffix != ".keras":
        raise MissingError(f"{file.name!r} is no whole model: write one with `model.save`, its name ends in '.keras'.")
    try:
        members = read_members(file, CONFIG, METADATA, WEIGHTS)
        config = json.loads(members[CONFIG])
        model = load_checked(file, config, members[WEIGHTS], json.loads(members[METADATA]))
        if config.get("compile_config"):
            model.compile_from_config(config["compile_config"])
    except Exception as error:  # a damaged file can make Keras raise anything
        raise MissingError(
            f"{file.name!r} is not opened, so build the model from usual layers of Keras, without Lambda, compile it "
            f"with usual metrics, and write it with `model.save` ({in_short(error)})."
        ) from error
    return model


@cache
def base_layers() -> frozenset[str]:
    """The names of the layers of MobileNetV2 that have weights."""
    base = keras.applications.MobileNetV2(include_top=False, weights=None, alpha=0.35, input_shape=(96, 96, 3))
    return frozenset(layer.name for layer in base.layers if layer.weights)


def read_arrays(model: keras.Model) -> dict[str, Array]:
    """{"layer/array": Array} of a model, in the order of its layers."""
    will_move, arrays = {id(weight) for weight in model.trainable_weights}, {}
    for leaf in leaf_layers(model):
        for weight in own_weights(leaf):
            arrays[f"{leaf.name}/{weight.name}"] = Array(
                value=np.array(weight),
                in_base=leaf.name in base_layers(),
                is_open=id(weight) in will_move,
                is_statistic=is_batch_norm(leaf) and weight.name.startswith("moving_"),
            )
    return arrays


def what_base_gets(model: keras.Model, images) -> np.ndarray:
    """The pixels that reach the first layer of the base when a model looks at images, (n, height, width, 3)."""
    for node in run_order(model):
        layer = node.operation
        if isinstance(layer, keras.Layer) and any(leaf.name == FIRST for leaf in leaf_layers(layer)):
            pixels = between(model.inputs, node.input_tensors, "below_the_base")(images, training=False)
            return np.array(pixels) if layer.name == FIRST else what_base_gets(layer, pixels)
    raise MissingError("No picture reaches MobileNetV2: build the model from its input to its output with Keras.")
