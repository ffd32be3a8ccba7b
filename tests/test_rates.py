"""The learning-rate range test: what it finds, and that it leaves everything as it was."""

import keras
import numpy as np
import pytest

import kerastl as tl
from kerastl.data import make_dataset
from kerastl.plots.style import GREY
from kerastl.rates import LearningRates

pytestmark = pytest.mark.usefixtures("matplotlib_stays")


def test_the_rate_grows_by_the_same_factor_from_the_lowest_to_the_highest(toy, data):
    found = tl.find_learning_rate(toy, data, lowest=1e-5, highest=1e-3, steps=25, verbose=0)
    np.testing.assert_allclose(found.rates, np.geomspace(1e-5, 1e-3, 25))
    assert found.losses.shape == (25,)


@pytest.mark.parametrize("unfrozen", [0, 3])
def test_afterwards_every_weight_is_as_it_was_though_training_moved_them(toy, data, unfrozen, differing, monkeypatch):
    if unfrozen:
        tl.unfreeze_top(toy, unfrozen)
    before, during = tl.snapshot(toy), []
    step = keras.Model.train_on_batch

    def watch(upper, *arguments):
        loss = step(upper, *arguments)
        during.append(tl.snapshot(toy))
        return loss

    monkeypatch.setattr(keras.Model, "train_on_batch", watch)
    tl.find_learning_rate(toy, data, steps=20, verbose=0)
    assert {"classifier/kernel", "classifier/bias"} <= differing(before, during[-1])
    assert differing(before, tl.snapshot(toy)) == set()


def test_what_the_model_was_compiled_with_stays(toy, data):
    toy.compile(optimizer := keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    toy.fit(data.train, epochs=1, verbose=0)
    tl.find_learning_rate(toy, data, steps=20, verbose=0)
    assert toy.optimizer is optimizer
    assert float(keras.ops.convert_to_numpy(optimizer.learning_rate)) == pytest.approx(0.01)
    iterations = int(optimizer.iterations)
    toy.fit(data.train, epochs=1, verbose=0)
    assert int(optimizer.iterations) == iterations + 3


def test_stopped_in_the_middle_the_weights_are_as_they_were(toy, data, differing, monkeypatch):
    before, calls = tl.snapshot(toy), []
    step = keras.Model.train_on_batch

    def stop(upper, *arguments):
        calls.append(step(upper, *arguments))
        if len(calls) == 15:
            raise KeyboardInterrupt
        return calls[-1]

    monkeypatch.setattr(keras.Model, "train_on_batch", stop)
    with pytest.raises(KeyboardInterrupt):
        tl.find_learning_rate(toy, data, lowest=1e-2, verbose=0)
    assert differing(before, tl.snapshot(toy)) == set()


@pytest.fixture
def hard(arrays, data) -> tl.ImageData:
    """A third of the labels is wrong, so that no rate learns all images by heart."""
    images, labels = arrays["train"]
    return data._replace(train=make_dataset(images, (labels + (np.arange(24) % 8 < 3)) % 3, batch_size=9, shuffle=True))


@pytest.mark.slow
def test_the_suggested_rate_trains_and_a_hundred_times_as_much_does_not(toy, hard):
    found = tl.find_learning_rate(toy, hard, lowest=1e-4, highest=100, verbose=0)
    start, losses = toy.get_weights(), []
    for factor in (1, 100):
        toy.set_weights(start)
        phase1 = tl.train_head(toy, hard, epochs=20, learning_rate=found.suggested * factor, verbose=0)
        losses.append(phase1.history["loss"])
    assert losses[0][-1] < 0.9 * losses[0][0]
    assert max(losses[1]) > 2 * max(losses[0])


def test_it_ends_where_the_loss_explodes(toy, hard):
    found = tl.find_learning_rate(toy, hard, lowest=1e-3, highest=1e4, steps=100, verbose=0)
    assert len(found.rates) == len(found.losses) < 100
    assert found.smooth[-1] > np.log(3)


@pytest.mark.parametrize("batch_size", [24, 6])
def test_where_the_loss_never_falls_nothing_is_suggested(toy, data, arrays, batch_size):
    """Batches of all images have one loss, those of a few differ by chance."""
    still = data._replace(train=make_dataset(*arrays["train"], batch_size=batch_size))
    found = tl.find_learning_rate(toy, still, lowest=1e-9, highest=1e-8, steps=100, verbose=0)
    assert np.isnan(found.suggested)
    assert tl.plot_learning_rates(found).get_title() == "no rate can be suggested"


def test_where_few_images_are_learned_by_heart_the_suggestion_is_where_the_loss_is_half_way_down(toy, data):
    found = tl.find_learning_rate(toy, data, lowest=1e-4, highest=10, verbose=0)
    assert found.smooth.argmin() == 99  # it never rises
    middle = np.interp(np.log(found.suggested), np.log(found.rates), found.smooth)
    assert middle == pytest.approx((found.losses[:25].mean() + found.smooth[-1]) / 2, rel=0.1)


def test_the_picture_shows_each_step_and_the_suggestion():
    found = LearningRates(np.geomspace(1e-5, 1, 30), np.linspace(1, 0.2, 30), 0.003)
    axes = tl.plot_learning_rates(found)
    dots, smooth, mark = axes.lines
    np.testing.assert_allclose(dots.get_xydata(), np.stack([found.rates, found.losses], axis=1))
    np.testing.assert_allclose(smooth.get_ydata(), found.smooth)
    assert (mark.get_xdata()[0], mark.get_color(), axes.get_xscale()) == (0.003, GREY, "log")
    assert axes.get_title() == "suggested: 0.003"


# ---- wrong input


def test_a_model_in_which_nothing_is_trainable_is_an_error(toy, data):
    toy.get_layer("classifier").trainable = False
    with pytest.raises(ValueError, match=r"Nothing in the model can be trained.*Unfreeze the head"):
        tl.find_learning_rate(toy, data, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lowest": 0}, "Received lowest=0"),
        ({"highest": float("inf")}, "Received highest=inf"),
        ({"lowest": 1e-2, "highest": 1e-3}, "Expected a lowest rate below the highest"),
        ({"steps": 3}, r"Received steps=3\. Expected a whole number, 20 or more"),
    ],
)
def test_rates_and_steps_that_cannot_be_meant_are_errors(toy, data, arguments, message):
    with pytest.raises(ValueError, match=message):
        tl.find_learning_rate(toy, data, **arguments)


def test_data_of_other_classes_are_an_error(toy, data):
    with pytest.raises(ValueError, match="The data have 2 classes"):
        tl.find_learning_rate(toy, data._replace(class_names=["a", "b"]))
