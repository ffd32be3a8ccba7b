"""What each base is worth beside what it costs."""

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from kerastl.base_scores import ComparedBases
from kerastl.plots.style import FROZEN

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_comparison(compared: ComparedBases, *, ax: "Axes | None" = None) -> "Axes":
    """The accuracy of each base of `compare_bases` beside the time that it takes for an image.

    How to read it: up is better, left is faster. The upright lines are 95 % intervals, as far as they lie between 0 and
    1. A base for which another stands higher and further left has nothing for it here; where the lines of two overlap
    by much, take the faster one.

    Args:
        compared: from `compare_bases`. Bases that could not be measured are left out.
        ax: Matplotlib axes; a new figure by default.

    Returns:
        The Matplotlib axes.

    Raises:
        ValueError: no base was measured.

    Example:
        >>> pair = [("MobileNetV2", {"weights": "garden"}), ("MobileNet", {"alpha": 0.25, "weights": None})]
        >>> axes = plot_comparison(compare_bases(flowers, pair, verbose=0))
    """
    import matplotlib
    import matplotlib.pyplot as plt
    from matplotlib import ticker
    from matplotlib.lines import Line2D

    if not compared.measured:
        raise ValueError("No base was measured. Expected one at least: see `row.error` of each row in `rows`.")
    if ax is None:
        _, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
    names = []
    for number, row in enumerate(compared.measured, start=1):
        ends = [[min(row.half_interval, room)] for room in (row.accuracy, 1 - row.accuracy)]
        names.append(textwrap.fill(f"{number}  {row.name}, {row.megabytes:.1f} MB", 70, subsequent_indent="    "))
        ax.errorbar(
            row.milliseconds, row.accuracy, ends, fmt="o", markersize=13, color=FROZEN, capsize=3, clip_on=False
        )
        ax.annotate(f"{number}", (row.milliseconds, row.accuracy), color="white", ha="center", va="center_baseline")
    ax.set_xscale("log")
    ax.margins(x=0.3)
    ax.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(ticker.NullFormatter())
    ax.set_ylim(*np.clip(ax.get_ylim(), 0, 1))
    ax.set(xlabel="milliseconds for an image, frozen", ylabel="accuracy of logistic regression")
    nothing = [Line2D([], [], linestyle="none") for _ in names]
    with matplotlib.rc_context({"text.parse_math": False}):
        ax.legend(nothing, names, loc="upper left", bbox_to_anchor=(0, -0.16), frameon=False, handlelength=0)
    return ax
