"""Pictures of pictures: which are drawn, in which order, with which words."""

import numpy as np
import pytest

import kerastl as tl

NAMES = ["blue", "green", "red"]
pytestmark = pytest.mark.usefixtures("matplotlib_stays")


def test_pictures_are_drawn_as_they_are_with_their_classes(ordered_data, arrays):
    figure = tl.plot_images(ordered_data, part="test", count=9)
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title().strip() for axes in drawn] == [NAMES[label] for label in arrays["test"][1]]
    for axes, image in zip(drawn, arrays["test"][0], strict=True):
        assert np.array_equal(axes.images[0].get_array(), image)


def test_pictures_are_spread_over_the_whole_dataset(ordered_data, arrays):
    figure = tl.plot_images(ordered_data, part="test", count=3)
    drawn = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(drawn) == 3
    assert np.array_equal(drawn[0], arrays["test"][0][0])
    assert np.array_equal(drawn[-1], arrays["test"][0][-1])


def test_fewer_pictures_than_asked_are_drawn_once_each(ordered_data):
    figure = tl.plot_images(ordered_data, part="test", count=50)
    assert len([axes for axes in figure.axes if axes.images]) == 9


def test_titles_tell_what_the_model_said_and_mark_mistakes(ordered_data, evaluation):
    figure = tl.plot_images(ordered_data, part="test", evaluation=evaluation, count=9)
    titles = [axes.title for axes in figure.axes if axes.images]
    assert titles[0].get_text() == "is blue\nsaid green 0.80"
    assert titles[1].get_text() == "is green\nsaid green 0.80"
    assert titles[0].get_color() != titles[1].get_color()
    assert len({title.get_color() for title in titles[1:]}) == 1


def test_a_dataset_in_another_order_than_when_evaluated_is_an_error(ordered_data, evaluation):
    turned = evaluation._replace(labels=evaluation.labels[::-1])
    with pytest.raises(ValueError, match="in another order than when they were evaluated"):
        tl.plot_images(ordered_data, part="test", evaluation=turned, count=9)


def test_an_evaluation_of_another_part_is_an_error(ordered_data, evaluation):
    with pytest.raises(ValueError, match=r"The train part has 24 images, the evaluation 9\. Expected an evaluation of"):
        tl.plot_images(ordered_data, evaluation=evaluation)


@pytest.mark.parametrize("plot", [tl.plot_images, lambda data, **part: tl.plot_features(None, data, **part)])
def test_another_part_than_the_three_is_an_error(ordered_data, plot):
    with pytest.raises(ValueError, match=r"Received part='tset'\. Expected one of train, validation, test"):
        plot(ordered_data, part="tset")


def test_what_is_no_image_data_is_an_error(ordered_data):
    with pytest.raises(TypeError, match=r"Expected ImageData"):
        tl.plot_images(ordered_data.test)


def test_an_evaluation_with_other_classes_than_the_data_is_an_error(ordered_data, evaluation):
    other = evaluation._replace(probabilities=evaluation.probabilities[:, :2])
    with pytest.raises(ValueError, match=r"Received 3 class names \(blue, green, red\)\. Expected 2"):
        tl.plot_mistakes(other, ordered_data)


# ---- mistakes


def test_mistakes_are_drawn_surest_first_with_what_was_said_and_what_is_true(ordered_data, arrays, evaluation):
    images = arrays["test"][0]
    probabilities = evaluation.probabilities.copy()
    probabilities[5] = [0.95, 0.03, 0.02]  # a red one taken for blue, more surely than the first mistake
    figure = tl.plot_mistakes(evaluation._replace(probabilities=probabilities), ordered_data)
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in drawn] == ["is red\nsaid blue 0.95", "is blue\nsaid green 0.80"]
    assert np.array_equal(drawn[0].images[0].get_array(), images[5])
    assert np.array_equal(drawn[1].images[0].get_array(), images[0])


def test_no_more_mistakes_than_asked_are_drawn(ordered_data, evaluation):
    wrong = evaluation._replace(probabilities=np.roll(evaluation.probabilities, 1, axis=1))
    assert len([axes for axes in tl.plot_mistakes(wrong, ordered_data, count=3).axes if axes.images]) == 3


def test_without_a_mistake_the_figure_says_so(ordered_data, evaluation):
    probabilities = np.eye(3, dtype="float32")[evaluation.labels]
    figure = tl.plot_mistakes(evaluation._replace(probabilities=probabilities), ordered_data)
    assert [text.get_text() for text in figure.axes[0].texts] == ["no mistake\nin 9 images"]


# ---- augmentation


def test_augmented_pictures_differ_from_each_other_and_from_the_picture(model, arrays):
    image = arrays["test"][0][0]
    drawn = [axes.images[0].get_array() for axes in tl.plot_augmentation(model, image, count=4).axes]
    assert np.array_equal(drawn[0], image)
    for number, one in enumerate(drawn):
        assert one.shape == (32, 32, 3)
        assert not any(np.array_equal(one, other) for other in drawn[:number])


def test_augmented_pictures_keep_their_brightness(model, arrays):
    """They are shown before the scaling to -1..1, which would be black to the eye."""
    image = arrays["test"][0][0]
    for axes in tl.plot_augmentation(model, image, count=4).axes:
        assert abs(axes.images[0].get_array().mean() - image.mean()) < 15


def test_a_model_without_augmentation_is_an_error(make_model, arrays):
    with pytest.raises(ValueError, match=r"has no augmentation\. Build the model with `augment=True`"):
        tl.plot_augmentation(make_model(augment=False), arrays["test"][0][0])


def test_a_picture_of_another_size_is_an_error(model):
    with pytest.raises(ValueError, match=r"Received an array of shape \(16, 16, 3\), uint8\. Expected \(32, 32, 3\)"):
        tl.plot_augmentation(model, np.zeros((16, 16, 3), np.uint8))
