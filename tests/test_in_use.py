"""The model without its augmentation answers as `predict` does, and alike each time."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerastl as tl
from kerastl.graph import find_base_model

layers = keras.layers


@pytest.fixture
def images(arrays) -> np.ndarray:
    return arrays["test"][0].astype("float32")


def by_hand(toy: keras.Model, *before) -> keras.Model:
    """A model on a small base, with these layers before it."""
    head = [layers.GlobalAveragePooling2D(), layers.Dropout(0.2), layers.Dense(3, activation="softmax")]
    return keras.Sequential([keras.Input((32, 32, 3)), *before, find_base_model(toy), *head])


@pytest.fixture
def augmenting(toy) -> keras.Model:
    return by_hand(toy, layers.RandomRotation(0.3, name="augmentation"), layers.Rescaling(1 / 127.5, -1))


def spread(call, images) -> float:
    """How far the answers to the same pictures lie apart, asked three times."""
    return float(np.ptp([np.asarray(call(images)) for _ in range(3)], axis=0).max())


@pytest.mark.slow
def test_an_exported_model_gives_the_answers_of_predict_each_time(make_model, settle, arrays, images, tmp_path):
    model = settle(make_model(), arrays["train"][0])
    expected = model.predict(images, verbose=0)
    assert np.ptp(expected, axis=0).max() > 0.01  # the pictures differ, and so do the answers
    assert spread(lambda x: model(x, training=True), images) > 0.01  # there is something to leave out
    tl.without_augmentation(model).export(tmp_path / "served", verbose=False)
    server = tf.saved_model.load(str(tmp_path / "served"))
    assert spread(server.serve, images) == 0
    np.testing.assert_allclose(server.serve(images), expected, atol=1e-4)


def test_it_answers_alike_after_keras_alone_saved_and_loaded_it(augmenting, images, tmp_path):
    tl.without_augmentation(augmenting).save(tmp_path / "in_use.keras")
    loaded = keras.models.load_model(tmp_path / "in_use.keras")
    assert spread(loaded, images) == 0
    np.testing.assert_allclose(loaded(images), augmenting.predict(images, verbose=0), atol=1e-4)


def test_a_saved_and_loaded_model_can_be_exported(augmenting, images, tmp_path):
    loaded = tl.load(tl.save(augmenting, tmp_path / "model.keras", ["blue", "green", "red"])).model
    in_use = tl.without_augmentation(loaded)
    assert spread(in_use, images) == 0
    np.testing.assert_allclose(in_use(images), augmenting.predict(images, verbose=0), atol=1e-4)


@pytest.mark.slow
def test_the_weights_are_shared_and_the_model_itself_still_augments(augmenting, images, data):
    in_use = tl.without_augmentation(augmenting)
    before = np.asarray(in_use(images))
    assert {id(weight) for weight in in_use.weights} == {id(weight) for weight in augmenting.weights}
    tl.train_head(augmenting, data, epochs=1, verbose=0)
    np.testing.assert_allclose(in_use(images), augmenting.predict(images, verbose=0), atol=1e-4)
    assert np.abs(before - in_use(images)).max() > 1e-3
    augmented = augmenting.get_layer("augmentation")
    assert spread(lambda x: augmented(x, training=True), images) > 1


def test_it_is_a_model_as_the_other_helpers_want_it(augmenting, images):
    in_use = tl.without_augmentation(augmenting)
    assert find_base_model(in_use) is find_base_model(augmenting)
    names = ["blue", "green", "red"]
    np.testing.assert_allclose(
        [guess.probability for guess in tl.predict(in_use, images[0], class_names=names, top=3)],
        [guess.probability for guess in tl.predict(augmenting, images[0], class_names=names, top=3)],
        atol=1e-4,
    )
    again = tl.without_augmentation(in_use)  # nothing is left to leave out
    np.testing.assert_allclose(again(images), in_use(images), atol=1e-4)


@pytest.mark.parametrize("base", ["VGG16", "MobileNetV3Small"])
def test_every_way_of_scaling_stays_inside(base, data, settle, arrays, images):
    """VGG16 scales by bare operations (colours swapped, means taken off), MobileNetV3 inside the base."""
    model = tl.build_model(base, data, weights=None)
    if base != "VGG16":  # that has no BatchNorm
        settle(model, arrays["train"][0])
    in_use, expected = tl.without_augmentation(model), model.predict(images, verbose=0)
    assert spread(in_use, images) == 0
    assert np.ptp(expected, axis=0).max() > 1e-4
    np.testing.assert_allclose(in_use(images), expected, atol=1e-4)


@pytest.mark.parametrize(
    "before",
    [
        lambda: [layers.RandomRotation(0.3), layers.Rescaling(1 / 255)],
        lambda: [layers.Rescaling(1 / 127.5, -1), layers.RandomZoom(0.5), layers.GaussianNoise(0.5)],
        lambda: [layers.Resizing(40, 40), layers.RandomTranslation(0.4, 0.4), layers.CenterCrop(32, 32)],
        lambda: [keras.Sequential([layers.RandomFlip(), layers.RandomContrast(0.9)]), layers.BatchNormalization()],
        lambda: [keras.Sequential([layers.RandomFlip(), layers.Rescaling(1 / 255)])],
    ],
    ids=["in front", "after the scaling", "between changes of size", "as a block", "in a block with the scaling"],
)
def test_augmentation_is_found_wherever_it_stands_before_the_base_and_nothing_else_goes(toy, images, before):
    model = by_hand(toy, *before())
    assert spread(lambda x: model(x, training=True), images) > 1e-3
    in_use = tl.without_augmentation(model)
    assert spread(in_use, images) == 0
    np.testing.assert_allclose(in_use(images), model.predict(images, verbose=0), rtol=1e-4, atol=1e-4)


class Both(layers.Layer):
    """Turns pictures over by chance, and scales them."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.flip = layers.RandomFlip()

    def call(self, images, training=None):
        return self.flip(images, training=training) / 255


def test_a_model_that_resizes_images_of_any_size_can_be_exported(toy, images):
    head = [layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")]
    front = [keras.Input((None, None, 3)), layers.RandomFlip(), layers.Resizing(32, 32), layers.Rescaling(1 / 255)]
    model = keras.Sequential([*front, find_base_model(toy), *head])
    larger = np.repeat(images, 2, axis=2)
    in_use = tl.without_augmentation(model)
    np.testing.assert_allclose(in_use(larger), model.predict(larger, verbose=0), atol=1e-4)


def test_what_acts_by_chance_and_scales_in_use_is_an_error_with_a_way_out(toy, images):
    model = by_hand(toy, Both(name="both"))
    with pytest.raises(ValueError, match=r"layer 'both' acts by chance .* a layer of its own.*training=False"):
        tl.without_augmentation(model)
    image = keras.Input(model.input_shape[1:])  # the way out that it names
    in_use = keras.Model(image, model(image, training=False))
    assert spread(in_use, images) == 0
    np.testing.assert_allclose(in_use(images), model.predict(images, verbose=0), atol=1e-4)


class Noise(layers.Layer):
    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x), seed=self.seed)

    def build(self, _):
        self.seed = keras.random.SeedGenerator(0)


def with_base(*inside) -> keras.Model:
    pixels, image = keras.Input((32, 32, 3)), keras.Input((32, 32, 3))
    x = pixels
    for layer in inside:
        x = layer(x)
    base = keras.Model(pixels, layers.Conv2D(4, 3)(x))
    features = layers.GlobalAveragePooling2D()(base(layers.Rescaling(1 / 255)(image)))
    return keras.Model(image, layers.Dense(3, activation="softmax")(features))


def test_augmentation_inside_the_base_does_not_act(images):
    model = with_base(layers.RandomBrightness(0.5, value_range=(0, 1)), layers.RandomFlip())
    in_use = tl.without_augmentation(model)
    assert spread(model, images) > 1e-3
    assert spread(in_use, images) == 0
    np.testing.assert_allclose(in_use(images), model.predict(images, verbose=0), atol=1e-6)


def test_a_layer_inside_the_base_that_always_acts_by_chance_is_an_error(images):
    with pytest.raises(ValueError, match=r"base of .* acts by chance.*whether it is in training"):
        tl.without_augmentation(with_base(Noise()))


def test_a_model_without_a_base_is_an_error():
    with pytest.raises(ValueError, match="one nested base network; found none"):
        tl.without_augmentation(keras.Sequential([keras.Input((4,)), layers.Dense(2)]))
    with pytest.raises(TypeError, match="Received str"):
        tl.without_augmentation("model.keras")
