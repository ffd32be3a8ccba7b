"""Examine a work: all checks in their order, and what each of them says."""

import textwrap
from collections.abc import Callable, Iterable
from typing import NamedTuple

from kerastl.exam import of_pictures, of_test, of_training
from kerastl.exam.missing import MissingError, in_short
from kerastl.exam.work import Work

WIDTH = 110


class Finding(NamedTuple):
    """What one check says."""

    check: str  # its name
    passed: bool | None  # None: it waits for another check
    said: str  # what is missing and what to do, in one sentence; of a check that passed, what was found


class _Check(NamedTuple):
    look: Callable[[Work], str]  # returns what it found, or raises MissingError
    waits_for: tuple[str, ...] = ()  # checks without which this one could not tell anything


_CHECKS = {
    "three parts": _Check(of_pictures.check_parts),
    "class names": _Check(of_pictures.check_classes, ("three parts",)),
    "no leak": _Check(of_pictures.check_leaks, ("three parts",)),
    "three models": _Check(of_training.check_models, ("three parts",)),
    "pixels": _Check(of_pictures.check_pixels, ("three models",)),
    "phase 1": _Check(of_training.check_phase_1, ("three models",)),
    "phase 2": _Check(of_training.check_phase_2, ("three models",)),
    "low rate": _Check(of_training.check_rate, ("phase 2",)),
    "BatchNorm": _Check(of_training.check_batch_norm, ("three models",)),
    "test once": _Check(of_test.check_seal, ("three models",)),
    "validation": _Check(of_training.check_validation, ("no leak", "pixels", "phase 1", "phase 2", "test once")),
    "one file": _Check(of_test.check_result, ("no leak", "pixels", "phase 2", "test once")),
}
# An accuracy counts only where everything else is right.
_CHECKS["accuracy"] = _Check(of_test.check_accuracy, tuple(_CHECKS))


def examine(folder, parts, *, class_names, models, histories, test_result, bar) -> list[Finding]:
    """Examine a project in plain Keras by its effects, and print a table: what passed, what is missing, what waits.

    A check waits when another has to be right before it could tell anything. Whatever is handed over, no error comes
    out of it: it becomes a sentence in the table. What it cannot see is a student who hides something: pictures that
    were read past the seal, a base that had learned them before, or other pictures in as many batches as the training
    part has.

    Args:
        folder: of the task, with one folder of pictures for each class.
        parts: (train, validation, test), the datasets that Keras was given. The test part is sealed, `seal(test)`.
        class_names: the names of the classes in the order of the labels.
        models: the names of three files that `model.save` wrote: before phase 1, after it, after phase 2.
        histories: what `fit` returned in phase 1 and in phase 2.
        test_result: what `model.evaluate(test)` returned, a list or a dictionary.
        bar: the least test accuracy that passes, from 0 to 1.

    Returns:
        A list of `Finding(check, passed, said)`, one for each check.

    Example:
        >>> findings = examine(
        ...     task.folder,
        ...     parts=(train, validation, test),
        ...     class_names=class_names,
        ...     models=("start.keras", "phase1.keras", "final.keras"),
        ...     histories=(history1, history2),
        ...     test_result=test_result,
        ...     bar=task.bar,
        ... )
        passed   three parts   ...
    """
    work = Work(folder, parts, class_names, models, histories, test_result, bar)
    findings: dict[str, Finding] = {}
    for name, check in _CHECKS.items():
        open_ones = [other for other in check.waits_for if not findings[other].passed]
        findings[name] = Finding(name, None, _waiting(open_ones)) if open_ones else _look(name, check, work)
    print(_as_table(findings.values()))
    return list(findings.values())


def _look(name: str, check: _Check, work: Work) -> Finding:
    try:
        return Finding(name, True, check.look(work))
    except MissingError as missing:
        return Finding(name, False, str(missing))
    except Exception as error:  # a student gets a sentence, whatever was handed over
        said = f"This could not be looked at, so compare what you hand over with the example ({in_short(error)})."
        return Finding(name, False, said)


def _waiting(names: list[str]) -> str:
    if len(names) > 5:
        return "It is looked at when the rest is right."
    *first, last = map(repr, names)
    return (
        f"It is looked at when {', '.join(first)} and {last} are right."
        if first
        else f"It is looked at when {last} is right."
    )


def _as_table(findings: Iterable[Finding]) -> str:
    words, lines = {True: "passed", False: "missing", None: "waits"}, []
    for finding in findings:
        head = f"{words[finding.passed]:8} {finding.check:13} "
        lines += textwrap.wrap(head + finding.said, WIDTH, subsequent_indent=" " * len(head))
    passed = sum(finding.passed is True for finding in findings)
    return "\n".join([*lines, f"{passed} of {len(findings)} checks passed."])
