"""Measure a model on held-out images: predictions and labels from one pass, so that every figure agrees."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np

from kerastl.checks import check_labels
from kerastl.features import predict_all
from kerastl.graph import check_model
from kerastl.inputs import as_taken, noun_of
from kerastl.quiet import no_retracing_warnings

if TYPE_CHECKING:
    import tensorflow as tf

BINS = 10  # of equal width, in which calibration is measured


class ClassScore(NamedTuple):
    """How well one class is found."""

    precision: float  # of the images taken for this class, the share that truly are; nan if none was
    recall: float  # of the images of this class, the share that was found; nan if there are none
    f1: float  # harmonic mean of both, 0 where either is 0 or nan
    images: int  # images of this class


class Confidence(NamedTuple):
    """The images whose most probable class has a probability in one range."""

    low: float
    high: float
    images: int
    probability: float  # mean of what the model gave, nan without images
    accuracy: float  # share in which it was right, nan without images


class Evaluation(NamedTuple):
    """What a model does on one dataset. The arrays are in the order of that pass."""

    accuracy: float  # share of images whose most probable class is their own
    loss: float  # mean cross-entropy, in nats
    labels: np.ndarray  # (images,) int64
    probabilities: np.ndarray  # (images, classes) float32
    noun: str = "images"  # or "texts"

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

    @property
    def interval(self) -> tuple[float, float]:
        """Where the accuracy on ever more such images would be, with 95 % confidence."""
        return wilson(self.accuracy, len(self.labels))

    @property
    def class_scores(self) -> list[ClassScore]:
        """Precision, recall and F1 of each class, in the order of the model's outputs."""
        counts, scores = self.confusion, []
        for number, hits in enumerate(counts.diagonal()):
            own, said = int(counts[number].sum()), int(counts[:, number].sum())
            f1 = float(2 * hits / (own + said)) if hits else 0.0
            scores.append(
                ClassScore(float(hits / said) if said else math.nan, float(hits / own) if own else math.nan, f1, own)
            )
        return scores

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that occur: a class with few images counts as much as one with many."""
        return float(np.nanmean([score.recall for score in self.class_scores]))

    @property
    def confidences(self) -> list[Confidence]:
        """What the model said beside how often it was right, in ten ranges of the highest probability."""
        highest, right = self.probabilities.max(axis=1), self.predictions == self.labels
        numbers = np.minimum((highest * BINS).astype(int), BINS - 1)
        ranges = []
        for number in range(BINS):
            inside = numbers == number
            found = (float(highest[inside].mean()), float(right[inside].mean())) if inside.any() else (math.nan,) * 2
            ranges.append(Confidence(number / BINS, (number + 1) / BINS, int(inside.sum()), *found))
        return ranges

    @property
    def calibration_error(self) -> float:
        """How far the probabilities are from the truth, 0 to 1: the mean gap over the ranges of `confidences`.

        Source: the expected calibration error of Guo et al. (2017), section 2, here with ten ranges.
        """
        gaps = [row.images * abs(row.probability - row.accuracy) for row in self.confidences if row.images]
        return float(sum(gaps) / len(self.labels))

    @property
    def mistakes(self) -> np.ndarray:
        """The numbers of the images that the model took for another class, the surest mistake first, int64."""
        wrong = np.flatnonzero(self.predictions != self.labels)
        return wrong[np.argsort(-self.probabilities[wrong].max(axis=1), kind="stable")]

    @property
    def log_probabilities(self) -> np.ndarray:
        """Logarithms of the probabilities, float64; of 0 that of the smallest float32."""
        return _log(self.probabilities.astype(float))

    def at_temperature(self, temperature: float) -> "Evaluation":
        """What the same model would do if its logits were divided by a temperature; see `fit_temperature`.

        Above 1 it becomes less sure, below 1 more. The order of the classes, and so the accuracy, stays.
        """
        if not (isinstance(temperature, Real) and 0 < temperature < math.inf):
            raise ValueError(f"Received temperature={temperature!r}. Expected a number above 0, as 1.5.")
        logs = self.log_probabilities / temperature
        logs -= logs.max(axis=1, keepdims=True)
        logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
        own = logs[np.arange(len(self.labels)), self.labels]
        return self._replace(loss=float(-own.mean()), probabilities=np.exp(logs).astype("float32"))

    def table(self, class_names: Sequence[str]) -> str:
        """Precision, recall and F1 of each class, as lines to be printed."""
        check_names(self, class_names)
        width = max(10, *map(len, class_names))
        lines = [f"{'':{width}}  precision  recall      F1  {self.noun:>6}"]
        for name, score in zip(class_names, self.class_scores, strict=True):
            lines.append(
                f"{name:{width}}  {score.precision:9.3f}{score.recall:8.3f}{score.f1:8.3f}{score.images:8,}".replace(
                    "nan", "  –"
                )
            )
        return "\n".join(lines)

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"accuracy {self.accuracy:.3f} (95 % interval {low:.3f} to {high:.3f}), "
            f"loss {self.loss:.3f} on {len(self.labels)} {self.noun}"
        )


@no_retracing_warnings()
def evaluate(model: keras.Model, dataset: "tf.data.Dataset") -> Evaluation:
    """Measure a model on a dataset, usually `data.test`, in one pass.

    A second pass for the labels would meet a shuffled dataset in another order, and the confusion matrix would then
    disagree with the accuracy. Here both come from the same batches.

    Args:
        model: returns probabilities, (batch, classes), or (batch, 1) for the second of two classes.
        dataset: batches of (images, labels); images 0–255, labels integers.

    Returns:
        `Evaluation(accuracy, loss, labels, probabilities)`, with `.predictions`, `.confusion`, `.interval`,
        `.class_scores`, `.balanced_accuracy`, `.confidences`, `.calibration_error`, `.mistakes`, `.table(names)` and
        `.at_temperature(number)`.

    Raises:
        TypeError: no dataset, but `ImageData` or arrays.
        ValueError: the dataset is empty or has images of one class only, or of another size, its pixels are scaled
            already, or it has labels that the model does not know; the model is not built.

    Example:
        >>> result = evaluate(model, flowers.test)
        >>> print(result)
        accuracy 0.9... (95 % interval ... to ...), loss 0... on ... images
    """
    check_model(model)
    probabilities, labels = predict_all(model, as_taken(model, dataset))
    probabilities = both_classes(probabilities)
    check_labels(labels, probabilities.shape[1])
    if labels.min() == labels.max():
        raise ValueError(
            f"All {len(labels)} images are of class {labels[0]}. Expected images of two classes or more: on one class "
            "alone, a model that always names it would be perfect."
        )
    correct = probabilities[np.arange(len(labels)), labels]
    return Evaluation(
        accuracy=float(np.mean(probabilities.argmax(axis=1) == labels)),
        loss=float(-_log(correct).mean()),
        labels=labels,
        probabilities=probabilities,
        noun=noun_of(model),
    )


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share that was counted on `count` cases. Source: Wilson (1927)."""
    z = 1.96
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def both_classes(probabilities: np.ndarray) -> np.ndarray:
    """(images, classes): a model with one output gives only the probability of the second of two classes."""
    if probabilities.shape[1] == 1:
        return np.concatenate([1 - probabilities, probabilities], axis=1)
    return probabilities


def check_names(evaluation: Evaluation, class_names: Sequence[str]) -> None:
    """Raise ValueError unless there is one name for each class."""
    classes = evaluation.probabilities.shape[1]
    if len(class_names) != classes:
        raise ValueError(
            f"Received {len(class_names)} class names ({', '.join(map(str, class_names[:5]))}). Expected {classes}, "
            "those of the data that the model was built for."
        )
