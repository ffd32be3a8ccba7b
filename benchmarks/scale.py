"""What each base costs for one picture: bytes that are kept, and pictures a second through its frozen part.

    python benchmarks/scale.py

Random weights: they change neither. The seconds are those that the cores were busy for this program, added up.
"""

import argparse
import gc
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kerastl as tl
from common import read_results, write_results
from kerastl.data import make_dataset
from kerastl.engine.frozen import Frozen
from kerastl.engine.split import split_model
from kerastl.graph import size_in_bytes

LAYERS, BATCH, REPEATS = 30, 32, 3
BASES = {  # base: (pixels on a side, more arguments)
    "MobileNetV2 0.35": (96, {"alpha": 0.35}),
    "MobileNetV2": (224, {}),
    "MobileNetV3Small": (224, {}),
    "EfficientNetB0": (224, {}),
    "EfficientNetV2B0": (224, {}),
    "DenseNet121": (224, {}),
    "ResNet50": (224, {}),
    "InceptionV3": (299, {}),
    "ConvNeXtTiny": (224, {}),
    "VGG16": (224, {}),
}


def measure(name: str) -> dict:
    size, more = BASES[name]
    images = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3)).astype(np.uint8)
    part = make_dataset(images, np.arange(BATCH) % 2, BATCH)
    data = tl.ImageData(part, part, part, ["a", "b"])
    model = tl.build_model(name.split()[0], data, weights=None, augment=False, **more)
    found = {"pixels": size, "raw": images[0].nbytes}
    for phase in (1, 2):
        if phase == 2:
            tl.unfreeze_top(model, LAYERS)
        frozen = Frozen(model, split_model(model))
        found[f"kept {phase}"] = size_in_bytes(frozen.outputs)
        if phase == 1:
            frozen.run(images)  # compiles
            start = time.process_time()
            for _ in range(REPEATS):
                frozen.run(images)
            found["speed"] = round(REPEATS * BATCH / (time.process_time() - start), 1)
    keras.backend.clear_session()
    gc.collect()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("scale.json"), help="where finished bases are kept")
    args = parser.parse_args()
    done = read_results(args.out)
    for name in BASES:
        if name not in done:
            done[name] = measure(name)
            write_results(args.out, done)
    print("\n".join(table(done)))


def table(done: dict) -> list[str]:
    """A row for each base: kB kept for one picture, and pictures a second of one core."""
    lines = [
        "| base | pixels | raw picture, kB | kept in phase 1, kB | kept in phase 2, kB for each view "
        "| pictures a second of one core |",
        "|---|---|---|---|---|---|",
    ]
    for name in BASES:
        row = done[name]
        kept = " | ".join(f"{row[key] / 1e3:,.1f}" for key in ("raw", "kept 1", "kept 2"))
        lines.append(f"| {name} | {row['pixels']} | {kept} | {row['speed']:.1f} |")
    return lines


if __name__ == "__main__":
    main()
