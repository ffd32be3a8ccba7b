"""How large is an exported model, how fast, and does it say the same?

    pip install 'kerastl[export]'
    python benchmarks/export.py FOLDER --weights FILE

FOLDER is `flower_photos`: it holds `train` and `val`, each with a folder for each class. A MobileNetV2 is trained in
both phases and exported into every format. Each is asked about every photo of `val`, one at a time. Times are of one
core, in turn, round by round: the median of the rounds. Beside other programs a time says little, its ratio to Keras's
more.
"""

import os

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tempfile
import time
from pathlib import Path

import keras
import numpy as np

import kerastl as tl
from common import make_parser, read_results, write_results
from kerastl.data import as_arrays
from kerastl.formats import FORMATS

ROUNDS, TIMED = 5, 50  # photos in each round
NAMES = ("model", "model.tflite", "int8.tflite", "model.onnx", "model.xml")
HEAD = """\
| format | MB | ms a photo | times Keras's ms | largest difference of a probability from Keras's | same class as Keras |
|---|---|---|---|---|---|"""


def measure(args) -> list[dict]:
    """A row for Keras, and for each format."""
    keras.utils.set_random_seed(0)
    data = tl.load_images(args.source, image_size=args.image_size)
    model = tl.build_model("MobileNetV2", data, weights=args.weights, alpha=args.alpha)
    tl.train_head(model, data, verbose=0)
    tl.unfreeze_top(model, 30)
    tl.fine_tune(model, data, verbose=0)
    images = as_arrays(data.test)[0].astype("float32")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        saved = tl.save(model, folder / "model.keras", data.class_names)
        rows, answers = [{"format": "Keras", "bytes": saved.stat().st_size}], [model.predict_on_batch]
        for name in NAMES:
            int8 = data if name.startswith("int8") else None
            exported = tl.export(saved, folder / name, int8=int8)
            print(exported, flush=True)
            rows.append({"format": exported.format, "bytes": exported.size})
            answers.append(FORMATS[exported.path.suffix].open(exported.path))
        times = np.array([[seconds(answer, images[:TIMED]) for answer in answers] for _ in range(ROUNDS)])
        said = [np.concatenate([answer(image[None]) for image in images]) for answer in answers]
    for row, seconds_each, given in zip(rows, np.median(times, axis=0), said, strict=True):
        row["milliseconds"] = round(1000 * seconds_each, 3)
        row["difference"] = float(np.abs(given - said[0]).max())
        row["agreement"] = float(np.mean(given.argmax(axis=1) == said[0].argmax(axis=1)))
    return rows


def seconds(answer, images: np.ndarray) -> float:
    """For one photo, asked one by one."""
    answer(images[:1])
    began = time.perf_counter()
    for image in images:
        answer(image[None])
    return (time.perf_counter() - began) / len(images)


def table(rows: list[dict]) -> list[str]:
    return [
        f"| {row['format']} | {row['bytes'] / 1e6:.2f} | {row['milliseconds']:.1f} | "
        f"{row['milliseconds'] / rows[0]['milliseconds']:.2f} | {row['difference']:.1g} | {row['agreement']:.1%} |"
        for row in rows
    ]


def main() -> None:
    args = make_parser(__doc__, "export.json").parse_args()
    rows = read_results(args.out) or measure(args)
    write_results(args.out, rows)
    print("\n".join([HEAD, *table(rows)]))


if __name__ == "__main__":
    main()
