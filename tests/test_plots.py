"""Every picture: what is drawn, on which axes, and that nothing global changes."""

import keras
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import kerastl as tl
from kerastl.evaluation import Evaluation

NAMES = ["blue", "green", "red"]


@pytest.fixture(autouse=True)
def _tidy(monkeypatch):
    """No picture is ever shown, no setting of Matplotlib is touched, and no figure stays open after a test."""

    def refuse(*_, **__):
        raise AssertionError("a plot function called show()")

    monkeypatch.setattr(plt, "show", refuse)
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


def history(epochs: int, start: float = 0.5) -> keras.callbacks.History:
    phase = keras.callbacks.History()
    rising = [start + number / 100 for number in range(epochs)]
    phase.history = {
        "loss": [1 - value for value in rising],
        "accuracy": rising,
        "val_loss": [1.1 - value for value in rising],
        "val_accuracy": [value - 0.1 for value in rising],
        "learning_rate": [1e-3] * epochs,
    }
    return phase


@pytest.fixture
def evaluation(arrays) -> Evaluation:
    labels = arrays["test"][1]
    said = labels.copy()
    said[0] = 1  # one mistake: a blue one taken for green
    probabilities = np.full((9, 3), 0.1, "float32")
    probabilities[np.arange(9), said] = 0.8
    return Evaluation(8 / 9, 0.3, labels, probabilities)


def curves(axes) -> dict:
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_both_phases_are_one_curve_over_one_axis_of_epochs():
    accuracy, loss = tl.plot_history(history(3), history(4, 0.7))
    line = curves(accuracy)["validation"]
    assert line.get_xdata().tolist() == [1, 2, 3, 4, 5, 6, 7]
    np.testing.assert_allclose(line.get_ydata(), [0.4, 0.41, 0.42, 0.6, 0.61, 0.62, 0.63])
    np.testing.assert_allclose(curves(loss)["training"].get_ydata()[:3], [0.5, 0.49, 0.48])
    assert (accuracy.get_ylabel(), loss.get_ylabel(), loss.get_xlabel()) == ("accuracy", "loss", "epoch")


def test_a_line_stands_between_the_phases_and_only_there():
    for axes in tl.plot_history(history(3), history(4), history(2)):
        dividers = [line.get_xdata()[0] for line in axes.lines if line.get_label().startswith("_")]
        assert dividers == [3.5, 7.5]
        assert [text.get_text().strip() for text in axes.texts] == ["phase 2", "phase 3"]
    for axes in tl.plot_history(history(3)):
        assert len(axes.lines) == 2


def test_training_and_validation_differ_in_colour_and_in_dashes():
    lines = curves(tl.plot_history(history(3))[0])
    assert lines["training"].get_color() != lines["validation"].get_color()
    assert lines["training"].get_linestyle() != lines["validation"].get_linestyle()


def test_history_is_drawn_on_the_axes_given():
    figure, axes = plt.subplots(1, 2)
    assert tl.plot_history(history(2), ax=axes) is axes
    assert plt.get_fignums() == [figure.number]
    assert all(len(ax.lines) == 2 for ax in axes)


def test_a_history_without_validation_draws_the_training_curve_alone():
    phase = history(2)
    del phase.history["val_loss"], phase.history["val_accuracy"]
    assert list(curves(tl.plot_history(phase)[0])) == ["training"]


def test_the_histories_of_training_can_be_drawn(toy, data):
    phase1 = tl.train_head(toy, data, epochs=2, verbose=0)
    tl.unfreeze_top(toy, 3)
    phase2 = tl.fine_tune(toy, data, epochs=1, verbose=0)
    line = curves(tl.plot_history(phase1, phase2)[0])["validation"]
    assert line.get_ydata().tolist() == phase1.history["val_accuracy"] + phase2.history["val_accuracy"]


@pytest.mark.parametrize("phases", [(), (keras.callbacks.History(),), (None,)])
def test_no_history_is_an_error(phases):
    with pytest.raises(ValueError, match="Expected one or more histories with at least one epoch"):
        tl.plot_history(*phases)


def test_pictures_are_drawn_as_they_are_with_their_classes(ordered_data, arrays):
    figure = tl.plot_images(ordered_data.test, NAMES, count=9)
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title().strip() for axes in drawn] == [NAMES[label] for label in arrays["test"][1]]
    for axes, image in zip(drawn, arrays["test"][0], strict=True):
        assert np.array_equal(axes.images[0].get_array(), image)


def test_pictures_are_spread_over_the_whole_dataset(ordered_data, arrays):
    figure = tl.plot_images(ordered_data.test, NAMES, count=3)
    drawn = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(drawn) == 3
    assert np.array_equal(drawn[0], arrays["test"][0][0])
    assert np.array_equal(drawn[-1], arrays["test"][0][-1])


def test_fewer_pictures_than_asked_are_drawn_once_each(ordered_data):
    figure = tl.plot_images(ordered_data.test, NAMES, count=50)
    assert len([axes for axes in figure.axes if axes.images]) == 9


def test_titles_tell_what_the_model_said_and_mark_mistakes(ordered_data, evaluation):
    figure = tl.plot_images(ordered_data.test, NAMES, evaluation=evaluation, count=9)
    titles = [axes.title for axes in figure.axes if axes.images]
    assert titles[0].get_text() == "green 0.80\nnot blue"
    assert titles[1].get_text().strip() == "green 0.80"
    assert titles[0].get_color() != titles[1].get_color()
    assert len({title.get_color() for title in titles[1:]}) == 1


def test_a_dataset_in_another_order_than_when_evaluated_is_an_error(ordered_data, evaluation):
    turned = evaluation._replace(labels=evaluation.labels[::-1])
    with pytest.raises(ValueError, match="in another order than when it was evaluated"):
        tl.plot_images(ordered_data.test, NAMES, evaluation=turned, count=9)


def test_an_evaluation_of_another_dataset_is_an_error(ordered_data, evaluation):
    with pytest.raises(ValueError, match=r"(?i)expected"):
        tl.plot_images(ordered_data.train, NAMES, evaluation=evaluation)


def test_an_empty_dataset_is_an_error():
    with pytest.raises(ValueError, match=r"(?i)expected"):
        tl.plot_images([], NAMES)


def test_the_confusion_matrix_shows_counts_and_names(evaluation):
    axes = tl.plot_confusion(evaluation, NAMES)
    counts = {text.get_position(): text.get_text() for text in axes.texts}
    assert counts == {(0, 0): "2", (1, 0): "1", (1, 1): "3", (2, 2): "3"}  # (column, row), zeros left out
    assert [label.get_text() for label in axes.get_xticklabels()] == NAMES
    assert [label.get_text() for label in axes.get_yticklabels()] == NAMES
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert "0.889" in axes.get_title()


def test_the_shade_of_a_confusion_is_the_share_of_its_row(evaluation):
    shades = tl.plot_confusion(evaluation, NAMES).images[0].get_array()
    np.testing.assert_allclose(shades, [[2 / 3, 1 / 3, 0], [0, 1, 0], [0, 0, 1]])


def test_a_class_without_images_is_no_division_by_zero(recwarn):
    result = Evaluation(1.0, 0.0, np.array([0]), np.array([[0.9, 0.05, 0.05]], "float32"))
    shades = tl.plot_confusion(result, NAMES).images[0].get_array()
    assert np.isfinite(shades).all()
    assert not [warning for warning in recwarn if issubclass(warning.category, RuntimeWarning)]


def test_the_confusion_matrix_is_drawn_on_the_axes_given(evaluation):
    figure, axes = plt.subplots()
    assert tl.plot_confusion(evaluation, NAMES, ax=axes) is axes
    assert plt.get_fignums() == [figure.number]
