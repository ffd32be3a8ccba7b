"""Squash, crop or pad: what should become of photos of another shape than the model wants?

    python benchmarks/resize.py FOLDER --weights FILE

FOLDER is `flower_photos` or `hymenoptera`, as in photos.py, which tells how a run goes: here the three ways take turns,
with the same split, weights and order for the same seed, and the table has the differences seed by seed. Before that
comes a probe: logistic regression on the pooled outputs of the base, on all photos, in 5 folds, the same for each way.
Every run is written to a JSON file when it is finished: stop the program and start it again at will.
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kerastl as tl
from common import half_interval, make_parser, read_results, write_results
from kerastl.data import make_dataset
from kerastl.reading import read_image
from kerastl.resizing import RESIZES
from photos import LAYERS, SETS

PROBE, PHASES = "linear probe", ("head only", "fine-tuned")
HEAD = """\
| photos | what | runs | squash | crop | crop − squash | pad | pad − squash |
|---|---|---|---|---|---|---|---|"""


def probe(args, resize: str) -> list[float]:
    """Accuracy of logistic regression on the outputs of the base, in each of five folds of all photos."""
    files = sorted(Path(args.source).glob("*/*/*.jpg"))
    names, labels = np.unique([file.parent.name for file in files], return_inverse=True)
    images = np.stack([read_image(file, (args.image_size, args.image_size), resize) for file in files])
    photos = make_dataset(images, labels)
    data = tl.ImageData(photos, photos, photos, list(names))
    model = tl.build_model("MobileNetV2", data, weights=args.weights, alpha=args.alpha)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    regression = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    return cross_val_score(regression, *tl.extract_features(model, photos), cv=folds).tolist()


def measure(args, resize: str, seed: int) -> list[float]:
    """Test accuracy after phase 1 and after phase 2."""
    keras.utils.set_random_seed(seed)
    data = tl.load_images(args.source, image_size=args.image_size, resize=resize, seed=seed)
    model = tl.build_model("MobileNetV2", data, weights=args.weights, alpha=args.alpha)
    tl.train_head(model, data, verbose=0)
    head = tl.evaluate(model, data.test).accuracy
    tl.unfreeze_top(model, LAYERS)
    tl.fine_tune(model, data, verbose=0)
    return [head, tl.evaluate(model, data.test).accuracy]


def table(name: str, done: dict) -> list[str]:
    """One row for the probe and for each phase: means, and mean differences to squash with half their 95 % interval."""
    lines = []
    for what in (PROBE, *PHASES):
        runs = {resize: done.get(f"{name}, {what}, {resize}", {}) for resize in RESIZES}
        shared = sorted(set.intersection(*(set(own) for own in runs.values())), key=int)
        if len(shared) < 2:
            continue
        values = {resize: np.array([own[key] for key in shared]) for resize, own in runs.items()}
        cells = [f"{len(shared)} {'folds' if what == PROBE else 'seeds'}", f"{values['squash'].mean():.3f}"]
        for resize in RESIZES[1:]:
            gain = values[resize] - values["squash"]
            cells += [f"{values[resize].mean():.3f}", f"{gain.mean():+.3f} ± {half_interval(gain):.3f}"]
        lines.append(f"| {' | '.join([SETS[name][0], what, *cells])} |")
    return lines


def main() -> None:
    parser = make_parser(__doc__, "resize.json")
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    done, name = read_results(args.out), Path(args.source).name

    def note(what: str, resize: str, run: int, accuracy: float) -> None:
        done.setdefault(f"{name}, {what}, {resize}", {})[str(run)] = round(accuracy, 4)
        print(f"{name}, {what}, {resize}, {run}: {accuracy:.4f}", flush=True)

    for resize in RESIZES:
        if f"{name}, {PROBE}, {resize}" not in done:
            for fold, accuracy in enumerate(probe(args, resize)):
                note(PROBE, resize, fold, accuracy)
            write_results(args.out, done)
    for seed in range(args.seeds):
        for resize in RESIZES:
            if str(seed) not in done.get(f"{name}, {PHASES[-1]}, {resize}", {}):
                for what, accuracy in zip(PHASES, measure(args, resize, seed), strict=True):
                    note(what, resize, seed, accuracy)
                write_results(args.out, done)
                keras.backend.clear_session()
    print("\n".join([HEAD, *(line for name in SETS for line in table(name, done))]))


if __name__ == "__main__":
    main()
