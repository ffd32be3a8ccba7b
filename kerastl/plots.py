"""Every picture. Functions draw on the axes given or on a new figure, return what they drew on, and never show.

Colours are those of Okabe & Ito (2008), which colour-blind eyes tell apart, on a light and on a dark background; lines
differ in their dashes, too.
"""

from collections.abc import Sequence

import numpy as np

BLUE, ORANGE, RED, GREY = "#0072B2", "#E69F00", "#D55E00", "#888888"


def plot_history(*phases, ax=None):
    """Loss and accuracy of one or more phases on one axis of epochs, with a line where a new phase begins.

    How to read it: the dashed line is what the model reaches on the images it learns from, the full line on images it
    does not learn from. A gap that grows between them is overfitting.

    Args:
        *phases: `keras.callbacks.History` objects, in the order of training.
        ax: a pair of axes, for accuracy and for loss; a new figure by default.

    Returns:
        The pair of Matplotlib axes.

    Raises:
        ValueError: no phase, or one without epochs.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    if not phases or not all(getattr(phase, "history", None) for phase in phases):
        raise ValueError("Expected one or more histories with at least one epoch, as `train_head` returns them.")
    if ax is None:
        _, ax = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    ends = np.cumsum([len(phase.history["loss"]) for phase in phases])
    for axes, metric in zip(ax, ("accuracy", "loss"), strict=True):
        for name, label, colour, dash in (
            (metric, "training", ORANGE, "--"),
            (f"val_{metric}", "validation", BLUE, "-"),
        ):
            values = [value for phase in phases for value in phase.history.get(name, [])]
            if values:
                axes.plot(range(1, len(values) + 1), values, dash, color=colour, label=label, linewidth=2)
        for number, end in enumerate(ends[:-1], start=2):
            axes.axvline(end + 0.5, color=GREY, linewidth=1)
            axes.annotate(
                f" phase {number}",
                (end + 0.5, 1),
                xycoords=("data", "axes fraction"),
                va="bottom",
                fontsize="small",
                color=GREY,
            )
        axes.set(xlabel="epoch", ylabel=metric)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.legend(frameon=False)
    return ax


def plot_images(dataset, class_names: Sequence[str], *, evaluation=None, count: int = 15):
    """Pictures from a dataset, spread over the whole of it, each with its class.

    With `evaluation` (from `evaluate` on the same dataset) the title tells what the model said: the class and its
    probability; where it is wrong, the true class stands behind "not".

    Returns:
        The Matplotlib figure.

    Raises:
        ValueError: the dataset gives its images in another order than at the evaluation (it is shuffled).
    """
    import matplotlib.pyplot as plt

    pairs = [(image, int(label)) for images, labels in dataset for image, label in zip(images, labels, strict=True)]
    if not pairs or (evaluation is not None and len(evaluation.labels) != len(pairs)):
        counted = "" if evaluation is None else f" The evaluation has {len(evaluation.labels)}."
        raise ValueError(f"The dataset has {len(pairs)} images.{counted} Expected the dataset that was evaluated.")
    chosen = np.unique(np.linspace(0, len(pairs) - 1, count).round().astype(int))
    columns = min(5, len(chosen))
    rows = -(-len(chosen) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(1.9 * columns, 2.15 * rows), layout="constrained", squeeze=False
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, number in zip(grid.flat, chosen, strict=False):
        image, label = pairs[number]
        axes.imshow(np.asarray(image).astype(np.uint8))
        title, wrong = class_names[label], False
        if evaluation is not None:
            if evaluation.labels[number] != label:
                raise ValueError(
                    "The dataset gives its images in another order than when it was evaluated. Expected one "
                    "that is not shuffled, as `data.test`."
                )
            said = evaluation.predictions[number]
            wrong = said != label
            title = f"{class_names[said]} {evaluation.probabilities[number, said]:.2f}"
            title = f"{title}\nnot {class_names[label]}" if wrong else f"\n{title}"
        axes.set_title(title, fontsize=9, **({"color": RED} if wrong else {}))
    return figure


def plot_confusion(evaluation, class_names: Sequence[str], *, ax=None):
    """The confusion matrix: rows are the true classes, columns what the model said.

    How to read it: a number off the diagonal counts images of the row's class that were taken for the column's class.

    Returns:
        The Matplotlib axes.
    """
    import matplotlib.pyplot as plt

    counts = evaluation.confusion
    if ax is None:
        side = 2.2 + 0.55 * len(class_names)
        _, ax = plt.subplots(figsize=(side, side * 0.9), layout="constrained")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            ax.text(
                column, row, count, ha="center", va="center", color="white" if shares[row, column] > 0.5 else "black"
            )
    ticks = range(len(class_names))
    ax.set_xticks(ticks, class_names, rotation=45, ha="right")
    ax.set_yticks(ticks, class_names)
    ax.set(xlabel="predicted", ylabel="true", title=f"accuracy {evaluation.accuracy:.3f}")
    return ax
