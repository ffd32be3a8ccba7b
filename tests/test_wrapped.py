"""Layers that hold others: what is inside is frozen, held still and switched off like any other layer."""

import keras
import numpy as np
import pytest

import kerastl as tl
from kerastl.engine import batches
from kerastl.engine.batches import make_batches
from kerastl.engine.frozen import Frozen
from kerastl.engine.split import split_model
from kerastl.graph import find_base_model

layers = keras.layers


@keras.saving.register_keras_serializable("tests")
class ConvBlock(layers.Layer):
    """A convolution, BatchNorm and dropout in one layer, with a weight of its own; `call` is not told of training."""

    def __init__(self, filters: int = 4, **arguments):
        super().__init__(**arguments)
        self.conv = layers.Conv2D(filters, 3, padding="same", name="conv")
        self.norm = layers.BatchNormalization(name="norm")
        self.drop = layers.Dropout(0.5, name="drop")

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
        self.conv.build(shape)
        self.norm.build(self.conv.compute_output_shape(shape))

    def call(self, x):
        return self.drop(self.norm(self.conv(x))) * self.scale


@keras.saving.register_keras_serializable("tests")
class Around(layers.Layer):
    """A layer around another one."""

    def __init__(self, inner, **arguments):
        super().__init__(**arguments)
        self.inner = inner

    def call(self, x):
        return self.inner(x)


@pytest.fixture
def wrapped():
    """A model whose augmentation, base and head hide what they are made of."""
    pixels = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, strides=4, name="first")(pixels)
    x = ConvBlock(name="low")(x)
    x = ConvBlock(name="high")(x)
    base = keras.Model(pixels, x, name="base")
    image = keras.Input((32, 32, 3))
    x = Around(layers.RandomFlip("horizontal"), name="flip")(image)
    x = layers.GlobalAveragePooling2D()(base(layers.Rescaling(1 / 255)(x)))
    x = Around(layers.Dropout(0.5), name="around_dropout")(x)
    model = keras.Model(image, layers.Dense(3, activation="softmax", name="classifier")(x))
    tl.freeze(model)
    return model


def test_phase_1_moves_the_head_alone(wrapped, data, differing):
    before = tl.snapshot(wrapped)
    tl.train_head(wrapped, data, epochs=2, verbose=0)
    assert differing(before, tl.snapshot(wrapped)) == {"classifier/kernel", "classifier/bias"}


def test_phase_2_moves_what_is_unfrozen_and_no_batch_norm_in_a_block(wrapped, data, differing):
    unfrozen = tl.unfreeze_top(wrapped, 1)
    assert unfrozen.batch_norms_held == 1
    assert unfrozen.parameters == 4 * 4 * 9 + 4 + 1
    before = tl.snapshot(wrapped)
    tl.fine_tune(wrapped, data, epochs=2, learning_rate=0.1, verbose=0)
    moved = differing(before, tl.snapshot(wrapped))
    assert moved == {"high/conv/kernel", "high/conv/bias", "high/scale", "classifier/kernel", "classifier/bias"}


def test_an_unfrozen_batch_norm_in_a_block_is_found(wrapped, data):
    tl.unfreeze_top(wrapped, 1)
    find_base_model(wrapped).get_layer("high").norm.trainable = True
    with pytest.raises(ValueError, match=r"BatchNormalization layers are unfrozen \(first: 'norm'\)"):
        tl.fine_tune(wrapped, data, epochs=1, verbose=0)


def test_blocks_count_each_parameter_once(wrapped):
    tl.unfreeze_top(wrapped, 1)
    total = tl.list_blocks(wrapped).total
    assert total.parameters == wrapped.count_params()
    assert total.trainable == sum(int(np.prod(weight.shape)) for weight in wrapped.trainable_weights)


def test_dropout_in_a_frozen_block_is_off_and_dropout_in_a_layer_of_the_head_acts(wrapped, arrays):
    split, images = split_model(wrapped), arrays["test"][0]
    kept = [Frozen(wrapped, split).run(images)[0] for _ in range(2)]
    assert np.array_equal(*kept)
    assert kept[0].std() > 0
    answers = [np.asarray(split.upper(kept[0], training=True)) for _ in range(2)]
    assert not np.allclose(*answers, atol=1e-3)


def test_an_augmentation_in_a_layer_is_seen(wrapped, data, capsys):
    tl.train_head(wrapped, data, epochs=1, views=2)
    assert "100%" in capsys.readouterr().out
    source = make_batches(Frozen(wrapped, split_model(wrapped)), data.train, 2, True, 0, "")
    assert np.ptp([float(tensors[0].sum()) for _ in range(6) for tensors, _ in source.epoch()]) > 0


@pytest.mark.parametrize(("views", "differ"), [(None, False), (0, False), (2, True), ("fresh", True)])
def test_without_room_more_images_than_can_be_kept_twice_are_not_augmented(
    wrapped, ordered_data, monkeypatch, views, differ
):
    monkeypatch.setattr(batches, "MOST_EXTRA", 20)  # there are 24: by default no view of them would be kept
    source = batches.Streamed(Frozen(wrapped, split_model(wrapped)), ordered_data.train, views)
    one, two = ([tensors[0] for tensors, _ in source.epoch()] for _ in range(2))
    assert all(np.array_equal(*pair) for pair in zip(one, two, strict=True)) == (not differ)


class Noise(layers.Layer):
    """Augments, and does not ask whether it is in training."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.seed = keras.random.SeedGenerator(1)

    def call(self, images):
        return images + keras.random.uniform(keras.ops.shape(images), 0, 60, seed=self.seed)


@pytest.mark.parametrize("views", [0, None])
def test_what_a_layer_draws_without_being_asked_is_drawn_anew_in_each_epoch(wrapped, data, views, capsys):
    image = keras.Input((32, 32, 3))
    features = find_base_model(wrapped)(layers.Rescaling(1 / 320)(Noise()(image)))
    model = keras.Model(image, wrapped.layers[-1](wrapped.layers[-3](features)))
    losses = tl.train_head(model, data, epochs=3, learning_rate=0, views=views).history["val_loss"]
    assert len(set(losses)) == 3
    assert "other images or labels in each pass" in capsys.readouterr().out


@pytest.mark.parametrize(
    "adapter", [layers.Conv2D(3, 1), layers.BatchNormalization(), layers.BatchNormalization(center=False, scale=False)]
)
def test_what_learns_in_front_of_the_base_is_refused(wrapped, data, adapter):
    image, name = keras.Input((32, 32, 3)), adapter.name
    features = find_base_model(wrapped)(adapter(wrapped.layers[1](image)))  # after the flip
    model = keras.Model(image, wrapped.layers[-1](wrapped.layers[-3](features)))
    with pytest.raises(ValueError, match=rf"The layer '{name}' in front of the base learns.*fit"):
        tl.train_head(model, data, epochs=1, verbose=0)
    model.get_layer(name).trainable = False
    before = tl.snapshot(model)
    tl.train_head(model, data, epochs=1, views=2, verbose=0)
    moved = [change.path for change in tl.changed_layers(before, tl.snapshot(model))]
    assert moved == ["classifier/kernel", "classifier/bias"]


def test_a_snapshot_holds_every_weight_where_two_have_one_path(make_toy, arrays):
    base = find_base_model(make_toy())
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(base(image))
    x = layers.Dense(8, name="conv1")(x)  # the base has a layer of that name
    model = keras.Model(image, layers.Dense(3, activation="softmax", name="classifier")(x))
    before = tl.snapshot(model)
    assert len(before) == len(model.weights)
    kernel = model.get_layer("conv1").kernel
    kernel.assign(kernel + 1)
    assert [change.path for change in tl.changed_layers(before, tl.snapshot(model))] == ["conv1/kernel (2)"]
