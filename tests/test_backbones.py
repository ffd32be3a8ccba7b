"""A base that somebody brings: a network of one's own, or a backbone of KerasHub, in both phases, saved and loaded."""

import importlib.util
import inspect

import keras
import numpy as np
import pytest

import kerastl as tl
from hub import BACKBONES, OPENED, SHAPE
from kerastl.data import make_dataset
from kerastl.graph import find_base_model, is_batch_norm, leaf_layers
from tiers import slow

SCALING = keras.layers.Rescaling(1 / 255)
needs_hub = pytest.mark.skipif(not importlib.util.find_spec("keras_hub"), reason="KerasHub is not installed")
QUICK = ("ViT", "MiT")


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, *SHAPE)).astype("uint8")


@pytest.fixture(scope="module")
def few(pictures) -> tl.ImageData:
    dataset = make_dataset(pictures, np.arange(12) % 2, batch_size=6)
    return tl.ImageData(dataset, dataset, dataset, ["even", "odd"])


@pytest.fixture
def network():
    """A small network of one's own, with a BatchNorm, that takes 0–1."""
    layers = keras.layers
    image = keras.Input(SHAPE, name="pixels")
    x = layers.Conv2D(8, 3, strides=4, name="low")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Conv2D(12, 3, strides=2, activation="relu", name="high")(x)
    return keras.Model(image, x, name="mine")


def build(network, few, **arguments) -> keras.Model:
    return tl.build_model(network, few, **{"preprocess": SCALING, "augment": False, "dropout": 0.0, **arguments})


def comes_back(model, few, pictures, tmp_path) -> keras.Model:
    """The model from its file, which predicts the same."""
    back = tl.load(tl.save(model, tmp_path / "model.keras", few.class_names)).model
    assert np.array_equal(back.predict(pictures, verbose=0), model.predict(pictures, verbose=0))
    return back


def learnable(layer) -> bool:
    return any(leaf.weights and not is_batch_norm(leaf) for leaf in leaf_layers(layer))


@needs_hub
@pytest.mark.parametrize("name", [*QUICK, *slow(*(name for name in BACKBONES if name not in QUICK))])
def test_a_backbone_of_kerashub_goes_through_both_phases_and_comes_back_from_its_file(name, few, pictures, tmp_path):
    network = BACKBONES[name]()
    features = network.predict(pictures / 255.0, verbose=0)
    model = build(network, few)
    base = find_base_model(model)
    assert np.allclose(base.predict(pictures / 255.0, verbose=0), features, atol=1e-5)
    assert (base.name == network.name and base is not network) == (name in OPENED)

    before = tl.snapshot(model)
    tl.train_head(model, few, epochs=1, verbose=0)
    assert {change.path for change in tl.changed_layers(before, tl.snapshot(model))} <= {
        "classifier/kernel",
        "classifier/bias",
    }
    before = tl.snapshot(model)
    top = next(layer for layer in reversed(base.layers) if learnable(layer))
    tl.unfreeze_top(model, top.name)
    tl.fine_tune(model, few, epochs=1, learning_rate=1e-2, verbose=0)
    start = base.layers.index(top)
    allowed = {weight.path for layer in [*base.layers[start:], model.layers[-1]] for weight in layer.weights}
    moved = {change.path for change in tl.changed_layers(before, tl.snapshot(model))}
    assert moved & {weight.path for weight in top.weights}
    assert moved <= allowed
    assert not moved & {w.path for layer in leaf_layers(base) if is_batch_norm(layer) for w in layer.weights}

    saved = comes_back(model, few, pictures, tmp_path)
    assert [len(w.shape) for w in saved.trainable_weights] == [len(w.shape) for w in model.trainable_weights]


class Powers(keras.Layer):
    """Its settings lack the exponent: Keras would make it again with another one."""

    def __init__(self, exponent: int = 1, **settings):
        super().__init__(**settings)
        self.exponent = exponent

    def call(self, values):
        return values**self.exponent

    def get_config(self):
        return super().get_config()


def test_a_network_that_keras_cannot_make_again_is_trained_with_a_warning(network, few):
    powers = keras.Model(network.input, Powers(2)(network.output), name="powers")
    with pytest.warns(UserWarning, match="'powers' again from its settings.*what `save` writes will not load"):
        model = build(powers, few)
    tl.train_head(model, few, epochs=1, verbose=0)


@needs_hub
def test_each_block_of_a_transformer_can_be_unfrozen_by_itself(few):
    model = build(BACKBONES["ViT"](), few)
    names = [block.name for block in tl.list_blocks(model).blocks]
    blocks = [name for name in names if "transformer_block" in name]
    assert len(blocks) == 3
    counts = [tl.unfreeze_top(model, block).parameters for block in blocks]
    assert counts[0] > counts[1] > counts[2] > 0
    assert counts[0] - counts[1] == counts[1] - counts[2]  # as large as each other
    assert tl.unfreeze_top(model, "all").parameters > counts[0]


class Blocks(keras.Layer):
    """A layer of one's own that holds blocks, and does something else in training."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.blocks = [keras.Sequential([keras.layers.Dense(12), keras.layers.Dense(12)]) for _ in range(3)]

    def call(self, values, training=None):
        for block in self.blocks:
            values = 0.9 * values if training else values + block(values)
        return values


def test_a_layer_of_ones_own_stays_as_it_is_also_in_training(few, pictures):
    image = keras.Input(SHAPE)
    whole = keras.Model(image, Blocks()(keras.layers.Conv2D(12, 3, strides=4)(image)), name="whole")
    images = pictures[:2].astype("float32") / 255
    before = [np.asarray(whole(images, training=training)) for training in (False, True)]
    base = find_base_model(build(whole, few))
    for training, values in zip((False, True), before, strict=True):
        assert np.allclose(base(images, training=training), values, atol=1e-5)


@pytest.mark.parametrize("name", ["pool", "classifier", "image", "dropout", "augmentation"])
def test_a_network_with_a_name_of_the_whole_models_own_is_an_error(network, few, name):
    with pytest.raises(ValueError, match=f"a network named '{name}'.*Give it another"):
        build(keras.Model(network.input, network.output, name=name), few)


@needs_hub
def test_of_a_converter_of_kerashub_the_scaling_is_taken(few, pictures):
    import keras_hub

    converter = keras_hub.layers.ImageConverter(
        image_size=(64, 64), scale=[1 / 100, 1 / 50, 1 / 25], offset=[-1.0, -2.0, -3.0]
    )
    network = BACKBONES["VGG"]()
    model = build(network, few, preprocess=converter)
    pooled = network.predict(np.asarray(converter(pictures.astype("float32"))), verbose=0).mean(axis=(1, 2))
    assert np.allclose(tl.extract_features(model, few.test).values, pooled, atol=1e-4)


@needs_hub
def test_a_backbone_without_the_map_of_places_has_no_heat_map_and_says_so(few, pictures):
    model = build(BACKBONES["ViT"](), few)
    tl.train_head(model, few, epochs=1, verbose=0)
    with pytest.raises(ValueError, match="gives no maps"):
        tl.grad_cam(model, pictures[0], class_names=few.class_names)


def test_a_network_of_ones_own_is_a_base_in_both_phases(network, few, pictures, differing, tmp_path):
    pooled = network.predict(pictures / 255.0, verbose=0).mean(axis=(1, 2))
    model = build(network, few)
    assert np.allclose(tl.extract_features(model, few.test).values, pooled, atol=1e-5)
    tl.train_head(model, few, epochs=1, verbose=0)
    tl.unfreeze_top(model, 1)
    before = tl.snapshot(model)
    tl.fine_tune(model, few, epochs=1, verbose=0)
    moved = {change.path for change in tl.changed_layers(before, tl.snapshot(model))}
    assert moved == {"high/kernel", "high/bias", "classifier/kernel", "classifier/bias"}
    comes_back(model, few, pictures, tmp_path)
    heat = tl.grad_cam(model, pictures[0], class_names=few.class_names)
    assert heat.heat.shape == SHAPE[:2]


def test_it_is_used_itself_with_the_weights_that_it_has(network, few):
    kernel = np.array(network.get_layer("high").kernel)
    model = build(network, few)
    assert find_base_model(model).get_layer("high") is network.get_layer("high")
    assert np.array_equal(network.get_layer("high").kernel, kernel)


def test_a_function_of_keras_scales_for_it(network, few, pictures):
    scale = keras.applications.resnet.preprocess_input
    model = build(network, few, preprocess=scale)
    pooled = network.predict(scale(pictures.astype("float32")), verbose=0).mean(axis=(1, 2))
    assert np.allclose(tl.extract_features(model, few.test).values, pooled, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("avg", lambda maps: maps.mean(axis=(1, 2))),
        ("max", lambda maps: maps.max(axis=(1, 2))),
        ("both", lambda maps: np.concatenate([maps.mean(axis=(1, 2)), maps.max(axis=(1, 2))], axis=1)),
    ],
)
def test_pooling_of_maps(network, few, pictures, pooling, expected, tmp_path):
    model = build(network, few, pooling=pooling)
    features = tl.extract_features(model, few.test).values
    assert np.allclose(features, expected(network.predict(pictures / 255.0, verbose=0)), atol=1e-5)
    tl.train_head(model, few, epochs=1, verbose=0)
    comes_back(model, few, pictures, tmp_path)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("avg", lambda tokens: tokens.mean(axis=1)),
        ("max", lambda tokens: tokens.max(axis=1)),
        ("both", lambda tokens: np.concatenate([tokens.mean(axis=1), tokens.max(axis=1)], axis=1)),
        ("token", lambda tokens: tokens[:, 0]),
    ],
)
def test_pooling_of_tokens(network, few, pictures, pooling, expected, tmp_path):
    tokens = keras.Model(network.input, keras.layers.Reshape((-1, 12))(network.output), name="tokens")
    model = build(tokens, few, pooling=pooling)
    features = tl.extract_features(model, few.test).values
    assert np.allclose(features, expected(tokens.predict(pictures / 255.0, verbose=0)), atol=1e-5)
    tl.train_head(model, few, epochs=1, verbose=0)
    comes_back(model, few, pictures, tmp_path)


def test_a_network_that_pools_by_itself_is_not_pooled_again(network, few, pictures):
    pooled = keras.Model(network.input, keras.layers.GlobalMaxPooling2D()(network.output), name="pooled")
    model = build(pooled, few)
    assert np.allclose(
        tl.extract_features(model, few.test).values, pooled.predict(pictures / 255.0, verbose=0), atol=1e-5
    )


def with_head(network):
    x = keras.layers.GlobalAveragePooling2D()(network.output)
    return keras.Model(network.input, keras.layers.Dense(5, activation="softmax", name="old")(x), name="whole")


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (None, {"preprocess": None}, r"without `preprocess`\. Expected what makes of pixels 0–255"),
        (None, {"weights": None}, r"Received weights=None .* is built already\. Leave them out"),
        (None, {"alpha": 0.5}, r"\{'alpha': 0\.5\} with the network 'mine'"),
        (None, {"pooling": "mean"}, r"Received pooling='mean'\. Expected one of 'avg', 'max', 'both', 'token'"),
        (None, {"pooling": "token"}, r"pooling='token', and the base gives .*Expected tokens"),
        (with_head, {}, r"'whole' gives \(None, 5\), as a network with a head does"),
        (lambda network: keras.Sequential([keras.Input((9,)), keras.layers.Dense(3)]), {}, "Expected images"),
    ],
)
def test_a_network_that_cannot_be_a_base_is_an_error(network, few, change, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(change(network) if change else network, few, **arguments)


def test_a_network_for_another_size_is_an_error_that_says_which(network, few):
    small = keras.Model(*(lambda x: (x, keras.layers.Conv2D(3, 3)(x)))(keras.Input((32, 48, 3))), name="small")
    with pytest.raises(ValueError, match=r"'small' takes 32×48 pixels, the data have 64×64: .*image_size=\(32, 48\)"):
        build(small, few)


def test_preprocessing_for_a_base_that_has_its_own_is_an_error(few):
    with pytest.raises(ValueError, match="'VGG16' has its own"):
        tl.build_model("VGG16", few, weights=None, preprocess=SCALING)


def test_what_is_no_layer_and_no_function_cannot_scale(network, few):
    with pytest.raises(TypeError, match=r"Received preprocess=0\.5\. Expected a layer or a function"):
        build(network, few, preprocess=0.5)


def test_build_model_names_its_poolings():
    assert all(f'"{word}"' in inspect.getdoc(tl.build_model) for word in ("avg", "max", "both", "token"))
