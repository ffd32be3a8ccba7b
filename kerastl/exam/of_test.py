"""The checks of the end: one test after everything else, of the model that is handed over, and how good it is."""

from numbers import Real

import numpy as np

from kerastl.evaluation import both_classes, wilson
from kerastl.exam.missing import MissingError
from kerastl.exam.pictures import as_numbers
from kerastl.exam.seal import find_seal
from kerastl.exam.work import Work

CLOCK = 1.0  # seconds by which the clock of the files may be off
NEAR = {"rtol": 1e-3, "atol": 1e-5}  # two measurements of one model on the same pictures


def check_seal(work: Work) -> str:
    """The test part was sealed before the model was made, and read once, after the last one was saved."""
    seal = find_seal(work.parts[2])
    if seal is None:
        raise MissingError(
            "Nobody can tell how often the test part was used: write `test = seal(test)` right after the split, and "
            "use this."
        )
    start, final = (work.files[stage] for stage in ("start", "final"))
    if seal.sealed_at > start.stat().st_mtime + CLOCK:
        raise MissingError(
            f"The test part was sealed after {start.name!r} was saved: run the notebook again, and seal it right after "
            "the split."
        )
    times = [file.stat().st_mtime for file in work.files.values()]
    if times != sorted(times):
        names = ", ".join(file.name for file in work.files.values())
        raise MissingError(
            f"The models were not written in the order {names}: run the notebook again from its beginning, so that all "
            "are of one run."
        )
    if not seal.passes:
        raise MissingError("The test part was never read: at the end, once, call `model.evaluate(test)`.")
    if len(seal.passes) > 1:
        raise MissingError(
            f"The test part was read {len(seal.passes)} times: choose on the validation part, run the notebook again "
            "from the split on, and test once."
        )
    if seal.passes[0] < final.stat().st_mtime - CLOCK:
        raise MissingError(
            f"The test part was read before {final.name!r} was saved: save first, and test what is saved, once, at the "
            "end."
        )
    return "read once, after the last model was saved"


def check_result(work: Work) -> str:
    """What was measured at the end is what the file gives."""
    given, model, file = work.test_result, work.saved["final"], work.files["final"].name
    as_dict = isinstance(given, dict)
    values = list(given.values()) if as_dict else list(given) if isinstance(given, list | tuple) else []
    if len(values) < 2 or not all(isinstance(value, Real) for value in values):
        raise MissingError(
            "`test_result` is not what a test gives: hand over all that `model.evaluate(test)` returned, the loss and "
            "the accuracy."
        )
    if not model.compiled:
        raise MissingError(f"{file!r} holds a model that is not compiled: save it as it is after `fit`.")
    measured = model.evaluate(work.datasets["test"], verbose=0, return_dict=as_dict)
    same = len(measured) == len(values) and (not as_dict or measured.keys() == given.keys())
    if not same or not np.allclose(values, [measured[name] for name in given] if as_dict else measured, **NEAR):
        raise MissingError(
            f"`test_result` is {_said(given)}, and {file!r} gives something else on the test part: save the model that "
            "you test, and hand over what `evaluate` returned."
        )
    return f"the file gives {_said(measured)} again"


def check_accuracy(work: Work) -> str:
    """The share of test pictures that the saved model names rightly is at or above the bar."""
    if not isinstance(work.bar, Real) or not 0 <= work.bar <= 1:
        raise MissingError(f"`bar` is {work.bar!r}: hand over the bar of the task, a share from 0 to 1.")
    right = []
    for images, labels in work.datasets["test"].as_numpy_iterator():
        said = both_classes(work.saved["final"].predict_on_batch(images)).argmax(axis=1)
        right.append(said == as_numbers(labels, "test"))
    right = np.concatenate(right)
    accuracy, (low, high) = right.mean(), wilson(right.mean(), len(right))
    said = f"{accuracy:.3f} (95 % interval {low:.3f} to {high:.3f}), and the bar is {work.bar:.2f}"
    if accuracy < work.bar:
        raise MissingError(
            f"{said}: look at the mistakes on validation pictures, train longer, or unfreeze more layers."
        )
    return said


def _said(result: dict | list) -> str:
    named = result.items() if isinstance(result, dict) else zip([""] * len(result), result, strict=True)
    return ", ".join(f"{name} {value:.4f}".strip() for name, value in named)
