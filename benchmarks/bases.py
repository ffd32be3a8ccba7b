"""How large and how fast is each base? Writes docs/bases.md.

    python benchmarks/bases.py                        # all; hours on two cores, and 11 GB for the largest
    python benchmarks/bases.py --names MobileNetV2    # only some; the others keep what was measured before
    python benchmarks/bases.py --names                # only writes the page again

Random weights, which are as fast as any. All bases get the same eight random pictures, of 224 pixels. Each runs in a
process of its own, with a limit. Every row is written to a JSON file when it is finished: stop the program and start it
again at will.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from common import read_results, run_alone, write_results
from kerastl.bases import BASES

ROOT = Path(__file__).parent.parent
FILE, PAGE = ROOT / "benchmarks/results/bases.json", ROOT / "docs/bases.md"
PIXELS, PICTURES, REPEATS, LAYERS = 224, 8, 3, 30
TEXT = f"""\
# All bases

Every Keras Application, without its top. *Native* is the side of the pictures that its ImageNet weights were
trained on, *smallest* that of the smallest pictures that it takes; megabytes are those of the weights, 32 bits
each. `python -m kerastl compare` says how good a base is on your photos.

Speed: pictures for each second of one processor core, {PIXELS}×{PIXELS} pixels, in batches of {PICTURES}, median of
{REPEATS} runs. *Frozen* is the pass of phase 1, which is made once for each picture. *Phase 2* is one step of
training, as it is made in each epoch, on what the frozen part gave: the top {LAYERS} layers, or all where there are
fewer, and the head. Seconds of the processor are counted, since other programs ran beside; they differ from machine
to machine, so read the ratios. Each row is one run, and no sure order of two that differ by less than a fifth: frozen,
EfficientNetB1 read 34, 35 and 39 pictures in three runs, EfficientNetB2 33, 34 and 39. `python benchmarks/bases.py`
measures the rows that have no speed yet, and writes this page.

| base | parameters | layers | BatchNorm layers | native, pixels | smallest, pixels | MB | frozen, /s | phase 2, /s |
|---|---|---|---|---|---|---|---|---|
"""


def look_at(name: str) -> dict:
    """What can be counted without making the weights."""
    import keras

    from kerastl.graph import is_batch_norm, leaf_layers

    with keras.StatelessScope(initialize_variables=False):
        base = BASES[name].builder(include_top=False, weights=None, input_shape=(PIXELS, PIXELS, 3))
    return {
        "parameters": sum(int(np.prod(weight.shape)) for weight in base.weights),
        "layers": len(base.layers),
        "norms": sum(map(is_batch_norm, leaf_layers(base))),
    }


def measure(name: str) -> dict:
    """Pictures a second of one core."""
    import keras

    import kerastl as tl
    from kerastl.data import make_dataset
    from kerastl.engine.frozen import Frozen, predict_padded
    from kerastl.engine.split import split_model
    from kerastl.features import feature_model
    from kerastl.graph import find_base_model, single

    images = np.random.default_rng(0).integers(0, 256, (PICTURES, PIXELS, PIXELS, 3), np.uint8)
    labels = np.arange(PICTURES) % 5
    data = tl.ImageData(*(make_dataset(images, labels),) * 3, list("abcde"))
    model = tl.build_model(name, data, weights=None, augment=False)
    reader, floats = feature_model(model), images.astype("float32")
    frozen = rate(lambda: predict_padded(reader, floats, PICTURES))
    tl.unfreeze_top(model, min(LAYERS, len(find_base_model(model).layers)))
    split = split_model(model)
    tensors = single(Frozen(model, split).run(images))
    split.upper.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy")
    return {"frozen": frozen, "phase 2": rate(lambda: split.upper.train_on_batch(tensors, labels))}


def rate(run) -> float:
    """Pictures for each second of the processor, after a call that compiles."""
    seconds = []
    for _ in range(1 + REPEATS):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return round(PICTURES / float(np.median(seconds[1:])), 2)


def row(name: str, facts: dict) -> str:
    """One row of the table."""
    base, parameters = BASES[name], facts["parameters"]
    speeds = [facts.get("why", "not measured yet"), ""]
    if "frozen" in facts:
        speeds = [f"{facts[part]:.3g}" for part in ("frozen", "phase 2")]
    sizes = [f"{parameters:,}", facts["layers"], facts["norms"], base.image_size, base.smallest_image]
    return f"| {' | '.join(map(str, [name, *sizes, f'{4 * parameters / 1e6:.1f}', *speeds]))} |"


def page(done: dict) -> str:
    """The whole page."""
    return TEXT + "\n".join(row(name, done[name]) for name in BASES) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", nargs="*", choices=BASES, default=list(BASES), metavar="NAME")
    parser.add_argument("--limit", type=float, default=900, help="seconds for one base (default: %(default)s)")
    parser.add_argument("--only", help=argparse.SUPPRESS)  # in a process of its own
    args = parser.parse_args()
    if args.only:
        print(json.dumps(measure(args.only)))
        return
    done = read_results(FILE)
    for name in BASES:
        done[name] = done.get(name) or look_at(name)
    for name in args.names:
        if "frozen" not in done[name]:
            try:
                done[name] = {key: done[name][key] for key in ("parameters", "layers", "norms")} | run_alone(
                    "--only", name, limit=args.limit
                )
            except subprocess.TimeoutExpired:
                done[name]["why"] = f"not within {args.limit / 60:.0f} minutes"
            except subprocess.CalledProcessError as error:
                done[name]["why"] = f"ended with {error.returncode}, for want of memory or time"
            print(row(name, done[name]), file=sys.stderr, flush=True)
            write_results(FILE, done)
    write_results(FILE, done)
    PAGE.write_text(page(done), encoding="utf-8")


if __name__ == "__main__":
    main()
