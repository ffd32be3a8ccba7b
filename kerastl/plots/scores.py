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


def plot_calibration(
    *evaluations: Evaluation, titles: Sequence[str] = ("before", "after"), ax: "Axes | None" = None
) -> "Axes":
    """How often the model is right, beside how sure it says that it is.

    How to read it: on the dashed line, of the images with a probability of 0.8 four fifths are right. Points below it:
    the model is too sure; above it: not sure enough. The larger the point, the more images; the bar is its 95 %
    interval.

    Args:
        *evaluations: from `evaluate`: one, or two to be compared, as before and after `fit_temperature`; of two, the
            points of the first are hollow.
        titles: what to call each of two.
        ax: Matplotlib axes; a new figure by default.

    Returns:
        The Matplotlib axes.

    Raises:
        ValueError: not one or two evaluations, or another number of titles than two.

    Example:
        >>> axes = plot_calibration(result)
    """
    import matplotlib.pyplot as plt

    if len(evaluations) not in (1, 2) or len(titles) != 2:
        raise ValueError(
            f"Received {len(evaluations)} evaluations and {len(titles)} titles. Expected one or two evaluations, and "
            "two titles for two."
        )
    if ax is None:
        _, ax = plt.subplots(figsize=(4, 3.8), layout="constrained")
    ax.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1)
    for evaluation, title in zip(evaluations, titles, strict=False):
        hollow = evaluation is not evaluations[-1]
        rows = [row for row in evaluation.confidences if row.images]
        said, right = ([getattr(row, name) for row in rows] for name in ("probability", "accuracy"))
        intervals = np.transpose([wilson(row.accuracy, row.images) for row in rows])
        ax.vlines(said, *intervals, color=HELD_OUT, linewidth=1, linestyle=":" if hollow else "-", zorder=1)
        ax.scatter(
            said,
            right,
            [12 + 200 * row.images / len(evaluation.labels) for row in rows],
            facecolor=ax.get_facecolor() if hollow else HELD_OUT,
            edgecolor=HELD_OUT,
            zorder=2,
            label=f"{title}: calibration error {evaluation.calibration_error:.3f}",
        )
    ax.set(xlabel="probability that the model gave", ylabel="share that was right", xlim=(0, 1.02), ylim=(0, 1.02))
    if len(evaluations) == 1:
        ax.set_title(f"calibration error {evaluation.calibration_error:.3f}", fontsize="medium")
    else:
        legend = ax.legend(fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            handle.set_sizes([40])
            text.set(**words(text.get_text()))
    return ax
