"""The split of a model at its frontier, and what is kept of the frozen part."""

import itertools

import keras
import numpy as np
import pytest

import kerastl as tl
from kerastl.data import make_dataset
from kerastl.features import make_source, predict_padded, run_batch, run_frozen, split_model, stream_source
from kerastl.graph import find_base_model

ARCHITECTURES = {  # name: (smallest legal image, whether one tensor is enough to go on from a frontier in the middle)
    "VGG16": (32, True),
    "ResNet50V2": (32, True),
    "DenseNet121": (32, True),
    "InceptionV3": (75, True),
    "NASNetMobile": (32, False),
    "EfficientNetB0": (32, True),
}


def assert_halves_equal_whole(model, images, one_tensor):
    split = split_model(model)
    assert (len(split.lower.outputs) == 1) == one_tensor
    scaled = split.front(images)
    together = np.asarray(split.upper(split.lower(scaled)))
    whole = np.asarray(model(images))
    assert np.ptp(whole, axis=0).max() > 1e-3  # the images give different answers, so this could fail
    np.testing.assert_allclose(together, whole, atol=1e-5)
    return split


@pytest.mark.parametrize("name", ARCHITECTURES)
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
    first, second = (run_batch(split, images, augment=True, batch_size=9) for _ in range(2))
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


def test_a_model_with_two_ways_around_the_base_is_an_error(make_toy):
    base = find_base_model(make_toy())
    image = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()
    both = keras.layers.Concatenate()([pooled(base(image)), keras.layers.GlobalMaxPooling2D()(image)])
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax")(both), name="two_ways")
    with pytest.raises(ValueError, match="Expected a plain chain of layers from the base 'toy' to the end"):
        split_model(model)


# ---- what is kept


def test_kept_features_are_those_of_each_image(toy, ordered_data, arrays):
    split = split_model(toy)
    kept = run_frozen(split, ordered_data.train, verbose=0)
    images, labels = arrays["train"]
    assert [tensor.shape for tensor in kept.tensors] == [(1, 24, 16)]
    assert kept.tensors[0].dtype == np.float32
    assert kept.batch_size == 9
    assert np.array_equal(kept.labels, labels)
    expected = np.asarray(split.lower(split.front(images.astype("float32"))))
    np.testing.assert_allclose(kept.tensors[0][0], expected, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.01


def test_kept_labels_belong_to_their_features_in_a_shuffled_dataset(toy, data, arrays):
    split = split_model(toy)
    images, labels = arrays["train"]
    kept = run_frozen(split, data.train, verbose=0)
    features = np.asarray(split.lower(split.front(images.astype("float32"))))
    nearest = np.abs(kept.tensors[0][0][:, None] - features[None]).sum(axis=2).argmin(axis=1)
    assert sorted(nearest) == list(range(24))
    assert np.array_equal(kept.labels, labels[nearest])


def test_views_are_different_augmentations_of_the_same_images(make_model, settle, ordered_data, arrays):
    split = split_model(settle(make_model(), arrays["train"][0]))
    kept = run_frozen(split, ordered_data.validation, views=3, verbose=0)
    (tensor,) = kept.tensors
    assert tensor.shape[:2] == (4, 9)
    for one, other in itertools.combinations(tensor, 2):
        assert not np.allclose(one, other, atol=1e-3)
    plain = run_frozen(split, ordered_data.validation, views=0, verbose=0)
    assert np.array_equal(tensor[0], plain.tensors[0][0])
    assert np.array_equal(kept.labels, arrays["validation"][1])


def test_an_epoch_takes_each_image_once_from_one_of_its_views(make_model, ordered_data):
    kept = run_frozen(split_model(make_model()), ordered_data.validation, views=1, verbose=0)
    stored = kept.tensors[0]
    stored[:] = np.arange(2).reshape(2, 1, 1) * 100 + np.arange(9).reshape(1, 9, 1)  # each row tells where it is from
    drawn = [np.concatenate([tensors[0][:, 0] for tensors, _ in kept.draw_epoch(shuffle=True)]) for _ in range(2)]
    for rows in drawn:
        assert sorted(rows % 100) == list(range(9))
        assert set(rows // 100) == {0, 1}
    assert not np.array_equal(*drawn)


def test_an_epoch_is_drawn_by_numpys_generator_with_labels_beside(toy, ordered_data):
    kept = run_frozen(split_model(toy), ordered_data.train, verbose=0)
    np.random.seed(7)
    order = np.random.permutation(24)
    np.random.seed(7)
    batches = list(kept.draw_epoch(shuffle=True))
    assert [len(labels) for _, labels in batches] == [9, 9, 6]
    assert np.array_equal(np.concatenate([labels for _, labels in batches]), kept.labels[order])
    assert np.array_equal(np.concatenate([tensors[0] for tensors, _ in batches]), kept.tensors[0][0, order])


def test_streaming_gives_the_same_as_keeping(toy, ordered_data):
    split = split_model(toy)
    kept = make_source(split, ordered_data.train, 0, shuffle=False, verbose=0, label="")
    streamed = stream_source(split, ordered_data.train, augment=False)
    assert (kept.steps, kept.images, streamed.steps) == (3, 24, 3)
    for (kept_tensors, kept_labels), (tensors, labels) in zip(kept.epoch(), streamed.epoch(), strict=True):
        assert np.array_equal(kept_tensors[0], tensors[0])
        assert np.array_equal(kept_labels, labels)


def test_a_smaller_last_batch_is_filled_up_and_cut_back(toy, arrays):
    images = keras.ops.convert_to_tensor(arrays["test"][0], dtype="float32")
    whole = predict_padded(toy, images, batch_size=9)
    assert predict_padded(toy, images[:4], batch_size=9).shape == (4, 3)
    np.testing.assert_allclose(predict_padded(toy, images[:4], batch_size=9), whole[:4], atol=1e-6)
    np.testing.assert_allclose(predict_padded(toy, images, batch_size=5), whole, atol=1e-6)  # larger than usual


def test_pixels_that_were_scaled_already_are_refused(toy, arrays):
    split = split_model(toy)
    with pytest.raises(ValueError, match=r"Pixels run from 0 to 0\.9.*Expected 0 to 255"):
        run_batch(split, arrays["test"][0] / 256, augment=False, batch_size=9)
