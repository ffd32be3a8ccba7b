"""Damaged files of every kind: each is a picture or an `UnreadableError`, in little time, and keeps its label."""

import importlib
import os
from pathlib import Path

import pytest
from PIL import Image

from kerastl import images

ROOT = Path(__file__).parent.parent


@pytest.fixture
def fuzz(monkeypatch):
    pytest.importorskip("resource")  # Windows has no limits on memory
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("fuzz_pictures")


def test_no_damaged_file_crashes_hangs_or_gets_another_label(fuzz, tmp_path):
    result = fuzz.run(tmp_path / "pictures", 270, seed=1)
    assert fuzz.failures(result) == {}
    outcomes = result["outcomes"].values()
    assert sum(counts["read"] for counts in outcomes if "read" in counts) > 50
    assert sum(counts["unreadable"] for counts in outcomes if "unreadable" in counts) > 50


def test_the_samples_are_of_all_usual_formats_and_modes(fuzz):
    samples = fuzz.write_samples(fuzz.np.random.default_rng(0))
    kinds, modes, _ = zip(*(name.split(" ") for name in samples), strict=True)
    assert {"JPEG", "JPEG2000", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "PCX"} <= set(kinds)
    assert set(fuzz.MODES) == set(modes)


class Fatal:
    """Ends the process that receives it, as a crash in a decoder would."""

    def __reduce__(self):
        return os._exit, (1,)


def test_a_crash_is_counted_and_the_next_file_is_read(fuzz, tmp_path):
    for name in ("one.png", "two.png"):
        Image.new("L", (8, 8)).save(tmp_path / name)
    said, _ = fuzz.read_all([tmp_path / "one.png", Fatal(), tmp_path / "two.png"])
    assert list(said.values()) == ["read", "crashed", "read"]


def test_pictures_with_the_label_of_others_are_counted(fuzz, tmp_path, monkeypatch):
    outcomes, _ = fuzz.read_all(fuzz.write_files(tmp_path / "pictures", 90, seed=2))
    load = images.load_images

    def mislabel(*arguments, **options):
        right = load(*arguments, **options)
        return right._replace(test=right.test.map(lambda images, labels: (images, (labels + 1) % 3)))

    monkeypatch.setattr(images, "load_images", mislabel)
    assert fuzz.wrong_labels(tmp_path / "pictures", outcomes) > 3


@pytest.mark.slow
def test_no_damaged_model_file_runs_something_or_answers_otherwise(fuzz, tmp_path):
    models = importlib.import_module("fuzz_models")
    result = models.run(tmp_path, 39, seed=1)
    assert models.failures(result) == {}
    assert sum(counts.get("refused in one line", 0) for counts in result["outcomes"].values()) > 25


def test_what_must_not_come_of_a_model_file_is_a_failure(fuzz):
    models = importlib.import_module("fuzz_models")
    counts = {"the same model": 1, "refused in one line": 2, "another model": 3, "did os.system": 1}
    result = {"peak_mib": models.MOST_MIB + 1, "outcomes": {"flipped bits": counts}}
    assert models.failures(result) == {"another model": 3, "did os.system": 1, "memory": 1}
