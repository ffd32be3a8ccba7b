"""The tables on reading pictures in benchmarks/README.md are the measured ones."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from kerastl.doubles import MOST_BITS

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")


@pytest.fixture
def benchmark(monkeypatch):
    """A function that gives one of the benchmarks, and what it measured."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")

    def load(name: str):
        return importlib.import_module(name), json.loads((ROOT / f"benchmarks/results/{name}.json").read_text())

    return load


def test_the_table_of_resizing_is_the_measured_one(benchmark):
    resize, done = benchmark("resize")
    lines = [line for name in resize.SETS for line in resize.table(name, done)]
    assert "\n".join([resize.HEAD, *lines]) in PAGE
    assert "flower_photos" in lines[0]
    assert [line.split(" | ")[1:3] for line in lines[-3:]] == [
        ["linear probe", "5 folds"],
        ["head only", "5 seeds"],
        ["fine-tuned", "5 seeds"],
    ]
    common, shown = importlib.import_module("common"), set()  # the sentences on the differences
    for key in done:
        photos, what, way = key.split(", ")
        runs, squash = (np.array([*done[f"{photos}, {what}, {one}"].values()]) for one in (way, "squash"))
        if way != "squash" and abs((runs - squash).mean()) > common.half_interval(runs - squash):
            shown.add((photos, what, way))
    assert shown == {
        ("hymenoptera", "head only", "pad"),
        ("hymenoptera", "fine-tuned", "pad"),
        ("flower_photos", "head only", "pad"),
    }


def test_the_table_of_near_doubles_is_the_measured_one(benchmark):
    near_doubles, result = benchmark("near_doubles")
    assert "\n".join([near_doubles.HEAD, *near_doubles.table(result)]) in PAGE
    found = sum(count for bits, count in result["pairs"].items() if int(bits) <= MOST_BITS)
    assert f"The {found} pairs of at most {MOST_BITS} bits" in PAGE


def test_the_table_of_damaged_pictures_is_the_measured_one(benchmark):
    pytest.importorskip("resource")
    fuzz_pictures, result = benchmark("fuzz_pictures")
    assert "\n".join([fuzz_pictures.HEAD, *fuzz_pictures.table(result)]) in PAGE
    assert result["files"] >= 10_000
    assert fuzz_pictures.failures(result) == {}
    assert f"damaged in nine ways: {result['files']:,} files" in PAGE
    assert len(fuzz_pictures.DAMAGE) == 9
    assert f"or needed more than {result['peak_mib']} MiB in all; {result['wrong_labels']} pictures" in PAGE


def test_the_table_of_damaged_models_is_the_measured_one(benchmark):
    pytest.importorskip("resource")
    fuzz_models, result = benchmark("fuzz_models")
    assert "\n".join([fuzz_models.HEAD, *fuzz_models.table(result)]) in PAGE
    assert result["files"] >= 1_000
    assert fuzz_models.failures(result) == {}
    assert f"in 13 ways: {result['files']:,} files" in PAGE
    assert len(result["outcomes"]) == 13
    assert f"took more than {result['peak_mib']} MiB" in PAGE
