"""The loss beside a growing learning rate."""

from typing import TYPE_CHECKING

import numpy as np

from kerastl.plots.style import GREY, TRAINING
from kerastl.rates import LearningRates

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_learning_rates(found: LearningRates, *, ax: "Axes | None" = None) -> "Axes":
    """The loss of each step of `find_learning_rate` beside the rate of that step.

    How to read it: at the left the rate is too low and the loss stays; where it falls, the rate is good; where it
    rises, the rate is too high. Dots are single batches, the dashed line is their running mean, the upright line is the
    suggested rate.

    Args:
        found: from `find_learning_rate`.
        ax: Matplotlib axes; a new figure by default.

    Returns:
        The Matplotlib axes.

    Example:
        >>> axes = plot_learning_rates(find_learning_rate(model, flowers, verbose=0))
    """
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
    smooth = found.smooth
    ax.plot(found.rates, found.losses, ".", color=TRAINING, alpha=0.5, markersize=4, label="one batch")
    ax.plot(found.rates, smooth, "--", color=TRAINING, linewidth=2, label="running mean")
    title = "no rate can be suggested"
    if np.isfinite(found.suggested):
        title = f"suggested: {found.suggested:.1g}"
        ax.axvline(found.suggested, color=GREY, linewidth=1)
    ax.set(xscale="log", xlabel="learning rate", ylabel="loss on training data")
    ax.set_ylim(0, 1.6 * np.nanmax(smooth[: max(len(smooth) // 2, 1)]))  # what explodes goes out at the top
    ax.set_title(title, fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="lower left")
    return ax
