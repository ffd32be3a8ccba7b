"""What every test shares: a fixed seed, silence, no downloads, and tiny data and models."""

# ruff: noqa: E402 (the environment has to be set before TensorFlow and Keras are imported)

import atexit
import gc
import os
import shutil
import socket
import tempfile
from pathlib import Path

_EMPTY = tempfile.mkdtemp(prefix="kerastl-tests-")
atexit.register(shutil.rmtree, _EMPTY, ignore_errors=True)
# Before TensorFlow and Keras are imported, which read these once. Subprocesses of tests inherit them.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["MPLBACKEND"] = "Agg"
os.environ["KERAS_HOME"] = os.path.join(_EMPTY, "keras")  # empty: what was downloaded earlier must not help a test
os.environ["TFDS_DATA_DIR"] = os.path.join(_EMPTY, "tfds")

import keras
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import kerastl as tl
from kerastl.data import make_dataset
from kerastl.evaluation import Evaluation

CLASS_NAMES = ["blue", "green", "red"]
COUNTS = {"train": 24, "validation": 9, "test": 9}


def pytest_collection_finish():
    """What the imports made stays: Python need not look through it again and again, which saves a sixth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _close_figures():
    """What a test draws is no concern of the next one, also in another file."""
    yield
    plt.close("all")


@pytest.fixture
def no_network(monkeypatch):
    """Every connection fails, as on a machine without a network; also where there is one."""

    def refuse(*_, **__):
        raise OSError("no network here")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def draw(rng, label: int, height: int = 32, width: int = 32) -> np.ndarray:
    """A noisy picture in which the channel of its class is the brightest, so that there is something to learn."""
    picture = rng.integers(0, 160, (height, width, 3))
    picture[..., 2 - label] += 80
    return picture.astype(np.uint8)


@pytest.fixture(scope="session")
def arrays() -> dict:
    """{part: (images, labels)}: 24, 9 and 9 pictures of three classes."""
    rng = np.random.default_rng(1)
    labels = {part: np.arange(count, dtype=np.int64) % 3 for part, count in COUNTS.items()}
    return {part: (np.stack([draw(rng, label) for label in numbers]), numbers) for part, numbers in labels.items()}


@pytest.fixture(scope="session")
def data(arrays) -> tl.ImageData:
    """As `load_images` makes it: shuffled training images. 24 images in batches of 9: the last batch is smaller."""
    return tl.ImageData(
        *(make_dataset(*arrays[part], batch_size=9, shuffle=part == "train") for part in COUNTS), CLASS_NAMES
    )


@pytest.fixture(scope="session")
def ordered_data(arrays) -> tl.ImageData:
    """The same in one fixed order, for comparisons step by step."""
    return tl.ImageData(*(make_dataset(*arrays[part], batch_size=9) for part in COUNTS), CLASS_NAMES)


@pytest.fixture(scope="session")
def picture_folder(tmp_path_factory):
    """A folder with ten pictures in each of three class folders, PNG and JPEG, of several shapes. Only for reading."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(2)
    for label, name in enumerate(CLASS_NAMES):
        (folder / name).mkdir()
        for number in range(10):
            picture = draw(rng, label, 30 + number, 50 - number)
            Image.fromarray(picture).save(folder / name / f"{number:02d}.{'png' if number % 2 else 'jpg'}")
    return folder


@pytest.fixture
def own_folder(picture_folder, tmp_path):
    """A copy of the picture folder, for tests that change it."""
    return Path(shutil.copytree(picture_folder, tmp_path / "own"))


@pytest.fixture(scope="session")
def make_model(data):
    """A function that builds a fresh MobileNetV2 classifier with random weights, at 32 pixels."""

    def build(**arguments):
        return tl.build_model("MobileNetV2", data, **{"weights": None, "alpha": 0.35, **arguments})

    return build


@pytest.fixture
def model(make_model):
    return make_model()


@pytest.fixture(scope="session")
def make_toy():
    """A function that builds a small network of the same anatomy in no time: 13 layers, four of them BatchNorm."""

    def build(dropout: float = 0.0, classes: int = 3, in_base: float = 0.0) -> keras.Model:
        layers = keras.layers
        pixels = keras.Input((32, 32, 3), name="pixels")
        x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="conv1")(pixels)
        x = layers.ReLU(name="relu1")(layers.BatchNormalization(name="bn1")(x))
        y = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv2")(x)
        y = layers.BatchNormalization(name="bn2")(y)
        x = layers.Add(name="add")([x, layers.Dropout(in_base, name="drop")(y) if in_base else y])
        x = layers.Conv2D(12, 3, strides=2, padding="same", use_bias=False, name="conv3")(x)
        x = layers.ReLU(name="relu3")(layers.BatchNormalization(name="bn3")(x))
        x = layers.Conv2D(16, 1, use_bias=False, name="conv4")(x)
        x = layers.ReLU(name="relu4")(layers.BatchNormalization(name="bn4")(x))
        base = keras.Model(pixels, x, name="toy")
        image = keras.Input((32, 32, 3), name="image")
        x = base(layers.Rescaling(1 / 127.5, -1)(image))
        x = layers.Dropout(dropout, name="dropout")(layers.GlobalAveragePooling2D(name="pool")(x))
        activation = "softmax" if classes > 1 else "sigmoid"
        model = keras.Model(image, layers.Dense(classes, activation=activation, name="classifier")(x), name="toy_model")
        tl.freeze(model)
        return model

    return build


@pytest.fixture
def toy(make_toy, settle, arrays):
    return settle(make_toy(), arrays["train"][0])


@pytest.fixture(scope="session")
def settle():
    """A function that gives the BatchNorm layers of a model the statistics of some images, and random scales.

    With random weights and untouched statistics, deep networks return nearly zero for every image, and a comparison
    of their outputs could not fail.
    """

    def run(model: keras.Model, images: np.ndarray) -> keras.Model:
        rng = np.random.default_rng(3)
        base = next(layer for layer in model.layers if isinstance(layer, keras.Model) and layer.weights)
        norms = [layer for layer in base.layers if isinstance(layer, keras.layers.BatchNormalization)]
        before = [(layer.momentum, layer.trainable) for layer in norms]
        for layer in norms:
            layer.momentum, layer.trainable = 0.0, True
            if layer.scale:
                layer.gamma.assign(rng.uniform(0.8, 1.2, layer.gamma.shape))
            layer.beta.assign(rng.normal(0, 0.2, layer.beta.shape))
        model(images.astype("float32"), training=True)
        for layer, (momentum, trainable) in zip(norms, before, strict=True):
            layer.momentum, layer.trainable = momentum, trainable
        return model

    return run


@pytest.fixture(scope="session")
def differing():
    """A function that lists the paths of the weights in which two snapshots differ in at least one bit."""

    def compare(before: dict, after: dict) -> set[str]:
        assert before.keys() == after.keys()
        return {path for path in before if not np.array_equal(before[path], after[path])}

    return compare


@pytest.fixture(scope="session")
def loss_in_fit():
    """A function that gives the loss of an `Evaluation` as `fit` counts it.

    Keras takes no probability below 1e-7, except on TensorFlow, where it goes back to what came before the softmax.
    """
    least = np.finfo(np.float32).tiny if keras.backend.backend() == "tensorflow" else 1e-7

    def loss(result: Evaluation) -> float:
        return float(-np.log(np.maximum(result.probabilities[range(len(result.labels)), result.labels], least)).mean())

    return loss


@pytest.fixture
def matplotlib_stays(monkeypatch):
    """No picture is ever shown, no setting of Matplotlib is touched, and no figure stays open after a test."""

    def refuse(*_, **__):
        raise AssertionError("a plot function called show()")

    monkeypatch.setattr(plt, "show", refuse)
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before


@pytest.fixture
def evaluation(arrays) -> Evaluation:
    labels = arrays["test"][1]
    said = labels.copy()
    said[0] = 1  # one mistake: a blue one taken for green
    probabilities = np.full((9, 3), 0.1, "float32")
    probabilities[np.arange(9), said] = 0.8
    return Evaluation(8 / 9, 0.3, labels, probabilities)


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium. `make browser` installs what drives it."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "There is no Chromium. Install it (Debian: apt install chromium)."
    arguments = ["--disable-gpu", "--disable-background-networking", "--use-fake-device-for-media-stream"] + [
        "--no-sandbox"
    ] * (os.geteuid() == 0)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=arguments)
        yield chromium
        chromium.close()
