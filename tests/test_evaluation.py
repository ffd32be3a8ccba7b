"""Measuring on held-out images: every figure from one pass."""

import keras
import numpy as np
import pytest

import kerastl as tl
from kerastl.data import make_dataset
from kerastl.evaluation import Evaluation


@pytest.fixture
def result() -> Evaluation:
    labels = np.array([0, 0, 1, 2, 2, 2])
    probabilities = np.full((6, 3), 0.1, "float32")
    probabilities[np.arange(6), [0, 1, 1, 2, 2, 0]] = 0.8
    return Evaluation(4 / 6, 0.9, labels, probabilities)


def test_predictions_are_the_most_probable_classes(result):
    assert result.predictions.tolist() == [0, 1, 1, 2, 2, 0]


def test_confusion_has_true_classes_as_rows_and_predicted_ones_as_columns(result):
    assert result.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 2]]


def test_confusion_keeps_classes_that_do_not_occur():
    probabilities = np.eye(4, dtype="float32")[[0, 0]]
    assert Evaluation(1.0, 0.0, np.array([0, 0]), probabilities).confusion.shape == (4, 4)


def test_a_result_reads_as_a_sentence(result):
    assert str(result) == "accuracy 0.667 (95 % interval 0.300 to 0.903), loss 0.900 on 6 images"


def test_the_interval_is_wilsons():
    """Ten right of twelve: 0.5520 to 0.9530, as in the tables of Newcombe (1998)."""
    ten_of_twelve = Evaluation(10 / 12, 0.0, np.zeros(12, int), np.ones((12, 2), "float32"))
    assert ten_of_twelve.interval == pytest.approx((0.5520, 0.9530), abs=1e-4)
    assert ten_of_twelve._replace(accuracy=1.0).interval[1] == 1.0


def test_class_scores_and_balanced_accuracy_are_those_of_scikit_learn():
    from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support

    rng = np.random.default_rng(0)
    labels = rng.choice(3, 60, p=[0.5, 0.3, 0.2])
    probabilities = rng.dirichlet(np.ones(3), 60) + np.eye(3)[labels] / 2  # often right, not always
    probabilities = (probabilities / probabilities.sum(axis=1, keepdims=True)).astype("float32")
    result = Evaluation(float(np.mean(probabilities.argmax(axis=1) == labels)), 1.0, labels, probabilities)
    assert 0.5 < result.accuracy < 0.9
    expected = precision_recall_fscore_support(result.labels, result.predictions, zero_division=np.nan)
    for score, *columns in zip(result.class_scores, *expected, strict=True):
        np.testing.assert_allclose(score[:2], columns[:2])
        np.testing.assert_allclose(score[2:], columns[2:])
    assert result.balanced_accuracy == pytest.approx(balanced_accuracy_score(result.labels, result.predictions))


def test_a_class_that_is_never_named_has_no_precision():
    result = Evaluation(0.5, 1.0, np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]], "float32"))
    assert np.isnan(result.class_scores[1].precision)
    assert result.class_scores[1][1:] == (0.0, 0.0, 1)
    assert result.balanced_accuracy == 0.5


def test_calibration_error_is_the_mean_gap_between_said_and_right():
    """Six say 0.9 and five of them are right; four say 0.6 and one is right."""
    probabilities = np.array([[0.9, 0.1]] * 6 + [[0.6, 0.4]] * 4, "float32")
    labels = np.array([0] * 5 + [1] + [0] + [1] * 3)
    result = Evaluation(0.6, 1.0, labels, probabilities)
    assert result.calibration_error == pytest.approx(0.6 * abs(0.9 - 5 / 6) + 0.4 * abs(0.6 - 1 / 4), abs=1e-6)
    assert sum(row.images for row in result.confidences) == 10


def test_a_model_that_is_as_sure_as_it_is_right_has_no_calibration_error():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 200_000).astype("float32")
    probabilities = np.stack([sure, 1 - sure], axis=1)
    labels = (rng.uniform(size=sure.size) > sure).astype(int)
    assert Evaluation(0.0, 0.0, labels, probabilities).calibration_error < 0.005


def test_mistakes_come_surest_first():
    probabilities = np.array([[0.4, 0.6], [0.9, 0.1], [0.2, 0.8], [0.05, 0.95]], "float32")
    assert Evaluation(0.25, 1.0, np.array([0, 0, 0, 0]), probabilities).mistakes.tolist() == [3, 2, 0]


def test_the_table_names_each_class(result):
    lines = result.table(["a", "b", "c"]).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["a", "0.500", "0.500", "0.500", "2"],
        ["b", "0.500", "1.000", "0.667", "1"],
        ["c", "1.000", "0.667", "0.800", "3"],
    ]
    with pytest.raises(ValueError, match="Expected 3, those of the data that the model was built for"):
        result.table(["a"])


def test_the_figures_are_those_of_keras(toy, ordered_data):
    toy.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    by_keras = toy.evaluate(ordered_data.test, verbose=0, return_dict=True)
    result = tl.evaluate(toy, ordered_data.test)
    assert result.accuracy == pytest.approx(by_keras["accuracy"], abs=1e-6)
    assert result.loss == pytest.approx(by_keras["loss"], abs=1e-4)


def test_the_loss_of_sure_mistakes_is_that_of_keras(toy, ordered_data, loss_in_fit):
    for weight in toy.get_layer("classifier").weights:
        weight.assign(weight * 50)  # probabilities near 0, where Keras computes the loss from the logits
    toy.compile(loss="sparse_categorical_crossentropy")
    result = tl.evaluate(toy, ordered_data.test)
    assert loss_in_fit(result) == pytest.approx(toy.evaluate(ordered_data.test, verbose=0), rel=1e-4)
    assert result.loss > 10


def test_probabilities_are_those_of_the_model_in_the_order_of_the_labels(toy, ordered_data, arrays):
    images, labels = arrays["test"]
    result = tl.evaluate(toy, ordered_data.test)
    assert result.probabilities.shape == (9, 3)
    np.testing.assert_allclose(result.probabilities, toy.predict(images, verbose=0), atol=1e-5)
    assert np.array_equal(result.labels, labels)


def test_on_a_shuffled_dataset_accuracy_and_confusion_agree(toy, data):
    tl.train_head(toy, data, epochs=10, learning_rate=0.05, verbose=0)
    result = tl.evaluate(toy, data.train)
    assert result.confusion.trace() / 24 == pytest.approx(result.accuracy)
    assert result.accuracy > 0.5  # at chance the two orders could agree by luck
    assert result.accuracy == pytest.approx(tl.evaluate(toy, data.train).accuracy)


def test_a_last_smaller_batch_counts_as_the_others(toy, arrays):
    images, labels = arrays["train"]
    whole = tl.evaluate(toy, make_dataset(images, labels, batch_size=24))
    parts = tl.evaluate(toy, make_dataset(images, labels, batch_size=7))
    np.testing.assert_allclose(whole.probabilities, parts.probabilities, atol=1e-5)
    assert whole.loss == pytest.approx(parts.loss, abs=1e-5)


def test_batches_that_grow_lose_no_image(toy, arrays):
    images, labels = arrays["test"]
    batches = [(images[:2], labels[:2]), (images[2:], labels[2:])]
    result = tl.evaluate(toy, batches)
    assert np.array_equal(result.labels, labels)
    np.testing.assert_allclose(result.probabilities, toy.predict(images, verbose=0), atol=1e-5)


def test_a_model_with_one_output_gives_both_probabilities(make_toy, arrays):
    images, labels = arrays["test"]
    model = make_toy(classes=1)
    result = tl.evaluate(model, make_dataset(images, labels % 2))
    second = model.predict(images, verbose=0)[:, 0]
    np.testing.assert_allclose(result.probabilities, np.stack([1 - second, second], axis=1), atol=1e-5)
    assert result.confusion.shape == (2, 2)


def test_evaluation_changes_no_weight(toy, data, differing):
    before = tl.snapshot(toy)
    tl.evaluate(toy, data.test)
    assert differing(before, tl.snapshot(toy)) == set()


# ---- wrong input


def test_an_empty_dataset_is_an_error(toy):
    with pytest.raises(ValueError, match=r"The dataset is empty\. Expected at least one batch of \(images, labels\)"):
        tl.evaluate(toy, [])


def test_labels_that_the_model_does_not_know_are_an_error(toy, arrays):
    images, labels = arrays["test"]
    with pytest.raises(ValueError, match=r"The labels run from 1 to 3; the model knows 3 classes, 0 to 2"):
        tl.evaluate(toy, make_dataset(images, labels + 1))


def test_images_of_one_class_only_are_an_error(toy, arrays):
    images, labels = arrays["test"]
    with pytest.raises(ValueError, match=r"All 3 images are of class 1\. Expected images of two classes or more"):
        tl.evaluate(toy, make_dataset(images[labels == 1], labels[labels == 1]))


def test_a_model_that_is_not_built_is_an_error(ordered_data):
    with pytest.raises(ValueError, match="is not built"):
        tl.evaluate(keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)]), ordered_data.test)


def test_pixels_that_were_scaled_already_are_an_error(toy, arrays):
    images, labels = arrays["test"]
    with pytest.raises(ValueError, match=r"Expected 0 to 255: the scaling that the base needs is inside the model"):
        tl.evaluate(toy, make_dataset((images / 255).astype("float32"), labels))


def test_float_images_from_0_to_255_give_the_same_result(toy, arrays, ordered_data):
    images, labels = arrays["test"]
    result = tl.evaluate(toy, make_dataset(images.astype("float32"), labels, batch_size=9))
    assert np.array_equal(result.probabilities, tl.evaluate(toy, ordered_data.test).probabilities)


def test_evaluation_works_on_a_model_that_keras_alone_trained(make_toy, arrays, ordered_data):
    model = make_toy()
    model.compile(keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
    model.fit(ordered_data.train, epochs=1, verbose=0)
    assert 0 <= tl.evaluate(model, ordered_data.test).accuracy <= 1
