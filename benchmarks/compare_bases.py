"""Is the order of `compare_bases` that of the test accuracy after both phases?

    python benchmarks/compare_bases.py FOLDER --mobilenet-v2 WEIGHTS.h5 --mobilenet WEIGHTS.h5 [--per-class 40]

FOLDER is `flower_photos` or `hymenoptera`, as for photos.py. `compare_bases` sees only the photos of `train`; then both
phases train on them with the defaults, and the photos of `val` are tested once after each. Each seed draws the photos
(with `--per-class`, so many of each class for training, and for `compare_bases` a quarter of that of the validation
photos), the split, the random weights, the folds, and all that is chance in training. Every run is written to a JSON
file when it is finished: stop the program and start it again at will.
"""

import os
from itertools import combinations
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from scipy.stats import kendalltau

import kerastl as tl
from common import make_parser, read_results, write_results
from kerastl.data import as_arrays, few_of_each, make_dataset
from photos import PHASES, measure

SETS = {"flower_photos": "flower photos, 40 of each class", "hymenoptera": "ants and bees"}
COLUMNS = ("compare_bases", *PHASES)
HEAD = """\
| photos | base | weights | `compare_bases` | head only | fine-tuned |
|---|---|---|---|---|---|"""


def bases(args) -> dict[str, tuple[str, dict]]:
    """The cells of the table that name a base: and the base, with its arguments of `build_model`."""
    wide, narrow = {"alpha": 0.35}, {"alpha": 0.25}
    return {
        "MobileNetV2 0.35 | ImageNet": ("MobileNetV2", {**wide, "weights": args.mobilenet_v2}),
        "MobileNet 0.25 | ImageNet": ("MobileNet", {**narrow, "weights": args.mobilenet}),
        "MobileNetV2 0.35 | bundled": ("MobileNetV2", {**wide, "weights": "garden"}),
        "MobileNetV2 0.35 | random": ("MobileNetV2", {**wide, "weights": None}),
        "MobileNet 0.25 | random": ("MobileNet", {**narrow, "weights": None}),
    }


def load(args, seed: int) -> tl.ImageData:
    keras.utils.set_random_seed(seed)
    data = tl.load_images(args.source, image_size=args.image_size, seed=seed)
    if args.per_class is None:
        return data
    return data._replace(train=few(data.train, args.per_class, seed))


def few(dataset, per_class: int, seed: int):
    images, labels = as_arrays(dataset)
    rows = few_of_each(labels, per_class, seed)
    return make_dataset(images[rows], labels[rows], shuffle=True)


def compare(args, seed: int, base: str, arguments: dict) -> list[float]:
    data = load(args, seed)
    if args.per_class is not None:
        data = data._replace(validation=few(data.validation, args.per_class // 4, seed))
    return [tl.compare_bases(data, [(base, arguments)], seed=seed, verbose=0).rows[0].accuracy]


def train(args, seed: int, base: str, arguments: dict) -> list[float]:
    return measure(load(args, seed), base, **arguments)


def table(done: dict) -> list[str]:
    """One row for each set and base: the mean over the seeds, the lowest and the highest."""
    lines = []
    for photos, title in SETS.items():
        for name in bases_of(done, photos):
            runs = [np.array([*done[f"{photos} | {name} | {column}"].values()]) for column in COLUMNS]
            cells = [f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})" for values in runs]
            lines.append(f"| {' | '.join([title, name, *cells])} |")
    return lines


def bases_of(done: dict, photos: str) -> list[str]:
    """The bases for which all columns are measured."""
    names = [key.removeprefix(f"{photos} | ").rpartition(" | ")[0] for key in done if key.startswith(f"{photos} | ")]
    return [name for name in dict.fromkeys(names) if all(f"{photos} | {name} | {column}" in done for column in COLUMNS)]


def agreement(done: dict, photos: str, column: str) -> tuple[int, int, float]:
    """How often `compare_bases` and a column of the table agree on which of two bases is better.

    Returns: pairs in the same order; pairs that differ in that column; Kendall's tau-b.
    """
    names = bases_of(done, photos)
    ours, theirs = (
        [np.mean([*done[f"{photos} | {name} | {one}"].values()]) for name in names] for one in (COLUMNS[0], column)
    )
    pairs = list(combinations(range(len(names)), 2))
    products = [(ours[one] - ours[two]) * (theirs[one] - theirs[two]) for one, two in pairs]
    return (
        sum(one > 0 for one in products),
        sum(one != 0 for one in products),
        float(kendalltau(ours, theirs).statistic),
    )


def main() -> None:
    parser = make_parser(__doc__, "compare_bases.json")
    parser.add_argument("--mobilenet-v2", default="imagenet", metavar="FILE", help="its weights, of width 0.35")
    parser.add_argument("--mobilenet", default="imagenet", metavar="FILE", help="its weights, of width 0.25")
    parser.add_argument("--per-class", type=int, help="training images of each class; default: all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=["compare", "train"])
    args = parser.parse_args()
    done = read_results(args.out)
    for run, columns in ((compare, COLUMNS[:1]), (train, PHASES)):
        if args.only in (None, run.__name__):
            for seed in range(args.seeds):
                for name, (base, arguments) in bases(args).items():
                    keys = [f"{Path(args.source).name} | {name} | {column}" for column in columns]
                    if str(seed) in done.get(keys[-1], {}):
                        continue
                    for key, accuracy in zip(keys, run(args, seed, base, arguments), strict=True):
                        done.setdefault(key, {})[str(seed)] = round(accuracy, 4)
                        print(f"{key}, seed {seed}: {accuracy:.4f}", flush=True)
                    write_results(args.out, done)
                    keras.backend.clear_session()
    print("\n".join([HEAD, *table(done)]))
    for photos in SETS:
        for column in PHASES:
            if bases_of(done, photos):
                same, pairs, tau = agreement(done, photos, column)
                print(
                    f"{photos}, {column}: {same} of the {pairs} pairs that differ are in the same order, tau {tau:.2f}"
                )


if __name__ == "__main__":
    main()
