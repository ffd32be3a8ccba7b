"""Which learning rate suits this model and these images? The learning-rate range test."""

import itertools
import math
from numbers import Real
from typing import NamedTuple

import keras
import numpy as np

from kerastl.checks import is_whole
from kerastl.data import ImageData
from kerastl.devices import scope_of
from kerastl.engine.arguments import check_data, check_trainable
from kerastl.engine.batches import make_batches
from kerastl.engine.compiling import loss_for
from kerastl.engine.frozen import Frozen
from kerastl.engine.split import split_model
from kerastl.graph import single
from kerastl.quiet import no_retracing_warnings

_KEEPS = 0.9  # how much of the smooth loss stays at each step
_EXPLODED = 4  # times the lowest smooth loss
_FELL = 0.8  # times the mean loss of the first quarter: what counts as lower, since batches differ by chance
_LEAST_STEPS = 20


class LearningRates(NamedTuple):
    """What `find_learning_rate` measured, step by step until the loss exploded. Arrays (steps,) float64."""

    rates: np.ndarray
    losses: np.ndarray  # cross-entropy of one batch each, before its step
    suggested: float  # where to begin, as `find_learning_rate` says; nan where the loss did not fall

    @property
    def smooth(self) -> np.ndarray:
        """The losses as a running mean in which the last ten count most, (steps,) float64."""
        return _smooth(self.losses)


@no_retracing_warnings()
def find_learning_rate(
    model: keras.Model,
    data: ImageData,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    verbose: int = 1,
) -> LearningRates:
    """Train for some steps while the learning rate grows from very low to far too high, and see where the loss falls.

    Before either phase. What is trainable now learns, one batch a step, with Adam; the frozen part runs once for each
    image, and phase 1 or 2 need not run it again. Afterwards all is as it was: every weight array, the optimizer, the
    loss. With too low a rate the loss stays, with a good one it falls, with too high a one it explodes; there the test
    ends.

    The suggestion is a tenth of the rate at which the running mean of the loss is lowest, or the rate at which it is
    half-way down, whichever is lower. It is a place to begin, not a proof: compare it with others on the validation
    images. There is none (nan) where the loss does not fall in so few steps, as from scratch.

    Args:
        model: as `build_model` returns it, or after `unfreeze_top`.
        data: `ImageData`; `train` is used, without augmentation.
        lowest, highest: the rates of the first and the last step; between them each is as many times the one before.
        steps: batches at most, 20 or more; the images may come several times.
        verbose: 0 for silence, 1 for a progress bar while the images are read.

    Returns:
        `LearningRates(rates, losses, suggested)`, for `plot_learning_rates`.

    Raises:
        ValueError: nothing is trainable; the classes or the size of `data` are not those of the model; rates or steps
            that cannot be meant.

    Example:
        >>> untrained = build_model("MobileNetV2", flowers, weights="garden")
        >>> found = find_learning_rate(untrained, flowers, verbose=0)
        >>> 1e-4 < found.suggested < 0.1
        True
        >>> axes = plot_learning_rates(found)

    Source: Smith (2017), "Cyclical Learning Rates for Training Neural Networks", section 3.3, arXiv 1506.01186. A tenth
        of the lowest place: the rule of fast.ai's `lr_find`.
    """
    _check(lowest, highest, steps)
    data = check_data(model, data)
    with scope_of(model):
        loss, split = loss_for(model), split_model(model)
        upper = split.upper  # it shares its layers with the model; only itself is compiled here
        check_trainable(model, split, lowest)
        frozen = Frozen(model, split)
        batches = make_batches(frozen, data.train, 0, True, verbose, f"training {frozen.noun}")
        before = [keras.ops.convert_to_numpy(variable) for variable in upper.variables]
        upper.compile(keras.optimizers.Adam(lowest), loss)
        rates = np.geomspace(lowest, highest, steps)
        try:
            losses = _try_rates(upper, batches, rates, math.log(len(data.class_names)))
        finally:
            for variable, value in zip(upper.variables, before, strict=True):
                variable.assign(value)
    return LearningRates(rates[: len(losses)], losses, _suggest(rates, losses))


def _try_rates(upper: keras.Model, batches, rates: np.ndarray, guessing: float) -> np.ndarray:
    """The loss of each step until it explodes: far above its lowest, and worse than that of guessing."""
    losses = []
    endless = itertools.chain.from_iterable(batches.epoch() for _ in itertools.count())
    for rate, (tensors, labels) in zip(rates, endless, strict=False):
        upper.optimizer.learning_rate = rate
        upper.reset_metrics()  # else Keras would give the mean of all steps
        losses.append(float(upper.train_on_batch(single(tensors), labels)))
        smooth = _smooth(np.array(losses))
        if not smooth[-1] <= max(_EXPLODED * smooth.min(), guessing):  # also where it is no number
            break
    return np.array(losses)


def _smooth(losses: np.ndarray) -> np.ndarray:
    total = weight = 0.0
    means = []
    for loss in losses:
        total, weight = _KEEPS * total + loss, _KEEPS * weight + 1
        means.append(total / weight)
    return np.array(means)


def _suggest(rates: np.ndarray, losses: np.ndarray) -> float:
    """A tenth of the rate of the lowest loss, and no more than where it is half-way down: few images are soon learned
    by heart, and then it goes on falling at rates that are too high."""
    smooth, start = _smooth(losses), losses[: max(len(losses) // 4, 1)].mean()
    sure = _LEAST_STEPS // 2  # the first means are of a few batches only
    if len(losses) <= sure or not np.nanmin(smooth[sure:]) < _FELL * start:
        return math.nan
    lowest = sure + int(np.nanargmin(smooth[sure:]))
    half = np.flatnonzero(smooth[: lowest + 1] >= (start + smooth[lowest]) / 2).max(initial=0)
    return float(min(rates[lowest] / 10, rates[half]))


def _check(lowest, highest, steps) -> None:
    for name, rate in (("lowest", lowest), ("highest", highest)):
        if isinstance(rate, bool) or not isinstance(rate, Real) or not 0 < rate < math.inf:
            raise ValueError(f"Received {name}={rate!r}. Expected a learning rate above 0, such as 1e-6.")
    if lowest >= highest:
        raise ValueError(
            f"Received lowest={lowest:g} and highest={highest:g}. Expected a lowest rate below the highest."
        )
    if not is_whole(steps, least=_LEAST_STEPS):
        raise ValueError(f"Received steps={steps!r}. Expected a whole number, {_LEAST_STEPS} or more.")
