"""What is found of bases that are compared: accuracy with its interval beside cost, as rows and as a table."""

import math
from typing import NamedTuple

import numpy as np

from kerastl.extras import import_extra

MUCH_FASTER = 0.8  # of the other's time: on a machine that does other things, too, times differ by less from run to run


class BaseScore(NamedTuple):
    """What one base is worth, and what it costs. Of one that could not be measured only the name and the reason."""

    name: str  # with the arguments that were given
    accuracies: np.ndarray = np.empty(0)  # (folds,): of logistic regression, on the images left out of its training
    parameters: int = 0  # of the base without its top
    milliseconds: float = math.nan  # that the frozen base takes for an image, in batches: the median
    seconds: float = math.nan  # for all of this: build or download, one pass, the folds
    error: str | None = None  # why it was not measured

    @property
    def accuracy(self) -> float:
        """Mean accuracy over the folds, 0 to 1; nan if it was not measured."""
        return float(self.accuracies.mean()) if len(self.accuracies) else math.nan

    @property
    def half_interval(self) -> float:
        """Half of the 95 % interval of the accuracy: see `half_interval_of_folds`."""
        return half_interval_of_folds(self.accuracies) if len(self.accuracies) else math.nan

    @property
    def megabytes(self) -> float:
        """What the weights take as 32-bit numbers."""
        return 4 * self.parameters / 1e6


class ComparedBases(NamedTuple):
    """What `compare_bases` found; printed, it is a table."""

    rows: list[BaseScore]  # the most accurate first, then those that could not be measured
    images: int  # of the training and validation parts together
    image_size: tuple[int, int]  # height and width in pixels, the same for all bases
    weights: str  # of the bases whose name tells no others: "imagenet", "garden", "random", or the name of a file

    @property
    def measured(self) -> list[BaseScore]:
        """The rows that have an accuracy."""
        return [row for row in self.rows if row.error is None]

    def behind(self, row: BaseScore) -> tuple[float, float]:
        """How much less accurate a base is than the first, on the same folds, and half of the 95 % interval of that."""
        gaps = self.rows[0].accuracies - row.accuracies
        return float(gaps.mean()), half_interval_of_folds(gaps)

    @property
    def as_good(self) -> list[BaseScore]:
        """The first, and those that these images do not show to be worse: the interval of the difference holds 0."""
        return [row for row in self.measured if np.subtract(*self.behind(row)) <= 0]

    def is_random(self, row: BaseScore) -> bool:
        """Whether a base has random weights, which say nothing about what it is worth with others."""
        return ", weights=None" in row.name or (self.weights == "random" and ", weights=" not in row.name)

    def __str__(self) -> str:
        width = max(4, *(len(row.name) for row in self.rows))
        behind = "behind the first" if len(self.measured) > 1 else ""
        lines = [f"{'base':{width}}  accuracy        {behind}  parameters      MB  ms/image  seconds"]
        for row in self.rows:
            if row.error is not None:
                lines.append(f"{row.name:{width}}  not measured: {row.error.partition('. ')[0]}")
                continue
            gap, half = self.behind(row)
            lines.append(
                f"{row.name:{width}}  {row.accuracy:.3f} ± {row.half_interval:.3f}   "
                f"{'' if row is self.rows[0] else f'{gap:.3f} ± {half:.3f}':{len(behind)}}{row.parameters:>12,}"
                f"{row.megabytes:8.1f}{row.milliseconds:10.2f}{row.seconds:9.1f}"
            )
        if self.measured:
            height, width = self.image_size
            lines.append(
                f"\nLogistic regression on the features of the frozen base, {len(self.rows[0].accuracies)} folds of "
                f"{self.images:,} images\nof {height}×{width} pixels, without the test part. ± is half of the 95 % "
                "interval."
            )
            lines += self._about_weights()
        alike = [row for row in self.as_good if not self.is_random(row)]
        if len(alike) > 1:
            lines.append(f"Not shown to be worse than {alike[0].name}: {'; '.join(row.name for row in alike[1:])}.")
            fastest = min(alike, key=lambda row: row.milliseconds)
            if fastest.milliseconds < MUCH_FASTER * alike[0].milliseconds:
                lines.append(f"The fastest of these is {fastest.name}.")
        return "\n".join(lines)

    def _about_weights(self) -> list[str]:
        own = [", weights=" in row.name for row in self.rows]
        lines = [] if all(own) else [f"weights: {self.weights}{', where a base names no others' * any(own)}"]
        if any(map(self.is_random, self.rows)):
            lines.append("Random weights say nothing about a trained base.")
        return lines


def half_interval_of_folds(values: np.ndarray) -> float:
    """Half of the 95 % interval of a mean over the folds of a cross-validation.

    The folds share most of what they were trained on, so the usual interval of a mean is too narrow, and no unbiased
    one exists (Bengio & Grandvalet 2004). Nadeau & Bengio (2003), "Inference for the generalization error", section 4,
    widen it by the number of test images over that of training images. It was made for random splits; for folds it is
    an approximation. It says how much other images of this kind might change the mean, not what fine-tuning will give.
    """
    t = import_extra("scipy.stats", "analysis").t

    count = len(values)
    return float(t.ppf(0.975, count - 1) * values.std(ddof=1) * math.sqrt(1 / count + 1 / (count - 1)))
