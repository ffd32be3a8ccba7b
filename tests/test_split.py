"""The split of a model at its frontier."""

import contextlib

import keras
import numpy as np
import pytest

import kerastl as tl
from kerastl.bases import BASES
from kerastl.data import make_dataset
from kerastl.engine.frozen import Frozen
from kerastl.engine.split import split_model
from kerastl.graph import find_base_model, learns, run_order
from tiers import slow, weekly

ARCHITECTURES = {  # name: (smallest legal image, whether one tensor is enough to go on from a frontier in the middle)
    "VGG16": (32, True),
    "ResNet50V2": (32, True),
    "DenseNet121": (32, True),
    "InceptionV3": (75, True),
    "NASNetMobile": (32, False),
    "EfficientNetB0": (32, True),
}
FAST = ["VGG16", "ResNet50V2"]


def assert_halves_equal_whole(model, images, one_tensor):
    split = split_model(model)
    assert (len(split.lower.outputs) == 1) == one_tensor
    scaled = split.front(images)
    together = np.asarray(split.upper(split.lower(scaled)))
    whole = np.asarray(model(images))
    assert np.ptp(whole, axis=0).max() > 1e-3  # the images give different answers, so this could fail
    np.testing.assert_allclose(together, whole, atol=1e-5)
    return split


@pytest.mark.parametrize("name", [*FAST, *slow(*(name for name in ARCHITECTURES if name not in FAST))])
def test_the_two_halves_in_sequence_equal_the_whole(name, settle):
    size, one_tensor = ARCHITECTURES[name]
    images = np.random.default_rng(0).integers(0, 256, (4, size, size, 3)).astype("float32")
    part = make_dataset(images.astype(np.uint8), np.arange(4) % 3)
    model = tl.build_model(name, tl.ImageData(part, part, part, ["a", "b", "c"]), weights=None, augment=False)
    settle(model, images)
    kernel = model.get_layer("classifier").kernel
    while np.asarray(model(images)).max() > 0.9:  # probabilities of 0 and 1 would hide a difference
        kernel.assign(kernel * 0.3)
    base = find_base_model(model)

    frozen = assert_halves_equal_whole(model, images, True)
    assert frozen.lower.output_shape == (None, base.output_shape[-1])  # the pooled features
    assert [weight.path for weight in frozen.upper.weights] == ["classifier/kernel", "classifier/bias"]

    tl.unfreeze_top(model, len(base.layers) // 3)
    split = assert_halves_equal_whole(model, images, one_tensor)
    assert 0 < split.depth < frozen.depth
    assert split.lower.trainable_weights == []
    assert {id(weight) for weight in split.upper.trainable_weights} == {
        id(weight) for weight in model.trainable_weights
    }


def depths(model):
    """Unfreeze more and more, and stop wherever another layer is the lowest to train: (layers, name of the lowest)."""
    base, seen = find_base_model(model), set()
    for layers in range(1, len(base.layers) + 1):
        with contextlib.suppress(ValueError):  # nothing to train there
            tl.unfreeze_top(model, layers)
            trained = [node.operation for node in run_order(base) if learns(node.operation)]
            if id(trained[0]) not in seen:
                seen.add(id(trained[0]))
                yield layers, trained[0].name


OFTEN = ["MobileNetV2", "MobileNetV3Small"]


@pytest.mark.parametrize("name", ["VGG16", *slow(*OFTEN), *weekly(*sorted(BASES.keys() - {"VGG16", *OFTEN}))])
def test_every_base_can_be_split_at_every_depth(name, settle):
    size = BASES[name].smallest_image
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype("float32")
    part = make_dataset(images.astype(np.uint8), np.arange(2))
    model = tl.build_model(name, tl.ImageData(part, part, part, ["a", "b"]), weights=None, augment=False)
    settle(model, images)
    whole = np.asarray(model(images))
    for layers, lowest in depths(model):
        split = split_model(model)
        scaled = split.front(images)
        kept = split.lower(scaled)
        together = np.asarray(split.upper(kept))
        np.testing.assert_allclose(together, whole, atol=1e-4, err_msg=f"{layers} layers, from {lowest!r}")
        assert split.lower.trainable_weights == []
        if split.above:  # the same in two steps
            again = split.above(split.below(scaled))
            for one, other in zip(keras.tree.flatten(again), keras.tree.flatten(kept), strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(other).max())


def test_the_split_shares_the_layers_of_the_model(toy, arrays):
    tl.unfreeze_top(toy, 6)
    split = split_model(toy)
    images = arrays["test"][0].astype("float32")
    before = np.asarray(toy(images))
    for weight in split.upper.trainable_weights:
        weight.assign(weight * 1.5)
    assert not np.allclose(before, toy(images), atol=1e-3)
    assert np.array_equal(split.upper(split.lower(split.front(images))), toy(images))


def test_with_everything_unfrozen_nothing_is_kept_below(toy):
    tl.unfreeze_top(toy, 13)
    split = split_model(toy)
    assert split.depth == 0
    assert split.lower.weights == []
    assert len(split.upper.weights) == len(toy.weights)


def test_the_cut_lies_between_blocks_where_the_tensors_are_few(toy):
    tl.unfreeze_top(toy, "bn2")  # inside the block: the first weights to train above are those of conv3
    split = split_model(toy)
    assert len(split.lower.outputs) == 1


def test_dropout_inside_a_frozen_base_lies_below_the_frontier(make_toy, arrays):
    model = make_toy(in_base=0.5)
    tl.unfreeze_top(model, "conv3")
    split = split_model(model)
    assert "drop" in [layer.name for layer in split.lower.layers]
    images = arrays["test"][0]
    first, second = (Frozen(model, split).run(images, augment=True) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    expected = np.asarray(split.lower(split.front(images.astype("float32")), training=False))
    np.testing.assert_allclose(first[0], expected, atol=1e-6)


def test_the_front_augments_in_training_mode_only(make_model, arrays):
    split = split_model(make_model())
    images = arrays["test"][0].astype("float32")
    plain = np.asarray(split.front(images, training=False))
    np.testing.assert_allclose(plain, images / 127.5 - 1, atol=1e-6)
    assert np.abs(np.asarray(split.front(images, training=True)) - plain).mean() > 0.05


@pytest.mark.parametrize("base", ["EfficientNetB0", "MobileNetV3Small"])
def test_the_front_augments_where_the_base_scales_the_pixels_itself(base, data, arrays):
    split = split_model(tl.build_model(base, data, weights=None))
    images = arrays["test"][0].astype("float32")
    assert np.array_equal(split.front(images, training=False), images)
    assert np.abs(np.asarray(split.front(images, training=True)) - images).mean() > 5


def test_a_sequential_model_around_a_base_can_be_split(make_toy, arrays):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 255),
            find_base_model(make_toy()),
            layers.GlobalAveragePooling2D(),
            layers.Dense(8, activation="relu"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    split = split_model(model)
    images = arrays["test"][0].astype("float32")
    assert split.lower.output_shape == (None, 16)
    np.testing.assert_allclose(split.upper(split.lower(split.front(images))), model(images), atol=1e-6)
