"""Training through the engine gives the weights that training the whole model on raw images gives, epoch by epoch."""

import keras
import numpy as np
import pytest

import kerastl as tl
from kerastl.data import make_dataset
from kerastl.engine.split import split_model
from kerastl.graph import find_base_model, is_batch_norm, leaf_layers

BASES = {  # name: (anatomy, smallest legal image, precision)
    "VGG16": ("a plain chain", 32, "float32"),
    "MobileNetV2": ("residual", 32, "float32"),
    "ResNet50V2": ("residual", 32, "float32"),
    # With random weights, rounding grows in these from step to step, in plain training as well: so more precisely
    "DenseNet121": ("dense", 32, "float64"),
    "InceptionV3": ("branching", 75, "float64"),
    "NASNetMobile": ("cells with two inputs: the frontier is two tensors", 32, "float64"),
    "EfficientNetB0": ("dropout inside, here set to 0", 32, "float64"),
}
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
COUNT, BATCH, EPOCHS = 12, 4, 3


@pytest.fixture
def make_pair(settle):
    """A function that builds the same model twice, with data for it."""
    before = keras.config.dtype_policy()

    def build(name: str):
        _, size, precision = BASES[name]
        keras.config.set_floatx(precision)
        keras.config.set_dtype_policy(precision)
        rng = np.random.default_rng(5)
        images = rng.integers(0, 256, (COUNT, size, size, 3)).astype(np.uint8)
        labels = np.arange(COUNT) % 3
        part = make_dataset(images, labels, batch_size=BATCH)
        data = tl.ImageData(part, part, part, ["a", "b", "c"])
        pair = []
        for _ in range(2):
            keras.utils.set_random_seed(0)
            model = tl.build_model(name, data, weights=None, augment=False, dropout=0.0)
            classifier = keras.layers.Dense(3, activation="softmax")  # that of `build_model` is float32
            model = settle(keras.Model(model.inputs[0], classifier(model.get_layer("dropout").output)), images)
            for layer in leaf_layers(find_base_model(model)):
                if isinstance(layer, keras.layers.Dropout):
                    layer.rate = 0.0
                if is_batch_norm(layer):  # half its output: calms a random network, in which rounding would grow
                    layer.moving_variance.assign(layer.moving_variance * 4)
            pair.append(model)
        pair[1].set_weights(pair[0].get_weights())
        return pair, data, images, labels

    yield build
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy(before)


class Snapshots(keras.callbacks.Callback):
    """The weights after each epoch."""

    def __init__(self):
        super().__init__()
        self.taken = []

    def on_epoch_end(self, epoch, logs=None):
        self.taken.append(tl.snapshot(self.model))


def plain_loop(model, images, labels, optimizer, shuffled: bool) -> list[dict]:
    """Train the whole model on raw images, batch by batch, without this package's engine."""
    model.compile(optimizer, loss="sparse_categorical_crossentropy")
    taken = []
    for _ in range(EPOCHS):
        order = np.random.permutation(COUNT) if shuffled else np.arange(COUNT)
        for start in range(0, COUNT, BATCH):
            index = order[start : start + BATCH]
            model.train_on_batch(images[index].astype("float32"), labels[index])
        taken.append(tl.snapshot(model))
    return taken


def cases():
    """Every base with nothing, its top and all of it unfrozen. CI takes two bases; one case is fast."""
    for name in BASES:
        for unfrozen in ("nothing", "top", "all"):
            fast = (name, unfrozen) == ("MobileNetV2", "top")
            mark = pytest.mark.slow if name in ("MobileNetV2", "VGG16") else pytest.mark.weekly
            yield pytest.param(name, unfrozen, marks=[] if fast else mark)


@pytest.mark.parametrize(("name", "unfrozen"), cases())
def test_training_on_kept_activations_equals_plain_training(make_pair, name, unfrozen):
    (one, other), data, images, labels = make_pair(name)
    for model in (one, other):
        if unfrozen == "top":
            tl.unfreeze_top(model, min(30, len(find_base_model(model).layers) // 2))
        if unfrozen == "all":
            tl.unfreeze_top(model, len(find_base_model(model).layers))
    start = tl.snapshot(one)

    def optimizer():  # Adam would blow rounding up where gradients are nearly 0
        return keras.optimizers.SGD(0.01, momentum=0.9)

    snapshots = Snapshots()
    train = tl.train_head if unfrozen == "nothing" else tl.fine_tune
    arguments = {"epochs": EPOCHS, "learning_rate": optimizer(), "callbacks": [snapshots], "verbose": 0}
    np.random.seed(4)
    train(one, data, views=0, **arguments)
    np.random.seed(4)
    # with everything unfrozen nothing is kept: the images come in the order of the dataset
    expected = plain_loop(other, images, labels, optimizer(), shuffled=split_model(other).depth > 0)

    assert len(snapshots.taken) == EPOCHS
    tolerance = TOLERANCE[BASES[name][2]]
    for kept, plain in zip(snapshots.taken, expected, strict=True):
        for path, value, wanted in zip(kept, kept.values(), plain.values(), strict=True):
            np.testing.assert_allclose(value, wanted, rtol=10 * tolerance, atol=tolerance, err_msg=path)
    moved = {path: np.abs(value - start[path]).max() for path, value in snapshots.taken[-1].items()}
    assert {path for path, distance in moved.items() if distance} == {w.path for w in one.trainable_weights}
    assert max(moved.values()) > 1e-3  # a hundred times what the comparison lets pass
