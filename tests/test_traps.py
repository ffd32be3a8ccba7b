"""One test for each numbered fact about Keras that the code cites: what surprises there, and what is guaranteed here.

The guarantee is asserted. What Keras itself does is measured: where it no longer misbehaves, a warning says so, and
nothing fails. Fact 11 is about other versions and backends and has no test here.
"""

import gc
import inspect
import json
import warnings
import zipfile

import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf

import kerastl as tl
from kerastl.bases import BASES
from kerastl.data import as_arrays, make_dataset
from kerastl.engine.callbacks import Steps
from kerastl.engine.frozen import Frozen
from kerastl.engine.split import split_model
from kerastl.freezing import unfreeze_all
from kerastl.graph import acts_differently_in_training, find_base_model


def notice(number: int, still_so: bool) -> None:
    """Say that a fact no longer holds, so that somebody reads it and simplifies the package."""
    if not still_so:
        warnings.warn(f"fact {number} no longer holds on keras {keras.__version__}", stacklevel=2)


def norms_of(model) -> list:
    return [layer for layer in find_base_model(model).layers if isinstance(layer, keras.layers.BatchNormalization)]


def statistics(model) -> list[np.ndarray]:
    return [np.array(value) for norm in norms_of(model) for value in (norm.moving_mean, norm.moving_variance)]


def called_as_inference(base) -> keras.Model:
    """What most tutorials build: the base is called with training=False."""
    image = keras.Input((32, 32, 3))
    x = base(keras.layers.Rescaling(1 / 127.5, -1)(image), training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(3, activation="softmax")(x))


def test_fact_1_batch_norm_statistics_stay_bit_identical_in_both_phases(make_toy, data, arrays):
    raw = called_as_inference(find_base_model(make_toy()))
    find_base_model(raw).trainable = True
    for layer in find_base_model(raw).layers:
        layer.trainable = True
    before = statistics(raw)
    raw.compile(keras.optimizers.SGD(0.0), loss="sparse_categorical_crossentropy")
    raw.fit(arrays["train"][0].astype("float32"), arrays["train"][1], epochs=1, verbose=0)
    notice(1, still_so=not all(map(np.array_equal, before, statistics(raw))))

    model = make_toy()
    before = statistics(model)
    tl.train_head(model, data, epochs=1, views="fresh", verbose=0)
    tl.unfreeze_top(model, 13)
    tl.fine_tune(model, data, epochs=1, verbose=0)
    assert len(before) == 8
    assert all(map(np.array_equal, before, statistics(model)))


def test_fact_2_layers_set_by_hand_do_not_escape_freezing(make_toy):
    raw = find_base_model(make_toy())
    raw.trainable = True
    for layer in raw.layers:
        layer.trainable = False
    raw.trainable = True  # it already is: on the TensorFlow backend nothing happens below
    notice(2, still_so=raw.trainable_weights == [])

    model = make_toy()
    base = find_base_model(model)
    base.trainable = True
    for layer in base.layers:
        layer.trainable = False
    unfreeze_all(model)
    assert len(base.trainable_weights) == 4 + 2 * 4  # kernels, gammas and betas
    base.trainable = False
    for layer in base.layers:
        layer.trainable = True
    tl.freeze(model)
    assert base.trainable_weights == []
    assert all(not layer.trainable for layer in base.layers)


def test_fact_3_what_is_unfrozen_after_training_learns(make_toy, data, arrays):
    raw = make_toy()
    images, labels = arrays["train"][0].astype("float32"), arrays["train"][1]
    raw.compile(keras.optimizers.SGD(0.5), loss="sparse_categorical_crossentropy")
    raw.train_on_batch(images, labels)
    kernel = find_base_model(raw).get_layer("conv4").kernel
    before = kernel.numpy()
    tl.unfreeze_top(raw, 3)
    raw.train_on_batch(images, labels)
    notice(3, still_so=np.array_equal(before, kernel.numpy()))

    model = make_toy()
    tl.train_head(model, data, epochs=1, verbose=0)
    kernel = find_base_model(model).get_layer("conv4").kernel
    before = kernel.numpy()
    tl.unfreeze_top(model, 3)
    tl.fine_tune(model, data, epochs=1, learning_rate=0.01, verbose=0)
    assert not np.array_equal(before, kernel.numpy())
    before = kernel.numpy()
    tl.freeze(model)
    tl.train_head(model, data, epochs=1, verbose=0)
    assert np.array_equal(before, kernel.numpy())


@pytest.mark.parametrize("family", sorted({base.family for base in BASES.values()}))
def test_fact_4_preprocessing_is_part_of_the_model_and_saves_and_loads(family, tmp_path):
    preprocess = next(base for base in BASES.values() if base.family == family).preprocess
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype("float32")
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Identity()(preprocess(image)))
    model.save(tmp_path / "m.keras")
    inside = np.asarray(model(pixels))
    assert np.array_equal(inside, keras.models.load_model(tmp_path / "m.keras")(pixels))
    np.testing.assert_allclose(inside, preprocess(pixels.copy()), atol=1e-4)
    scales_inside_the_base = family in ("efficientnet", "efficientnet_v2", "mobilenet_v3", "convnext")
    assert np.array_equal(inside, pixels) == scales_inside_the_base


def test_fact_5_no_test_image_is_in_validation_in_any_pass(picture_folder):
    numbers = tf.data.Dataset.range(30).shuffle(30, seed=1)
    taken = {int(number) for number in numbers.take(6)}
    skipped = {int(number) for number in numbers.skip(6)}
    notice(5, still_so=bool(taken & skipped))

    loaded = tl.load_images(picture_folder, image_size=24)
    passes = [
        {
            part: {image.numpy().tobytes() for images, _ in getattr(loaded, part) for image in images}
            for part in loaded._fields[:3]
        }
        for _ in range(2)
    ]
    assert passes[0] == passes[1]
    assert len(set.union(*passes[0].values())) == sum(map(len, passes[0].values())) == 30


def test_fact_6_class_names_inside_the_file_do_not_disturb_keras(toy, tmp_path, arrays):
    path = tl.save(toy, tmp_path / "m.keras", ["blue", "green", "red"])
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("class_names.json")) == ["blue", "green", "red"]
    images = arrays["test"][0].astype("float32")
    assert np.array_equal(keras.models.load_model(path)(images), toy(images))


def test_fact_7_a_partly_frozen_base_stays_so_through_save_and_load(model, tmp_path):
    tl.unfreeze_top(model, 30)
    loaded = tl.load(tl.save(model, tmp_path / "m.keras", ["blue", "green", "red"])).model
    assert len(model.trainable_weights) == 12
    assert [weight.path for weight in loaded.trainable_weights] == [weight.path for weight in model.trainable_weights]


@pytest.mark.slow
def test_fact_8_learning_from_scratch_has_fair_batch_norm_statistics(model, make_toy, data):
    notice(8, still_so={norm.momentum for norm in norms_of(model)} == {0.999})

    toy = make_toy()
    for norm in norms_of(toy):
        norm.momentum = 0.999
    base, first = find_base_model(toy), norms_of(toy)[0]
    start = first.moving_variance.numpy()
    tl.train_from_scratch(toy, data, epochs=4, learning_rate=0.0, views=0, verbose=0)
    # twelve steps at 0.999 would leave 98.8 % of the starting values in place
    pixels = as_arrays(data.train)[0].astype("float32") / 127.5 - 1
    below = keras.Model(base.input, base.get_layer("conv1").output)
    target = np.asarray(below(pixels)).var(axis=(0, 1, 2))
    assert np.abs(first.moving_variance.numpy() - target).mean() < 0.2 * np.abs(start - target).mean()


@pytest.mark.slow
def test_fact_9_training_leaves_jit_compilation_to_keras(toy, data):
    tl.train_head(toy, data, epochs=1, verbose=0)
    toy.make_train_function()
    if not tf.config.list_physical_devices("GPU"):
        notice(9, still_so=not toy.jit_compile)
    fresh = keras.Model(toy.inputs[0], toy.outputs[0])
    fresh.compile(loss="sparse_categorical_crossentropy")
    assert toy.jit_compile == fresh.jit_compile


@pytest.mark.slow
def test_fact_10_dropout_inside_a_frozen_base_is_off(data, arrays, settle):
    images = arrays["test"][0].astype("float32")
    model = settle(tl.build_model("EfficientNetB0", data, weights=None, augment=False), arrays["train"][0])
    base = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(32, 32, 3))
    base.set_weights(find_base_model(model).get_weights())
    raw = called_as_inference(base)
    base.trainable = False
    raw_features = keras.Model(raw.inputs[0], raw.layers[-2].output)
    first, second = (np.asarray(raw_features(images, training=True)) for _ in range(2))
    notice(10, still_so=not np.allclose(first, second, rtol=1e-3))

    frozen = Frozen(model, split_model(model))
    (first,), (second,) = (frozen.run(arrays["test"][0], augment=True) for _ in range(2))
    assert np.array_equal(first, second)
    inference = np.asarray(find_base_model(model)(images, training=False)).mean(axis=(1, 2))
    size = np.abs(inference).max()
    np.testing.assert_allclose(first / size, inference / size, atol=1e-3)
    assert np.ptp(inference / size, axis=0).max() > 0.01


def test_fact_12_the_top_n_layers_count_those_without_weights(model):
    base = find_base_model(model)
    top = base.layers[-54:]
    with_weights = [layer for layer in top if layer.weights]
    norms = [layer for layer in top if isinstance(layer, keras.layers.BatchNormalization)]
    notice(12, still_so=(len(base.layers), len(with_weights), len(norms)) == (154, 36, 18))
    result = tl.unfreeze_top(model, 54)
    assert result.layers == 54
    assert result.layers_with_weights == len(with_weights) - len(norms)
    assert result.batch_norms_held == len(norms)
    assert result.parameters == sum(int(np.prod(weight.shape)) for weight in base.trainable_weights)
    with pytest.raises(ValueError, match="have no weights to train"):
        tl.unfreeze_top(model, 1)


def test_fact_13_a_model_called_or_exported_with_training_false_does_not_augment(toy, arrays, tmp_path):
    images = arrays["test"][0][:4].astype("float32")
    model = keras.Sequential([keras.Input(images.shape[1:]), keras.layers.RandomRotation(0.3), toy])
    expected = model.predict(images, verbose=0)

    def answers(call) -> np.ndarray:
        return np.stack([np.asarray(call(images)) for _ in range(2)])

    assert np.ptp(answers(lambda x: model(x, training=True)), axis=0).max() > 1e-3  # else the rest could not fail
    notice(13, still_so=np.ptp(answers(model), axis=0).max() > 1e-3)
    image = keras.Input(images.shape[1:])
    in_use = keras.Model(image, model(image, training=False))
    in_use.export(tmp_path / "served")
    server = tf.saved_model.load(str(tmp_path / "served"))
    for answer in (answers(lambda x: model(x, training=False)), answers(in_use), answers(server.serve)):
        np.testing.assert_allclose(answer, [expected, expected], atol=1e-5)


@pytest.mark.slow
def test_fact_14_pictures_leave_memory_with_the_last_dataset_that_reads_them():
    def read_some() -> float:
        """Megabytes of memory after a dataset of 60 MB was made, read through another one, and dropped."""
        images = np.ones((20, 1000, 1000, 3), np.uint8)
        dataset = make_dataset(images, np.arange(20), batch_size=4, shuffle=True)
        derived = iter(dataset.map(lambda rows, labels: (rows, labels + 1)).take(4))
        del images, dataset  # the iterator alone is left
        gc.collect()
        assert sum(len(labels) for _, labels in derived) == 16
        del derived
        gc.collect()
        return psutil.Process().memory_info().rss / 1e6

    first = read_some()
    assert max(read_some() for _ in range(3)) - first < 60


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="on torch Keras wants the steps one by one")
def test_fact_15_phase_1_runs_many_steps_in_one_call_unless_a_callback_looks_at_each(make_toy, arrays, monkeypatch):
    parts = (make_dataset(*arrays[part], batch_size=1) for part in ("train", "validation", "test"))
    data, begin, calls = tl.ImageData(*parts, ["blue", "green", "red"]), Steps.on_train_batch_begin, []
    monkeypatch.setattr(Steps, "on_train_batch_begin", lambda *args, **logs: calls.append(1) or begin(*args, **logs))

    class Look(keras.callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1

    def train(callback) -> np.ndarray:
        keras.utils.set_random_seed(1)
        model = make_toy()
        calls.clear()
        tl.train_head(model, data, epochs=2, callbacks=callback, verbose=0)
        return model.get_layer("classifier").get_weights()[0]

    at_once = train(None)
    assert len(calls) == 2 * 2  # 24 steps in an epoch, 16 at once
    look = Look()
    one_by_one = train(look)
    assert (len(calls), look.steps) == (2 * 24, 2 * 24)
    np.testing.assert_allclose(at_once, one_by_one, rtol=1e-4, atol=1e-6)


def test_fact_16_where_left_and_right_matter_flips_can_be_left_out(data):
    left = np.zeros((8, 32, 32, 3), np.uint8)
    left[:, :, :12] = 255

    def mirrored(augment) -> bool:
        model = tl.build_model("MobileNetV2", data, weights=None, alpha=0.35, augment=augment)
        front = split_model(model).front
        views = np.concatenate([np.asarray(front(left.astype("float32"), training=True)) for _ in range(4)])
        return bool((views[:, :, 16:].mean((1, 2, 3)) > views[:, :, :16].mean((1, 2, 3))).any())

    assert mirrored(True)
    assert not mirrored(keras.layers.RandomRotation(0.02))


def test_fact_17_a_layer_that_wraps_dropout_is_known_to_act_in_training():
    class Wrapper(keras.Layer):
        def __init__(self):
            super().__init__()
            self.inner = keras.layers.Dropout(0.5)

        def call(self, inputs):
            return self.inner(inputs)

    wrapper = Wrapper()
    row = np.ones((1, 100), "float32")
    assert (np.asarray(wrapper(row, training=True)) == 0).any()  # it acts, although its `call` does not ask
    notice(17, still_so="training" not in inspect.signature(wrapper.call).parameters)
    assert acts_differently_in_training(wrapper)
