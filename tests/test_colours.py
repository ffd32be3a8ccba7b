"""One colour for one idea: the table in `kerastl.plots.style`, and every picture that takes from it."""

import re
from itertools import combinations, permutations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import kerastl as tl
from kerastl.plots import style
from kerastl.plots.style import FINE_TUNED, FROM_SCRATCH, HEAD_ONLY, HELD_OUT, HELD_STILL, TRAINABLE, TRAINING
from kerastl.plots.workflow import STEPS, plot_workflow
from programs import ROOT, import_from

(pictures,) = import_from("notebooks", "pictures")
pytestmark = pytest.mark.usefixtures("matplotlib_stays")
DRAWINGS = {
    **{name: lambda name=name: _drawn(pictures.PICTURES[name]) for name in pictures.PICTURES},
    "two words": lambda: pictures.results.two_words() or plt.gca(),
    **{f"step {step}": lambda step=step: plot_workflow(step) for step in STEPS},
}


def _drawn(draw):
    draw(axes := pictures.canvas(pictures.WIDTH, pictures.HEIGHT))
    return axes


def curves(axes) -> dict:
    """{colour: dash} of the lines with many points."""
    return {line.get_color(): line.get_linestyle() for line in axes.lines if len(line.get_xdata()) > 10}


@pytest.mark.parametrize("name", DRAWINGS)
def test_in_every_drawing_what_is_hatched_is_trainable_and_what_is_trainable_is_hatched(name):
    for patch in DRAWINGS[name]().patches:
        orange = patch.get_facecolor() == mpl.colors.to_rgba(TRAINABLE)
        assert orange == bool(patch.get_hatch())


def test_the_drawings_of_both_phases_have_such_parts():
    """Else the test above could hold for nothing."""
    for name in ("phase-1", "phase-2", "step phase 1", "step phase 2", "two words"):
        assert any(patch.get_hatch() for patch in DRAWINGS[name]().patches) == (name != "two words")


@pytest.mark.parametrize("order", permutations(["from scratch", "head only", "fine-tuned"]))
def test_each_strategy_keeps_its_colour_in_whatever_order_they_are_compared(order):
    rng = np.random.default_rng(0)
    axes = tl.explain_transfer({name: rng.uniform(0.4, 0.6, (3, 12)) for name in order}).axes
    expected = {"from scratch": FROM_SCRATCH, "head only": HEAD_ONLY, "fine-tuned": FINE_TUNED}
    assert list(curves(axes)) == [expected[name] for name in order]
    assert len(set(curves(axes).values())) == 3


def test_a_strategy_with_a_name_of_its_own_takes_no_colour_of_another():
    rng = np.random.default_rng(0)
    names = ["from scratch", *(f"top {number}" for number in range(9)), "head only", "fine-tuned"]
    axes = tl.explain_transfer({name: rng.uniform(0.4, 0.6, (3, 12)) for name in names}).axes
    lines = [(line.get_color(), line.get_linestyle()) for line in axes.lines if len(line.get_xdata()) > 10]
    assert len(set(lines)) == len(names)
    assert not {colour for colour, _ in lines[1:-2]} & set(ideas().values())


def test_curves_mean_the_same_in_drawings_and_in_pictures_of_runs():
    assert curves(_drawn(pictures.PICTURES["positive-negative-neutral-transfer"])) == {
        FROM_SCRATCH: ":",
        FINE_TUNED: "-",
    }
    for name in ("learning-curve", "overfitting"):
        assert curves(_drawn(pictures.PICTURES[name])) == {TRAINING: "--", HELD_OUT: "-"}
    phase = type(
        "History", (), {"history": {name: [0.5] * 12 for name in ("loss", "val_loss", "accuracy", "val_accuracy")}}
    )
    for axes in tl.plot_history(phase()):
        assert curves(axes) == {TRAINING: "--", HELD_OUT: "-"}


def test_every_colour_of_an_idea_is_named_after_the_idea_where_it_is_used():
    """Blue in a picture says nothing to who reads the code; FROZEN does. Only flowers have colours of their own."""
    files = [*(ROOT / "kerastl/plots").glob("*.py"), *(ROOT / "notebooks/drawings").glob("*.py")]
    for file in files:
        if file.name != "style.py":
            found = re.findall(r"\b(?:BLUE|ORANGE|BROWN|VIOLET)\b|tab:\w+|\"C\d\"", file.read_text(encoding="utf-8"))
            assert not found, f"{file.name}: {found}"


# ---- the table


def ideas() -> dict:
    strategies = ("FROM_SCRATCH", "HEAD_ONLY", "FINE_TUNED")
    names = ("FROZEN", "TRAINABLE", "HELD_STILL", *strategies, "TRAINING", "HELD_OUT", "WRONG")
    return {name: getattr(style, name) for name in names}


def test_no_two_ideas_share_a_colour():
    assert len(set(ideas().values())) == len(ideas())


# What people without red or green receptors see, in linear light. Source: Machado, Oliveira & Fernandes (2009).
EYES = {
    "all colours": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "grey": [[0.2126, 0.7152, 0.0722]] * 3,
}


def seen(colour: str, eyes: str) -> np.ndarray:
    light = np.array(mpl.colors.to_rgb(colour)) ** 2.2
    return np.clip(np.array(EYES[eyes]) @ light, 0, 1) ** (1 / 2.2)


@pytest.mark.parametrize("eyes", ["all colours", "no red", "no green"])
@pytest.mark.parametrize(
    "group",
    [
        (style.FROZEN, TRAINABLE, HELD_STILL),
        (FROM_SCRATCH, HEAD_ONLY, FINE_TUNED),
        (TRAINING, HELD_OUT),
    ],
)
def test_ideas_that_stand_side_by_side_differ_for_colour_blind_eyes(group, eyes):
    for one, two in combinations(group, 2):
        assert np.linalg.norm(seen(one, eyes) - seen(two, eyes)) > 0.2, (one, two)


def test_frozen_and_trainable_differ_in_print_without_colours():
    assert abs(seen(style.FROZEN, "grey") - seen(TRAINABLE, "grey"))[0] > 0.2
