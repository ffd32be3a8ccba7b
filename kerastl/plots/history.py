"""The course of training, over all phases."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from kerastl.plots.style import GREY, HELD_OUT, TRAINING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_history(*phases: keras.callbacks.History, ax: "Sequence[Axes] | None" = None) -> "Sequence[Axes]":
    """Loss and accuracy of one or more phases on one axis of epochs, with a line where a new phase begins.

    How to read it: the dashed line is what the model reaches on the images it learns from, the full line on images it
    does not learn from. A gap that grows between them is overfitting. The ring is the epoch with the lowest validation
    loss.

    Args:
        *phases: `keras.callbacks.History` objects, in the order of training.
        ax: a pair of axes, for accuracy and for loss; a new figure by default.

    Returns:
        The pair of Matplotlib axes.

    Raises:
        ValueError: no phase, one without epochs, or phases that were measured with different figures.

    Example:
        >>> accuracy, loss = plot_history(phase1)
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    if not phases or not all(getattr(phase, "history", None) for phase in phases):
        raise ValueError("Expected one or more histories with at least one epoch, as `train_head` returns them.")
    _check_join(phases)
    if ax is None:
        _, ax = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    losses = [value for phase in phases for value in phase.history.get("val_loss", [])]
    best = int(np.argmin(losses)) if losses else None
    ends = np.cumsum([0] + [len(phase.history["loss"]) for phase in phases])
    for axes, metric in zip(ax, ("accuracy", "loss"), strict=True):
        for name, label, colour, dash in (
            (metric, "training", TRAINING, "--"),
            (f"val_{metric}", "validation", HELD_OUT, "-"),
        ):
            values = [value for phase in phases for value in phase.history.get(name, [])]
            if not values:
                continue
            axes.plot(range(1, len(values) + 1), values, dash, color=colour, label=label, linewidth=2)
            if label == "validation":
                axes.plot(
                    best + 1,
                    values[best],
                    "o",
                    color=colour,
                    markersize=9,
                    fillstyle="none",
                    markeredgewidth=2,
                    label=f"lowest validation loss: epoch {best + 1}",
                )
        for end in ends[1:-1]:
            axes.axvline(end + 0.5, color=GREY, linewidth=1)
        for number, (start, phase) in enumerate(zip(ends, phases, strict=False), start=1):
            axes.annotate(
                _title(number, phase),
                (start + 0.5, 1),
                xycoords=("data", "axes fraction"),
                xytext=(2, 3),
                textcoords="offset points",
                fontsize="small",
                color=GREY,
            )
        axes.set(xlabel="epoch", ylabel=metric, xlim=(0.5, ends[-1] + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.legend(frameon=False, fontsize="small")
    return ax


def _title(number: int, phase) -> str:
    """The phase and the learning rate that it began with."""
    rates = phase.history.get("learning_rate")
    return f"phase {number}" + (f"\nrate {rates[0]:.2g}" if rates else "")


def _check_join(phases) -> None:
    """Histories of different measures, or with gaps, would be drawn as if they were one."""
    names = [{name for name in phase.history if name != "learning_rate"} for phase in phases]
    for number, (own, phase) in enumerate(zip(names, phases, strict=True), start=1):
        if own != names[0] or "loss" not in own:
            raise ValueError(
                f"The histories do not join: phase 1 has {', '.join(sorted(names[0]))}, phase {number} has "
                f"{', '.join(sorted(own))}. Expected the same figures in each, among them 'loss'."
            )
        if len({len(phase.history[name]) for name in own}) != 1:
            raise ValueError(
                f"The figures of phase {number} do not cover the same epochs. Expected one value an epoch."
            )
