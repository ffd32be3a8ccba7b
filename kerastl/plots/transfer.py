"""Does the pre-trained start help? Repeated runs of two or more strategies, compared."""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from kerastl.extras import import_extra
from kerastl.plots.style import OTHERS, STRATEGIES, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DONE = 0.9  # of the way from start to asymptote: until here the slope is measured
LAST = 0.2  # share of the epochs, at the end, whose mean is the asymptote


class Strategy(NamedTuple):
    """How one strategy learned; arrays with one value for each run."""

    name: str
    start: np.ndarray  # accuracy after the first epoch
    slope: np.ndarray  # accuracy gained for each epoch until nine tenths of the way to the asymptote were done
    asymptote: np.ndarray  # mean accuracy of the last fifth of the epochs


class Comparison(NamedTuple):
    """One strategy beside the first. The figures are differences of means, with half of their 95 % interval."""

    name: str
    start: tuple[float, float]
    asymptote: tuple[float, float]
    verdict: str  # "positive transfer", "negative transfer" or "no difference shown"


class Transfer(NamedTuple):
    """What `explain_transfer` found; printed, it is a sentence for each comparison."""

    strategies: list[Strategy]
    comparisons: list[Comparison]
    axes: "Axes"

    def __str__(self) -> str:
        first = self.strategies[0].name
        lines = []
        for row in self.comparisons:
            gain, half = row.asymptote
            head_start, head_half = row.start
            lines.append(
                f"{row.name} beside {first}: {row.verdict}. Final accuracy {gain:+.3f} ± {half:.3f}, after the first "
                f"epoch {head_start:+.3f} ± {head_half:.3f} ({len(self.strategies[0].start)} runs)."
            )
        return "\n".join(lines)


def explain_transfer(curves: Mapping[str, ArrayLike], *, ax: "Axes | None" = None) -> Transfer:
    """Compare learning curves of repeated runs: does the pre-trained start help, hurt, or make no difference?

    Transfer can show in three places: a higher start, a higher slope, a higher asymptote. The verdict is about the
    asymptote, what is reached at the end: positive or negative if zero lies outside the 95 % interval of the
    difference, else "no difference shown", which is not the same as none.

    How to read the picture: the line is the mean of the runs, the band reaches from the lowest to the highest run. The
    mark at the left is the start, the short line at the right the asymptote. "from scratch", "head only" and
    "fine-tuned" have the same colours in all pictures.

    Args:
        curves: {name of the strategy: accuracies (runs, epochs)}, such as `history.history["val_accuracy"]` of each
            run. The first is what the others are compared with, usually learning from scratch. Two runs or more, better
            five; as many epochs and runs in each. Runs with the same number belong together: the same seed, the same
            split.
        ax: Matplotlib axes; a new figure by default.

    Returns:
        `Transfer(strategies, comparisons, axes)`. `print` it.

    Raises:
        ImportError: SciPy is not installed.
        ValueError: fewer than two strategies or runs; runs or epochs that differ; values outside 0 to 1.

    Example:
        >>> scratch = [[0.30, 0.50, 0.60], [0.25, 0.55, 0.62], [0.35, 0.52, 0.58]]  # three runs of three epochs
        >>> tuned = [[0.80, 0.85, 0.86], [0.78, 0.86, 0.88], [0.81, 0.84, 0.87]]
        >>> print(explain_transfer({"from scratch": scratch, "fine-tuned": tuned}))
        fine-tuned beside from scratch: positive transfer. ...

    Source: start, slope and asymptote: Torrey & Shavlik (2009), "Transfer Learning", figure 2. Intervals: Student's t
        of the paired differences.
    """
    runs = _check(curves)
    strategies = [_measure(name, values) for name, values in runs.items()]
    first, others = strategies[0], strategies[1:]
    comparisons = []
    for other in others:
        start, asymptote = (_difference(one, two) for one, two in zip(other[1:4:2], first[1:4:2], strict=True))
        gain, half = asymptote
        verdict = "no difference shown" if abs(gain) <= half else f"{'positive' if gain > 0 else 'negative'} transfer"
        comparisons.append(Comparison(other.name, start, asymptote, verdict))
    return Transfer(strategies, comparisons, _draw(runs, strategies, ax))


def _check(curves) -> dict[str, np.ndarray]:
    if not isinstance(curves, Mapping) or len(curves) < 2:
        raise ValueError("Expected two strategies or more: {name: accuracies of shape (runs, epochs)}.")
    runs = {}
    for name, values in curves.items():
        try:
            runs[name] = np.asarray(values, float)
        except ValueError:
            raise ValueError(f"The runs of {name!r} differ in their epochs. Expected as many in each.") from None
    shape = next(iter(runs.values())).shape
    for name, values in runs.items():
        if values.ndim != 2 or values.shape != shape or min(values.shape) < 2:
            raise ValueError(
                f"The accuracies of {name!r} have shape {values.shape}, those of the first {shape}. Expected the same "
                "(runs, epochs) for all, two of each or more."
            )
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise ValueError(
                f"The accuracies of {name!r} run from {values.min():g} to {values.max():g}. Expected 0 to 1."
            )
    return runs


def _measure(name: str, values: np.ndarray) -> Strategy:
    epochs = values.shape[1]
    start = values[:, 0]
    asymptote = values[:, -max(round(LAST * epochs), 1) :].mean(axis=1)
    slope = []
    for curve, begin, end in zip(values, start, asymptote, strict=True):
        reached = curve >= begin + DONE * (end - begin) if end > begin else curve <= begin + DONE * (end - begin)
        epoch = max(int(np.argmax(reached)), 1)
        slope.append((curve[epoch] - begin) / epoch)
    return Strategy(name, start, np.array(slope), asymptote)


def _difference(one: np.ndarray, two: np.ndarray) -> tuple[float, float]:
    """Mean of the paired differences, and half of its 95 % interval."""
    t = import_extra("scipy.stats", "analysis").t

    gains = one - two
    return float(gains.mean()), float(t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains)))


def _draw(runs: dict, strategies: list[Strategy], ax):
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    if ax is None:
        _, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
    others = itertools.cycle(OTHERS)
    for strategy in strategies:
        values = runs[strategy.name]
        colour, dashes = STRATEGIES[strategy.name] if strategy.name in STRATEGIES else next(others)
        epochs = np.arange(1, values.shape[1] + 1)
        label = (
            f"{strategy.name}: start {strategy.start.mean():.2f}, slope {strategy.slope.mean():.3f} an epoch, "
            f"asymptote {strategy.asymptote.mean():.2f}"
        )
        ax.plot(epochs, values.mean(axis=0), linestyle=dashes, color=colour, linewidth=2, label=label)
        ax.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, linewidth=0)
        ax.plot(1, strategy.start.mean(), "o", color=colour)
        ax.hlines(strategy.asymptote.mean(), epochs[-1], epochs[-1] * 1.04, color=colour, linewidth=3)
    ax.set(xlabel="epoch", ylabel="accuracy")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend = ax.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.15))
    for text in legend.get_texts():
        text.set(**words(text.get_text()))
    return ax
