"""Layers of the user's own, and of Keras's rarer ones, where training could go wrong without a word."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerastl as tl
from kerastl.graph import find_base_model, own_weights

layers = keras.layers
ON_TENSORFLOW = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="asks TensorFlow for random numbers")


def network(*, front=(), bottom=(), above=(), head=()) -> keras.Model:
    """A frozen base of two convolutions, and layers at four places."""
    pixels = keras.Input((32, 32, 3))
    x = pixels
    for layer in (*bottom, layers.Conv2D(8, 3, 2, activation="relu", name="conv1"), *above):
        x = layer(x)
    base = keras.Model(pixels, layers.Conv2D(12, 3, 2, activation="relu", name="conv2")(x), name="base")
    image = keras.Input((32, 32, 3))
    x = image
    for layer in (layers.Rescaling(1 / 127.5, -1), *front, base, layers.GlobalAveragePooling2D(), *head):
        x = layer(x)
    model = keras.Model(image, layers.Dense(3, activation="softmax", name="classifier")(x))
    tl.freeze(model)
    return model


class Coin(layers.Layer):
    """Turns the signs of a whole batch, or not, also when it is not asked to augment."""

    def __init__(self):
        super().__init__()
        self.seed = keras.random.SeedGenerator(1)

    def call(self, inputs):
        return inputs * keras.ops.where(keras.random.uniform((), seed=self.seed) < 0.5, 1.0, -1.0)


class TensorFlowsNoise(layers.Layer):
    def call(self, inputs, training=None):
        return inputs + tf.random.normal(tf.shape(inputs)) if training else inputs


@pytest.mark.parametrize("place", ["front", "bottom", "head"])
def test_a_layer_that_draws_unasked_runs_in_every_epoch(data, capsys, place):
    tl.train_head(network(**{place: [Coin()]}), data, epochs=1)
    assert capsys.readouterr().out.count("images: other images or labels in each pass") == 2  # training, validation


def test_a_layer_of_ones_own_that_draws_nothing_is_kept(data, capsys):
    class Double(layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    tl.train_head(network(front=[Double()], bottom=[Double()], head=[Double()]), data, epochs=1)
    assert "runs in every epoch" not in capsys.readouterr().out


@ON_TENSORFLOW
@pytest.mark.parametrize("place", ["front", "head"])
def test_chance_that_a_backup_cannot_keep_is_warned_of(data, tmp_path, place):
    with pytest.warns(UserWarning, match=r"asks TensorFlow for random numbers.*keras\.random\.SeedGenerator") as said:
        tl.train_head(network(**{place: [TensorFlowsNoise()]}), data, epochs=1, backup_dir=tmp_path, verbose=0)
    assert [one.filename for one in said if "backup" in str(one.message)] == [__file__]


def test_chance_that_a_backup_keeps_is_not_warned_of(data, tmp_path):
    model = network(front=[layers.RandomFlip()], head=[Coin(), layers.Dropout(0.5)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        tl.train_head(model, data, epochs=1, backup_dir=tmp_path, verbose=0)


@pytest.mark.parametrize("train", [tl.train_head, tl.fine_tune, tl.train_from_scratch])
def test_a_batch_norm_without_weights_learns_from_scratch_and_is_refused_in_the_phases(data, train):
    norm = layers.BatchNormalization(center=False, scale=False, name="norm")
    model = network(bottom=[norm])
    base = find_base_model(model)
    base.trainable = True
    for name in ("conv1", "conv2"):
        base.get_layer(name).trainable = train is tl.fine_tune
    before = np.array(norm.moving_mean)
    if train is tl.train_from_scratch:
        train(model, data, epochs=1, verbose=0)
        assert not np.array_equal(norm.moving_mean, before)
    else:
        with pytest.raises(ValueError, match=r"1 .*unfrozen \(first: 'norm'\)"):
            train(model, data, epochs=1, verbose=0)


def test_a_spectral_normalization_that_is_frozen_above_what_learns_is_refused(data):
    spectral = layers.SpectralNormalization(layers.Conv2D(8, 1), name="spectral")
    model = network(above=[spectral])
    tl.unfreeze_top(model, "all")
    before = [np.array(weight) for weight in own_weights(spectral)]
    spectral.trainable = False
    with pytest.raises(ValueError, match=r"'spectral' is frozen above a layer that learns"):
        tl.fine_tune(model, data, epochs=1, verbose=0)
    spectral.trainable = True
    tl.fine_tune(model, data, epochs=1, verbose=0)
    assert not all(np.array_equal(old, new) for old, new in zip(before, own_weights(spectral), strict=True))
    tl.unfreeze_top(model, 1)
    before = [np.array(weight) for weight in own_weights(spectral)]
    tl.fine_tune(model, data, epochs=1, verbose=0)
    assert all(np.array_equal(old, new) for old, new in zip(before, own_weights(spectral), strict=True))
