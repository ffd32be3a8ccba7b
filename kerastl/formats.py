"""The formats of other programs: how each is written, and how its own runtime answers."""

import importlib
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import keras

Answer = Callable[[np.ndarray], np.ndarray]  # float32 (images, height, width, 3), 0–255 -> (images, outputs)


class Format(NamedTuple):
    """One format."""

    name: str
    packages: tuple[str, ...]  # what it needs beside TensorFlow, as Python imports it
    write: Callable[..., None]  # model, path
    open: Callable[[Path], Answer]


def need(packages: Iterable[str], name: str) -> None:
    """Import packages that a format needs. Raises ImportError that says how to install them."""
    for package in packages:
        try:
            with _without_telemetry():
                importlib.import_module(package)
        except ImportError as error:
            raise ImportError(
                f"{name} needs the package {package!r}, which cannot be imported ({error}). Install it: "
                "`pip install 'kerastl[export]'`.",
                name=package,
            ) from error


@contextmanager
def _without_telemetry():
    """OpenVINO tells Google Analytics of each import, unless the package that does it cannot be imported."""
    reporter = "openvino_telemetry"
    kept = sys.modules.get(reporter)
    sys.modules[reporter] = None
    try:
        yield
    finally:
        del sys.modules[reporter]
        if kept:
            sys.modules[reporter] = kept


def _trace(model: "keras.Model"):
    """A function of TensorFlow with one input, "image", and one output, in which no other function is called.

    (Keras compiles grouped convolutions, as in ConvNeXt, to functions of their own, which ONNX does not know.)
    """
    import tensorflow as tf

    image = tf.TensorSpec(model.input_shape, tf.float32, "image")
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        return tf.function(lambda image: model(image, training=False)).get_concrete_function(image)
    finally:
        tf.config.run_functions_eagerly(before)


def _write_saved_model(model: "keras.Model", path: Path) -> None:
    model.export(path, verbose=False)


def _open_saved_model(path: Path) -> Answer:
    import tensorflow as tf

    server = tf.saved_model.load(str(path))
    return lambda images: server.serve(images).numpy()


def write_litert(model: "keras.Model", path: Path, pictures: Iterable[np.ndarray] | None = None) -> None:
    """Write a LiteRT file; with batches of calibration pictures, weights and activations have 8 bits.

    By way of a SavedModel, which every Keras can write, and with the operations of LiteRT alone. What goes in and out
    stays float32.

    Source: Jacob et al. (2018), Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
        Inference; done by LiteRT's converter, after training.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        _write_saved_model(model, Path(folder))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if pictures is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([picture[None]] for batch in pictures for picture in batch)
        path.write_bytes(converter.convert())


def _open_litert(path: Path) -> Answer:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter  # the same, as long as TensorFlow still holds it

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    (into,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()

    def answer_one(image: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(into["index"], image[None])
        interpreter.invoke()
        return interpreter.get_tensor(out["index"])[0]

    return lambda images: np.stack([answer_one(image) for image in images])


def _write_onnx(model: "keras.Model", path: Path) -> None:
    """Not by Keras 3.15's `export`: constants, such as the means of the colours, become inputs there.

    So most bases answered with an error. Measured on all families in tests/test_exporting.py.
    """
    import tf2onnx

    traced = _trace(model)
    names = {traced.inputs[0].name: "image", traced.outputs[0].name: "probabilities"}
    into, out = ([name] for name in names)
    tf2onnx.convert.from_graph_def(
        tf2onnx.tf_loader.from_function(traced, into, out),
        input_names=into,
        output_names=out,
        output_path=str(path),
        tensors_to_rename=names,
        custom_op_handlers={"Erfc": (_make_erfc, [])},
    )


def _make_erfc(graph, node, name: str, _) -> None:
    """1 - erf(x) for erfc(x), which ONNX does not have, but GELU is made of."""
    node.type = "Erf"
    one = graph.make_const(f"{name}/one", np.array(1, "float32")).output[0]
    graph.insert_new_node_on_output("Sub", node.output[0], inputs=[one, node.output[0]])


def _open_onnx(path: Path) -> Answer:
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # on Windows it has some
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def _write_openvino(model: "keras.Model", path: Path) -> None:
    """Not by Keras 3.15's `export`: each activation of EfficientNet becomes an output there."""
    import openvino

    traced = _trace(model)
    converted = openvino.convert_model(traced)
    probabilities = converted.output(traced.outputs[0].name).get_node()
    openvino.save_model(openvino.Model([probabilities], converted.get_parameters()), path, compress_to_fp16=False)


def _open_openvino(path: Path) -> Answer:
    need(("openvino",), "OpenVINO")
    import openvino

    # Left alone, it computes with 16 bits on processors that can: measured, a probability differed by 0.005.
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda images: compiled(images)[0]


FORMATS = {  # by the ending of the name
    "": Format("SavedModel", (), _write_saved_model, _open_saved_model),
    ".tflite": Format("LiteRT", (), write_litert, _open_litert),
    ".onnx": Format("ONNX", ("tf2onnx", "onnxruntime"), _write_onnx, _open_onnx),
    ".xml": Format("OpenVINO", ("openvino",), _write_openvino, _open_openvino),
}
