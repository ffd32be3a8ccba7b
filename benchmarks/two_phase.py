"""kerastl beside the recipes that people copy: the same images, weights, split and seeds, timed in turn.

    python benchmarks/two_phase.py FOLDER_OR_NAME --weights FILE --image-size 160

Each recipe runs in a process of its own, one after the other, seed by seed. The clock starts when training starts: the
images lie in memory by then, for every recipe. Prints a table and writes every run to a JSON file as it is finished.

official  TensorFlow's tutorial "Transfer learning and fine-tuning": Adam 1e-4 for 10 epochs on the frozen base, then
          the layers from number 100 on with RMSprop 1e-5 for 10 epochs; flips and turns of up to a fifth
guide     Keras's guide "Transfer learning & fine-tuning": Adam 1e-3 on the frozen base, then the whole base, Adam 1e-5
fit       one plain `fit` of everything from the first epoch on, Adam 5e-5, as KerasHub's classifiers do
uncached  what kerastl does (its rates, its layers, BatchNorm held still), with plain `fit`: every image in every epoch
kerastl   `train_head` and `fine_tune` with their defaults
"""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from common import make_parser, read_results, run_alone, write_results

# The official recipe comes first: the others are measured against what it reaches.
RECIPES = ("official", "guide", "fit", "uncached", "kerastl")


def run_recipe(args) -> dict:
    """Train with one recipe: seconds and validation accuracy after each epoch, test accuracy, and peak memory."""
    import resource

    import keras

    import kerastl as tl

    class Clock(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.start, self.seconds, self.validation = time.perf_counter(), [], []

        def on_epoch_end(self, epoch, logs=None):
            self.seconds.append(round(time.perf_counter() - self.start, 2))
            self.validation.append(round(logs["val_accuracy"], 4))

    keras.utils.set_random_seed(args.seed)
    data = tl.load_images(args.source, image_size=args.image_size, seed=0)
    clock = Clock()
    if args.recipe == "kerastl":
        model = tl.build_model("MobileNetV2", data, weights=args.weights, alpha=args.alpha)
        clock.start = time.perf_counter()
        tl.train_head(model, data, callbacks=[clock], verbose=0)
        tl.unfreeze_top(model, 30)
        tl.fine_tune(model, data, callbacks=[clock], verbose=0)
    else:
        model, base = plain_model(args, data)
        clock.start = time.perf_counter()
        {"official": official, "guide": guide, "fit": fit, "uncached": uncached}[args.recipe](model, base, data, clock)
    return {
        "seconds": clock.seconds,
        "validation": clock.validation,
        "test": round(tl.evaluate(model, data.test).accuracy, 4),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def plain_model(args, data):
    """The model of the tutorials, in raw Keras."""
    import keras
    from keras import layers

    shape = (args.image_size, args.image_size, 3)
    base = keras.applications.MobileNetV2(shape, alpha=args.alpha, include_top=False, weights=args.weights)
    turn = {"official": 0.2, "uncached": 0.05}.get(args.recipe, 0.1)  # "uncached": as in `build_model`
    augment = [layers.RandomFlip("horizontal"), layers.RandomRotation(turn)]
    if args.recipe == "uncached":
        augment.append(layers.RandomZoom(0.1))
    image = keras.Input(shape)
    x = keras.Sequential(augment)(image)
    x = keras.applications.mobilenet_v2.preprocess_input(x)
    x = base(x, training=False)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    outputs = layers.Dense(len(data.class_names), activation="softmax")(x)
    return keras.Model(image, outputs), base


def fit_with(model, data, optimizer, clock, epochs: int = 10) -> None:
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(data.train, validation_data=data.validation, epochs=epochs, callbacks=[clock], verbose=0)


def official(model, base, data, clock) -> None:
    import keras

    base.trainable = False
    fit_with(model, data, keras.optimizers.Adam(1e-4), clock)
    base.trainable = True
    for layer in base.layers[:100]:
        layer.trainable = False
    fit_with(model, data, keras.optimizers.RMSprop(1e-5), clock)


def guide(model, base, data, clock) -> None:
    import keras

    base.trainable = False
    fit_with(model, data, keras.optimizers.Adam(1e-3), clock)
    base.trainable = True
    fit_with(model, data, keras.optimizers.Adam(1e-5), clock)


def fit(model, base, data, clock) -> None:
    import keras

    fit_with(model, data, keras.optimizers.Adam(5e-5), clock, epochs=20)


def uncached(model, base, data, clock) -> None:
    import inspect

    import keras

    import kerastl as tl

    steps = 10 * int(data.train.cardinality())
    for train in (tl.train_head, tl.fine_tune):
        tl.freeze(model) if train is tl.train_head else tl.unfreeze_top(model, 30)
        rate = inspect.signature(train).parameters["learning_rate"].default
        fit_with(model, data, keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)), clock)


def table(runs: dict, seeds) -> list[str]:
    """One row for each recipe that has run: means over the seeds. The official recipe and kerastl must have run."""
    lines = [
        "| recipe | seconds to the official recipe's final validation accuracy | validation accuracy when kerastl has "
        "ended | seconds in all | test accuracy | peak MiB |",
        "|---|---|---|---|---|---|",
    ]
    for recipe in RECIPES:
        if not all(f"{recipe}, seed {seed}" in runs for seed in seeds):
            continue
        own = [runs[f"{recipe}, seed {seed}"] for seed in seeds]
        goals = [runs[f"official, seed {seed}"]["validation"][-1] for seed in seeds]
        reached = [seconds_to(goal, run) for goal, run in zip(goals, own, strict=True)]
        hits = [seconds for seconds in reached if seconds is not None]
        when = f"{sum(hits) / len(hits):.1f}" if hits else "never"
        when += f" ({len(hits)} of {len(own)} runs)" if 0 < len(hits) < len(own) else ""
        ends = [runs[f"kerastl, seed {seed}"]["seconds"][-1] for seed in seeds]
        then = [accuracy_at(end, run) for end, run in zip(ends, own, strict=True)]
        tests = [run["test"] for run in own]
        total = sum(run["seconds"][-1] for run in own) / len(own)
        accuracy = f"{sum(tests) / len(tests):.3f} ({min(tests):.3f} to {max(tests):.3f})"
        lines.append(
            f"| {recipe} | {when} | {mean_of(then)} | {total:.1f} | {accuracy} | {max(run['peak_mb'] for run in own)} |"
        )
    return lines


def mean_of(accuracies: list) -> str:
    return "no epoch yet" if None in accuracies else f"{sum(accuracies) / len(accuracies):.3f}"


def seconds_to(goal: float, run: dict) -> float | None:
    """When the validation accuracy first reached the goal; None if it never did."""
    pairs = zip(run["seconds"], run["validation"], strict=True)
    return next((seconds for seconds, accuracy in pairs if accuracy >= goal), None)


def accuracy_at(seconds: float, run: dict) -> float | None:
    """The validation accuracy after the last epoch that had ended by then; None if none had."""
    ended = [accuracy for end, accuracy in zip(run["seconds"], run["validation"], strict=True) if end <= seconds]
    return ended[-1] if ended else None


def main() -> None:
    parser = make_parser(__doc__, "two_phase.json")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", nargs="+", default=RECIPES, choices=RECIPES)
    parser.add_argument("--recipe", choices=RECIPES, help=argparse.SUPPRESS)  # one run, in a process of its own
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.recipe:
        print(json.dumps(run_recipe(args)))
        return
    runs = read_results(args.out)
    for seed in range(args.seeds):
        for recipe in args.recipes:
            name = f"{recipe}, seed {seed}"
            if name in runs:
                continue
            runs[name] = run_alone("--recipe", recipe, "--seed", str(seed))
            print(f"{name}: {runs[name]['seconds'][-1]} s, test {runs[name]['test']}", flush=True)
            write_results(args.out, runs)
    print("\n".join(["", *table(runs, range(args.seeds))]))


if __name__ == "__main__":
    main()
