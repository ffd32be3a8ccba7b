"""Temperature scaling: one number that makes probabilities fit."""

import math

import numpy as np
import pytest

import kerastl as tl
from kerastl.evaluation import Evaluation


def say(sharpness: float, images: int = 3000, seed: int = 0) -> Evaluation:
    """A model that knows the true probabilities of four classes, and says them `sharpness` times as surely."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (images, 4))
    true = softmax(logits)
    labels = np.array([rng.choice(4, p=row) for row in true])
    said = softmax(logits * sharpness).astype("float32")
    own = said[np.arange(images), labels]
    return Evaluation(float(np.mean(said.argmax(1) == labels)), float(-np.log(own).mean()), labels, said)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("sharpness", [4.0, 2.0, 1.0, 0.5])
def test_the_temperature_is_how_many_times_too_sure_the_model_was(sharpness):
    assert tl.fit_temperature(say(sharpness)) == pytest.approx(sharpness, rel=0.08)


@pytest.mark.parametrize("sharpness", [3.0, 0.4])
def test_what_was_found_on_some_images_makes_others_fit(sharpness):
    validation, test = say(sharpness, seed=1), say(sharpness, seed=2)
    after = test.at_temperature(tl.fit_temperature(validation))
    assert test.calibration_error > 0.1
    assert after.calibration_error < 0.04
    assert after.loss < test.loss


@pytest.mark.parametrize("sharpness", [3.0, 0.4])
def test_accuracy_and_order_stay_and_the_loss_is_that_of_the_new_probabilities(sharpness):
    before = say(sharpness)
    after = before.at_temperature(tl.fit_temperature(before))
    assert after.accuracy == before.accuracy
    assert np.array_equal(after.predictions, before.predictions)
    np.testing.assert_allclose(after.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert after.probabilities.dtype == np.float32
    own = after.probabilities[np.arange(len(after.labels)), after.labels]
    assert after.loss == pytest.approx(-np.log(own).mean(), rel=1e-5)
    assert after.loss <= before.loss


@pytest.mark.parametrize("sharpness", [3.0, 0.4])
def test_no_temperature_of_a_fine_grid_has_a_lower_loss(sharpness):
    result = say(sharpness, 300)
    logs = np.log(result.probabilities.astype(float))
    grid = np.geomspace(0.05, 20, 4000)
    losses = [-np.log(softmax(logs / value))[np.arange(300), result.labels].mean() for value in grid]
    found = tl.fit_temperature(result)
    assert found == pytest.approx(grid[np.argmin(losses)], rel=2e-3)
    assert result.at_temperature(found).loss <= min(losses) + 1e-9


def test_a_temperature_of_1_changes_nothing():
    result = say(1.0)
    same = result.at_temperature(1)
    np.testing.assert_allclose(same.probabilities, result.probabilities, rtol=1e-5)
    assert same.loss == pytest.approx(result.loss, rel=1e-6)


def test_probabilities_of_0_are_no_trouble():
    probabilities = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], "float32")
    result = Evaluation(0.75, 1.0, np.array([0, 1, 1, 2]), probabilities)
    after = result.at_temperature(tl.fit_temperature(result))
    assert np.isfinite(after.probabilities).all()
    assert after.probabilities.max() == pytest.approx(0.75, abs=0.01)  # as often as it is right


def test_the_temperature_of_a_trained_model_lowers_its_loss_on_validation(toy, ordered_data):
    tl.train_head(toy, ordered_data, epochs=3, learning_rate=0.05, verbose=0)
    result = tl.evaluate(toy, ordered_data.train)
    assert len(result.mistakes)
    assert result.at_temperature(tl.fit_temperature(result)).loss <= result.loss


# ---- wrong input


def test_where_every_image_is_right_there_is_no_best_temperature():
    with pytest.raises(ValueError, match=r"right about all 3 images.*take more validation images"):
        tl.fit_temperature(Evaluation(1.0, 0.1, np.arange(3), np.eye(3, dtype="float32") * 0.7 + 0.1))


def test_where_the_model_knows_less_than_nothing_there_is_no_best_temperature():
    wrong = say(2.0)
    with pytest.raises(ValueError, match="no better than equal ones"):
        tl.fit_temperature(wrong._replace(labels=wrong.probabilities.argmin(axis=1)))


def test_what_is_no_evaluation_is_an_error(toy):
    with pytest.raises(TypeError, match=r"Received Functional\. Expected an evaluation: `evaluate"):
        tl.fit_temperature(toy)


@pytest.mark.parametrize("temperature", [0, -1, math.nan, math.inf, "warm", None])
def test_a_temperature_that_is_none_is_an_error(temperature):
    with pytest.raises(ValueError, match="Expected a number above 0"):
        say(1.0, 10).at_temperature(temperature)
