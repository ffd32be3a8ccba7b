"""Does a small pre-trained BERT help where few texts have labels?

    python benchmarks/strategies/text.py           # what is not measured yet; about an hour on one core
    python benchmarks/strategies/text.py --tables  # measure nothing

Of which package is a docstring (`package`), and is what it describes a class, a function or a method (`kind`)? With 10,
50 and 200 labelled texts a class: the two phases on the bundled BERT, the same network from scratch, and logistic
regression on the words. Each way has as many tries: two rates (or strengths of the penalty), chosen on validation texts
with a seed that does not count. Test texts choose nothing; all texts of one file are in one part. Needs KerasHub
(`pip install kerastl[text]`). Every run is kept in data/strategies.json; at the end the tables in docs/text.md are
written.
"""

# ruff: noqa: E402 (the tables' helpers lie in data/make, which has to be on the path first)

import argparse
import os
import re
import sys
from functools import cache, partial
from itertools import product
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "data" / "make"))

import keras
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import kerastl as tl
from kerastl.data import as_arrays, few_of_each, make_dataset
from kerastl.docstrings import read_task
from results import mean_and_interval, replace_between
from runs import SEEDS, TRY, collect, once, paired_tests, read_runs

EPOCHS = {10: 20, 50: 10, 200: 5}  # labelled texts a class: epochs, of every way of the network
BATCH = 16
TASKS = ("package", "kind")
KINDS = ("class", "function", "method")
WORDS = "bag of words"
WAYS = {  # the two values that are tried: learning rates, or the inverse strength of the penalty
    WORDS: (10, 100),
    "from scratch": (1e-3, 3e-3),
    "head only": (3e-3, 1e-2),
    "top block": (1e-3, 3e-3),
    "all": (3e-4, 1e-3),
}


@cache
def texts(task: str) -> tuple:
    """(texts, labels, {part: rows}, class names) of a task."""
    data = tl.load_texts("docstrings")
    held = data.train.rows
    rows = {part: getattr(data, part).rows.numbers for part in ("train", "validation", "test")}
    if task == "package":
        return held.images, held.labels, rows, data.class_names
    kinds = np.array([docstring.kind for docstring in read_task()[0]])
    rows = {part: numbers[np.isin(kinds[numbers], KINDS)] for part, numbers in rows.items()}
    named = re.compile(r"\b(?:class|function|method|module)(?:e?s)?\b", re.IGNORECASE)  # the answer itself
    said = np.array([" ".join(named.sub("", text).split()) for text in held.images], object)
    return said, np.array([KINDS.index(kind) if kind in KINDS else -1 for kind in kinds]), rows, list(KINDS)


def few_texts(task: str, per_class: int, seed: int) -> tl.TextData:
    """A task with `per_class` labelled texts of each class to train with, drawn by the seed."""
    said, labels, rows, class_names = texts(task)
    few = rows["train"][few_of_each(labels[rows["train"]], per_class, seed)]
    held_out = (make_dataset(said, labels, rows=rows[part]) for part in ("validation", "test"))
    return tl.TextData(make_dataset(said, labels, BATCH, shuffle=True, rows=few), *held_out, class_names)


def learn(task: str, per_class: int, way: str, value: float, seed: int, part: str) -> dict:
    """Train in one way; the accuracy on one part of the texts."""
    keras.utils.set_random_seed(seed)
    data = few_texts(task, per_class, seed)
    if way == WORDS:
        model = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=value, max_iter=2000))
        model.fit(*as_strings(data.train))
        return {part: model.score(*as_strings(getattr(data, part)))}
    few, epochs, how = data._replace(validation=data.validation.take(1)), EPOCHS[per_class], {"verbose": 0}
    model = tl.build_model("small_bert", data, **({"weights": None} if way == "from scratch" else {}))
    if way == "from scratch":
        tl.train_from_scratch(model, few, epochs=epochs, learning_rate=value, **how)
    elif way == "head only":
        tl.train_head(model, few, epochs=epochs, learning_rate=value, **how)
    else:
        tl.train_head(model, few, epochs=epochs // 2, learning_rate=3e-3, **how)
        tl.unfreeze_top(model, 1 if way == "top block" else "all")
        tl.fine_tune(model, few, epochs=epochs - epochs // 2, learning_rate=value, **how)
    return {part: tl.evaluate(model, getattr(data, part)).accuracy}


def as_strings(dataset) -> tuple[list[str], np.ndarray]:
    said, labels = as_arrays(dataset)
    return [text.decode() for text in said], labels


def measure(runs: dict, tasks, ways) -> None:
    for task, per_class, way in product(tasks, EPOCHS, ways):
        name, tried = f"text, {task}, {per_class}, {way}", {}
        for value in WAYS[way]:
            attempt = partial(learn, task, per_class, way, value, TRY, "validation")
            tried[value] = once(runs, f"{name} at {value:g}", TRY, attempt)["validation"]
        best = max(tried, key=tried.get)
        for seed in SEEDS:
            once(runs, name, seed, partial(learn, task, per_class, way, best, seed, "test"))


def table(runs: dict) -> list[str]:
    """The lines of the table: test accuracy. A row is written when all its seeds are there."""
    lines = [f"| task | labelled texts a class | {' | '.join(WAYS)} |", "|---|---|" + "---|" * len(WAYS)]
    for task, per_class in product(TASKS, EPOCHS):
        names = [f"text, {task}, {per_class}, {way}" for way in WAYS]
        if all(len(runs.get(name, {})) == len(SEEDS) for name in names):
            cells = [mean_and_interval(dict(enumerate(collect(runs, name)["test"]))) for name in names]
            lines.append(f"| {task} | {per_class} | {' | '.join(cells)} |")
    return lines


def comparisons(runs: dict) -> list[str]:
    """The lines of a second table: each way beside logistic regression on the words, with tests over the seeds."""
    others = [way for way in WAYS if way != WORDS]
    lines = [f"| task | labelled texts a class | {' | '.join(others)} |", "|---|---|" + "---|" * len(others)]
    for task, per_class in product(TASKS, EPOCHS):
        names = {way: f"text, {task}, {per_class}, {way}" for way in WAYS}
        if all(len(runs.get(name, {})) == len(SEEDS) for name in names.values()):
            tests = paired_tests(runs, names[WORDS], [names[way] for way in others], "test")
            cells = [f"{difference:+.3f} (p = {p:.3f})" for _, difference, p in tests]
            lines.append(f"| {task} | {per_class} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="all by default")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="all by default")
    parser.add_argument("--tables", action="store_true", help="measure nothing")
    args = parser.parse_args()
    runs = read_runs()
    if not args.tables:
        measure(runs, args.tasks, args.ways)
    lines = [*table(runs), "", *comparisons(runs)]
    replace_between("<!-- text: written by benchmarks/strategies/text.py -->", ROOT / "docs" / "text.md", lines)


if __name__ == "__main__":
    main()
