"""How near kerastl comes to its floor: one forward pass over the images, then only the steps that have to be trained.

    python benchmarks/limit.py FOLDER_OR_NAME --weights FILE --image-size 160

The floor runs the frozen part of phase 2 once over the training and validation images, and then trains the head on
pooled features and the upper part on activations that lie in memory already: the same steps, nothing else. With three
views it also runs the frozen part once for each of them. All four are timed in turn in one run, `--repeats` times; the
medians and their ratios are printed as a table and written to JSON.
"""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kerastl as tl
from common import make_parser, write_results
from kerastl.engine.batches import run_frozen
from kerastl.engine.frozen import Frozen
from kerastl.engine.split import single, split_model

EPOCHS, LAYERS = 10, 30
VIEWS = 3


def build(args, data, unfrozen: bool):
    keras.utils.set_random_seed(0)
    model = tl.build_model("MobileNetV2", data, weights=args.weights, alpha=args.alpha)
    if unfrozen:
        tl.unfreeze_top(model, LAYERS)
    return model


def steps_only(model, kept, validation) -> float:
    """Seconds of Keras's own `fit` of the upper part on arrays that lie in memory."""
    upper = split_model(model).upper
    upper.compile(keras.optimizers.Adam(1e-4), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    training, held_out = ((single([tensor[0] for tensor in part.tensors]), part.labels) for part in (kept, validation))
    start = time.perf_counter()
    upper.fit(*training, batch_size=kept.batch_size, epochs=EPOCHS, validation_data=held_out, verbose=0)
    return time.perf_counter() - start


def frozen_part(model) -> Frozen:
    return Frozen(model, split_model(model))


def floor(args, data, views: int) -> float:
    """Seconds of the passes that no training can do without, and of its steps."""
    head, tuned = build(args, data, False), build(args, data, True)
    pooled = [
        run_frozen(frozen_part(head), part, shuffle=part is data.train, verbose=0)
        for part in (data.train, data.validation)
    ]
    frozen = frozen_part(tuned)
    start = time.perf_counter()
    kept = [
        run_frozen(frozen, data.train, views, shuffle=True, verbose=0),
        run_frozen(frozen, data.validation, verbose=0),
    ]
    seconds = time.perf_counter() - start
    return seconds + steps_only(head, *pooled) + steps_only(tuned, *kept)


def kerastl(args, data, views: int) -> float:
    """Seconds of both phases as a user runs them."""
    model = build(args, data, False)
    start = time.perf_counter()
    tl.train_head(model, data, epochs=EPOCHS, verbose=0)
    tl.unfreeze_top(model, LAYERS)
    tl.fine_tune(model, data, epochs=EPOCHS, views=views, verbose=0)
    return time.perf_counter() - start


def main() -> None:
    parser = make_parser(__doc__, "limit.json")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    data = tl.load_images(args.source, image_size=args.image_size)
    names = {0: "plain images in both phases", VIEWS: f"{VIEWS} views in phase 2"}
    seconds = {f"{program.__name__}, {name}": [] for name in names.values() for program in (floor, kerastl)}
    for _ in range(args.repeats):
        for views, name in names.items():
            for program in (floor, kerastl):
                own = seconds[f"{program.__name__}, {name}"]
                own.append(round(program(args, data, views), 2))
                print(f"{program.__name__}, {name}: {own[-1]} s", flush=True)
                keras.backend.clear_session()
    write_results(args.out, seconds)
    print("\n| | floor, seconds | kerastl, seconds | ratio |\n|---|---|---|---|")
    for name in names.values():
        least, own = (float(np.median(seconds[f"{program.__name__}, {name}"])) for program in (floor, kerastl))
        print(f"| {name} | {least:.1f} | {own:.1f} | {own / least:.2f} |")


if __name__ == "__main__":
    main()
