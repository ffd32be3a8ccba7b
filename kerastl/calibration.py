"""Make a model say 0.8 where it is right in four of five cases: one number, learned on the validation images."""

import numpy as np

from kerastl.evaluation import Evaluation
from kerastl.extras import import_extra

_RANGE = (1e-3, 1e3)  # of temperatures


def fit_temperature(evaluation: Evaluation) -> float:
    """The temperature that makes the probabilities of a model fit best: above 1 it was too sure, below 1 not enough.

    It is found on the validation images. Then `result.at_temperature(temperature)` tells what the same model would say
    on the test images. A temperature changes how sure the model is, never which class comes first.

    Args:
        evaluation: from `evaluate(model, data.validation)`.

    Returns:
        The temperature, above 0, at which the loss is lowest.

    Raises:
        ImportError: SciPy is not installed.
        TypeError: no `Evaluation`.
        ValueError: no temperature is the best: every image is right (the lower, the better), or the probabilities are
            no better than equal ones (the higher, the better).

    Example:
        >>> temperature = fit_temperature(evaluate(model, flowers.validation))
        >>> temperature > 0
        True
        >>> before = evaluate(model, flowers.test)
        >>> after = before.at_temperature(temperature)
        >>> after.accuracy == before.accuracy
        True
        >>> axes = plot_calibration(before, after)

    Source: Guo et al. (2017), "On Calibration of Modern Neural Networks", section 4.2, arXiv 1706.04599.
    """
    minimize_scalar = import_extra("scipy.optimize", "analysis").minimize_scalar

    if not isinstance(evaluation, Evaluation):
        raise TypeError(
            f"Received {type(evaluation).__name__}. Expected an evaluation: `evaluate(model, data.validation)`."
        )
    if not len(evaluation.mistakes):
        raise ValueError(
            f"The model is right about all {len(evaluation.labels):,} images, so the lower the temperature, the better "
            "they fit. Expected images with some mistakes among them: take more validation images."
        )
    logs = evaluation.log_probabilities
    if logs[np.arange(len(logs)), evaluation.labels].mean() <= logs.mean():
        raise ValueError(
            "On these images the probabilities of the model are no better than equal ones, so the higher the "
            "temperature, the better they fit. Train the model first, or look whether the labels are right."
        )
    # In 1 / temperature the loss is convex, so there is one lowest place.
    found = minimize_scalar(
        lambda log: evaluation.at_temperature(np.exp(log)).loss, bounds=np.log(_RANGE), options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))
