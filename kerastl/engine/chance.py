"""Where chance comes from in training, as arrays that can be kept."""

import re
import sys
import warnings

import keras
import numpy as np

from kerastl.engine.split import Split
from kerastl.graph import is_all_kerass, single


def get_chance(split: Split) -> list:
    """The state of NumPy's generator, of torch's where Keras runs on it, and of those below the part that learns.

    (Dropout's is among the upper part's variables. But on torch it draws from torch's generator.)
    """
    _, keys, *numbers = np.random.get_state()
    torchs = sys.modules["torch"].get_rng_state() if keras.backend.backend() == "torch" else []
    return [keys, np.array(numbers, np.float64), np.array(torchs, np.uint8), *_states(split)]


def set_chance(split: Split, state: list[np.ndarray]) -> None:
    """Put everything back as `get_chance` found it."""
    keys, (place, has_gauss, gauss), torchs, *variables = state
    np.random.set_state(("MT19937", keys, int(place), int(has_gauss), gauss))
    if len(torchs):
        torch = sys.modules["torch"]
        torch.set_rng_state(torch.from_numpy(torchs))
    for variable, array in zip(_states(split), variables, strict=True):
        variable.assign(array)


def _states(split: Split) -> list:
    """The variables below the part that learns which may move without learning: the seeds of layers."""
    still = {id(weight) for weight in split.lower.weights}
    return [*split.front.variables, *(variable for variable in split.lower.variables if id(variable) not in still)]


def warn_of_lost_chance(*parts: keras.Model) -> None:
    """Warn where a layer of the user's own asks TensorFlow for chance: it does not tell where its generators are."""
    if any(map(_asks_tensorflow, parts)):
        warnings.warn(
            "A layer asks TensorFlow for random numbers (`tf.random`). A backup cannot keep where they are: a run that "
            "is broken off goes on with others. Use `keras.random` with a `keras.random.SeedGenerator`.",
            stacklevel=7,
        )


def _asks_tensorflow(part: keras.Model) -> bool:
    if keras.backend.backend() != "tensorflow" or is_all_kerass(part):
        return False
    import tensorflow as tf

    @tf.function
    def train(*tensors):
        return part(single(tensors), training=True)

    wanted = [tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in part.inputs]
    try:
        graph = train.get_concrete_function(*wanted).graph.as_graph_def()
    except Exception:  # whatever a layer raises that computes in Python
        return False
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return any("seed2" in node.attr or re.match("Rng|Stateful(?!Partitioned)", node.op) for node in nodes)
