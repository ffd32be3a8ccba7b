"""What a model gets right, by class and by how sure it was."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerastl.evaluation import Evaluation, check_names, wilson
from kerastl.plots.style import GREY, HELD_OUT, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_confusion(evaluation: Evaluation, class_names: Sequence[str], *, ax: "Axes | None" = None) -> "Axes":
    """The confusion matrix: rows are the true classes, columns what the model said.

    How to read it: a number off the diagonal counts images of the row's class that were taken for the column's class;
    below it stands its share of the row.

    Args:
        evaluation: from `evaluate`.
        class_names: in the order of the model's outputs.
        ax: Matplotlib axes; a new figure by default.

    Returns:
        The Matplotlib axes.

    Raises:
        ValueError: another number of class names than of classes.

    Example:
        >>> axes = plot_confusion(result, flowers.class_names)
    """
    import matplotlib.pyplot as plt

    check_names(evaluation, class_names)
    counts = evaluation.confusion
    many = len(class_names) > 20  # then only the shades and the names are readable
    if ax is None:
        side = 2.2 + (9 if many else 0.62 * len(class_names))
        _, ax = plt.subplots(figsize=(side, side * 0.9), layout="constrained")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Purples", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count and not many:
            text = f"{count:,}\n{shares[row, column]:.0%}"
            colour = "white" if shares[row, column] > 0.5 else "black"
            ax.text(column, row, text, ha="center", va="center", color=colour, fontsize="small")
    ticks, style = range(len(class_names)), words(*class_names)
    ax.set_xticks(ticks, class_names, rotation=45, ha="right", rotation_mode="anchor", **style)
    ax.set_yticks(ticks, class_names, **style)
    low, high = evaluation.interval
    ax.tick_params(labelsize=min(10, 190 / len(class_names)) if many else "medium")
    ax.set(xlabel="predicted", ylabel="true")
    ax.set_title(f"accuracy {evaluation.accuracy:.3f} ({low:.3f} to {high:.3f})", fontsize="medium")
    return ax


def plot_calibration(evaluation: Evaluation, *, ax: "Axes | None" = None) -> "Axes":
    """How often the model is right, beside how sure it says that it is.

    How to read it: on the dashed line, of the images with a probability of 0.8 four fifths are right. Points below it:
    the model is too sure. The larger the point, the more images; the bar is its 95 % interval.

    Args:
        evaluation: from `evaluate`.
        ax: Matplotlib axes; a new figure by default.

    Returns:
        The Matplotlib axes.

    Example:
        >>> axes = plot_calibration(result)
    """
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=(4, 3.8), layout="constrained")
    ax.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1)
    for row in evaluation.confidences:
        if row.images:
            low, high = wilson(row.accuracy, row.images)
            ax.plot([row.probability] * 2, [low, high], color=HELD_OUT, linewidth=1)
            ax.scatter(row.probability, row.accuracy, 12 + 200 * row.images / len(evaluation.labels), color=HELD_OUT)
    ax.set(xlabel="probability that the model gave", ylabel="share that was right", xlim=(0, 1.02), ylim=(0, 1.02))
    ax.set_title(f"calibration error {evaluation.calibration_error:.3f}", fontsize="medium")
    return ax
