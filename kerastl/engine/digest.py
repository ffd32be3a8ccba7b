"""Digests: short texts that stand for many numbers. Where two differ, the numbers differ, too."""

import hashlib
import json
import re
from collections.abc import Iterable

import keras
import numpy as np

from kerastl.graph import leaf_layers

DIGEST = "SHA-256 "  # how each begins. It tells people nothing: that two differ is said, and not the text


def digest(parts: Iterable) -> str:
    """The digest of bytes, or of contiguous arrays, one after the other."""
    summary = hashlib.sha256()
    for part in parts:
        summary.update(part)
    return DIGEST + summary.hexdigest()


def digest_weights(weights: list) -> str:
    """The digest of the values of some weights."""
    return digest(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)) for weight in weights)


def digest_layers(model: keras.Model) -> str:
    """The layers, how they are connected, and their settings."""
    try:
        config = model.get_config() | {"name": None}
    except Exception:  # a layer that does not tell its settings, or fails at it, as some of KerasHub do
        config = [type(layer).__name__ for layer in leaf_layers(model)]
    text = json.dumps(config, default=lambda value: type(value).__name__)
    return digest([without_counts(text).encode()])


def without_counts(config: str) -> str:
    """A config without the numbers that Keras gives to names: they count what a program has made before."""
    return re.sub(r'_\d+(CLONE)?(?=")', "", config)
