"""Freeze a base, unfreeze its top, and show which weights training really moved."""

import math
from collections import Counter
from numbers import Integral
from typing import NamedTuple

import keras
import numpy as np

from kerastl.blocks import first_layers
from kerastl.graph import find_base_model, is_batch_norm, leaf_layers, sublayers


class Unfrozen(NamedTuple):
    """What `unfreeze_top` did."""

    first_layer: str  # name of the lowest unfrozen layer
    layers: int  # layers from there to the top of the base, as `base.layers[-N:]` counts them
    layers_with_weights: int  # of these, the layers that training can now change
    parameters: int  # weights (numbers) of the base that training can now change
    batch_norms_held: int  # BatchNormalization layers among them, kept frozen

    def __str__(self) -> str:
        return (
            f"{self.layers} layers from {self.first_layer!r}: {self.layers_with_weights} with weight arrays to train "
            f"({self.parameters:,} parameters), {self.batch_norms_held} BatchNorm held still"
        )


def freeze(model: keras.Model) -> keras.Model:
    """Make every layer of the base non-trainable. Returns the base.

    Call it to go back to phase 1. `build_model` has done it already.

    Example:
        >>> freeze(model).trainable_weights
        []
    """
    base = find_base_model(model)
    _set_trainable(base, [])
    return base


def unfreeze_top(model: keras.Model, layers: int | str) -> Unfrozen:
    """Unfreeze the top of the base, between phase 1 and phase 2. The layers below become, or stay, frozen.

    BatchNormalization layers stay frozen wherever they are, so that their stored means and variances, learned from
    many pictures, are not replaced by those of a few. On released Keras 3 this is the only way that works: see facts
    1 and 2 in tests/test_traps.py.

    Args:
        model: as `build_model` returns it.
        layers: how many layers to unfreeze, counted from the top as in `base.layers[-layers:]`; or the name of the
            lowest layer, or of the lowest block as `list_blocks` calls it ("block_14"); or "all". A count includes
            layers without weights (ReLU, Add): the result tells what it came to.

    Returns:
        `Unfrozen(first_layer, layers, layers_with_weights, parameters, batch_norms_held)`.

    Raises:
        ValueError: no such layer or block; `layers` below 1 or above the number of layers; nothing there has weights to
            train.

    Example:
        >>> unfreeze_top(model, 30).layers_with_weights
        10
    """
    base = find_base_model(model)
    start = _find_start(base, layers)
    chosen = [leaf for layer in base.layers[start:] for leaf in leaf_layers(layer)]
    to_train = [leaf for leaf in chosen if leaf.weights and not is_batch_norm(leaf)]
    if not to_train:
        names = ", ".join(layer.name for layer in base.layers[start:])
        raise ValueError(
            f"The top {len(base.layers) - start} layers of {base.name!r} ({names}) have no weights to train, once "
            "BatchNormalization is held still. Unfreeze more layers."
        )
    _set_trainable(base, to_train)
    return Unfrozen(
        first_layer=base.layers[start].name,
        layers=len(base.layers) - start,
        layers_with_weights=len([leaf for leaf in to_train if leaf.trainable_weights]),
        parameters=sum(int(np.prod(weight.shape)) for weight in base.trainable_weights),
        batch_norms_held=len([leaf for leaf in chosen if is_batch_norm(leaf)]),
    )


def unfreeze_all(model: keras.Model) -> keras.Model:
    """Make every layer of the base trainable, BatchNormalization included, as learning from scratch needs it."""
    base = find_base_model(model)
    _set_trainable(base, list(leaf_layers(base)))
    return base


def check_layers(layers, base: keras.Model | None = None) -> None:
    """Raise ValueError when `layers` is neither a name nor a number of layers; without a base, of any base."""
    if isinstance(layers, str):
        return
    if not isinstance(layers, Integral) or isinstance(layers, bool):
        raise ValueError(f"Received layers={layers!r}. Expected a whole number, the name of a layer, or 'all'.")
    if layers < 1 or (base is not None and layers > len(base.layers)):
        most = "or more" if base is None else f"to {len(base.layers)}, the number of layers of {base.name!r}"
        raise ValueError(f"Received layers={layers}. Expected 1 {most}.")


def _find_start(base: keras.Model, layers: int | str) -> int:
    from kerastl.bases import suggest

    check_layers(layers, base)
    if layers == "all":
        return 0
    if isinstance(layers, str):
        names = [layer.name for layer in base.layers]
        blocks = {} if layers in names else first_layers(base)
        name = blocks.get(layers, layers)
        if name not in names and layers[-1:].isdigit():  # "block_16", which the network's narrow places do not part
            name = next((one for one in names if one.startswith(f"{layers}_")), name)
        if name not in names:
            near = suggest(layers, {*names, *(block for block in blocks if "…" not in block)})
            raise ValueError(
                f"{base.name!r} has no layer or block {layers!r}. "
                + (near if near.startswith("Did") else "See `[layer.name for layer in base.layers]`.")
            )
        return names.index(name)
    return len(base.layers) - int(layers)


def _set_trainable(base: keras.Model, to_train: list) -> None:
    """Set the flag on the base, on every container inside it and on every leaf.

    Each one by itself: on the TensorFlow backend, setting a container to the value that it has already does nothing
    below it (fact 2). The base goes first, because a real change of its flag overwrites the leaves.
    """
    chosen = {id(leaf) for leaf in to_train}

    def visit(layer) -> None:
        layer.trainable = any(id(leaf) in chosen for leaf in leaf_layers(layer))
        for child in sublayers(layer):
            visit(child)

    visit(base)


class Change(NamedTuple):
    """How far training moved one weight array."""

    path: str  # layer and weight, as "Conv_1/kernel"
    moved: float  # length of the change relative to the length of the weight before; inf where that was 0, as of a bias


def snapshot(model: keras.Model) -> dict[str, np.ndarray]:
    """Copy every weight of a model, by path. Compare two copies with `changed_layers`.

    Where two weights have one path (a layer of the head may be named as one of the base), the second gets " (2)".

    Example:
        >>> list(snapshot(model))[-2:]
        ['classifier/kernel', 'classifier/bias']
    """
    copies, met = {}, Counter()
    for weight in model.weights:
        met[weight.path] += 1
        number = met[weight.path]
        copies[weight.path + (f" ({number})" if number > 1 else "")] = np.array(weight)
    return copies


def changed_layers(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> list[Change]:
    """Which weights moved between two snapshots of one model, and how far: the proof that frozen stayed frozen.

    Returns:
        A list of `Change(path, moved)` with the weights that differ in at least one bit.

    Raises:
        ValueError: the snapshots are not of the same model.

    Example:
        >>> before = snapshot(model)
        >>> phase1 = train_head(model, flowers, epochs=1, verbose=0)
        >>> [change.path for change in changed_layers(before, snapshot(model))]
        ['classifier/kernel', 'classifier/bias']
    """
    if before.keys() != after.keys():
        only = sorted(before.keys() ^ after.keys())
        raise ValueError(f"Expected two snapshots of one model. Only one of them has {', '.join(only[:3])}.")
    moved = []
    for path, old in before.items():
        new = after[path]
        if not np.array_equal(old, new):
            length = float(np.linalg.norm(old))
            moved.append(Change(path, float(np.linalg.norm(new - old)) / length if length else math.inf))
    return moved
