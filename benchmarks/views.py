"""How many augmented views are worth their time? Both phases, five seeds, on photos of your own.

    python benchmarks/views.py FOLDER --weights FILE --image-size 224

FOLDER holds one folder of photos for each class, for training. Each seed sets a fifth of it aside and measures on that
fifth, so photos that are kept for the final test stay untouched.

The frozen part runs over all photos once as they are and ten times augmented; these passes are timed and kept. Each
seed then draws its own split, weights and order, and which of the ten passes are its views ("fresh": another one in
each of the ten epochs), and trains on them with `train_head` and `fine_tune`. The seconds of a run are those of the
passes that it needs over its training photos, and of its training. Prints one table for each phase, and writes every
run to a JSON file as it is finished: stop the program and start it again at will.
"""

import os
import time
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kerastl as tl
from common import make_parser, read_results, write_results
from kerastl.data import make_dataset, set_aside
from kerastl.engine.batches import Kept, Source, run_frozen
from kerastl.engine.split import single, split_model
from kerastl.sources import read_folder

VIEWS = (0, 1, 2, 4, 8, "fresh")
SEEDS = range(5)
EPOCHS, LAYERS, BATCH = 10, 30, 32


class Passes:
    """What the frozen part gives for each photo: row 0 for the photo as it is, then an augmented row for each epoch."""

    def __init__(self, args):
        images, labels, rows, class_names = read_folder(Path(args.source), (args.image_size,) * 2)
        self.labels = labels[rows["train"]]
        photos = make_dataset(images, labels, BATCH, rows=rows["train"])
        self.data = tl.ImageData(
            *(photos.take(1),) * 3, class_names
        )  # of the right shape; `feed` gives the real batches
        self.build = lambda: tl.build_model("MobileNetV2", self.data, weights=args.weights, alpha=args.alpha)
        keras.utils.set_random_seed(0)
        model = self.build()
        tl.unfreeze_top(model, LAYERS)
        split = split_model(model)
        run_frozen(split, photos.take(1), 1, 0)  # compiles; the clock below is for the passes
        start = time.perf_counter()
        run_frozen(split, photos)
        middle = time.perf_counter()
        self.top = run_frozen(split, photos, EPOCHS).tensors  # the photos as they are: remembered from the first pass
        end = time.perf_counter()
        count = len(self.labels)
        self.seconds = {"plain": (middle - start) / count, "augmented": (end - middle) / count / EPOCHS}
        _, top, _ = split.upper.layers
        rows = [single([array[row] for array in self.top]) for row in range(1 + EPOCHS)]
        self.pooled = [np.stack([top.predict(row, verbose=0).mean((1, 2)) for row in rows])]

    def split(self, seed: int) -> list[np.ndarray]:
        """The numbers of the photos for training, validation and test, as `load_images` would split them."""
        rest, test = set_aside(np.arange(len(self.labels)), self.labels, 0.2, seed, self.data.class_names)
        train, validation = set_aside(rest, self.labels, 0.1, seed, self.data.class_names)
        return [train, validation, test]

    def feed(self, tensors, train, validation, views):
        """Put these passes in the place of `make_source`; returns the context in which training uses them."""
        order = iter(np.random.permutation(EPOCHS))
        chosen = [0, *(1 + np.random.permutation(EPOCHS)[: 0 if views == "fresh" else views])]

        def kept(rows, photos):
            return Kept([array[rows][:, photos] for array in tensors], self.labels[photos], BATCH)

        def epoch():
            rows = [1 + next(order)] if views == "fresh" else chosen
            return kept(rows, train).draw_epoch(shuffle=True)

        sources = [
            Source(epoch, -(-len(train) // BATCH), len(train)),
            Source(lambda: kept([0], validation).draw_epoch(shuffle=False), 1, len(validation)),
        ]
        return mock.patch("kerastl.engine.train.make_source", side_effect=sources)

    def accuracy(self, model, tensors, photos) -> float:
        inputs = single([array[0, photos] for array in tensors])
        return float(np.mean(split_model(model).upper.predict(inputs, verbose=0).argmax(-1) == self.labels[photos]))

    def seconds_of(self, views, photos: int) -> float:
        """What the passes of one phase cost for so many training photos."""
        if views == "fresh":
            return photos * self.seconds["augmented"] * EPOCHS
        return photos * (self.seconds["plain"] + self.seconds["augmented"] * views)


def measure(passes: Passes, rates: list[float], seed: int, done: dict, out) -> None:
    """Every number of views for one seed, each phase 2 from the same phase 1."""
    train, validation, test = passes.split(seed)

    def once(name: str, views, tensors, run, model) -> None:
        if f"{name}, seed {seed}" in done:
            return
        with passes.feed(tensors, train, validation, views):
            start = time.perf_counter()
            run(model, passes.data, verbose=0)
            seconds = time.perf_counter() - start + passes.seconds_of(views, len(train))
        accuracy = passes.accuracy(model, tensors, test)
        done[f"{name}, seed {seed}"] = {"accuracy": round(accuracy, 4), "seconds": round(seconds, 1)}
        print(f"{name}, seed {seed}: {accuracy:.4f} in {seconds:.1f} s", flush=True)
        write_results(out, done)

    def head_model():
        keras.utils.set_random_seed(seed)
        return passes.build()

    for views in VIEWS:
        once(f"phase 1, views {views}", views, passes.pooled, tl.train_head, head_model())
    model = head_model()
    with passes.feed(passes.pooled, train, validation, 0):
        tl.train_head(model, passes.data, verbose=0)
    head = model.get_weights()
    for views in VIEWS:
        for rate in rates:
            model.set_weights(head)
            tl.unfreeze_top(model, LAYERS)

            def tune(*arguments, r=rate, **others):
                return tl.fine_tune(*arguments, learning_rate=r, **others)

            once(f"phase 2 at {rate:g}, views {views}", views, passes.top, tune, model)
    keras.backend.clear_session()


def table(done: dict, phase: str) -> list[str]:
    """One row for each number of views: accuracy and seconds, mean over the seeds, and the difference to no views."""
    lines = [
        f"| {phase} | accuracy | minus that of 0 views (95 % interval, same seeds) | seconds |",
        "|---|---|---|---|",
    ]
    plain = np.array([done[f"{phase}, views 0, seed {seed}"]["accuracy"] for seed in SEEDS])
    for views in VIEWS:
        runs = [done[f"{phase}, views {views}, seed {seed}"] for seed in SEEDS]
        accuracy = np.array([run["accuracy"] for run in runs])
        gain = accuracy - plain
        half = 2.776 * gain.std(ddof=1) / np.sqrt(len(gain))  # Student's t, 4 degrees of freedom
        seconds = np.mean([run["seconds"] for run in runs])
        difference = f"{gain.mean():+.3f} ± {half:.3f}" if views else ""
        lines.append(f"| {views} views | {accuracy.mean():.3f} | {difference} | {seconds:.1f} |")
    return lines


def main() -> None:
    parser = make_parser(__doc__, "views.json", image_size=224)
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-4], help="of phase 2")
    args = parser.parse_args()
    done = read_results(args.out)
    passes = Passes(args)
    for seed in SEEDS:
        measure(passes, args.rates, seed, done, args.out)
    for phase in ["phase 1", *(f"phase 2 at {rate:g}" for rate in args.rates)]:
        print("\n".join(["", *table(done, phase)]))


if __name__ == "__main__":
    main()
