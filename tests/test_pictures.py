"""Pictures of pictures: which are drawn, in which order, with which words."""

import numpy as np
import pytest

import kerastl as tl
from kerastl.data import make_dataset

NAMES = ["blue", "green", "red"]
pytestmark = pytest.mark.usefixtures("matplotlib_stays")


def shown(figure) -> list[tuple]:
    """(class, picture) of each that is drawn."""
    return [(axes.get_title(), axes.images[0].get_array()) for axes in figure.axes if axes.images]


def test_pictures_are_drawn_as_they_are_with_their_classes(ordered_data, arrays):
    for name, picture in shown(tl.plot_images(ordered_data, part="test", count=9)):
        (place,) = [number for number, image in enumerate(arrays["test"][0]) if np.array_equal(image, picture)]
        assert name == NAMES[arrays["test"][1][place]]


@pytest.mark.parametrize(("count", "each"), [(3, 1), (5, 1), (6, 2), (15, 5), (100, 8)])
def test_there_are_as_many_pictures_of_each_class(data, count, each):
    names = [name for name, _ in shown(tl.plot_images(data, count=count))]
    assert names == NAMES * each  # first one of each, then the second of each


def test_a_rare_class_that_comes_last_is_not_missed(arrays):
    images = np.concatenate([arrays["train"][0]] * 4)
    labels = np.array([0] * 95 + [1])
    dataset = make_dataset(images, labels, batch_size=10)
    figure = tl.plot_images(tl.ImageData(dataset, dataset, dataset, ["common", "rare"]), count=10)
    assert [name for name, _ in shown(figure)] == ["common", "rare", *["common"] * 4]


def test_the_same_pictures_are_drawn_each_time_also_from_a_shuffled_part(data, ordered_data):
    first, *others = (shown(tl.plot_images(part, count=6)) for part in (data, data, ordered_data))
    assert not np.array_equal(next(iter(data.train))[0], next(iter(data.train))[0])  # it is shuffled indeed
    for other in others:
        assert all(np.array_equal(one[1], two[1]) for one, two in zip(first, other, strict=True))


def test_where_some_classes_are_not_shown_the_figure_says_so(ordered_data):
    figure = tl.plot_images(ordered_data, part="test", count=2)
    assert [name for name, _ in shown(figure)] == ["blue", "red"]
    assert figure.get_supxlabel() == "2 of 3 classes"
    assert tl.plot_images(ordered_data, part="test", count=3).get_supxlabel() == ""


def test_fewer_pictures_than_asked_are_drawn_once_each(ordered_data):
    figure = tl.plot_images(ordered_data, part="test", count=50)
    assert len([axes for axes in figure.axes if axes.images]) == 9


def test_titles_tell_what_the_model_said_and_mark_mistakes(ordered_data, evaluation):
    figure = tl.plot_images(ordered_data, part="test", evaluation=evaluation, count=9)
    titles = [axes.title for axes in figure.axes if axes.images]
    words = sorted(title.get_text() for title in titles)
    assert words[:4] == ["is blue\nsaid blue 0.80"] * 2 + ["is blue\nsaid green 0.80", "is green\nsaid green 0.80"]
    wrong = [title for title in titles if title.get_text() == "is blue\nsaid green 0.80"]
    right = {title.get_color() for title in titles if title not in wrong}
    assert len(right) == 1
    assert {title.get_color() for title in wrong}.isdisjoint(right)


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


@pytest.mark.slow
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
