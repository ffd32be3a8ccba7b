"""The programs of benchmarks/strategies: their formulas against cases worked by hand, and what each way changes."""

import json

import keras
import numpy as np
import pytest

from programs import ROOT, import_from
from tiers import slow, weekly

import_from("data/make", "results", "tasks")
runs, forgetting, before_training = import_from("benchmarks/strategies", "runs", "forgetting", "before_training")


@pytest.fixture
def short(monkeypatch):
    """A problem of few pictures, and few epochs."""
    monkeypatch.setattr(forgetting, "EPOCHS", 2)
    problem = forgetting.draw_problem("near", 0)
    few = {part: tuple(array[::10] for array in getattr(problem, part)) for part in ("train", "validation", "test")}
    return problem._replace(**few)


def test_distillation_is_the_formula_of_the_paper():
    recorded, now = np.array([[0.81, 0.16, 0.03]]), np.array([[0.25, 0.25, 0.5]])
    # Equation 3: roots (T = 2), made to sum to 1 again; equation 2: minus the sum of recorded times log of now.
    soft = [np.sqrt(p) / np.sqrt(p).sum() for p in (recorded, now)]
    np.testing.assert_allclose(
        np.asarray(forgetting.distillation()(recorded, now)), -(soft[0] * np.log(soft[1])).sum(1)
    )


@pytest.mark.parametrize("temperature", [0, -1, float("inf"), float("nan")])
def test_a_temperature_that_softens_nothing_is_refused_before_anything_learns(temperature):
    model = forgetting.two_heads(5)
    before, problem = model.get_weights(), forgetting.Problem((np.zeros((2, 96, 96, 3)), np.zeros(2)), (), (), 5)
    with pytest.raises(ValueError, match=r"temperature=.+ Expected a number above 0"):
        forgetting.without_forgetting(model, problem, 1e-3, temperature)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_without_the_old_classifier_or_with_two_sizes_nothing_begins(monkeypatch, tmp_path):
    monkeypatch.setattr(forgetting, "warm_up", lambda *_: None)
    smaller = forgetting.Problem((np.zeros((2, 64, 64, 3), "uint8"), np.zeros(2, "int64")), (), (), 5)
    with pytest.raises(ValueError, match=r"\(96, 96, 3\), the new ones \(64, 64, 3\)"):
        forgetting.joint_training(None, smaller, 1e-3)
    monkeypatch.setattr(forgetting, "CLASSIFIER", tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError, match="nobody can tell what was forgotten"):
        forgetting.two_heads(5)


def test_the_two_heads_begin_as_the_network_that_was_pre_trained():
    record = json.loads((ROOT / "data" / "garden" / "training.json").read_text())
    assert abs(forgetting.original()["old"] - record["held_out_accuracy"]) < 0.04  # 384 other pictures


# What each way may change: the old classifier, the lower layers, the upper layers. The new head always.
CHANGES = {
    "feature extraction": (False, False, False),
    "fine-tuning, all": (False, True, True),
    "fine-tuning, top 100": (False, False, True),
    "fine-tuning, all, no warm-up": (False, True, True),
    "joint training": (True, True, True),
    "Learning without Forgetting": (True, True, True),
}


OFTEN = ("feature extraction", "Learning without Forgetting")


@pytest.mark.parametrize("way", [*slow(*OFTEN), *weekly(*(forgetting.WAYS.keys() - set(OFTEN)))])
def test_each_way_changes_what_it_says(short, way):
    keras.utils.set_random_seed(0)
    model = forgetting.two_heads(short.classes)
    before = {weight.path: weight.numpy() for weight in model.weights}
    forgetting.WAYS[way][0](model, short, 1e-3)
    changed = {weight.path for weight in model.weights if not np.array_equal(before[weight.path], weight.numpy())}
    assert not [path for path in changed if "moving" in path or "gamma" in path or "beta" in path]  # BatchNorm
    found = [any(part in path for path in changed) for part in ("species", "block_1_expand", "block_16_expand")]
    assert tuple(found) == CHANGES[way]
    assert any("new" in path for path in changed)


def test_a_run_is_made_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "FILE", tmp_path / "strategies.json")
    made = []
    for _ in range(2):
        result = runs.once(runs.read_runs(), "a", 3, lambda: made.append(0) or {"old": 0.123456})
        assert result == {"old": 0.1235}
    assert len(made) == 1
    runs.once(runs.read_runs(), "a", 1, lambda: {"old": 0.5})
    np.testing.assert_array_equal(runs.collect(runs.read_runs(), "a")["old"], [0.5, 0.1235])
    assert runs.collect({}, "a") == {}


def test_chances_are_corrected_as_holm_did():
    # By hand: .01 times 4; .02 times 3; .03 times 2, but not below the one before; .5 times 1.
    np.testing.assert_allclose(runs.holm([0.03, 0.01, 0.5, 0.02]), [0.06, 0.04, 0.5, 0.06])
    np.testing.assert_allclose(runs.holm([0.9, 0.8]), [1, 1])


def test_runs_are_paired_by_their_seeds():
    chance = np.random.default_rng(0)
    luck = chance.normal(0, 1, 5)  # what all ways share for a seed; far larger than the gain
    made = {
        name: {str(seed): {"old": luck[seed] + gain + chance.normal(0, 0.01)} for seed in (3, 1, 0, 2, 4)}
        for name, gain in (("first", 0), ("better", 0.1), ("same", 0))
    }
    (_, gain, p), (_, none, high) = runs.paired_tests(made, "first", ["better", "same"], "old")
    np.testing.assert_allclose([gain, none], [0.1, 0], atol=0.02)
    assert p < 0.001 < 0.05 < high


def test_the_pages_hold_the_tables_of_what_was_measured():
    measured = runs.read_runs()
    tables = {
        "which_strategy.md": before_training.table(measured),
        "forgetting.md": [*forgetting.table(measured), *forgetting.comparisons(measured)],
    }
    for page, lines in tables.items():
        assert len(lines) > 3
        text = (ROOT / "docs" / page).read_text().splitlines()
        assert [line for line in lines if line not in text] == []


def test_what_the_page_says_of_the_scores_holds():
    found = {task: runs.collect(runs.read_runs(), f"scores, {task}") for task in forgetting.TASKS}
    for seed in range(5):
        near, far, unlike = ({name: values[seed] for name, values in found[task].items()} for task in found)
        assert near["leep"] > far["leep"] > unlike["leep"]
        assert near["logme"] > unlike["logme"] > far["logme"]
    ((_, _, p),) = runs.paired_tests(runs.read_runs(), "scores, far", ["scores, unlike"], "probe")
    assert p > 0.05  # no difference is shown


# The ways of which a difference to fine-tuning is shown: on A all but these, on B these. And about how much on B.
SHOWN = {
    "near": ({"fine-tuning, all, no warm-up"}, {"feature extraction": -0.02}),
    "far": (
        set(),
        {
            "feature extraction": -0.28,
            "fine-tuning, top 100": -0.10,
            "fine-tuning, all, no warm-up": 0.05,
            "joint training": -0.06,
            "Learning without Forgetting": -0.13,
        },
    ),
    "unlike": (
        {"fine-tuning, top 100", "fine-tuning, all, no warm-up", "Learning without Forgetting"},
        {"feature extraction": -0.29, "fine-tuning, top 100": -0.03, "Learning without Forgetting": -0.03},
    ),
}


@pytest.mark.parametrize("task", SHOWN)
def test_what_the_page_says_of_forgetting_holds(task):
    measured, basis = runs.read_runs(), forgetting.BASIS
    others = {f"forgetting, {task}, {way}": way for way in forgetting.WAYS if way != basis}
    shown = {"old": {}, "new": {}}
    for what, gains in shown.items():
        for name, gain, p in runs.paired_tests(measured, f"forgetting, {task}, {basis}", list(others), what):
            if p < 0.05:
                gains[others[name]] = gain
    alike, on_new = SHOWN[task]
    assert set(shown["old"]) == set(others.values()) - alike
    assert {way for way, gain in shown["old"].items() if gain < 0} <= {"fine-tuning, all, no warm-up"}
    assert shown["new"] == pytest.approx(on_new, abs=0.01)
    kept = runs.collect(measured, f"forgetting, {task}, {basis}")["old"]
    assert kept.max() < measured["forgetting, original"]["0"]["old"] / 2 + 0.05
    if task != "unlike":
        assert runs.collect(measured, f"forgetting, {task}, Learning without Forgetting")["old"].min() > 0.86


def test_what_the_page_says_of_the_rates_holds():
    measured, page = runs.read_runs(), (ROOT / "docs" / "forgetting.md").read_text()
    for way in (forgetting.BASIS, "fine-tuning, all, no warm-up", "joint training", "Learning without Forgetting"):
        kept = [
            measured[f"forgetting, {task}, {way} at {rate:g}"]["100"]["old"]
            for task in ("near", "unlike")
            for rate in (3e-4, 1e-3)
        ]
        assert f"| {way} | {' | '.join(f'{accuracy:.2f}' for accuracy in kept)} |" in page
    lower, higher = (measured[f"forgetting, unlike, {way} at {rate:g}"]["100"]["new"] for rate in (3e-4, 1e-3))
    assert (round(lower, 2), round(higher, 2)) == (0.82, 0.86)
