"""How time and memory grow: with the number of images, their size, the layers unfrozen, and the base.

    python benchmarks/scaling.py                                   # about an hour on two cores
    python benchmarks/scaling.py --only images                     # one of: images, size, layers, base, photos
    python benchmarks/scaling.py --only photos --counts 100000     # other numbers of images

Weights are random: they do not change what a step costs. Each row is one process: phase 1 and phase 2, two epochs each.
"photos" are drawn JPEG files of 224 pixels in a folder, no two alike, read by `load_images` with a budget of 1 GB; the
other studies have random pixels. "in a file" sets the budget to 20 MB, so that kept activations go to a temporary file.
The peak is that of resident memory: what was sent to a file does not count. CPU seconds are of all cores together, to
compare where other programs run beside.
"""

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image, ImageDraw

from common import run_alone, write_results
from kerastl.storage import MEMORY_VARIABLE

USUAL = {"images": 2000, "size": 96, "layers": 30, "base": "MobileNetV2", "budget": None}
PHOTOS = {"size": 224, "budget": 1000}
STUDIES = {
    "images": [{"images": count, "budget": budget} for budget in (None, 20) for count in (500, 2000, 5000, 20000)],
    "size": [{"size": size} for size in (96, 160, 224)],
    "layers": [{"layers": layers} for layers in (10, 30, 60, 100)],
    "base": [{"base": base} for base in ("MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "ResNet50V2")],
    "photos": [PHOTOS | {"images": count} for count in (5000, 20000, 50000, 100000)],
}
CLASSES = "abcde"
HELD_OUT = {"validation": 100, "test": 10}


def draw_photos(folder: Path, count: int) -> None:
    """Have `count` training photos in a folder of parts and classes, and a few of the other parts; no two are alike."""

    def draw(part: str, number: int) -> None:
        file = folder / part / CLASSES[number % 5] / f"{number:06d}.jpg"
        if file.exists():
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng([number, len(part)])
        photo = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((256, 256), Image.Resampling.BICUBIC)
        pen = ImageDraw.Draw(photo)
        for x, y, *colour in rng.integers(0, 256, (12, 5)).tolist():
            pen.regular_polygon((x, y, 30), 3 + number % 5, fill=tuple(colour))  # a class has its number of corners
        photo.save(file, quality=90)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for part, images in {"train": count, **HELD_OUT}.items():
            list(pool.map(lambda number, part=part: draw(part, number), range(images)))


def run_row(row: dict) -> dict:
    """Train: seconds of reading and of both phases, and the most memory that the process ever held."""
    import resource

    import kerastl as tl
    from kerastl.data import make_dataset

    rng = np.random.default_rng(0)

    def part(count):
        shape = (count, row["size"], row["size"], 3)
        return make_dataset(rng.integers(0, 256, shape, dtype=np.uint8), np.arange(count) % 5)

    start = time.perf_counter()
    if row["folder"]:
        data = tl.load_images(row["folder"], image_size=row["size"])
    else:
        data = tl.ImageData(part(row["images"]), *map(part, HELD_OUT.values()), list(CLASSES))
    read = time.perf_counter()
    alpha = {"alpha": 0.35} if row["base"] == "MobileNetV2" else {}
    model = tl.build_model(row["base"], data, weights=None, **alpha)
    built, busy = time.perf_counter(), time.process_time()
    tl.train_head(model, data, epochs=2, verbose=0)
    tl.unfreeze_top(model, row["layers"])
    tl.fine_tune(model, data, epochs=2, verbose=0)
    return {
        "reading": round(read - start, 1),
        "seconds": round(time.perf_counter() - built, 1),
        "cpu_seconds": round(time.process_time() - busy, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def head(*columns: str) -> str:
    return f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|"


HEAD = head("images", "pixels", "layers unfrozen", "base", "kept", "seconds", "images/s", "peak MiB")
PHOTOS_HEAD = head("photos", "seconds of reading", "seconds of both phases", "CPU seconds", "peak MiB")


def line(row: dict) -> str:
    place = "in memory" if row["budget"] is None else "in a file"
    return (
        f"| {row['images']} | {row['size']} | {row['layers']} | {row['base']} | {place} | {row['seconds']} | "
        f"{row['images'] / row['seconds']:.0f} | {row['peak_mb']} |"
    )


def photos_line(row: dict) -> str:
    return f"| {row['images']} | {row['reading']} | {row['seconds']} | {row['cpu_seconds']} | {row['peak_mb']} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=STUDIES)
    parser.add_argument("--counts", type=int, nargs="+", help="numbers of images, instead of those of the study")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for one JSON file of each study")
    parser.add_argument("--row", type=json.loads, help=argparse.SUPPRESS)  # one row, in a process of its own
    args = parser.parse_args()
    if args.row:
        print(json.dumps(run_row(args.row)))
        return
    for study in [args.only] if args.only else STUDIES:
        rows = []
        shown, show = (PHOTOS_HEAD, photos_line) if study == "photos" else (HEAD, line)
        print(f"\n{shown}", flush=True)
        changes = STUDIES[study]
        if args.counts:  # each of the study's other settings with each of these numbers
            settings = {json.dumps(change | {"images": 0}): change for change in changes}.values()
            changes = [change | {"images": count} for count in args.counts for change in settings]
        with tempfile.TemporaryDirectory() as folder:
            for change in changes:
                row, photos = USUAL | change, folder if study == "photos" else None
                if photos:
                    draw_photos(Path(folder), row["images"])
                budget = {} if row["budget"] is None else {MEMORY_VARIABLE: str(row["budget"])}
                asked = json.dumps(row | {"folder": photos})
                rows.append(row | run_alone("--row", asked, environment={**os.environ, **budget}))
                print(show(rows[-1]), flush=True)
                write_results(args.out / f"scaling_{study}.json", rows)


if __name__ == "__main__":
    main()
