"""Measure what the bundled base is worth, and write the tables of README.md and data/README.md.

    python data/make/measure.py                                      # some hours on two cores
    python data/make/measure.py --tasks far near harmful             # only the table of three tasks (tasks.py)
    python data/make/measure.py --photos flower_photos hymenoptera   # also a probe on folders of real photos
    python data/make/measure.py --curves far near harmful            # only the learning curves of three tasks
    python data/make/measure.py --tables                             # only write the tables again, from measured.json

Five seeds; with 20 training pictures a class each seed draws its own, with 100 there are no others. All strategies
get the same pictures, the same augmentation and the same number of epochs. Fine-tuning and the baseline from scratch
train at their own best rates, chosen on the validation pictures. The test pictures choose nothing. Every finished run
is kept in data/measured.json: stop the program and start it again at will.
"""

import argparse
import hashlib
import json
import os
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import keras
import numpy as np

import kerastl as tl
from kerastl.data import make_dataset
from kerastl.folders import read_folder
from results import DATA, FILE, SEEDS, mean_and_interval, once, read_runs, replace_between
from tasks import SIZES, TASKS, WAYS, curve_table, digits, few_pictures, measure_curves, measure_tasks, task_table

EPOCHS = {100: 30, 20: 100}  # training pictures a class: epochs
CURVES = 100  # training pictures a class of the runs whose learning curves are kept, for lesson 7
LAYERS = 100
RATES = {"from scratch": (3e-3, 1e-2, 3e-2), "fine-tuned": (3e-4, 1e-3)}


# Each strategy returns the trained model and its validation accuracy after each epoch.


def head_only(data, epochs: int):
    model = tl.build_model("MobileNetV2", data, weights="garden")
    phase1 = tl.train_head(model, data, epochs=epochs, views="fresh", verbose=0)
    return model, phase1.history["val_accuracy"]


def fine_tuned(data, epochs: int, rate: float):
    model = tl.build_model("MobileNetV2", data, weights="garden")
    phase1 = tl.train_head(model, data, epochs=epochs // 2, views="fresh", verbose=0)
    tl.unfreeze_top(model, LAYERS)
    phase2 = tl.fine_tune(model, data, epochs=epochs // 2, learning_rate=rate, views="fresh", verbose=0)
    return model, phase1.history["val_accuracy"] + phase2.history["val_accuracy"]


def from_scratch(data, epochs: int, rate: float):
    model = tl.build_model("MobileNetV2", data, weights=None, alpha=0.35)
    training = tl.train_from_scratch(model, data, epochs=epochs, learning_rate=rate, verbose=0)
    return model, training.history["val_accuracy"]


def accuracy(strategy, data, epochs: int, part: str) -> float:
    """Train, and measure once at the end: the curves of validation that training draws are not needed here."""
    model, _ = strategy(data._replace(validation=data.validation.take(1)), epochs)
    return tl.evaluate(model, getattr(data, part)).accuracy


def curve(strategy, data, epochs: int) -> list[float]:
    """Train, and give the validation accuracy after each epoch."""
    return strategy(data, epochs)[1]


def measure_flowers(runs: dict) -> None:
    """Test accuracy of each strategy with 100 and with 20 training pictures a class, for each seed."""
    for per_class, epochs in EPOCHS.items():
        strategies = {"head only": head_only}
        for name, strategy in (("fine-tuned", fine_tuned), ("from scratch", from_scratch)):
            rates = {}
            for rate in RATES[name]:
                data = few_pictures("near", per_class, seed=100)  # not one of the five that count
                tried = partial(accuracy, partial(strategy, rate=rate), data, epochs, "validation")
                rates[rate] = once(runs, f"{name} at {rate:g}, {per_class}, validation", 100, tried)
            strategies[name] = partial(strategy, rate=max(rates, key=rates.get))
        for seed in SEEDS:
            data = few_pictures("near", per_class, seed)
            for name, strategy in strategies.items():
                once(runs, f"{name}, {per_class}", seed, partial(accuracy, strategy, data, epochs, "test"))
                if per_class == CURVES:
                    once(runs, f"curve of {name}, {per_class}", seed, partial(curve, strategy, data, epochs))


def probe(train, test, weights, seed: int) -> float:
    """Accuracy of logistic regression on the pooled outputs of the frozen base: what it knows without any training."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = tl.ImageData(*(make_dataset(*train),) * 3, [str(label) for label in np.unique(train[1])])
    model = tl.build_model("MobileNetV2", data, weights=weights, alpha=0.35)
    pooled = keras.Model(model.inputs, model.get_layer("pool").output)
    features = [pooled.predict(images.astype("float32"), batch_size=64, verbose=0) for images, _ in (train, test)]
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500, random_state=seed))
    return classifier.fit(features[0], train[1]).score(features[1], test[1])


def measure_probes(runs: dict, folders: list[Path]) -> None:
    """Linear probes of the bundled base and of random weights, on the flowers, on digits and on folders of photos."""
    tasks = {"drawn_flowers": DATA / "drawn_flowers"} | {folder.name: folder for folder in folders}
    for task, folder in tasks.items():
        images, labels, rows, _ = read_folder(folder, (96, 96))[:4]
        parts = {part: (images[numbers], labels[numbers]) for part, numbers in rows.items()}
        measure_probe(runs, task, parts["train"], parts.get("test", parts.get("validation")))
    images, labels = digits()[:2]
    measure_probe(runs, "digits", (images[:1200], labels[:1200]), (images[1200:], labels[1200:]))


def measure_probe(runs: dict, task: str, train, test) -> None:
    once(runs, f"probe of garden, {task}", 0, lambda: probe(train, test, "garden", 0))
    for seed in SEEDS:
        once(runs, f"probe of random weights, {task}", seed, lambda s=seed: probe(train, test, None, s))


def write_tables(runs: dict) -> None:
    """Write the tables between their marks in README.md and data/README.md."""
    flowers = ["| training pictures a class | from scratch | head only | fine-tuned |", "|---|---|---|---|"]
    names = ("from scratch", "head only", "fine-tuned")
    for per_class in EPOCHS:
        if not all(len(runs.get(f"{name}, {per_class}", {})) == len(SEEDS) for name in names):
            continue  # a row is written when it is complete
        cells = [mean_and_interval(runs[f"{name}, {per_class}"]) for name in names]
        flowers.append(f"| {per_class} | {' | '.join(cells)} |")
    if len(flowers) == 2:
        flowers = []
    probes = ["| linear probe on | the bundled base | random weights |", "|---|---|---|"]
    for name in runs:
        if name.startswith("probe of garden, "):
            task = name.removeprefix("probe of garden, ")
            random = mean_and_interval(runs[f"probe of random weights, {task}"])
            probes.append(f"| {task} | {mean_and_interval(runs[name])} | {random} |")
    mark = "<!-- measured: written by data/make/measure.py -->"
    replace_between(mark, DATA.parent / "README.md", [*flowers, "", *probes])
    replace_between(mark, DATA / "README.md", [*flowers, "", *probes])
    for file in (DATA / "README.md", DATA.parent / "docs" / "which_strategy.md"):
        replace_between("<!-- tasks: written by data/make/measure.py -->", file, task_table(runs))
    replace_between(
        "<!-- curves: written by data/make/measure.py -->",
        DATA.parent / "docs" / "which_strategy.md",
        curve_table(runs),
    )
    record = json.loads((DATA / "garden" / "training.json").read_text())
    facts = [f"| {name.replace('_', ' ')} | {value} |" for name, value in record.items()]
    sums = [
        f"| SHA-256 of `{file.name}` | `{hashlib.sha256(file.read_bytes()).hexdigest()}` |"
        for file in sorted((DATA / "garden").glob("*.[hn]*"))
    ]
    replace_between(
        "<!-- the base: written by data/make/measure.py -->",
        DATA / "README.md",
        ["| the pre-training run | |", "|---|---|", *facts, *sums],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", nargs="*", type=Path, default=[], help="folders of photos to probe as well")
    parser.add_argument("--tables", action="store_true", help="measure nothing")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, help="measure only these of the three tasks")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="only these ways of the tasks")
    parser.add_argument(
        "--sizes", nargs="+", type=int, choices=SIZES, default=SIZES, help="only so many pictures a class"
    )
    parser.add_argument("--curves", nargs="+", choices=TASKS, help="measure only the learning curves of these tasks")
    args = parser.parse_args()
    runs, all_of_it = read_runs(FILE), not (args.tables or args.tasks or args.curves)
    if all_of_it:
        measure_probes(runs, args.photos)
        measure_flowers(runs)
    if args.tasks or all_of_it:
        measure_tasks(runs, args.tasks or TASKS, args.ways, args.sizes)
    if args.curves or all_of_it:
        measure_curves(runs, args.curves or TASKS)
    write_tables(runs)


if __name__ == "__main__":
    main()
