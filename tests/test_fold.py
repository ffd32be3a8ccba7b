"""In what is frozen, convolutions do the work of the BatchNorm after them, and the numbers stay what they were."""

import gc
import random
import warnings
import weakref

import keras
import numpy as np
import pytest

import kerastl as tl
from kerastl.bases import BASES
from kerastl.data import make_dataset
from kerastl.engine.batches import run_frozen
from kerastl.engine.fold import fold_norms
from kerastl.engine.frozen import Frozen
from kerastl.engine.split import split_model
from kerastl.graph import find_base_model, is_batch_norm, leaf_layers
from tiers import slow, weekly

layers = keras.layers
OFTEN = ["MobileNetV3Small", "EfficientNetB0", "ResNet50", "DenseNet121", "InceptionV3", "NASNetMobile"]


def norms_in(model) -> list:
    return [layer for layer in leaf_layers(model) if is_batch_norm(layer)]


def assert_close(values, expected) -> None:
    np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def shake(model) -> keras.Model:
    """Give BatchNorm statistics and scales that matter: those it begins with change nothing.

    Not larger ones: in EfficientNetV2M they made a change of a millionth in the image one of half of the features.
    """
    rng = np.random.default_rng(1)
    for norm in norms_in(model):
        norm.moving_mean.assign(rng.normal(0, 0.2, norm.moving_mean.shape))
        norm.moving_variance.assign(rng.uniform(0.7, 2, norm.moving_mean.shape))
        if norm.scale:
            norm.gamma.assign(rng.uniform(0.5, 1.0, norm.gamma.shape))
        if norm.center:
            norm.beta.assign(rng.normal(0, 0.2, norm.beta.shape))
    return model


@pytest.mark.parametrize(
    "name", ["MobileNetV2", *slow(*OFTEN), *weekly(*sorted(BASES.keys() - {"MobileNetV2", *OFTEN}))]
)
def test_every_base_gives_the_same_in_both_phases(name):
    size = max(BASES[name].smallest_image, 64)
    images = np.random.default_rng(0).integers(0, 256, (4, size, size, 3)).astype(np.uint8)
    part = make_dataset(images, np.arange(4) % 2)
    model = tl.build_model(name, tl.ImageData(part, part, part, ["a", "b"]), weights=None)
    split = split_model(model)
    scaled = split.front(images, training=False)
    plain = np.asarray(split.lower(scaled))
    shake(model)
    for layers_to_train in (0, len(find_base_model(model).layers) // 3):
        if layers_to_train:
            tl.unfreeze_top(model, layers_to_train)
        split = split_model(model)
        frozen = Frozen(model, split)
        expected = [np.asarray(tensor) for tensor in keras.tree.flatten(split.lower(scaled))]
        before, after = len(norms_in(split.lower)), len(norms_in(frozen._lower))
        assert (after < before) == (before > 0)  # there are networks without
        if before and not layers_to_train:
            assert not np.allclose(plain, expected[0], rtol=0.1)  # the statistics matter: this could fail
        for remember in (False, True):
            for values, truth in zip(frozen.run(images, remember=remember), expected, strict=True):
                np.testing.assert_allclose(values, truth, atol=2e-5 * np.abs(truth).max())


def test_of_mobilenet_no_batch_norm_is_left_to_run(model):
    frozen = Frozen(model, split_model(model))
    assert len(norms_in(find_base_model(model))) == 52
    assert [norms_in(part) for part in (frozen._lower, frozen._below, frozen._above)] == [[], [], []]
    augmented = [layer for layer in leaf_layers(frozen._augmented) if is_batch_norm(layer)]
    assert augmented == []


def test_the_model_stays_as_it_was(toy, data, differing):
    before, names = tl.snapshot(toy), [layer.name for layer in leaf_layers(toy)]
    frozen = Frozen(toy, split_model(toy))
    assert not norms_in(frozen._lower)
    assert differing(before, tl.snapshot(toy)) == set()
    assert [layer.name for layer in leaf_layers(toy)] == names


def test_layers_are_made_once_for_all_parts(toy):
    frozen = Frozen(toy, split_model(toy))
    weights = {id(weight) for part in (frozen._lower, frozen._below, frozen._above) for weight in part.weights}
    assert weights == {id(weight) for weight in frozen._lower.weights}


@pytest.mark.slow
def test_the_copies_go_with_the_frozen_part_although_layers_are_shared(toy, ordered_data):
    layers_of_base = find_base_model(toy).layers
    calls = [len(layer._inbound_nodes) for layer in layers_of_base]
    split = split_model(toy)
    frozen = Frozen(toy, split)
    cut = [len(layer._inbound_nodes) for layer in layers_of_base]
    assert cut != calls  # the cut itself leaves some
    run_frozen(frozen, ordered_data.validation, views=2, verbose=0)
    copies = [weakref.ref(layer) for layer in frozen._folded.values()]
    assert len(copies) == 4
    assert [len(layer._inbound_nodes) for layer in layers_of_base] == cut
    del frozen
    gc.collect()
    assert [copy() for copy in copies] == [None] * 4
    keras.models.clone_model(find_base_model(toy))  # and the network is as whole as before


def test_folding_draws_nothing_from_chance(model):
    keras.utils.set_random_seed(5)
    Frozen(model, split_model(model))
    expected = random.random(), np.random.random()
    keras.utils.set_random_seed(5)
    assert not norms_in(Frozen(model, split_model(model))._lower)
    assert (random.random(), np.random.random()) == expected


def test_weights_that_change_between_two_phases_count(toy, ordered_data, arrays):
    tl.train_head(toy, ordered_data, epochs=1, verbose=0)
    norm = find_base_model(toy).get_layer("bn1")
    norm.beta.assign(norm.beta + 1.0)
    split = split_model(toy)
    images = arrays["validation"][0]
    assert_close(Frozen(toy, split).run(images, remember=True)[0], np.asarray(split.lower(split.front(images))))


def small(build, shape=(8, 8, 4), dtype=None):
    """A network from a function of its input, shaken, and what it gives for one batch."""
    image = keras.Input(shape, dtype=dtype)
    model = shake(keras.Model(image, build(image)))
    inputs = np.random.default_rng(2).normal(size=(3, *shape)).astype(dtype or "float32")
    return model, inputs, np.asarray(model.predict_on_batch(inputs))


FOLDED = {
    "bias": lambda x: layers.BatchNormalization()(layers.Conv2D(6, 3)(x)),
    "no_bias": lambda x: layers.BatchNormalization()(layers.Conv2D(6, 3, use_bias=False)(x)),
    "no_scale": lambda x: layers.BatchNormalization(scale=False)(layers.Conv2D(6, 3)(x)),
    "no_center": lambda x: layers.BatchNormalization(center=False)(layers.Conv2D(6, 3)(x)),
    "groups": lambda x: layers.BatchNormalization()(layers.Conv2D(6, 3, groups=2)(x)),
    "depthwise": lambda x: layers.BatchNormalization()(layers.DepthwiseConv2D(3)(x)),
    "multiplier": lambda x: layers.BatchNormalization()(layers.DepthwiseConv2D(3, depth_multiplier=3)(x)),
    "strides_and_padding": lambda x: layers.BatchNormalization(axis=3)(layers.Conv2D(6, 3, 2, padding="same")(x)),
    "large_epsilon": lambda x: layers.BatchNormalization(epsilon=0.5)(layers.Conv2D(6, 1)(x)),
    "constraint": lambda x: layers.BatchNormalization()(
        layers.Conv2D(6, 1, kernel_constraint="max_norm", kernel_regularizer="l2", activity_regularizer="l2")(x)
    ),
    "nested": lambda x: keras.Sequential([layers.Conv2D(6, 3), layers.BatchNormalization(), layers.ReLU()])(x),
    "said_not_to_train": lambda x: layers.BatchNormalization()(layers.Conv2D(6, 3)(x), training=False),
}


class Own:
    """An initializer, regularizer or constraint that Keras could not make again from its settings."""

    def __init__(self, value):
        self.value = value

    def __call__(self, weights, dtype=None):
        return keras.ops.ones(weights, dtype) if isinstance(weights, tuple) else self.value(weights)


def blocks_with_the_same_names(x):
    for number in range(4):
        image = keras.Input((None, None, x.shape[-1]))
        y = layers.Conv2D(4, 3, padding="same", name="conv")(image)
        y = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(y))
        x = keras.Model(image, y, name=f"block_{number}")(x)
    return x


def network_of_a_dict(x):
    one, other = keras.Input((8, 8, 4), name="one"), keras.Input((8, 8, 4), name="two")
    y = layers.BatchNormalization()(layers.Conv2D(6, 3)(one)) + layers.Conv2D(6, 3)(other)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras says that the names differ, and takes the inputs in their order
        return keras.Model({"x": one, "y": other}, y)({"x": x, "y": layers.ReLU()(x)})


def block_called_twice(x):
    block = keras.Sequential([layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()])
    return block(layers.ReLU()(block(x)))


def with_mask(x):
    mask = keras.ops.equal(keras.ops.max(x, axis=-1), 0)
    return layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same")(x), mask=mask)


FOLDED |= {
    "own_initializer": lambda x: layers.BatchNormalization()(
        layers.Conv2D(6, 3, kernel_initializer=Own(None), bias_initializer=lambda shape, dtype: keras.ops.ones(shape))(
            x
        )
    ),
    "own_regularizer": lambda x: layers.BatchNormalization()(
        layers.DepthwiseConv2D(3, depthwise_regularizer=Own(keras.ops.sum), bias_regularizer=lambda bias: 0.0)(x)
    ),
    "own_constraint": lambda x: layers.BatchNormalization()(layers.Conv2D(6, 3, kernel_constraint=Own(lambda w: w))(x)),
    "blocks_with_the_same_names": blocks_with_the_same_names,
    "network_of_a_dict": network_of_a_dict,
    "block_called_twice": block_called_twice,
    "with_mask": with_mask,
    "by_keyword": lambda x: layers.BatchNormalization()(inputs=layers.Conv2D(6, 3)(inputs=x)),
}


@pytest.mark.parametrize("name", FOLDED)
def test_a_pair_becomes_one_layer(name):
    model, inputs, expected = small(FOLDED[name])
    folded = fold_norms(model, {})
    assert not norms_in(folded)
    assert_close(folded.predict_on_batch(inputs), expected)


def shared_convolution(x):
    convolution = layers.Conv2D(4, 3, padding="same")
    return layers.BatchNormalization()(convolution(x)) + convolution(x)


def convolution_called_twice(x):
    convolution = layers.Conv2D(4, 3, padding="same")
    return layers.BatchNormalization()(convolution(layers.ReLU()(convolution(x))))


def read_twice(x):
    convolved = layers.Conv2D(4, 3, padding="same")(x)
    return layers.BatchNormalization()(convolved) + convolved


def with_lora(x):
    convolution = layers.Conv2D(6, 3)
    made = convolution(x)
    convolution.enable_lora(2)
    convolution.lora_kernel_b.assign(np.ones(convolution.lora_kernel_b.shape))
    return layers.BatchNormalization()(made)


class OwnConvolution(layers.Conv2D):
    def call(self, inputs):
        return 2 * super().call(inputs)


class OwnNorm(layers.BatchNormalization):
    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training=False)


def convolution_called_inside_and_outside(x):
    convolution = layers.Conv2D(4, 3, padding="same", name="shared")
    image = keras.Input((8, 8, 4))
    inside = keras.Model(image, layers.ReLU()(convolution(image)))
    return layers.Add()([inside(x), layers.ReLU()(convolution(layers.BatchNormalization()(x)))])


KEPT = {
    "convolution_called_inside_and_outside": convolution_called_inside_and_outside,
    "activation": lambda x: layers.BatchNormalization()(layers.Conv2D(6, 3, activation="relu")(x)),
    "shared_convolution": shared_convolution,
    "convolution_called_twice": convolution_called_twice,
    "read_twice": read_twice,
    "with_lora": with_lora,
    "own_convolution": lambda x: layers.BatchNormalization()(OwnConvolution(6, 3)(x)),
    "own_norm": lambda x: OwnNorm()(layers.Conv2D(6, 3)(x)),
    "another_axis": lambda x: layers.BatchNormalization(axis=1)(layers.Conv2D(6, 3)(x)),
    "said_to_train": lambda x: layers.BatchNormalization()(layers.Conv2D(6, 3)(x), training=True),
    "network_said_to_train": lambda x: keras.Sequential([layers.Conv2D(6, 3), layers.BatchNormalization()])(
        x, training=True
    ),
    "first": lambda x: layers.Conv2D(6, 3)(layers.BatchNormalization()(x)),
    "transposed": lambda x: layers.BatchNormalization()(layers.Conv2DTranspose(6, 3)(x)),
    "separable": lambda x: layers.BatchNormalization()(layers.SeparableConv2D(6, 3)(x)),
    "another_type": lambda x: layers.BatchNormalization(dtype="float64")(layers.Conv2D(6, 3)(x)),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_no_plain_pair_stays(name):
    model, inputs, expected = small(KEPT[name])
    folded = fold_norms(model, {})
    assert len(norms_in(folded)) == 1
    assert_close(folded.predict_on_batch(inputs), expected)


def test_a_pair_read_as_the_output_stays():
    image = keras.Input((8, 8, 4))
    convolved = layers.Conv2D(6, 3)(image)
    model = shake(keras.Model(image, (convolved, layers.BatchNormalization()(convolved))))
    assert len(norms_in(fold_norms(model, {}))) == 1


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_in_16_bits_nothing_is_folded_since_it_would_round_as_much_again(policy):
    keras.config.set_dtype_policy(policy)
    try:
        image = keras.Input((8, 8, 4))
        model = keras.Model(image, FOLDED["no_bias"](image))  # not run: a simple CPU has no convolution in bfloat16
        assert fold_norms(model, {}) is model
    finally:
        keras.config.set_dtype_policy("float32")


def test_features_are_those_of_the_model_as_it_is(toy, ordered_data, arrays):
    truth = keras.Model(toy.inputs[0], toy.get_layer("pool").output).predict(arrays["test"][0], verbose=0)
    assert_close(tl.extract_features(toy, ordered_data.test).values, truth)
