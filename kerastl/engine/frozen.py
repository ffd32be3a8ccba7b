"""Run the part below the cut, always as inference."""

import keras
import numpy as np

from kerastl.checks import check_pixels
from kerastl.engine.split import Split, single


def run_batch(split: Split, images, augment: bool, batch_size: int, remember: bool = False) -> list[np.ndarray]:
    """The frontier's tensors for one batch of raw images. Outside any training step, so always as inference."""
    check_pixels(images)

    def compute(model, tensors):
        return keras.tree.flatten(predict_padded(model, single(tensors), batch_size))

    def scaled():
        return split.front(keras.ops.convert_to_tensor(images, dtype="float32"), training=False)

    if augment:
        return compute(split.augmented, [keras.ops.convert_to_tensor(images, dtype="float32")])
    if remember and split.recall:
        return split.recall.run(images, compute, scaled)
    return compute(split.lower, [scaled()])


def predict_padded(model: keras.Model, inputs, batch_size: int):
    """`predict_on_batch`, filling up a smaller last batch, since Keras compiles a model anew for another shape."""
    count = len(keras.tree.flatten(inputs)[0])

    def fill(array):
        return keras.ops.concatenate([array, keras.ops.repeat(array[-1:], batch_size - count, axis=0)])

    if count < batch_size:
        inputs = keras.tree.map_structure(fill, inputs)
    return keras.tree.map_structure(lambda array: array[:count], model.predict_on_batch(inputs))
