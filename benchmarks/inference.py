"""Does another inference engine pay for the frozen part?

    pip install openvino onnxruntime tf2onnx
    python benchmarks/inference.py

The frozen part of phase 2 (30 layers unfrozen), on batches of 32 random pictures, in turn in each of `--rounds` rounds:

    keras        `predict_on_batch` of the frozen part as it is
    folded       as the engine runs it: a copy in which each convolution does the work of the BatchNorm after it
    constants    a `tf.function` in which the weights are constants, so that TensorFlow does this by itself
    lite         TensorFlow's own converter and interpreter for phones (XNNPACK)
    onnxruntime, openvino    `model.export(format=…)`, then the engine, in float32
    openvino as it comes     the same without naming float32: it takes bfloat16 where the processor has it

Random weights; BatchNorm is fitted to one batch, so that the numbers have the size of real ones. The time is that of
the cores, which other programs on the machine change little. An engine that is not installed is left out.
"""

import argparse
import importlib.util
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import kerastl as tl
from common import read_results, write_results
from kerastl.data import make_dataset
from kerastl.engine.fold import fold_norms
from kerastl.engine.split import split_model
from kerastl.graph import find_base_model, is_batch_norm, leaf_layers

BATCH, BATCHES = 32, 4
CASES = {
    "MobileNetV2 0.35, 96": ("MobileNetV2", 96, {"alpha": 0.35}),
    "MobileNetV2 0.35, 160": ("MobileNetV2", 160, {"alpha": 0.35}),
    "MobileNetV2 1.0, 160": ("MobileNetV2", 160, {}),
    "MobileNetV2 1.0, 224": ("MobileNetV2", 224, {}),
    "EfficientNetB0, 224": ("EfficientNetB0", 224, {}),
}
HEAD = """\
| frozen part | engine | ready after | a picture | times less | largest difference |
|---|---|---|---|---|---|"""


def with_constants(lower: keras.Model):
    weights = [np.asarray(v) for v in lower.trainable_variables], [np.asarray(v) for v in lower.non_trainable_variables]
    run = tf.function(lambda images: lower.stateless_call(*weights, images, training=False)[0])
    return lambda images: run(tf.constant(images))


def with_lite(lower: keras.Model):
    model = tf.lite.Interpreter(
        model_content=tf.lite.TFLiteConverter.from_keras_model(lower).convert(), num_threads=os.cpu_count()
    )
    (place,), (result,) = model.get_input_details(), model.get_output_details()
    model.resize_tensor_input(place["index"], (BATCH, *lower.input_shape[1:]))
    model.allocate_tensors()

    def run(images):
        model.set_tensor(place["index"], images)
        model.invoke()
        return model.get_tensor(result["index"])

    return run


def with_onnxruntime(lower: keras.Model):
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/model.onnx"
        lower.export(file, format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(file)
    return lambda images: session.run(None, {session.get_inputs()[0].name: images})[0]


def with_openvino(lower: keras.Model, **options):
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/model.xml"
        lower.export(file, format="openvino", verbose=False)
        compiled = openvino.Core().compile_model(file, "CPU", {"PERFORMANCE_HINT": "LATENCY", **options})
    return lambda images: compiled(images)[0]


ENGINES = {
    "keras": lambda lower: lower.predict_on_batch,
    "folded": lambda lower: fold_norms(lower, {}).predict_on_batch,
    "constants": with_constants,
    "lite": with_lite,
    "onnxruntime": with_onnxruntime,
    "openvino": lambda lower: with_openvino(lower, INFERENCE_PRECISION_HINT="f32"),
    "openvino as it comes": with_openvino,
}


def frozen_part(base: str, size: int, options: dict) -> tuple[keras.Model, np.ndarray]:
    """The part below the cut, and a batch of what comes into it."""
    keras.utils.set_random_seed(0)
    images = np.random.randint(0, 256, (BATCH, size, size, 3)).astype("float32")
    data = tl.ImageData(*[make_dataset(images, np.arange(BATCH) % 2)] * 3, ["a", "b"])
    model = tl.build_model(base, data, weights=None, **options)
    scaled = split_model(model).front(images, training=False)
    for norm in filter(is_batch_norm, leaf_layers(find_base_model(model))):
        norm.trainable, norm.momentum = True, 0.0
    find_base_model(model)(scaled, training=True)
    tl.freeze(model)
    tl.unfreeze_top(model, 30)
    return split_model(model).lower, np.asarray(scaled)


def measure(lower: keras.Model, images: np.ndarray, rounds: int) -> dict:
    """{engine: seconds of a core until its first answer, how far that is off, seconds for a picture in each round}."""
    engines, result = {}, {}
    for name, make in ENGINES.items():
        if name.split()[0] in ("onnxruntime", "openvino") and not importlib.util.find_spec(name.split()[0]):
            continue
        start = time.process_time()
        try:
            run = make(lower)
            answer = np.asarray(run(images))
        except Exception as error:  # whatever an engine raises is a result
            result[name] = {"failed": str(error)}
            continue
        engines[name] = run
        ready = time.process_time() - start
        if name == "keras":
            truth = answer
        off = float(np.abs(answer - truth).max() / np.abs(truth).max())
        result[name] = {"ready": round(ready, 2), "off": float(f"{off:.1e}"), "picture": []}
    for _ in range(rounds):
        for name, run in engines.items():
            run(images)
            start = time.process_time()
            for _ in range(BATCHES):
                np.asarray(run(images))
            result[name]["picture"].append(round((time.process_time() - start) / BATCH / BATCHES, 6))
    return result


def table(done: dict) -> list[str]:
    lines = []
    for case, engines in done.items():
        plain = np.median(engines["keras"]["picture"])
        for name, run in engines.items():
            if "failed" in run:
                lines.append(f"| {case} | {name} | fails | | | |")
                continue
            picture = np.median(run["picture"])
            less = "" if name == "keras" else f"{plain / picture:.2f}"
            off = "" if name == "keras" else f"{100 * run['off']:.4f} %"
            lines.append(f"| {case} | {name} | {run['ready']:.1f} s | {1000 * picture:.2f} ms | {less} | {off} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("inference.json"), help="where finished cases are kept")
    args = parser.parse_args()
    done = read_results(args.out)
    for case, options in CASES.items():
        if case not in done:
            done[case] = measure(*frozen_part(*options), args.rounds)
            write_results(args.out, done)
            keras.backend.clear_session()
    print("\n".join([HEAD, *table(done)]))


if __name__ == "__main__":
    main()
