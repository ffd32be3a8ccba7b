"""Read a model as it is over a dataset: what a base says about each image, or what the whole model does."""

from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np

from kerastl.calls import find_calls, pooled_outputs
from kerastl.checks import check_batches
from kerastl.data import ImageData
from kerastl.engine.fold import fold_norms
from kerastl.engine.frozen import predict_padded
from kerastl.inputs import as_taken, check_size, check_values
from kerastl.quiet import no_retracing_warnings

if TYPE_CHECKING:
    import tensorflow as tf


class Features(NamedTuple):
    """What a base says about each image of a dataset, in the order of that pass."""

    values: np.ndarray  # (images, features) float32
    labels: np.ndarray  # (images,) int64


@no_retracing_warnings()
def extract_features(model: keras.Model, dataset: "tf.data.Dataset") -> Features:
    """Read the base of a model as a feature extractor: one row of numbers for each image.

    For a classifier of your own on top, such as scikit-learn's logistic regression, or for a picture of what the base
    can tell apart.

    Args:
        model: as `build_model` returns it; the head need not be trained.
        dataset: batches of (images, labels); images 0–255. Augmentation does not act.

    Returns:
        `Features(values, labels)`: the pooled output of the base, (images, features) float32, and the labels.

    Raises:
        TypeError, ValueError: not a built Keras model with one base; no dataset, or an empty one; images of another
            size, or with pixels that are scaled.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> probe = LogisticRegression(max_iter=1000).fit(*extract_features(model, flowers.train))
        >>> probe.score(*extract_features(model, flowers.test))
        0.9...
    """
    return Features(*predict_all(pooled_model(model), as_taken(model, dataset)))


def pooled_model(model: keras.Model) -> keras.Model:
    """From what a model takes to the pooled output of its base, (batch, features), with the weights as they are now."""
    rows = [keras.layers.Flatten()(tensor) for tensor in pooled_outputs(find_calls(model))]
    row = keras.layers.Concatenate()(rows) if len(rows) > 1 else rows[0]
    return fold_norms(keras.Model(model.inputs[0], row), {})


def predict_all(model: keras.Model, dataset) -> tuple[np.ndarray, np.ndarray]:
    """What a model gives for every image of a dataset, (images, …), and the labels, (images,) int64, from one pass."""
    if isinstance(dataset, ImageData):
        raise TypeError("Received ImageData. Expected one part of it, such as `data.test`.")
    check_batches(dataset)
    outputs, labels = [], []
    for images, batch_labels in dataset:
        check_size(images.shape[1:], model)
        check_values(images, model.inputs[0])
        labels.append(np.asarray(batch_labels))
        images = keras.ops.convert_to_tensor(images, dtype=model.inputs[0].dtype)
        outputs.append(predict_padded(model, images, batch_size=len(labels[0])))
    if not labels:
        raise ValueError("The dataset is empty. Expected at least one batch of (images, labels).")
    return np.concatenate(outputs), np.concatenate(labels).astype(np.int64)
