"""The table of three tasks: parts that do not overlap, the same chances for each way, and results that a stop keeps."""

import json

import numpy as np
import pytest
from scipy.stats import t

from programs import ROOT, import_from


@pytest.fixture
def make():
    return dict(zip(("tasks", "results"), import_from("data/make", "tasks", "results"), strict=True))


@pytest.mark.parametrize(("task", "classes"), [("near", 5), ("far", 8), ("harmful", 10)])
def test_no_picture_of_a_task_is_in_two_parts(make, task, classes):
    _, labels, rows, class_names = make["tasks"].pictures(task)
    assert len(class_names) == classes
    together = np.concatenate([rows[part] for part in ("train", "validation", "test")])
    assert len(set(together.tolist())) == len(together)
    for part, count in (("train", 100), ("validation", 20), ("test", 34)):
        assert np.bincount(labels[rows[part]], minlength=classes).min() >= count


def test_each_way_gets_the_same_number_of_rates_to_try(make):
    assert len({len(rates) for rates in make["tasks"].RATES.values()}) == 1


def test_a_run_that_was_measured_is_not_measured_again(make, monkeypatch, tmp_path):
    monkeypatch.setattr(make["results"], "FILE", tmp_path / "measured.json")
    runs = {}
    assert make["results"].once(runs, "a run", 0, lambda: 0.51234) == 0.5123
    kept = json.loads((tmp_path / "measured.json").read_text())
    assert make["results"].once(kept, "a run", 0, lambda: 1 / 0) == 0.5123


def test_intervals_use_students_t(make):
    for count, value in make["results"].STUDENT.items():
        assert value == pytest.approx(t.ppf(0.975, count - 1), abs=6e-4)


def test_a_cell_of_fewer_seeds_says_so(make):
    runs = {"far, 100, head only": {"0": 0.5, "1": 0.6}}
    table = make["tasks"].task_table(runs)
    assert "0.500 to 0.600 (2 of 5 seeds)" in table[-1]
    assert table[-1].startswith("| far | 100 |")
    assert make["tasks"].task_table({}) == []


def test_the_table_of_curves_names_what_transfer_did(make):
    tasks = make["tasks"]
    ends = {"from scratch": 0.8, "head only": 0.5, "all": 0.8}
    runs = {
        f"curve of harmful, 100, {way}": {
            str(seed): np.linspace(0.2, end + 0.01 * (seed * (1 + len(way)) % 5), 10).tolist() for seed in range(5)
        }
        for way, end in ends.items()
    }
    rows = [line.split(" | ") for line in tasks.curve_table(runs)[2:]]
    assert [row[1] for row in rows] == list(tasks.CURVES)
    assert rows[1][-1].startswith("negative transfer, -0.3")
    assert rows[2][-1].startswith("no difference shown")
    assert {row[2] for row in rows} == {"0.200 ± 0.000"}
    runs["curve of harmful, 100, all"].popitem()
    assert tasks.curve_table(runs) == []


def test_the_frozen_base_sees_the_far_task_in_part_and_fine_tuning_learns_it():
    runs = json.loads((ROOT / "data/measured.json").read_text())
    head, *tuned = (np.array(list(runs[f"far, 100, {way}"].values())) for way in ("head only", "top 30", "top 100"))
    best = max(tuned, key=np.mean)
    assert len(head) == len(best) == 5
    assert 0.65 < head.mean() < 0.8
    assert best.mean() > head.mean() + 0.08
    assert best.min() > head.max()


def test_what_the_page_says_of_the_table_holds():
    """docs/which_strategy.md and lesson 7."""
    measured = json.loads((ROOT / "data/measured.json").read_text())

    ways = ("from scratch", "head only", "top 30", "top 100", "all")

    def runs(task: str, per_class: int, way: str) -> np.ndarray:
        return np.array([measured[f"{task}, {per_class}, {way}"][str(seed)] for seed in range(5)])

    for per_class in (20, 100):
        means = [runs("far", per_class, way).mean() for way in ("head only", "top 30", "top 100", "all")]
        assert means == sorted(means)
    assert (runs("far", 20, "from scratch") < runs("far", 20, "all")).all()
    assert (runs("far", 100, "from scratch") < runs("far", 100, "all")).sum() == 4
    for per_class in (20, 100):
        assert (runs("near", per_class, "from scratch") < runs("near", per_class, "head only") - 0.1).all()
        near = [runs("near", per_class, way).mean() for way in ("head only", "top 30", "top 100", "all")]
        assert max(near) - near[0] < 0.05
        scratch, head, top_30, top_100, whole = (runs("harmful", per_class, way) for way in ways)
        assert (head < top_30).all()
        assert (top_30 < scratch - 0.05).all()
        assert (top_30 < top_100).all()
        for way in (top_100, whole):
            difference = way - scratch
            assert abs(difference.mean()) < t.ppf(0.975, 4) * difference.std(ddof=1) / 5**0.5  # none is shown
            assert way.min() < scratch.max()
            assert way.max() > scratch.min()
    for per_class in (5, 10, 20, 50, 100):
        assert runs("near", per_class, "from scratch").max() < runs("near", 5, "head only").mean()
    probes = [list(measured[f"probe of {weights}, digits"].values()) for weights in ("garden", "random weights")]
    assert max(probes[0]) < min(probes[1])
