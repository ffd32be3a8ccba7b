"""Train a small model in both phases on one device or on several, and write down what came out. See test_devices.py.

    python on_devices.py HOW OUT.npz

HOW is "one" (device), "mirrored" (two of TensorFlow), "outside" (the same, trained outside the scope), or "parallel"
(two of JAX).
"""

# ruff: noqa: E402 (the devices have to be set up before Keras is imported)

import os
import sys
from contextlib import nullcontext

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
how, out = sys.argv[1:]
os.environ["KERAS_BACKEND"] = "jax" if how in ("jax", "parallel") else "tensorflow"
if os.environ["KERAS_BACKEND"] == "jax":
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={1 + (how == 'parallel')}"

import numpy as np
import tensorflow as tf

if how in ("mirrored", "outside"):
    one = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [one, one])
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

import keras
from keras import layers

import kerastl as tl
from kerastl.data import make_dataset


def part(chance, images: int):
    labels = np.arange(images, dtype=np.int64) % 3
    pixels = chance.integers(0, 160, (images, 16, 16, 3))
    pixels[np.arange(images), ..., labels] += 80
    return make_dataset(pixels.astype(np.uint8), labels, batch_size=8)


def make_model() -> keras.Model:
    pixels = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, strides=2, name="low")(pixels)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    x = layers.Conv2D(12, 3, name="high")(x)
    base = keras.Model(pixels, layers.ReLU()(x), name="base")
    image = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(base(layers.Rescaling(1 / 127.5, -1)(image)))
    model = keras.Model(image, layers.Dense(3, activation="softmax", name="classifier")(x))
    tl.freeze(model)
    return model


def main() -> None:
    keras.utils.set_random_seed(0)
    if how == "parallel":
        keras.distribution.set_distribution(keras.distribution.DataParallel())
        assert len(keras.distribution.list_devices()) == 2
    several = how in ("mirrored", "outside")
    scope = strategy.scope if several else nullcontext
    chance = np.random.default_rng(0)
    data = tl.ImageData(*(part(chance, images) for images in (20, 12, 12)), ["a", "b", "c"])  # the last batch has 4
    with scope():
        model = make_model()
    if several:
        assert strategy.num_replicas_in_sync == 2
    with nullcontext() if how == "outside" else scope():
        first = tl.train_head(model, data, epochs=2, learning_rate=0.1, verbose=0)
        unfrozen = tl.unfreeze_top(model, "high")
        before = tl.snapshot(model)
        second = tl.fine_tune(model, data, epochs=2, learning_rate=0.05, views=0, verbose=0)
        moved = [change.path for change in tl.changed_layers(before, tl.snapshot(model))]
        features, labels = tl.extract_features(model, data.test)
        result = tl.evaluate(model, data.test)
    assert unfrozen.first_layer == "high"
    np.savez(
        out,
        losses=[history.history[name] for history in (first, second) for name in ("loss", "val_loss", "accuracy")],
        features=features,
        labels=labels,
        probabilities=result.probabilities,
        moved=sorted(path.split("/")[-2] for path in moved),
        **{f"weight {number}": weight for number, weight in enumerate(model.get_weights())},
    )


main()
