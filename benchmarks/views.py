"""How many augmented views in phase 2 are worth their time?

    python benchmarks/views.py FOLDER_OR_NAME --weights FILE [--per-class 20] [--seeds 5] [--views 0 1 3 7]

FOLDER holds one folder of photos for each class: those for training, of which each seed sets a fifth aside as
validation photos. A bundled set has a validation part of its own. All figures are those of the validation photos after
the last epoch: nothing else looks at them, and the photos that are kept for the final test stay untouched.

Each seed draws its photos (with `--per-class`, so many of each class for training), trains one head with `train_head`,
and from it `fine_tune` starts once for each number of views, in another order for each seed. The time is that of the
whole call; as in real use, the images as they are have been read in phase 1. Every seed is written to a JSON file when
it is finished: stop the program and start it again at will.
"""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kerastl as tl
from common import half_interval, make_parser, read_results, write_results
from kerastl.data import as_arrays, few_of_each, make_dataset

LAYERS = 30
SETS = {  # the files of results, results/views_….json, and what they are of
    "drawn_flowers_20": "drawn flowers",
    "drawn_flowers": "drawn flowers",
    "flower_photos_20": "flower photos",
    "hymenoptera": "ants and bees",
    "flower_photos_100": "flower photos",
    "flower_photos": "flower photos",
}
HEAD = """\
| set | training images | seeds | views | accuracy | difference to 0 views | loss | difference to 0 views | time |
|---|---|---|---|---|---|---|---|---|"""


def load(args, seed: int) -> tl.ImageData:
    """The images of one seed. The test part, of one image a class where it can be, is not used."""
    data = tl.load_images(args.source, image_size=args.image_size, validation_split=0.2, test_split=0.001, seed=seed)
    if args.per_class is None:
        return data
    images, labels = as_arrays(data.train)
    few = few_of_each(labels, args.per_class, seed)
    return data._replace(train=make_dataset(images[few], labels[few], shuffle=True))


def measure(args, seed: int) -> dict:
    """Phase 2 with every number of views, each from the same phase 1."""
    keras.utils.set_random_seed(seed)  # the training images come shuffled
    data = load(args, seed)
    model = tl.build_model("MobileNetV2", data, weights=args.weights, alpha=args.alpha)
    tl.train_head(model, data, verbose=0)
    head, turn = model.get_weights(), seed % len(args.views)
    result = {"images": sum(len(labels) for _, labels in data.train)}
    for views in [*args.views[turn:], *args.views[:turn]]:
        model.set_weights(head)
        tl.unfreeze_top(model, LAYERS)
        keras.utils.set_random_seed(seed)
        start = time.perf_counter()
        history = tl.fine_tune(model, data, views=views, verbose=0).history
        seconds = time.perf_counter() - start
        result[f"{views} views"] = {
            "accuracy": round(history["val_accuracy"][-1], 4),
            "loss": round(history["val_loss"][-1], 4),
            "seconds": round(seconds, 1),
        }
        print(f"seed {seed}, {views} views: {result[f'{views} views']}", flush=True)
    return result


def difference(values: np.ndarray, plain: np.ndarray) -> str:
    """Mean difference, pair by pair, and half its 95 % interval."""
    gain = values - plain
    return f"{gain.mean():+.3f} ± {half_interval(gain):.3f}"


def table(name: str, done: dict) -> list[str]:
    """One row for each number of views: means over the seeds, and the differences to no views; of the time the median.

    The time is in times that of no views with the same seed.
    """
    runs = list(done.values())

    def column(key: str, figure: str) -> np.ndarray:
        return np.array([run[key][figure] for run in runs])

    lines = []
    for key in sorted(key for key in runs[0] if key != "images"):
        plain = key == "0 views"
        cells = [name, str(runs[0]["images"]), str(len(runs)), key.removesuffix(" views")]
        for figure in ("accuracy", "loss"):
            values = column(key, figure)
            cells += [f"{values.mean():.3f}", "" if plain else difference(values, column("0 views", figure))]
        times = column(key, "seconds") / column("0 views", "seconds")
        cells.append("" if plain else f"{np.median(times):.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = make_parser(__doc__, "views.json")
    parser.add_argument("--per-class", type=int, help="training images of each class; default: all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--views", type=int, nargs="+", default=[0, 1, 3, 7], help="0 must be among them")
    args = parser.parse_args()
    done = read_results(args.out)
    for seed in range(args.seeds):
        if str(seed) not in done:
            done[str(seed)] = measure(args, seed)
            write_results(args.out, done)
            keras.backend.clear_session()
    print("\n".join([HEAD, *table(args.out.stem, done)]))


if __name__ == "__main__":
    main()
