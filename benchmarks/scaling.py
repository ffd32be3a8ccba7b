"""How time and memory grow: with the number of images, their size, the layers unfrozen, and the base.

    python benchmarks/scaling.py                 # about half an hour on two cores
    python benchmarks/scaling.py --only images   # one of: images, size, layers, base

Random pixels and random weights: neither changes what a step costs. Each row is one process: phase 1 and phase 2, two
epochs each. "in a file" sets the memory budget to 20 MB, so that kept activations go to a temporary file.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from common import run_alone, write_results
from kerastl.storage import MEMORY_VARIABLE

USUAL = {"images": 2000, "size": 96, "layers": 30, "base": "MobileNetV2", "budget": None}
STUDIES = {
    "images": [{"images": count, "budget": budget} for budget in (None, 20) for count in (500, 2000, 5000, 20000)],
    "size": [{"size": size} for size in (96, 160, 224)],
    "layers": [{"layers": layers} for layers in (10, 30, 60, 100)],
    "base": [{"base": base} for base in ("MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "ResNet50V2")],
}


def run_row(row: dict) -> dict:
    """Train on random pixels: seconds of both phases, and the most memory that the process ever held."""
    import resource

    import numpy as np

    import kerastl as tl
    from kerastl.data import make_dataset

    rng = np.random.default_rng(0)

    def part(count):
        shape = (count, row["size"], row["size"], 3)
        return make_dataset(rng.integers(0, 256, shape, dtype=np.uint8), np.arange(count) % 5)

    data = tl.ImageData(part(row["images"]), part(100), part(10), list("abcde"))
    alpha = {"alpha": 0.35} if row["base"] == "MobileNetV2" else {}
    model = tl.build_model(row["base"], data, weights=None, **alpha)
    start = time.perf_counter()
    tl.train_head(model, data, epochs=2, verbose=0)
    tl.unfreeze_top(model, row["layers"])
    tl.fine_tune(model, data, epochs=2, verbose=0)
    seconds = time.perf_counter() - start
    return {"seconds": round(seconds, 1), "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


COLUMNS = ("images", "pixels", "layers unfrozen", "base", "kept", "seconds", "images/s", "peak MiB")
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


def line(row: dict) -> str:
    place = "in memory" if row["budget"] is None else "in a file"
    return (
        f"| {row['images']} | {row['size']} | {row['layers']} | {row['base']} | {place} | {row['seconds']} | "
        f"{row['images'] / row['seconds']:.0f} | {row['peak_mb']} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=STUDIES)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for one JSON file of each study")
    parser.add_argument("--row", type=json.loads, help=argparse.SUPPRESS)  # one row, in a process of its own
    args = parser.parse_args()
    if args.row:
        print(json.dumps(run_row(args.row)))
        return
    for study in [args.only] if args.only else STUDIES:
        rows = []
        print(f"\n{HEAD}", flush=True)
        for change in STUDIES[study]:
            row = USUAL | change
            budget = {} if row["budget"] is None else {MEMORY_VARIABLE: str(row["budget"])}
            rows.append(row | run_alone("--row", json.dumps(row), environment={**os.environ, **budget}))
            print(line(rows[-1]), flush=True)
            write_results(args.out / f"scaling_{study}.json", rows)


if __name__ == "__main__":
    main()
