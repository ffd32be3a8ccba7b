"""Building a model: what goes in, what comes out, what is inside, and wrong input."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerastl as tl
from kerastl.bases import BUNDLED_WEIGHTS, bundled_folder
from kerastl.calls import find_calls
from kerastl.data import make_dataset
from kerastl.graph import find_base_model

layers = keras.layers


def data_of_size(size: int) -> tl.ImageData:
    images, labels = np.zeros((3, size, size, 3), np.uint8), np.arange(3)
    return tl.ImageData(*(make_dataset(images, labels) for _ in range(3)), ["blue", "green", "red"])


def test_raw_pixels_go_in_and_probabilities_come_out(model, arrays):
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == (None, 3)
    probabilities = np.asarray(model(arrays["test"][0].astype("float32")))
    assert probabilities.min() > 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_the_scaling_of_the_base_is_inside(make_model, settle, arrays):
    images = arrays["test"][0].astype("float32")
    model = settle(make_model(augment=False), arrays["train"][0])
    base = find_base_model(model)
    features = np.asarray(base(keras.applications.mobilenet_v2.preprocess_input(images.copy()))).mean(axis=(1, 2))
    kernel, bias = map(np.asarray, model.get_layer("classifier").weights)
    scores = np.exp(features @ kernel + bias)
    by_hand = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(model(images)), by_hand, atol=1e-5)
    assert np.ptp(by_hand, axis=0).max() > 0.01  # the images differ, so the comparison could fail


def test_augmentation_acts_in_training_only(make_model, settle, arrays):
    images = arrays["test"][0].astype("float32")
    model = settle(make_model(dropout=0.0), arrays["train"][0])
    plain = [np.asarray(model(images, training=False)) for _ in range(2)]
    assert np.array_equal(*plain)
    trained = [np.asarray(model(images, training=True)) for _ in range(2)]
    assert not np.allclose(*trained, atol=1e-4)


def test_without_augmentation_and_dropout_training_mode_is_inference(make_model, settle, arrays):
    images = arrays["test"][0].astype("float32")
    model = settle(make_model(augment=False, dropout=0.0), arrays["train"][0])
    np.testing.assert_allclose(model(images, training=True), model(images, training=False), atol=1e-6)


def test_dropout_acts_on_the_pooled_features(make_model, settle, arrays):
    images = arrays["test"][0].astype("float32")
    model = settle(make_model(augment=False, dropout=0.5), arrays["train"][0])
    assert not np.allclose(model(images, training=True), model(images, training=False), atol=1e-3)


def test_only_the_classifier_has_trainable_weights(model):
    assert [weight.path for weight in model.trainable_weights] == ["classifier/kernel", "classifier/bias"]


def test_the_model_is_not_compiled(model):
    assert not model.compiled


def test_class_count_and_image_size_come_from_the_data():
    data = data_of_size(40)._replace(class_names=["a", "b", "c", "d"])
    model = tl.build_model("MobileNetV2", data, weights=None, alpha=0.35)
    assert model.input_shape == (None, 40, 40, 3)
    assert model.output_shape == (None, 4)


def test_builder_arguments_reach_the_builder(data):
    widths = [tl.build_model("MobileNetV2", data, weights=None, alpha=alpha).count_params() for alpha in (0.35, 0.5)]
    assert widths[0] < widths[1]


@pytest.mark.slow
def test_a_file_of_weights_is_loaded(make_model, tmp_path, differing):
    source = make_model()
    find_base_model(source).save_weights(tmp_path / "base.weights.h5")
    model = make_model(weights=tmp_path / "base.weights.h5")
    for old, new in zip(find_base_model(source).weights, find_base_model(model).weights, strict=True):
        assert np.array_equal(old, new)
    assert differing(tl.snapshot(source), tl.snapshot(make_model()))  # random weights would not have been equal


def test_only_one_base_is_inside_and_training_can_find_it(model):
    assert find_base_model(model).name.startswith("mobilenetv2")


def _several():
    return keras.Sequential([layers.RandomTranslation(0.1, 0.1), layers.RandomContrast(0.5)], name="several")


@pytest.mark.parametrize(
    "make_layer",
    [lambda: layers.RandomBrightness(0.5), _several, lambda: layers.RandAugment(), lambda: layers.RandomErasing()],
    ids=["one", "several", "a policy", "erasing"],
)
def test_a_layer_of_ones_own_augments_in_training_only(make_model, arrays, make_layer):
    images = arrays["test"][0].astype("float32")
    layer = make_layer()
    model = make_model(augment=layer)
    front = keras.Model(model.inputs[0], find_calls(model).call.input_tensors[0])
    assert np.array_equal(front(images, training=False), images / 127.5 - 1)
    assert np.abs(front(images, training=True) - (images / 127.5 - 1)).mean() > 0.01
    assert "augmentation" not in [part.name for part in model.layers]  # it stands in the place of the usual one
    assert model.get_layer(layer.name) is layer


def test_a_model_with_a_layer_of_ones_own_is_trained_saved_loaded_and_left_calm(data, arrays, tmp_path):
    images = arrays["test"][0].astype("float32")
    model = tl.build_model("MobileNet", data, weights=None, alpha=0.25, augment=_several())
    tl.train_head(model, data, epochs=1, views=1, verbose=0)
    loaded = tl.load(tl.save(model, tmp_path / "model.keras", data.class_names)).model
    assert not np.allclose(*[loaded.get_layer("several")(images, training=True) for _ in range(2)], atol=1)
    in_use = tl.without_augmentation(loaded)
    assert np.array_equal(in_use(images), in_use(images))
    np.testing.assert_allclose(in_use(images), model.predict(images, verbose=0), atol=1e-5)


# ---- wrong input


@pytest.mark.parametrize("augment", ["flip", None, [layers.RandomFlip()], layers.RandomFlip])
def test_an_augmentation_that_is_no_layer_is_a_type_error(make_model, augment):
    with pytest.raises(TypeError, match=r"Received augment=.*Expected True, False, or a layer .*`keras\.Sequential`"):
        make_model(augment=augment)


@pytest.mark.parametrize(
    ("make_layer", "message"),
    [
        (lambda: layers.Resizing(40, 40), r"makes images \(40, 40, 3\) of \(32, 32, 3\)\. Expected the same size"),
        (lambda: layers.Conv2D(3, 1), r"has weights to train, but training begins above the frozen base"),
        (lambda: keras.Sequential([layers.Lambda(lambda x: x)]), r"holds a Lambda: Keras refuses to load it again"),
        *[(lambda: layers.MixUp(), r"mixes pictures of several classes, but not their labels")]
        * hasattr(layers, "MixUp"),
    ],
)
def test_an_augmentation_that_would_do_harm_is_an_error(make_model, make_layer, message):
    layer = make_layer()
    with pytest.raises(ValueError, match=rf"Received '{layer.name}' as `augment`, which {message}"):
        make_model(augment=layer)


def test_channels_first_is_an_error(make_model):
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match=r"Keras is set to channels first\. Expected .*set_image_data_format"):
            make_model()
    finally:
        keras.config.set_image_data_format("channels_last")


def test_an_unknown_base_is_an_error_with_the_near_names(data):
    with pytest.raises(ValueError, match=r"Unknown base: 'MobileNetV5'.*Did you mean.*MobileNetV2"):
        tl.build_model("MobileNetV5", data, weights=None)


@pytest.mark.parametrize(("base", "least"), [("MobileNetV2", 32), ("InceptionV3", 75), ("Xception", 71)])
def test_images_too_small_for_the_base_are_an_error(base, least):
    with pytest.raises(
        ValueError, match=rf"images are 31×31 pixels\. {base} needs at least {least}×{least}.*image_size"
    ):
        tl.build_model(base, data_of_size(31), weights=None)


@pytest.mark.parametrize("dropout", [-0.1, 1, 20])
def test_an_impossible_dropout_is_an_error(make_model, dropout):
    with pytest.raises(ValueError, match=rf"Received dropout={dropout}\. Expected a share from 0"):
        make_model(dropout=dropout)


def test_a_file_of_weights_that_is_not_there_is_an_error(make_model):
    with pytest.raises(
        FileNotFoundError, match=r"no file of weights 'nowhere\.h5'\. Expected 'imagenet', 'garden', None"
    ):
        make_model(weights="nowhere.h5")


def test_weights_of_another_shape_are_an_error(make_model, tmp_path):
    file = tmp_path / "wide.weights.h5"
    find_base_model(make_model(alpha=0.5)).save_weights(file)
    with pytest.raises(
        ValueError, match=r"The weights in '.*wide\.weights\.h5' do not fit 'mobilenetv2_0\.35.*' without"
    ):
        make_model(weights=file)


def test_weights_of_another_architecture_are_an_error(make_model, tmp_path):
    file = tmp_path / "other.weights.h5"
    keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3)).save_weights(file)
    with pytest.raises(ValueError, match=r"The weights in '.*other\.weights\.h5' do not fit 'mobilenetv2"):
        make_model(weights=file)


@pytest.mark.parametrize("name", ["text.weights.h5", "text.h5", "text.txt"])
def test_a_file_that_holds_no_weights_is_an_error(make_model, tmp_path, name):
    (tmp_path / name).write_text("no weights")
    with pytest.raises(ValueError, match=r"The weights in '.*text.* do not fit 'mobilenetv2"):
        make_model(weights=tmp_path / name)


def test_a_whole_model_is_no_weights_of_a_base(make_model, tmp_path):
    make_model().save(tmp_path / "model.keras")
    with pytest.raises(
        ValueError, match=r"model\.keras' is a whole model, not the weights of a base\. Expected .*\.h5"
    ):
        make_model(weights=tmp_path / "model.keras")


def test_what_keras_says_of_weights_is_cut_to_its_first_line(make_model, tmp_path):
    file = tmp_path / "wide.weights.h5"
    find_base_model(make_model(alpha=0.5)).save_weights(file)
    with pytest.raises(ValueError, match="do not fit") as error:
        make_model(weights=file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("base", "arguments"), [("EfficientNetB0", {}), ("MobileNetV2", {"alpha": 0.5})])
def test_a_failed_download_advises_only_bundled_weights_that_fit(data, no_network, base, arguments):
    with pytest.raises(ConnectionError, match=r"or give a file\.$"):
        tl.build_model(base, data, **arguments)


def test_a_failed_download_names_the_folder_in_which_keras_looks(data, no_network, monkeypatch, tmp_path):
    for home, shown in ((None, "~/.keras"), (str(tmp_path), str(tmp_path))):
        monkeypatch.delenv("KERAS_HOME", raising=False)
        if home:
            monkeypatch.setenv("KERAS_HOME", home)
        with pytest.raises(ConnectionError, match=re.escape(f"to {Path(shown, 'models')}; or")):
            tl.build_model("EfficientNetB0", data)


def test_weights_that_do_not_fit_may_be_of_another_width_where_a_base_has_widths(data, tmp_path):
    file = tmp_path / "text.h5"
    file.write_text("no weights")
    for base, asks in (("MobileNetV2", True), ("EfficientNetB0", False)):
        with pytest.raises(ValueError, match="do not fit") as error:
            tl.build_model(base, data, weights=file)
        assert str(error.value).endswith("Is the base of another width? See `alpha`.") == asks


def test_the_data_in_the_place_of_the_base_are_a_type_error(data):
    with pytest.raises(
        TypeError, match=r"Received ImageData as the base\. Expected its name first: `build_model\(\"Mob"
    ):
        tl.build_model(data, "MobileNet")


def test_a_failed_download_of_imagenet_weights_is_a_connection_error(make_model, no_network):
    with pytest.raises(
        ConnectionError, match=r"could not download the ImageNet weights of MobileNetV2.*weights=\"garden\""
    ):
        make_model(weights="imagenet")


def test_an_argument_that_the_builder_does_not_know_is_a_type_error(make_model):
    with pytest.raises(TypeError, match=r"Received widht=2\. MobileNetV2 takes no widht; it takes: alpha, name\."):
        make_model(widht=2)


@pytest.mark.parametrize("arguments", [{"alpha": 0.3}, {"classes": 3}, {"include_top": True}])
def test_an_argument_that_is_decided_here_or_unknown_is_a_type_error(data, arguments):
    with pytest.raises(TypeError, match=rf"Received {next(iter(arguments))}=.*VGG16 takes no .*; it takes: name\."):
        tl.build_model("VGG16", data, weights=None, **arguments)


def test_data_whose_image_size_is_unknown_are_an_error(data):
    def forget_size(dataset):
        spec = (tf.TensorSpec((None, None, None, 3), tf.uint8), tf.TensorSpec((None,), tf.int64))
        return tf.data.Dataset.from_generator(lambda: iter(dataset), output_signature=spec)

    unknown = data._replace(train=forget_size(data.train))
    with pytest.raises(ValueError, match=r"(?i)size|height"):
        tl.build_model("MobileNetV2", unknown, weights=None)


# ---- the bundled weights


def test_the_garden_weights_make_a_model_without_a_network(no_network):
    data = data_of_size(96)
    model = tl.build_model("MobileNetV2", data, weights="garden")
    again = tl.build_model("MobileNetV2", data, weights="garden", alpha=0.35)
    for first, second in zip(find_base_model(model).weights, find_base_model(again).weights, strict=True):
        assert np.array_equal(first, second)
    file = bundled_folder() / BUNDLED_WEIGHTS["garden"].file
    assert file.stat().st_size < 2_500_000  # it travels in every wheel


@pytest.mark.slow
def test_the_garden_weights_have_settled_batch_norms():
    base = find_base_model(tl.build_model("MobileNetV2", data_of_size(96), weights="garden"))
    norms = [layer for layer in base.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 52
    assert all(np.any(np.asarray(norm.moving_mean) != 0) for norm in norms)


def test_the_garden_weights_refuse_another_base(data):
    with pytest.raises(
        ValueError, match=r"weights 'garden' belong to MobileNetV2, alpha=0\.35\. Received VGG16 with no arguments"
    ):
        tl.build_model("VGG16", data, weights="garden")


def test_the_garden_weights_refuse_another_width(make_model):
    with pytest.raises(
        ValueError, match=r"weights 'garden' belong to MobileNetV2, alpha=0\.35\. Received .*'alpha': 0\.5"
    ):
        make_model(weights="garden", alpha=0.5)
