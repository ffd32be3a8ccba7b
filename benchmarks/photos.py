"""How good is each phase on real photos, with the defaults?

    python benchmarks/photos.py FOLDER --weights FILE --image-size 224

FOLDER is `flower_photos` or `hymenoptera`: only these two have a row in the table. It holds `train` and `val`, each
with a folder for each class. A tenth of `train` is set aside as validation photos; the photos of `val` are tested once
after each phase and choose nothing. Each seed draws the split, the head's weights, the order and the augmentation.
Every seed is written to a JSON file when it is finished: stop the program and start it again at will.
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kerastl as tl
from common import half_interval, make_parser, read_results, write_results

LAYERS = 30
PHASES = ("head only", "fine-tuned")
SETS = {  # folder: (what the table calls it, photos to train and to test, as the table says them)
    "flower_photos": ("flower_photos (tf_flowers), five classes", "2,640", "736"),
    "hymenoptera": ("ants and bees", "220", "153"),
}
HEAD = """\
| photos | training images | test images | pixels | head only | fine-tuned |
|---|---|---|---|---|---|"""


def measure(data: tl.ImageData, base: str, **arguments) -> list[float]:
    """Test accuracy after phase 1 and after phase 2; `arguments` are those of `build_model`."""
    model = tl.build_model(base, data, **arguments)
    tl.train_head(model, data, verbose=0)
    head = tl.evaluate(model, data.test).accuracy
    tl.unfreeze_top(model, LAYERS)
    tl.fine_tune(model, data, verbose=0)
    return [round(accuracy, 4) for accuracy in (head, tl.evaluate(model, data.test).accuracy)]


def cell(runs: dict) -> str:
    """Mean over the seeds, and half the width of its 95 % interval."""
    values = np.array(list(runs.values()))
    return f"{values.mean():.3f} ± {half_interval(values):.3f}"


def table(done: dict) -> list[str]:
    """One row for each set and size; the facts of a set stand in its first."""
    lines = []
    for folder, facts in SETS.items():
        names = {key.rpartition(", ")[0] for key in done if key.startswith(f"{folder}, ")}
        for name in sorted(names, reverse=True):  # large pictures first
            pixels = name.removeprefix(f"{folder}, ").removesuffix(" pixels")
            cells = [cell(done[f"{name}, {phase}"]) for phase in PHASES]
            lines.append(f"| {' | '.join([*facts, pixels, *cells])} |")
            facts = ("", "", "")
    return lines


def main() -> None:
    parser = make_parser(__doc__, "photos.json", image_size=224)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    done, name = read_results(args.out), f"{Path(args.source).name}, {args.image_size} pixels"
    for seed in range(args.seeds):
        if str(seed) not in done.get(f"{name}, {PHASES[-1]}", {}):
            keras.utils.set_random_seed(seed)
            data = tl.load_images(args.source, image_size=args.image_size, seed=seed)
            accuracies = measure(data, "MobileNetV2", weights=args.weights, alpha=args.alpha)
            for phase, accuracy in zip(PHASES, accuracies, strict=True):
                done.setdefault(f"{name}, {phase}", {})[str(seed)] = accuracy
                print(f"{name}, {phase}, seed {seed}: {accuracy}", flush=True)
            write_results(args.out, done)
            keras.backend.clear_session()
    print("\n".join([HEAD, *table(done)]))


if __name__ == "__main__":
    main()
