"""Three tasks, near, far and harmful to the bundled base, each learned in five ways: which way, for which task?

All ways get the same pictures, the same three augmented views of each picture beside it, and the same number of epochs;
half of them go to the head where more is trained later. Each way trains at the better of two rates, tried on the
validation pictures with a seed that is not among those that count. The test pictures choose nothing.
"""

from collections.abc import Sequence
from functools import cache, partial
from itertools import product
from typing import NamedTuple

import keras
import numpy as np

import kerastl as tl
from kerastl.data import few_of_each, make_dataset
from kerastl.folders import read_folder
from results import DATA, SEEDS, mean_and_interval, once

EPOCHS = {100: 20, 20: 50, 50: 30, 10: 65, 5: 80}  # training pictures a class, in the order of measuring: epochs
SIZES = tuple(EPOCHS)
RATES_OF = {50: 100, 10: 20, 5: 20}  # sizes of the curve, near task only: the size whose best rates they take
CURVE = ("from scratch", "head only", "top 100")  # the ways of the curve over sizes
CURVES = ("from scratch", "head only", "all")  # the ways whose learning curves are kept
TASKS = ("far", "near", "harmful")
TRY = 100  # the seed with which rates are tried
VIEWS = 3
RATES = {  # way: the two rates that are tried
    "from scratch": (3e-3, 1e-2),
    "head only": (1e-3, 3e-3),
    "top 30": (3e-4, 1e-3),
    "top 100": (3e-4, 1e-3),
    "all": (1e-3, 3e-3),  # the higher rate was the better one of the two ways above
}
WAYS = tuple(RATES)


@cache
def pictures(task: str) -> tuple:
    """(images, labels, {part: rows}, class names) of a task: "near", "far" or "harmful"."""
    if task == "harmful":
        return digits()
    return read_folder(DATA / {"near": "drawn_flowers", "far": "drawn_butterflies"}[task], (96, 96))[:4]


def digits() -> tuple:
    """scikit-learn's real handwritten 8×8 digits, blown up to 96×96: 120 to train, 20 to validate, the rest to test."""
    from PIL import Image
    from sklearn.datasets import load_digits

    small, labels = load_digits(return_X_y=True)
    grey = (small.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
    images = np.stack([np.asarray(Image.fromarray(one).resize((96, 96), 2).convert("RGB")) for one in grey])
    rows = {"train": few_of_each(labels, 120)}  # in the order of the file, in which a writer's digits are together
    rows["validation"] = np.setdiff1d(few_of_each(labels, 140), rows["train"])
    rows["test"] = np.setdiff1d(np.arange(len(labels)), few_of_each(labels, 140))
    return images, labels, rows, [str(digit) for digit in range(10)]


class Start(NamedTuple):
    """What all ways have in common for one seed."""

    data: tl.ImageData
    epochs: int
    seed: int
    heads: list  # the weight arrays of the head after phase 1, which three ways begin with: empty before the first
    phases: list  # the history of that phase 1: empty before it


def few_pictures(task: str, per_class: int, seed: int) -> tl.ImageData:
    """A task with `per_class` training pictures of each class, drawn by the seed."""
    images, labels, rows, class_names = pictures(task)
    chosen = rows["train"][few_of_each(labels[rows["train"]], per_class, seed)]
    train = make_dataset(images, labels, shuffle=True, rows=chosen)
    held_out = (make_dataset(images, labels, rows=rows[part]) for part in ("validation", "test"))
    return tl.ImageData(train, *held_out, class_names)


def begin(task: str, per_class: int, seed: int) -> Start:
    """What all ways begin with."""
    return Start(few_pictures(task, per_class, seed), EPOCHS[per_class], seed, [], [])


def learn(start: Start, way: str, rate: float, part: str) -> float:
    """Train in one way, and give the accuracy on one part at the end."""
    data = start.data
    few = data._replace(validation=data.validation.take(1))  # the curve that training draws is not needed here
    model, _ = train(start._replace(data=few), way, rate)
    return tl.evaluate(model, getattr(data, part)).accuracy


def curve(start: Start, way: str, rate: float) -> list[float]:
    """Train in one way, and give the validation accuracy after each epoch."""
    return train(start, way, rate)[1]


def train(start: Start, way: str, rate: float) -> tuple[keras.Model, list[float]]:
    """The model that one way gives, and its validation accuracy after each epoch."""
    data, epochs = start.data, start.epochs
    how = {"views": VIEWS, "verbose": 0}
    model = tl.build_model("MobileNetV2", data, weights=None if way == "from scratch" else "garden", alpha=0.35)
    if way == "from scratch":
        phases = [tl.train_from_scratch(model, data, epochs=epochs, learning_rate=rate, **how)]
    elif way == "head only":
        phases = [tl.train_head(model, data, epochs=epochs, learning_rate=rate, **how)]
    else:
        if not start.heads:
            start.phases.append(tl.train_head(model, data, epochs=epochs // 2, **how))
            start.heads.extend(model.layers[-1].get_weights())
        model.layers[-1].set_weights(start.heads)
        keras.utils.set_random_seed(start.seed)  # the same chance in phase 2, whoever trained the head
        tl.unfreeze_top(model, way if way == "all" else int(way.removeprefix("top ")))
        second = tl.fine_tune(model, data, epochs=epochs - epochs // 2, learning_rate=rate, **how)
        phases = [*start.phases, second]
    return model, [accuracy for phase in phases for accuracy in phase.history["val_accuracy"]]


def best_rates(runs: dict, task: str, per_class: int, ways: Sequence[str]) -> dict[str, float]:
    """The rate of each way's two that is better on the validation pictures."""
    start, best = begin(task, per_class, TRY), {}
    for way in ways:
        tried = {}
        for rate in RATES[way]:
            name = f"{task}, {per_class}, {way} at {rate:g}, validation"
            tried[rate] = once(runs, name, TRY, partial(learn, start, way, rate, "validation"))
        best[way] = max(tried, key=tried.get)
    return best


def measure_task(runs: dict, task: str, per_class: int, ways: Sequence[str], rates_of: int | None = None) -> None:
    """Test accuracy of each way, for each seed; with the rates that were best with `rates_of` pictures a class."""
    rates = best_rates(runs, task, rates_of or per_class, ways)
    for seed in SEEDS:
        start = begin(task, per_class, seed)
        for way in ways:
            once(runs, f"{task}, {per_class}, {way}", seed, partial(learn, start, way, rates[way], "test"))


def measure_tasks(runs: dict, tasks: Sequence[str], ways: Sequence[str], sizes: Sequence[int]) -> None:
    """The table of three tasks; and the curve over sizes: with how many pictures is from scratch as good?"""
    for task, per_class in product(tasks, sizes):
        if per_class not in RATES_OF:
            measure_task(runs, task, per_class, ways)
        elif task == "near":
            measure_task(runs, task, per_class, [way for way in ways if way in CURVE], RATES_OF[per_class])


def measure_curves(runs: dict, tasks: Sequence[str]) -> None:
    """Validation accuracy after each epoch of three ways, with 100 pictures a class, at the rates of the table."""
    for task in tasks:
        rates = best_rates(runs, task, 100, CURVES)
        for seed, way in product(SEEDS, CURVES):
            start = begin(task, 100, seed)
            once(runs, f"curve of {task}, 100, {way}", seed, partial(curve, start, way, rates[way]))


def task_table(runs: dict) -> list[str]:
    """The lines of the table. A row that has no run is left out; a cell of fewer seeds says so."""
    lines = [f"| task | pictures a class | {' | '.join(RATES)} |", "|---|---|" + "---|" * len(RATES)]
    for task in ("near", "far", "harmful"):
        for per_class in sorted(EPOCHS):
            results = [runs.get(f"{task}, {per_class}, {way}", {}) for way in RATES]
            if any(results):
                lines.append(f"| {task} | {per_class} | {' | '.join(map(cell, results))} |")
    return lines if len(lines) > 2 else []


def curve_table(runs: dict) -> list[str]:
    """The lines of the table of learning curves, beside from scratch. A task is written when it is complete."""
    lines = ["| task | way | start | slope | asymptote | beside from scratch |", "|---|---|---|---|---|---|"]
    for task in ("near", "far", "harmful"):
        found = [runs.get(f"curve of {task}, 100, {way}", {}) for way in CURVES]
        if all(len(results) == len(SEEDS) for results in found):
            curves = {way: [results[str(seed)] for seed in SEEDS] for way, results in zip(CURVES, found, strict=True)}
            compared = tl.explain_transfer(curves)
            verdicts = [
                "–",
                *(f"{row.verdict}, {row.asymptote[0]:+.3f} ± {row.asymptote[1]:.3f}" for row in compared.comparisons),
            ]
            for way, verdict in zip(compared.strategies, verdicts, strict=True):
                cells = [mean_and_interval(dict(enumerate(values))) for values in way[1:]]
                lines.append(f"| {task} | {way.name} | {' | '.join(cells)} | {verdict} |")
    return lines if len(lines) > 2 else []


def cell(results: dict) -> str:
    if not results:
        return ""
    if len(results) == len(SEEDS):
        return mean_and_interval(results)
    return f"{min(results.values()):.3f} to {max(results.values()):.3f} ({len(results)} of {len(SEEDS)} seeds)"
