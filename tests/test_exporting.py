"""What `export` writes answers in its real runtime as the Keras model does, or is not written at all."""

import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerastl as tl
from conftest import CLASS_NAMES
from hub import BACKBONES, SHAPE
from kerastl.__main__ import main
from kerastl.bases import BASES
from kerastl.data import make_dataset
from kerastl.formats import FORMATS
from kerastl.graph import all_layers, find_base_model
from tiers import slow, weekly

layers = keras.layers
NAMES = ["blau", "grün", "チューリップ"]
pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="written with Keras on TensorFlow")


@pytest.fixture
def data(data) -> tl.ImageData:
    return data._replace(class_names=NAMES)


@pytest.fixture
def images(arrays) -> np.ndarray:
    return arrays["test"][0].astype("float32")


@pytest.fixture
def augmenting(toy) -> keras.Model:
    before = [layers.RandomRotation(0.3), layers.Rescaling(1 / 127.5, -1)]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")]
    return keras.Sequential([keras.Input((32, 32, 3), name="image"), *before, find_base_model(toy), *head])


def ask_saved_model(path, images):
    served = tf.saved_model.load(str(path))
    return served.serve(images).numpy()


def ask_litert(path, images):
    run = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(model_path=str(path)).get_signature_runner()
    return np.concatenate([next(iter(run(image=image[None]).values())) for image in images])


def ask_onnx(path, images):
    session = pytest.importorskip("onnxruntime").InferenceSession(path)
    return session.run(None, {"image": images})[0]


def ask_openvino(path, images):
    compiled = pytest.importorskip("openvino").Core().compile_model(path, "CPU")
    return compiled({"image": images})[0]


# Each runtime by itself, with its own defaults: OpenVINO's are 16 bits on some processors.
ASK = {
    "flowers": (ask_saved_model, 1e-4),
    "flowers.tflite": (ask_litert, 1e-4),
    "flowers.onnx": (ask_onnx, 1e-4),
    "flowers.xml": (ask_openvino, 0.01),
}


@pytest.mark.parametrize("name", ASK)
def test_a_file_answers_in_its_runtime_as_the_model_does(augmenting, images, tmp_path, name):
    for package in FORMATS[os.path.splitext(name)[1]].packages:
        pytest.importorskip(package)
    expected = augmenting.predict(images, verbose=0)
    assert np.ptp(expected, axis=0).max() > 0.01  # the pictures differ, and so do the answers
    exported = tl.export(augmenting, tmp_path / name, class_names=NAMES)
    ask, most = ASK[name]
    for _ in range(2):  # nothing acts by chance any more
        np.testing.assert_allclose(ask(exported.path, images), expected, atol=most)
    assert exported.difference < 1e-3
    assert exported.agreement == 1
    assert exported.labels.read_text(encoding="utf-8").splitlines() == NAMES
    beside = {"flowers.xml": ["flowers.bin"]}.get(name, [])
    assert sorted(os.listdir(tmp_path)) == sorted([name, f"{name}.labels.txt", *beside])
    assert f"({exported.format}, {exported.size / 1e6:.2f} MB)" in str(exported)
    assert "(pictures, 32, 32, 3)" in str(exported)


FAMILIES = {base.family: name for name, base in reversed(BASES.items())}  # the first base of each
QUICK = ("efficientnet", "vgg16", "ViT")
REFUSED = {"MiT": [".onnx"], "Swin": [".xml"]}  # what their runtimes cannot run


@pytest.mark.parametrize("family", [*slow(*QUICK[:2]), *weekly(*sorted(set(FAMILIES) - set(QUICK)))])
def test_a_base_of_each_family_answers_in_each_runtime(family, tmp_path):
    data = few_pictures(max(64, BASES[FAMILIES[family]].smallest_image))
    check_in_each_runtime(tl.build_model(FAMILIES[family], data, weights=None), tmp_path)


@pytest.mark.parametrize("name", [*slow(*QUICK[2:]), *weekly(*(name for name in BACKBONES if name not in QUICK))])
def test_a_backbone_of_kerashub_answers_in_each_runtime_or_is_refused(name, tmp_path):
    pytest.importorskip("keras_hub")
    model = tl.build_model(BACKBONES[name](), few_pictures(SHAPE[0]), preprocess=layers.Rescaling(1 / 127.5, -1))
    check_in_each_runtime(model, tmp_path, REFUSED.get(name, ()))


def few_pictures(side: int) -> tl.ImageData:
    pictures = np.random.default_rng(0).integers(0, 256, (6, side, side, 3), np.uint8)
    part = make_dataset(pictures, np.arange(6) % 3)
    return tl.ImageData(part, part, part, NAMES)


def stretch(model, images, times=1.0):
    """Answers of random weights are all alike: multiply what differs."""
    kernel = model.layers[-1].kernel
    values = tl.extract_features(model, make_dataset(images, np.zeros(len(images), np.int64)))[0] @ np.asarray(kernel)
    kernel.assign(np.asarray(kernel) * (times / np.ptp(values, axis=0).max()))


def check_in_each_runtime(model, folder, refused=()):
    images = np.random.default_rng(1).uniform(0, 255, (4, *model.input_shape[1:])).astype("float32")
    images *= np.linspace(0.2, 1, 4, dtype="float32")[:, None, None, None]
    stretch(model, images)
    expected = model.predict(images, verbose=0)
    assert np.ptp(expected, axis=0).max() > 0.01
    for ending in (".tflite", ".onnx", ".xml"):
        for package in FORMATS[ending].packages:
            pytest.importorskip(package)
        if ending in refused:
            with pytest.raises(RuntimeError, match=r"Nothing was written\. Choose another format"):
                tl.export(model, folder / f"flowers{ending}", class_names=NAMES)
            continue
        file = tl.export(model, folder / f"flowers{ending}", class_names=NAMES).path
        ask, most = ASK[file.name]
        np.testing.assert_allclose(ask(file, images), expected, atol=10 * most, err_msg=ending)


def test_a_model_of_mixed_precision_is_written_with_32_bits(data, images, tmp_path):
    def build(policy):
        keras.config.set_dtype_policy(policy)
        try:
            return tl.build_model("MobileNetV2", data, weights=None, alpha=0.35)
        finally:
            keras.config.set_dtype_policy("float32")

    model, whole = build("mixed_bfloat16"), build("float32")
    stretch(model, images, 30)  # so that 16 bits differ by much from 32
    whole.set_weights(model.get_weights())
    before = [layer.compute_dtype for layer in all_layers(model)]
    assert "bfloat16" in before
    expected = whole.predict(images, verbose=0)
    assert np.abs(model.predict(images, verbose=0) - expected).max() > 0.02
    exported = tl.export(model, tmp_path / "f.tflite", class_names=NAMES)
    np.testing.assert_allclose(ask_litert(exported.path, images), expected, atol=1e-3)
    assert [layer.compute_dtype for layer in all_layers(model)] == before


def test_a_wrong_answer_is_seen_also_where_all_probabilities_are_small(data, images, tmp_path, monkeypatch):
    names = [f"class {number}" for number in range(200)]
    model = tl.build_model("MobileNetV2", data._replace(class_names=names), weights=None, alpha=0.35)
    stretch(model, images)
    kind = FORMATS[".tflite"]
    turned = kind._replace(open=lambda path: lambda images: kind.open(path)(images)[:, ::-1])
    monkeypatch.setitem(FORMATS, ".tflite", turned)
    with pytest.raises(RuntimeError, match=r"differ by .*, more than .*Nothing was written"):
        tl.export(model, tmp_path / "f.tflite", class_names=names)


@pytest.mark.parametrize("ending", ["", ".tflite"])
def test_augmentation_inside_the_base_that_acts_seldom_does_not_act_in_the_file(data, images, tmp_path, ending):
    image = keras.Input((32, 32, 3))
    x = layers.RandomInvert(0.05, value_range=(0, 1))(image) if hasattr(layers, "RandomInvert") else image
    x = layers.RandomFlip()(x)
    network = keras.Model(image, layers.Conv2D(8, 3, activation="relu")(x))
    model = tl.build_model(network, data, preprocess=layers.Rescaling(1 / 255), augment=False)
    stretch(model, images)
    exported = tl.export(model, tmp_path / f"f{ending}", class_names=NAMES)
    answer = FORMATS[ending].open(exported.path)
    for _ in range(20):
        np.testing.assert_allclose(answer(images), model.predict(images, verbose=0), atol=1e-4)


def test_a_model_whose_training_went_wrong_is_not_written(augmenting, data, tmp_path):
    augmenting.layers[-1].kernel.assign(np.nan * augmenting.layers[-1].kernel)
    for arguments in ({}, {"int8": data}):
        with pytest.raises(ValueError, match=r"gives nan for a picture: its training went wrong"):
            tl.export(augmenting, tmp_path / "f.tflite", class_names=NAMES, **arguments)
    assert os.listdir(tmp_path) == []


def test_int8_is_smaller_and_computes_with_8_bits_and_agrees_on_most_pictures(augmenting, images, data, tmp_path):
    plain = tl.export(augmenting, tmp_path / "plain.tflite", class_names=NAMES)
    small = tl.export(augmenting, tmp_path / "small.tflite", class_names=NAMES, int8=data)
    assert (plain.format, small.format) == ("LiteRT", "LiteRT, int8")
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(model_path=str(small.path))
    kinds = [tensor["dtype"] for tensor in interpreter.get_tensor_details()]
    assert kinds.count(np.int8) > kinds.count(np.float32)
    assert interpreter.get_input_details()[0]["dtype"] == np.float32
    expected, given = augmenting.predict(images, verbose=0), ask_litert(small.path, images)
    assert 0 < np.abs(given - expected).max() < 0.05
    assert 0 < small.difference < 0.05
    assert small.agreement > 0.8


def test_the_saved_file_and_what_load_gives_are_taken(augmenting, images, tmp_path):
    file = tl.save(augmenting, tmp_path / "model.keras", NAMES)
    assert main(["export", str(file), str(tmp_path / "flowers.tflite")]) == 0
    np.testing.assert_allclose(
        ask_litert(tmp_path / "flowers.tflite", images), augmenting.predict(images, verbose=0), atol=1e-4
    )
    assert (tmp_path / "flowers.tflite.labels.txt").read_text(encoding="utf-8").splitlines() == NAMES


def test_the_command_line_calibrates_with_a_folder(augmenting, picture_folder, tmp_path, capsys):
    file = tl.save(augmenting, tmp_path / "model.keras", CLASS_NAMES)
    assert main(["export", str(file), str(tmp_path / "f.tflite"), "--int8", str(picture_folder)]) == 0
    assert "(LiteRT, int8, " in capsys.readouterr().out


def test_a_file_that_answers_otherwise_is_not_written(augmenting, tmp_path, monkeypatch):
    (tmp_path / "f.tflite").write_text("older")
    other = tl.without_augmentation(keras.models.clone_model(augmenting))  # with other weights
    write = FORMATS[".tflite"].write
    monkeypatch.setitem(FORMATS, ".tflite", FORMATS[".tflite"]._replace(write=lambda model, path: write(other, path)))
    with pytest.raises(RuntimeError, match=r"differ by 0\.\d+ from .*Nothing was written"):
        tl.export(augmenting, tmp_path / "f.tflite", class_names=NAMES)
    assert os.listdir(tmp_path) == ["f.tflite"]
    assert (tmp_path / "f.tflite").read_text() == "older"


def test_what_cannot_be_exported_is_an_error_that_says_what_to_do(augmenting, data, tmp_path):
    def error(kind, match, path="f.tflite", model=augmenting, names=NAMES, **arguments):
        with pytest.raises(kind, match=match):
            tl.export(model, tmp_path / path, class_names=names, **arguments)
        assert sorted(os.listdir(tmp_path)) == ["file", "there"]

    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    error(ValueError, r"Expected one that ends in \.tflite", "f.pb")
    error(ValueError, "int8 for .* only LiteRT", "f.onnx", int8=data)
    error(FileExistsError, "'[^']*there' is there already", "there")
    error(FileExistsError, "'[^']*file' is there already", "file")
    error(FileNotFoundError, "There is no folder", "nowhere/f.tflite")
    for name in ("a\nb", "", "\udc80"):
        error(ValueError, r"Received the class name .*Expected names of one line", names=[name, "c", "d"])
    for path in (".onnx", "x.onnx."):
        error(ValueError, r"Expected one that ends in \.tflite", path)
    error(ValueError, "Expected 3 strings", names=["a"])
    error(ValueError, "Received a bare model", names=None)
    error(TypeError, "Expected ImageData", int8=data.train)
    error(
        ValueError,
        "'int8' holds the classes .*Expected those of the model",
        int8=data._replace(class_names=NAMES[::-1]),
    )
    error(ValueError, "train dataset is empty", int8=data._replace(train=data.train.take(0)))
    scaled = data.train.map(lambda images, labels: (images / 255, labels))
    error(ValueError, "0–255|0 to 255", int8=data._replace(train=scaled))
    error(FileNotFoundError, "There is no file", model=tmp_path / "none.keras", names=None)


@pytest.mark.parametrize(("ending", "package"), [(".onnx", "tf2onnx"), (".xml", "openvino")])
def test_a_missing_package_is_named_with_the_way_to_install_it(
    augmenting, tmp_path, monkeypatch, capsys, ending, package
):
    monkeypatch.setitem(sys.modules, package, None)
    file, said = (
        tl.save(augmenting, tmp_path / "model.keras", NAMES),
        rf"needs the package '{package}'.*kerastl\[export\]",
    )
    with pytest.raises(ImportError, match=said):
        tl.export(file, tmp_path / f"f{ending}")
    assert main(["export", str(file), str(tmp_path / f"f{ending}")]) == 2
    assert re.match(f"error: .*{said}", capsys.readouterr().err)
    assert os.listdir(tmp_path) == ["model.keras"]


def test_openvino_reports_to_nobody():
    """Imported by itself it starts `openvino_telemetry`, which asks nobody before it sends."""
    pytest.importorskip("openvino_telemetry")
    look = "import sys; print([name for name in sys.modules if name.startswith('openvino_telemetry')])"
    ours = "from kerastl.formats import need; need(['openvino'], 'OpenVINO')"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CI")}
    said = subprocess.run(
        [sys.executable, "-c", f"{ours}; {look}"], capture_output=True, text=True, check=True, env=environment
    )
    assert said.stdout.strip() == "[]"


def test_keras_on_another_backend_is_told_how(augmenting, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match=r"Keras runs on jax.*KERAS_BACKEND=tensorflow"):
        tl.export(augmenting, tmp_path / "f.tflite", class_names=NAMES)
