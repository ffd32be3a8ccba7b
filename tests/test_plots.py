"""Every picture: what is drawn, on which axes, and that nothing global changes."""

import keras
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import PathCollection

import kerastl as tl
from kerastl.blocks import Block, Blocks
from kerastl.evaluation import Evaluation
from kerastl.plots.layers import STATES
from kerastl.plots.style import words
from kerastl.plots.workflow import STEPS, plot_workflow

NAMES = ["blue", "green", "red"]
pytestmark = pytest.mark.usefixtures("matplotlib_stays")


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
    for axes in tl.plot_history(history(3)):
        assert not [line for line in axes.lines if line.get_label().startswith("_")]


def test_each_phase_is_named_where_it_begins_with_its_learning_rate():
    second = history(4)
    second.history["learning_rate"] = [3e-4, 1e-4, 5e-5, 1e-5]
    for axes in tl.plot_history(history(3), second):
        assert [(text.xy[0], text.get_text()) for text in axes.texts] == [
            (0.5, "phase 1\nrate 0.001"),
            (3.5, "phase 2\nrate 0.0003"),
        ]


def test_the_epoch_with_the_lowest_validation_loss_is_marked_on_both_axes():
    second = history(4, 0.7)
    second.history["val_loss"][1] = 0.01
    for axes, metric in zip(tl.plot_history(history(3), second), ("val_accuracy", "val_loss"), strict=True):
        mark = curves(axes)["lowest validation loss: epoch 5"]
        assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (5, second.history[metric][1])


def test_training_and_validation_differ_in_colour_and_in_dashes():
    lines = curves(tl.plot_history(history(3))[0])
    assert lines["training"].get_color() != lines["validation"].get_color()
    assert lines["training"].get_linestyle() != lines["validation"].get_linestyle()


def test_history_is_drawn_on_the_axes_given():
    figure, axes = plt.subplots(1, 2)
    assert tl.plot_history(history(2), ax=axes) is axes
    assert plt.get_fignums() == [figure.number]
    assert all(len(ax.lines) == 3 for ax in axes)


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


def test_histories_that_do_not_join_are_an_error():
    other = history(2)
    del other.history["accuracy"]
    with pytest.raises(ValueError, match=r"The histories do not join: phase 1 has .*, phase 2 has loss, val_accuracy"):
        tl.plot_history(history(3), other)
    gap = history(3)
    gap.history["val_loss"].pop()
    with pytest.raises(ValueError, match="The figures of phase 2 do not cover the same epochs"):
        tl.plot_history(history(3), gap)


def test_the_confusion_matrix_shows_counts_and_names(evaluation):
    axes = tl.plot_confusion(evaluation, NAMES)
    counts = {text.get_position(): text.get_text() for text in axes.texts}
    assert counts == {(0, 0): "2\n67%", (1, 0): "1\n33%", (1, 1): "3\n100%", (2, 2): "3\n100%"}  # zeros left out
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


def test_a_confusion_matrix_of_many_classes_stays_small_and_shows_shades_only():
    names = [f"class {number}" for number in range(120)]
    result = Evaluation(1.0, 0.0, np.arange(120), np.eye(120, dtype="float32"))
    axes = tl.plot_confusion(result, names)
    assert max(axes.figure.get_size_inches()) < 12
    assert not axes.texts


def test_class_names_of_another_number_are_an_error(evaluation):
    with pytest.raises(ValueError, match=r"Received 2 class names \(a, b\)\. Expected 3"):
        tl.plot_confusion(evaluation, ["a", "b"])


def test_names_with_dollars_are_no_formulas(evaluation):
    names = ["$a_1$", "5 $", "^"]
    axes = tl.plot_confusion(evaluation, names)
    axes.figure.canvas.draw()
    assert [label.get_text() for label in axes.get_xticklabels()] == names
    assert not any(label.get_parse_math() for label in [*axes.get_xticklabels(), *axes.get_yticklabels()])


def test_letters_that_the_usual_font_lacks_come_from_an_installed_one_that_has_them(monkeypatch):
    """Matplotlib brings no font with Chinese or Japanese letters; here another of its fonts stands for such a one."""
    from matplotlib.font_manager import FontProperties, fontManager, get_font

    usual = set(get_font(fontManager.findfont("DejaVu Sans")).get_charmap())
    letter = next(
        chr(code)
        for entry in fontManager.ttflist
        if "Last Resort" not in entry.name  # which has boxes for all letters
        for code in sorted(get_font(entry.fname).get_charmap())
        if code > 0x24F and code not in usual
    )
    assert words("tulip", "Käfer")["fontfamily"] == plt.rcParams["font.family"]
    families = words("tulip", letter)["fontfamily"]
    assert families[: len(plt.rcParams["font.family"])] == plt.rcParams["font.family"]
    assert not [name for name in families if "Last Resort" in name]
    files = [fontManager.findfont(FontProperties(family=[name])) for name in families]
    assert any(ord(letter) in get_font(file).get_charmap() for file in files)


def test_calibration_shows_what_was_said_beside_what_was_right():
    labels, probabilities = np.zeros(10, int), np.tile(np.array([0.75, 0.25], "float32"), (10, 1))
    probabilities[5:] = probabilities[5:, ::-1]  # five of ten are taken for the other class, as surely
    result = Evaluation(0.5, 1.0, labels, probabilities)
    axes = tl.plot_calibration(result)
    (points,) = axes.findobj(PathCollection)
    np.testing.assert_allclose(points.get_offsets(), [[0.75, 0.5]])
    assert "0.250" in axes.get_title()


def test_calibration_before_and_after_a_temperature_are_drawn_together():
    labels, probabilities = np.array([0, 0, 0, 1]), np.tile(np.array([0.95, 0.05], "float32"), (4, 1))
    before = Evaluation(0.75, 1.0, labels, probabilities)
    after = before.at_temperature(tl.fit_temperature(before))
    axes = tl.plot_calibration(before, after)
    hollow, full = axes.findobj(PathCollection)[:2]
    np.testing.assert_allclose(hollow.get_offsets(), [[0.95, 0.75]])
    np.testing.assert_allclose(full.get_offsets(), [[0.75, 0.75]], atol=1e-4)
    assert tuple(hollow.get_facecolor()[0]) == axes.get_facecolor() != tuple(full.get_facecolor()[0])
    words_drawn = [text.get_text() for text in axes.get_legend().get_texts()]
    assert words_drawn == ["before: calibration error 0.200", "after: calibration error 0.000"]
    for wrong in ((), (before,) * 3):
        with pytest.raises(ValueError, match="Expected one or two evaluations"):
            tl.plot_calibration(*wrong)


def test_features_of_each_class_are_drawn_where_the_projection_puts_them(toy, ordered_data, arrays):
    class First:
        """Stands for PCA: the first two features."""

        def fit_transform(self, values):
            return values[:, :2]

    axes = tl.plot_features(toy, ordered_data, projection=First())
    features = tl.extract_features(toy, ordered_data.test)
    labels = arrays["test"][1]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == NAMES
    for number, points in enumerate(axes.collections):
        np.testing.assert_allclose(points.get_offsets(), features.values[labels == number, :2], rtol=1e-6)
    assert len({tuple(points.get_facecolor()[0]) for points in axes.collections}) == 3
    assert len({points.get_paths()[0].vertices.tobytes() for points in axes.collections}) == 3


def test_features_are_projected_on_their_principal_components_by_default(toy, ordered_data):
    axes = tl.plot_features(toy, ordered_data)
    values = tl.extract_features(toy, ordered_data.test).values
    shares = np.linalg.svd(values - values.mean(axis=0), compute_uv=False) ** 2
    assert axes.get_xlabel() == f"direction 1 ({shares[0] / shares.sum():.0%} of the variance)"


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_every_picture_can_be_read_on_light_and_on_dark(style, toy, ordered_data, evaluation):
    """No text has a colour of its own that vanishes on the background: it follows the style, or differs from both."""
    with plt.style.context(style):
        text = mpl.colors.to_rgb(plt.rcParams["text.color"])
        every = [
            *tl.plot_history(history(2), history(2)),
            tl.plot_confusion(evaluation, NAMES),
            tl.plot_calibration(evaluation),
            tl.plot_layers(toy),
            tl.plot_features(toy, ordered_data),
        ]
        for axes in every:
            background = mpl.colors.to_rgb(axes.get_facecolor())
            for words_drawn in [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels()]:
                assert mpl.colors.to_rgb(words_drawn.get_color()) == text
            for line in axes.lines:
                difference = np.abs(np.subtract(mpl.colors.to_rgb(line.get_color()), background))
                assert difference.max() > 0.3
        plt.close("all")


# ---- layers


def segments(axes) -> dict:
    """{(number of the block, colour, hatching): area} of a strip."""
    lefts = sorted({bar.get_x() for bar in axes.patches})
    return {
        (lefts.index(bar.get_x()), bar.get_facecolor(), bar.get_hatch()): bar.get_width() * bar.get_height()
        for bar in axes.patches
    }


def areas(axes, table) -> dict:
    """{(number of the block, field): area}."""
    fields = {(mpl.colors.to_rgba(colour), hatch): field for _, field, colour, hatch in STATES}
    return {
        (place, fields.get(look)): area for (place, *rest), area in segments(axes).items() for look in [tuple(rest)]
    }


def test_the_same_number_of_parameters_has_the_same_area_in_every_block(model):
    tl.unfreeze_top(model, 30)
    table = tl.list_blocks(model)
    wide = [number for number, block in enumerate(table.blocks) if block.parameters > 0.01 * table.total.parameters]
    found = {key: area for key, area in areas(tl.plot_layers(table), table).items() if key[0] in wide}
    assert {field for _, field in found} == {"frozen", "trainable", "held_still"}
    each = [area / getattr(table.blocks[number], field) for (number, field), area in found.items()]
    np.testing.assert_allclose(each, each[0], rtol=1e-6)
    assert sum(found.values()) == pytest.approx(
        sum(table.blocks[n].parameters for n in wide) / table.total.parameters, abs=0.1
    )


def test_every_block_can_be_seen_and_together_they_fill_the_strip():
    blocks = [Block(f"b{number}", 1, 0, size, 0, 0, 0, (1,)) for number, size in enumerate([0, 1, 10**6, 3, 2 * 10**6])]
    axes = tl.plot_layers(Blocks([*blocks, Block("head", 1, 5, 0, 0, 0, 0, (1,))]))
    widths = [bar.get_width() for bar in sorted(axes.patches, key=lambda bar: bar.get_x())]
    assert sum(widths) == pytest.approx(1)
    assert min(widths) * axes.get_window_extent().width > 2  # pixels
    assert widths[4] / widths[2] == pytest.approx(2)


def test_what_can_learn_has_another_colour_and_hatching(model):
    before = tl.list_blocks(model)
    tl.unfreeze_top(model, 30)
    upper, lower = tl.plot_layers(before, model, titles=["phase 1", "phase 2"])
    labels = [text.get_text() for text in upper.get_legend().get_texts()]
    assert labels == ["frozen", "trainable", "BatchNorm held still", "no parameters"]
    assert lower.get_legend() is None
    looks = [(patch.get_facecolor(), patch.get_hatch()) for patch in upper.get_legend().get_patches()]
    assert len({colour for colour, _ in looks}) == len({hatch or "" for _, hatch in looks[:3]}) + 1 == 4
    last = len(before.blocks) - 2  # the highest block of the base
    assert {field for number, field in areas(upper, before) if number == last} == {"frozen", "held_still"}
    assert {field for number, field in areas(lower, before) if number == last} == {"trainable", "held_still"}
    total = tl.list_blocks(model).total
    share = f"{total.trainable / total.parameters:.2%}"
    words_above = f"{total.trainable:,} of {total.parameters:,} parameters are trainable ({share})"
    assert lower.get_title(loc="left") == words_above
    assert [axes.get_ylabel() for axes in (upper, lower)] == ["phase 1", "phase 2"]


def test_the_names_of_blocks_stand_below_the_last_of_equal_strips_and_do_not_overlap(model, make_toy):
    one, two, other = tl.plot_layers(model, tl.list_blocks(model), make_toy())
    other.figure.canvas.draw()
    assert [bool(axes.get_xticklabels()) for axes in (one, two, other)] == [False, True, True]
    for axes, own in ((two, model), (other, make_toy())):
        labels = axes.get_xticklabels()
        assert {"image", "head"} < {label.get_text() for label in labels}
        assert len(labels) <= len(tl.list_blocks(own).blocks)
        boxes = [label.get_window_extent() for label in labels]
        assert not any(one.overlaps(two) for place, one in enumerate(boxes) for two in boxes[:place])


def test_layers_are_drawn_on_the_axes_given(model):
    figure, axes = plt.subplots()
    assert tl.plot_layers(model, ax=axes) is axes
    assert plt.get_fignums() == [figure.number]
    with pytest.raises(ValueError, match="Received 1 axes for 2 models"):
        tl.plot_layers(model, model, ax=[axes])
    with pytest.raises(ValueError, match="Received no model"):
        tl.plot_layers()
    with pytest.raises(ValueError, match="Received 1 titles for 2 models"):
        tl.plot_layers(model, model, titles=["one"])


# ---- the workflow


def grey(axes) -> np.ndarray:
    """What is on the figure, without colours: (height, width)."""
    axes.figure.canvas.draw()
    return np.asarray(axes.figure.canvas.buffer_rgba())[..., :3].mean(axis=2)


def names(axes, **style) -> list[str]:
    """The texts that are names of steps, from left to right."""
    texts = [text for text in axes.texts if text.get_text().replace("\n", " ") in STEPS]
    texts = [text for text in texts if all(getattr(text, f"get_{key}")() == value for key, value in style.items())]
    return [text.get_text().replace("\n", " ") for text in sorted(texts, key=lambda text: text.get_position()[0])]


def test_the_workflow_is_a_row_of_seven_named_steps_and_none_is_marked():
    axes = plot_workflow()
    assert names(axes) == ["load", "look", "build", "phase 1", "phase 2", "test", "save and use"]
    assert names(axes, weight="bold") == []


@pytest.mark.parametrize("step", STEPS)
def test_the_step_at_hand_is_marked_without_help_of_colours_and_nothing_else_changes(step):
    axes = plot_workflow(step)
    assert names(axes, weight="bold") == [step]
    changed = np.flatnonzero(np.abs(grey(axes) - grey(plot_workflow())).max(axis=0) > 100)
    slot = grey(axes).shape[1] / len(STEPS)
    assert set((changed // slot).astype(int)) == {STEPS.index(step)}
    assert np.ptp(changed) > 0.8 * slot  # a frame all round


def test_no_word_of_the_workflow_leaves_its_place():
    axes = plot_workflow("save and use")
    axes.figure.canvas.draw()
    whole = axes.get_window_extent()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert all(whole.x0 < box.x0 and box.x1 < whole.x1 and whole.y0 < box.y0 for box in boxes)
    assert not any(one.overlaps(two) for place, one in enumerate(boxes) for two in boxes[:place])


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_the_workflow_is_dark_on_white_on_every_background(style):
    with plt.style.context(style):
        axes = plot_workflow()
        shades = grey(axes)
    assert shades[0, 0] == 255
    assert np.median(shades) == 255
    assert all(mpl.colors.to_rgb(text.get_color()) < (0.3, 0.3, 0.3) for text in axes.texts)


def test_the_workflow_is_drawn_on_the_axes_given():
    figure, axes = plt.subplots()
    assert plot_workflow("test", ax=axes) is axes
    assert plt.get_fignums() == [figure.number]


def test_an_unknown_step_is_an_error():
    with pytest.raises(ValueError, match=r"Received step = 'phase 3'\. Expected one of 'load', .*'save and use'\."):
        plot_workflow("phase 3")
    assert plt.get_fignums() == []
