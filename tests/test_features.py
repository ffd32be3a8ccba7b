"""What is kept of the frozen part, and the batches that training gets from it."""

import itertools

import keras
import numpy as np
import pytest

import kerastl as tl
from kerastl.engine.batches import Kept, Streamed, make_batches, run_frozen
from kerastl.engine.frozen import Frozen, predict_padded
from kerastl.engine.split import split_model
from kerastl.graph import find_base_model


def frozen_part(model) -> Frozen:
    return Frozen(model, split_model(model))


def test_kept_features_are_those_of_each_image(toy, ordered_data, arrays):
    split = split_model(toy)
    kept = run_frozen(Frozen(toy, split), ordered_data.train, verbose=0)
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
    kept = run_frozen(Frozen(toy, split), data.train, verbose=0)
    features = np.asarray(split.lower(split.front(images.astype("float32"))))
    nearest = np.abs(kept.tensors[0][0][:, None] - features[None]).sum(axis=2).argmin(axis=1)
    assert sorted(nearest) == list(range(24))
    assert np.array_equal(kept.labels, labels[nearest])


@pytest.mark.slow
def test_views_are_different_augmentations_of_the_same_images(make_model, settle, ordered_data, arrays):
    frozen = frozen_part(settle(make_model(), arrays["train"][0]))
    kept = run_frozen(frozen, ordered_data.validation, views=3, verbose=0)
    (tensor,) = kept.tensors
    assert tensor.shape[:2] == (4, 9)
    for one, other in itertools.combinations(tensor, 2):
        assert not np.allclose(one, other, atol=1e-3)
    plain = run_frozen(frozen, ordered_data.validation, views=0, verbose=0)
    assert np.array_equal(tensor[0], plain.tensors[0][0])
    assert np.array_equal(kept.labels, arrays["validation"][1])


def test_a_view_is_what_the_front_gives_in_training_mode(make_model, settle, arrays):
    model, images = settle(make_model(), arrays["train"][0]), arrays["test"][0]
    split = split_model(model)
    chance = [np.array(variable) for variable in split.front.variables]
    assert chance  # the seeds of the augmentation layers
    (view,) = Frozen(model, split).run(images, augment=True)
    for variable, value in zip(split.front.variables, chance, strict=True):
        variable.assign(value)
    expected = split.lower(split.front(images.astype("float32"), training=True), training=False)
    np.testing.assert_allclose(view, expected, rtol=1e-3, atol=1e-3)
    plain = split.lower(split.front(images.astype("float32"), training=False), training=False)
    assert np.abs(view - plain).mean() > 0.1


def test_an_epoch_takes_each_image_once_from_one_of_its_views(make_model, ordered_data):
    kept = run_frozen(frozen_part(make_model()), ordered_data.validation, views=1, shuffle=True, verbose=0)
    stored = kept.tensors[0]
    stored[:] = np.arange(2).reshape(2, 1, 1) * 100 + np.arange(9).reshape(1, 9, 1)  # each row tells where it is from
    drawn = [np.concatenate([tensors[0][:, 0] for tensors, _ in kept.epoch()]) for _ in range(2)]
    for rows in drawn:
        assert sorted(rows % 100) == list(range(9))
        assert set(rows // 100) == {0, 1}
    assert not np.array_equal(*drawn)


def test_an_epoch_is_drawn_by_numpys_generator_with_labels_beside(toy, ordered_data):
    kept = run_frozen(frozen_part(toy), ordered_data.train, shuffle=True, verbose=0)
    np.random.seed(7)
    order = np.random.permutation(24)
    np.random.seed(7)
    batches = list(kept.epoch())
    assert [len(labels) for _, labels in batches] == [9, 9, 6]
    assert np.array_equal(np.concatenate([labels for _, labels in batches]), kept.labels[order])
    assert np.array_equal(np.concatenate([tensors[0] for tensors, _ in batches]), kept.tensors[0][0, order])


def test_streaming_gives_the_same_as_keeping(toy, ordered_data):
    frozen = frozen_part(toy)
    kept = make_batches(frozen, ordered_data.train, 0, shuffle=False, verbose=0, label="")
    streamed = Streamed(frozen, ordered_data.train, views=0)
    assert isinstance(kept, Kept)
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
    with pytest.raises(ValueError, match=r"Pixels run from 0 to 0\.9.*Expected 0 to 255"):
        frozen_part(toy).run(arrays["test"][0] / 256)


def test_extracted_features_are_the_pooled_output_of_the_base(toy, ordered_data, arrays):
    values, labels = tl.extract_features(toy, ordered_data.test)
    images = arrays["test"][0].astype("float32")
    expected = np.asarray(find_base_model(toy)(images / 127.5 - 1, training=False)).mean(axis=(1, 2))
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)
    assert values.dtype == np.float32
    assert np.array_equal(labels, arrays["test"][1])


def test_augmentation_does_not_act_on_extracted_features(model, ordered_data):
    one, two = (tl.extract_features(model, ordered_data.test).values for _ in range(2))
    assert np.array_equal(one, two)


def test_scikit_learn_learns_from_extracted_features(toy, ordered_data):
    from sklearn.linear_model import LogisticRegression

    classifier = LogisticRegression(max_iter=1000).fit(*tl.extract_features(toy, ordered_data.train))
    assert classifier.score(*tl.extract_features(toy, ordered_data.test)) > 0.6  # chance is a third
