"""Which base? The same images, folds and words for all; what cannot be had stands in its row; nothing stays behind."""

import json
import re
import weakref

import numpy as np
import pytest
import tensorflow as tf

import kerastl as tl
from kerastl import comparing
from kerastl.__main__ import main
from kerastl.base_scores import BaseScore, ComparedBases, half_interval_of_folds
from kerastl.bases import SMALL_BASES
from kerastl.data import make_dataset

NARROW = {"alpha": 0.25, "weights": None}
pytestmark = pytest.mark.usefixtures("matplotlib_stays")


def compare(data, bases=(("MobileNet", NARROW),), **arguments) -> ComparedBases:
    return tl.compare_bases(data, bases, **{"folds": 3, "verbose": 0, **arguments})


@pytest.fixture
def stub(monkeypatch, make_toy, settle, arrays):
    """`build_model` makes a toy in no time, of the same weights for the same name. Returns what was built."""
    built = []

    def build(name, data, **arguments):
        if arguments["weights"] == "imagenet":
            raise ConnectionError(f"Keras could not download {name}. Check the connection.")
        built.append((name, arguments))
        return settle(make_toy(), arrays["train"][0])

    monkeypatch.setattr(comparing, "build_model", build)
    return built


def senseless(arrays, **arguments) -> tl.ImageData:
    """Images with labels that have nothing to do with them."""
    labels = np.random.default_rng(0).permutation(24) % 3
    train = make_dataset(arrays["train"][0], labels, **arguments)
    return tl.ImageData(train, make_dataset(*arrays["validation"]), make_dataset(*arrays["test"]), ["a", "b", "c"])


def test_it_is_told_on_images_that_the_regression_did_not_see(arrays, data, toy, monkeypatch):
    """Labels that have nothing to do with the images can be learned by heart, and are not found again."""
    monkeypatch.setattr(comparing, "build_model", lambda *_, **__: toy)
    found = compare(data).rows[0]
    assert found.accuracy == 1
    assert found.parameters == sum(layer.count_params() for layer in toy.get_layer("toy").layers)
    assert compare(senseless(arrays)).rows[0].accuracy < 0.7


def test_the_folds_are_those_of_the_seed_whatever_the_order_of_the_images(arrays, toy, monkeypatch):
    monkeypatch.setattr(comparing, "build_model", lambda *_, **__: toy)
    shuffled, ordered = (
        compare(senseless(arrays, batch_size=9, shuffle=shuffle), [("MobileNet", NARROW)] * 2)
        for shuffle in (True, False)
    )
    first = ordered.rows[0].accuracies.tolist()
    assert [row.accuracies.tolist() for row in (*shuffled.rows, *ordered.rows)] == [first] * 4
    others = [compare(senseless(arrays), seed=seed).rows[0].accuracies.tolist() for seed in (1, 2, 3)]
    assert any(one != first for one in others)


def test_the_test_images_are_never_read(data, stub):
    def refuse():
        raise AssertionError("the test part was read")
        yield

    test = tf.data.Dataset.from_generator(refuse, output_signature=data.test.element_spec)
    assert compare(data._replace(test=test)).images == 24 + 9


def test_the_most_accurate_stands_first_and_what_cannot_be_had_last(data, stub, monkeypatch):
    scores = iter([[0.5, 0.6, 0.7], [0.9, 0.8, 0.9]])
    monkeypatch.setattr(comparing, "_accuracies", lambda *_: np.array(next(scores)))
    found = compare(data, ["VGG16", ("MobileNet", NARROW), ("MobileNetV2", {"weights": None})])
    assert [row.name for row in found.rows] == [
        "MobileNetV2, weights=None",
        "MobileNet, alpha=0.25, weights=None",
        "VGG16",
    ]
    assert [row.error for row in found.rows] == [None, None, "Keras could not download VGG16. Check the connection."]
    assert [name for name, _ in stub] == ["MobileNet", "MobileNetV2"]
    lines = str(found).splitlines()
    assert lines[1].split()[2:5] == ["0.867", "±", "0.227"]
    assert lines[2].split()[3:9] == ["0.600", "±", "0.393", "0.267", "±", "0.454"]
    assert lines[3].split(maxsplit=1)[1] == "not measured: Keras could not download VGG16"
    assert "3 folds of 33 images\nof 32×32 pixels" in str(found)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"weights": "no_such_file.h5"}, "There is no file of weights 'no_such_file.h5'"),
        ({"weights": "garden"}, "The weights 'garden' belong to MobileNetV2"),
        ({"weights": None, "alpha": -1}, "Received alpha=-1"),
    ],
)
def test_a_base_that_cannot_be_built_gets_a_row_with_the_reason(data, arguments, reason):
    (row,) = compare(data, [("MobileNet", arguments)]).rows
    assert row.error.startswith(reason)
    assert np.isnan(row.accuracy)


def test_without_a_network_the_others_go_on(data, no_network):
    found = compare(data, ["MobileNet", ("MobileNet", NARROW)])
    assert [row.error is None for row in found.rows] == [True, False]
    assert "could not download the ImageNet weights of MobileNet" in found.rows[1].error


@pytest.mark.parametrize(
    ("bases", "error", "said"),
    [
        (["MobileNet", "MobilNetV2"], ValueError, "Did you mean MobileNetV2"),
        ([("MobileNet", {"alfa": 1})], TypeError, "MobileNet takes no alfa"),
        ("MobileNet", TypeError, r"Received bases='MobileNet'\. Expected a list of names"),
        ([], ValueError, "Received no base"),
        ([("MobileNet", 0.25)], TypeError, "Received .* as a base"),
    ],
)
def test_what_is_wrong_with_a_base_is_said_before_any_is_built(data, stub, bases, error, said):
    with pytest.raises(error, match=said):
        compare(data, bases, weights=None)
    assert stub == []


def test_texts_are_refused(data):
    with pytest.raises(TypeError, match="only bases for images are compared"):
        compare(tl.TextData(*data))


@pytest.mark.parametrize("folds", [1, 2.5, True])
def test_folds_are_two_or_more(data, folds):
    with pytest.raises(ValueError, match="Expected a whole number, 2 or more"):
        compare(data, folds=folds)


def few(arrays, labels) -> tl.ImageData:
    images = arrays["train"][0][: len(labels)]
    train = make_dataset(images, np.array(labels))
    return tl.ImageData(train, make_dataset(images[-1:], np.array(labels[-1:])), train, ["a", "b", "c"])


def test_a_class_with_few_images_makes_fewer_folds(arrays, stub):
    assert len(compare(few(arrays, [0, 0, 1, 1, 0, 0]), folds=5).rows[0].accuracies) == 2


@pytest.mark.parametrize(("labels", "said"), [([0, 1, 0, 0], "class 1 has 1"), ([0, 0, 0], "all are of one class")])
def test_too_few_images_are_refused(arrays, stub, labels, said):
    with pytest.raises(ValueError, match=f"{said}. Expected two classes or more"):
        compare(few(arrays, labels))


def test_images_that_are_others_in_each_pass_are_refused(data, stub):
    noisy = data.train.map(lambda x, y: (tf.cast(x, tf.float32) + tf.random.uniform(tf.shape(x)), y))
    with pytest.raises(ValueError, match="other images in another pass"):
        compare(data._replace(train=noisy), [("MobileNet", NARROW)] * 2)


def test_each_base_is_gone_before_the_next_is_built(data, make_toy, monkeypatch):
    made, alive = [], []

    def build(*_, **__):
        alive.append(sum(model() is not None for model in made))
        model = make_toy()
        made.append(weakref.ref(model))
        return model

    monkeypatch.setattr(comparing, "build_model", build)
    compare(data, [("MobileNet", NARROW)] * 3)
    assert alive == [0, 0, 0]
    assert [model() for model in made] == [None] * 3


def test_after_ctrl_c_what_was_measured_is_there(data, stub, monkeypatch):
    def stop(*_):
        monkeypatch.setattr(comparing, "_accuracies", press)
        return np.array([0.5, 0.6])

    def press(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(comparing, "_accuracies", stop)
    found = compare(data, [("MobileNet", NARROW)] * 3)
    assert [row.error for row in found.rows] == [None, "stopped"]
    assert found.images == 33
    with pytest.raises(KeyboardInterrupt):
        compare(data)


def test_the_interval_is_wider_than_that_of_independent_values_by_the_shared_training_images():
    from scipy.stats import t

    values = np.array([0.8, 0.9, 0.85, 0.7, 0.95])
    usual = t.ppf(0.975, 4) * values.std(ddof=1) / np.sqrt(5)
    assert half_interval_of_folds(values) == pytest.approx(usual * np.sqrt(1 + 5 / 4))


def rows(*scores) -> ComparedBases:
    scored = [BaseScore(str(n), np.array(s), 10, n if isinstance(n, int) else 1, 1.0) for n, s in scores]
    return ComparedBases(scored, 30, (8, 8), "imagenet")


def test_the_fastest_of_those_that_are_not_shown_to_be_worse_is_named():
    found = rows((9, [0.9, 0.8, 0.9]), (3, [0.8, 0.9, 0.8]), (1, [0.5, 0.4, 0.5]))
    assert [row.name for row in found.as_good] == ["9", "3"]
    assert str(found).endswith("Not shown to be worse than 9: 3.\nThe fastest of these is 3.")
    near = rows((9, [0.9, 0.8, 0.9]), (8, [0.8, 0.9, 0.8]))  # times that differ by no more than from run to run
    assert str(near).endswith("Not shown to be worse than 9: 8.")


def test_a_base_of_random_weights_is_not_recommended():
    found = rows((9, [0.9, 0.8, 0.9]), ("A, weights=None", [0.8, 0.9, 0.8]))
    assert "Not shown to be worse" not in str(found)
    assert "Random weights say nothing" in str(found)


def test_the_picture_shows_each_measured_base_at_its_time_and_accuracy():
    found = rows((9, [0.9, 0.8, 0.9]), (3, [0.8, 0.9, 0.8]))
    found.rows.append(BaseScore("lost", error="no network"))
    axes = tl.plot_comparison(found)
    assert [
        (line.get_xdata()[0], round(line.get_ydata()[0], 3)) for line in axes.lines if line.get_marker() == "o"
    ] == [
        (9, 0.867),
        (3, 0.833),
    ]
    assert [text.get_text() for text in axes.texts] == ["1", "2"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["1  9, 0.0 MB", "2  3, 0.0 MB"]
    with pytest.raises(ValueError, match="No base was measured"):
        tl.plot_comparison(found._replace(rows=found.rows[2:]))


def test_no_interval_and_no_axis_of_the_picture_leaves_what_an_accuracy_can_be():
    axes = tl.plot_comparison(rows((9, [1.0, 0.9, 1.0]), (3, [0.0, 0.1, 0.0])))
    ends = [point[1] for lines in axes.collections for segment in lines.get_segments() for point in segment]
    assert max(ends) == 1
    assert min(ends) == 0
    assert axes.get_ylim() == (0, 1)


def test_one_base_is_behind_nobody():
    alone, both = rows((9, [0.9, 0.8, 0.9])), rows((9, [0.9, 0.8, 0.9]), (3, [0.8, 0.9, 0.8]))
    assert "behind the first" not in str(alone)
    assert "behind the first" in str(both)
    heading, row = str(alone).splitlines()[:2]
    assert len(heading) == len(row)


@pytest.mark.parametrize(
    ("weights", "bases", "said"),
    [
        ("garden", [("MobileNetV2", {})], ["weights: garden"]),
        ("folder/mine.h5", [("MobileNet", {})], ["weights: mine.h5"]),
        (None, [("MobileNet", {})], ["weights: random", "Random weights say nothing about a trained base."]),
        ("garden", [("MobileNet", NARROW)], ["Random weights say nothing about a trained base."]),
        (
            "garden",
            [("MobileNet", {}), ("VGG16", {"weights": "a.h5"})],
            ["weights: garden, where a base names no others"],
        ),
    ],
)
def test_the_table_names_the_weights(data, stub, weights, bases, said):
    lines = str(compare(data, bases, weights=weights)).splitlines()
    assert [line for line in lines if re.match("weights:|Random", line)] == said


# ---- the command


def test_the_command_prints_the_table_and_draws_the_picture(picture_folder, tmp_path, capsys):
    picture = tmp_path / "bases.png"
    options = ["--bases", "MobileNet", "--weights", "none", "--image-size", "32", "--picture", str(picture)]
    assert main(["compare", str(picture_folder), *options]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^MobileNet  [01]\.\d{3} ± ", said, flags=re.MULTILINE)
    assert "24 images\nof 32×32 pixels" in said
    assert picture.stat().st_size > 1000
    assert main(["compare", str(picture_folder), *options]) == 2
    assert "exists already" in capsys.readouterr().err


def test_what_the_command_could_not_measure_gives_exit_code_1_and_stands_in_the_json(picture_folder, capsys):
    options = ["--bases", "VGG16", "--weights", "garden", "--image-size", "32", "--json"]
    assert main(["compare", str(picture_folder), *options]) == 1
    said = json.loads(capsys.readouterr().out)
    (row,) = said["rows"]
    assert row["base"] == "VGG16"
    assert "belong to MobileNetV2" in row["error"]


@pytest.fixture
def asked(monkeypatch):
    """The bases that the command compares, without comparing them."""
    from kerastl.commands import compare as command

    asked = []

    def note(_, bases, **__):
        asked.extend(bases)
        return rows(*((1, [0.5, 0.6]) for _ in bases))

    monkeypatch.setattr(command, "load_images", lambda *_, **__: None)
    monkeypatch.setattr(command, "compare_bases", note)
    return asked


def test_alpha_goes_to_the_bases_that_take_it(asked, capsys):
    assert main(["compare", "x", "--bases", "MobileNetV2", "VGG16", "--alpha", "0.35"]) == 0
    assert asked == [("MobileNetV2", {"alpha": 0.35}), ("VGG16", {})]
    assert main(["compare", "x", "--bases", "VGG16", "--alpha", "0.35"]) == 2
    assert "none of the bases has a width" in capsys.readouterr().err


@pytest.mark.parametrize(("weights", "names"), [("garden", ("MobileNetV2",)), ("imagenet", SMALL_BASES)])
def test_without_names_the_bundled_weights_are_compared_on_their_own_base_only(asked, weights, names):
    assert main(["compare", "x", "--weights", weights]) == 0
    assert asked == [(name, {}) for name in names]


def test_an_unknown_base_is_said_before_the_folder_is_read(capsys):
    assert main(["compare", "no_such_folder", "--bases", "MobilNet"]) == 2
    assert "Did you mean MobileNet" in capsys.readouterr().err


@pytest.mark.parametrize("grouped", [False, True])
def test_copies_and_groups_do_not_make_a_base_look_better(grouped):
    """Noise with labels by chance: whoever has seen a picture of the same plant before could name it."""
    rng = np.random.default_rng(0)
    plants = rng.integers(0, 256, (20, 32, 32, 3))
    images = np.repeat(plants, 6, axis=0)
    if grouped:  # no copies, but six photos of each plant
        images = np.clip(images + rng.integers(-9, 9, images.shape), 0, 255)
    labels, groups = np.repeat(np.arange(20) % 2, 6), np.repeat(np.arange(20), 6).tolist()
    data = tl.load_images((images.astype("uint8"), labels), groups=groups if grouped else None)
    base = ("MobileNetV2", {"alpha": 0.35, "weights": None})
    assert tl.compare_bases(data, [base], verbose=0).rows[0].accuracy < 0.8
