"""Where chance comes from in training, as arrays that can be kept."""

import sys
import warnings

import keras
import numpy as np

from kerastl.graph import is_all_kerass, single


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
    graph = train.get_concrete_function(*wanted).graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return any("seed2" in node.attr for node in nodes)  # what TensorFlow's own random numbers have, and no others
