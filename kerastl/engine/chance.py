"""Where chance comes from in training, as arrays that can be kept."""

import sys

import keras
import numpy as np


def get_chance(front: keras.Model) -> list:
    """The state of NumPy's generator, of torch's where Keras runs on it, and of the augmentation's.

    (Dropout's is among the upper part's variables. But on torch it draws from torch's generator.)
    """
    _, keys, *numbers = np.random.get_state()
    torchs = sys.modules["torch"].get_rng_state() if keras.backend.backend() == "torch" else []
    return [keys, np.array(numbers, np.float64), np.array(torchs, np.uint8), *front.variables]


def set_chance(front: keras.Model, state: list[np.ndarray]) -> None:
    """Put everything back as `get_chance` found it."""
    keys, (place, has_gauss, gauss), torchs, *variables = state
    np.random.set_state(("MT19937", keys, int(place), int(has_gauss), gauss))
    if len(torchs):
        torch = sys.modules["torch"]
        torch.set_rng_state(torch.from_numpy(torchs))
    for variable, array in zip(front.variables, variables, strict=True):
        variable.assign(array)
