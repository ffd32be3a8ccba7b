"""Measure a model on held-out images: predictions and labels from one pass, so that every figure agrees."""

from typing import NamedTuple

import keras
import numpy as np

from kerastl.data import check_pixels
from kerastl.features import predict_padded
from kerastl.quiet import no_retracing_warnings


class Evaluation(NamedTuple):
    """What a model does on one dataset. The arrays are in the order of that pass."""

    accuracy: float  # share of images whose most probable class is their own
    loss: float  # mean cross-entropy, in nats
    labels: np.ndarray  # (images,) int64
    probabilities: np.ndarray  # (images, classes) float32

    @property
    def predictions(self) -> np.ndarray:
        """The most probable class of each image, (images,) int64."""
        return self.probabilities.argmax(axis=1)

    @property
    def confusion(self) -> np.ndarray:
        """Counts, (classes, classes) int64: rows are the true classes, columns the predicted ones."""
        classes = self.probabilities.shape[1]
        pairs = self.labels * classes + self.predictions
        return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def __str__(self) -> str:
        return f"accuracy {self.accuracy:.3f}, loss {self.loss:.3f} on {len(self.labels)} images"


@no_retracing_warnings()
def evaluate(model: keras.Model, dataset) -> Evaluation:
    """Measure a model on a dataset, usually `data.test`, in one pass.

    A second pass for the labels would meet a shuffled dataset in another order, and the confusion matrix would then
    disagree with the accuracy. Here both come from the same batches.

    Args:
        model: returns probabilities, (batch, classes), or (batch, 1) for the second of two classes.
        dataset: batches of (images, labels); images 0–255, labels integers.

    Returns:
        `Evaluation(accuracy, loss, labels, probabilities)`, with `.predictions` and `.confusion`.

    Raises:
        ValueError: the dataset is empty, its pixels are scaled already, or it has labels that the model does not know.
    """
    labels, probabilities = [], []
    for images, batch_labels in dataset:
        check_pixels(images)
        labels.append(np.asarray(batch_labels))
        images = keras.ops.convert_to_tensor(images, dtype="float32")
        probabilities.append(predict_padded(model, images, batch_size=len(labels[0])))
    if not labels:
        raise ValueError("The dataset is empty. Expected at least one batch of (images, labels).")
    labels, probabilities = np.concatenate(labels).astype(np.int64), np.concatenate(probabilities)
    if probabilities.shape[1] == 1:
        probabilities = np.concatenate([1 - probabilities, probabilities], axis=1)
    classes = probabilities.shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"The labels run from {labels.min()} to {labels.max()}; the model knows {classes} classes, 0 to "
            f"{classes - 1}. Use the dataset that the model was built for."
        )
    correct = probabilities[np.arange(len(labels)), labels]
    return Evaluation(
        accuracy=float(np.mean(probabilities.argmax(axis=1) == labels)),
        loss=float(-np.log(np.maximum(correct, np.finfo(np.float32).tiny)).mean()),
        labels=labels,
        probabilities=probabilities,
    )
