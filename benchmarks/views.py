"""How many augmented views are worth their time? Both phases, five seeds, on photos of your own.

    python benchmarks/views.py FOLDER --weights FILE --image-size 128

FOLDER holds one folder of photos for each class, for training. Each seed sets a fifth of it aside and measures on that
fifth, so photos that are kept for the final test stay untouched. Prints one table for each phase, and writes every run
to a JSON file as it is finished: stop the program and start it again at will.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kerastl as tl

VIEWS = (0, 1, 2, 4, 8, "fresh")
SEEDS = range(5)
LAYERS = 30


def measure(args, seed: int, done: dict) -> None:
    """Every number of views for one seed, each phase 2 from the same phase 1."""
    size = args.image_size
    data = tl.load_images(args.folder, image_size=size, seed=seed)
    arguments = {"weights": args.weights, "alpha": args.alpha}

    def once(name: str, train) -> None:
        if f"{name}, seed {seed}" in done:
            return
        start = time.perf_counter()
        train()
        seconds = time.perf_counter() - start
        accuracy = tl.evaluate(model, data.test).accuracy
        done[f"{name}, seed {seed}"] = {"accuracy": round(accuracy, 4), "seconds": round(seconds, 1)}
        print(f"{name}, seed {seed}: {accuracy:.4f} in {seconds:.1f} s", flush=True)
        unfinished = args.out.with_suffix(".part")
        unfinished.write_text(json.dumps(done, indent=1) + "\n")
        unfinished.rename(args.out)

    for views in VIEWS:
        keras.utils.set_random_seed(seed)
        model = tl.build_model(args.base, data, **arguments)
        once(f"phase 1, views {views}", lambda m=model, v=views: tl.train_head(m, data, views=v, verbose=0))
    keras.utils.set_random_seed(seed)
    model = tl.build_model(args.base, data, **arguments)
    tl.train_head(model, data, verbose=0)
    head = model.get_weights()
    for views in VIEWS:
        for rate in args.rates:
            keras.utils.set_random_seed(seed)
            tl.freeze(model)
            model.set_weights(head)
            tl.unfreeze_top(model, LAYERS)
            once(
                f"phase 2 at {rate:g}, views {views}",
                lambda v=views, r=rate: tl.fine_tune(model, data, learning_rate=r, views=v, verbose=0),
            )
    keras.backend.clear_session()


def table(done: dict, phase: str) -> list[str]:
    """Mean accuracy, the mean difference to views 0 with its 95 % interval (Student's t), and mean seconds."""
    lines = [f"| {phase} | accuracy | difference to views 0 | seconds |", "|---|---|---|---|"]
    plain = None
    for views in VIEWS:
        runs = [done.get(f"{phase}, views {views}, seed {seed}") for seed in SEEDS]
        if not all(runs):
            continue
        accuracy = np.array([run["accuracy"] for run in runs])
        plain = accuracy if plain is None else plain
        difference = accuracy - plain
        half = 2.776 * difference.std(ddof=1) / np.sqrt(len(runs))
        seconds = np.mean([run["seconds"] for run in runs])
        lines.append(
            f"| views {views} | {accuracy.mean():.3f} | {difference.mean():+.3f} ± {half:.3f} | {seconds:.1f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--base", default="MobileNetV2")
    parser.add_argument("--alpha", type=float, default=0.35)
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-4, 3e-4], help="of phase 2")
    parser.add_argument("--out", type=Path, default=Path("views.json"), help="where finished runs are kept")
    args = parser.parse_args()
    done = json.loads(args.out.read_text()) if args.out.exists() else {}
    for seed in SEEDS:
        measure(args, seed, done)
    for phase in ["phase 1", *(f"phase 2 at {rate:g}" for rate in args.rates)]:
        print("\n".join(["", *table(done, phase)]))


if __name__ == "__main__":
    main()
