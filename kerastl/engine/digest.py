"""Digests: short texts that stand for many numbers. Where two differ, the numbers differ, too."""

import hashlib
from collections.abc import Iterable

import keras
import numpy as np

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
