"""The README is true: its code runs, its commands exist, its tables are the measured ones."""

import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kerastl.__main__ import make_parser
from kerastl.bases import BASES, SMALL_BASES
from programs import import_from

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    return [text for name, text in fenced if name == language]


def commands(first_word: str) -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks("") for line in block.splitlines()]
    return [line for line in lines if line.startswith(first_word)]


@pytest.mark.slow
def test_the_ten_lines_run_as_they_stand(tmp_path):
    (code,) = blocks("python")
    shutil.copy(ROOT / "data/drawn_flowers/test/tulip/000.jpg", tmp_path / "photo.jpg")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    accuracy = float(re.search(r"accuracy (\d\.\d+)", done.stdout).group(1))
    assert accuracy > 0.9
    assert "Prediction(class_name='" in done.stdout
    assert (tmp_path / "flowers.keras").exists()


def test_every_make_target_exists():
    targets = {line.split()[1] for line in commands("make")}
    assert {"demo", "test"} <= targets
    for target in targets | set(re.findall(r"`make (\w+)`", README)):
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
        assert done.returncode == 0, done.stderr


def test_pip_is_upgraded_before_it_installs():
    """That of Python 3.10 finds no end where an index does not say which Python a release needs."""
    (windows,) = [block for block in blocks("") if r"Scripts\activate" in block]
    made = subprocess.run(["make", "-nB", ".venv/ready"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    for way in (windows, made.stdout):
        first, *others = re.findall(r"-m pip install (.+)", way)
        assert re.fullmatch(r"(--quiet )?--upgrade pip", first)
        assert others


@pytest.mark.parametrize("line", commands("python -m kerastl"))
def test_every_command_is_understood(line):
    arguments = shlex.split(line.removeprefix("python -m kerastl"))
    if "--help" not in arguments:
        assert make_parser().parse_args(arguments).command == arguments[0]


def test_every_file_and_folder_named_exists():
    named = re.findall(r"\]\((?!http)([^)]+)\)", README) + re.findall(
        r"`((?:data|kerastl|tests|notebooks)/[^`]*)`", README
    )
    assert len(named) > 5
    for name in named:
        assert (ROOT / name).exists(), name


WITH_TABLES = ("README.md", "data/README.md", "docs/which_strategy.md")


def test_the_tables_are_the_measured_ones(tmp_path):
    for name in (*WITH_TABLES, "data/measured.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("data/make", "data/garden"):
        shutil.copytree(ROOT / name, tmp_path / name)
    program = tmp_path / "data/make/measure.py"
    subprocess.run([sys.executable, program, "--tables"], check=True, capture_output=True)
    for name in WITH_TABLES:
        assert (tmp_path / name).read_text() == (ROOT / name).read_text()


@pytest.fixture
def benchmark(monkeypatch):
    """A function that imports one of the benchmarks and reads one file of results."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module, lambda name: json.loads((ROOT / f"benchmarks/results/{name}.json").read_text())


def test_the_tables_of_views_are_the_measured_ones(benchmark):
    load, results = benchmark
    views = load("views")
    lines = [line for name, title in views.SETS.items() for line in views.table(title, results(f"views_{name}"))]
    assert len(lines) == 22
    assert "\n".join([views.HEAD, *lines]) in (ROOT / "benchmarks/README.md").read_text()
    three = [line for line in lines if line.split(" | ")[3] == "3"]
    assert "\n".join([views.HEAD, *three]) in README
    one = next(line for line in lines if "| 2343 | 3 | 1 |" in line)
    none = next(line for line in lines if "| 2343 | 3 | 0 |" in line)
    assert (none.split(" | ")[6], one.split(" | ")[6], one.split(" | ")[8]) == ("0.459", "0.400", "1.7 |")


def test_the_table_of_accuracy_on_photos_is_the_measured_one(benchmark):
    load, results = benchmark
    photos, done = load("photos"), results("photos")
    assert all(len(runs) == 5 for runs in done.values())
    table = photos.table(done)
    assert len(table) == 4
    assert "\n".join([photos.HEAD, *table]) in README


def test_the_table_of_exported_models_is_the_measured_one(benchmark):
    load, results = benchmark
    export = load("export")
    assert "\n".join([export.HEAD, *export.table(results("export"))]) in (ROOT / "benchmarks/README.md").read_text()


@pytest.mark.parametrize("photos", ["flowers", "flowers_before", "hymenoptera", "drawn_flowers"])
def test_the_tables_of_speed_are_the_measured_ones(benchmark, photos):
    load, results = benchmark
    table = "\n".join(load("two_phase").table(results(photos), range(3)))
    assert table.count("\n") > 3
    assert table in (ROOT / "benchmarks/README.md").read_text()
    assert photos != "flowers" or table in README


@pytest.mark.parametrize("study", ["images", "size", "layers", "base"])
def test_the_tables_of_growth_are_the_measured_ones(benchmark, study):
    load, results = benchmark
    scaling, text = load("scaling"), (ROOT / "benchmarks/README.md").read_text()
    rows = results(f"scaling_{study}")
    assert len(rows) == len(scaling.STUDIES[study])
    assert "\n".join([scaling.HEAD, *map(scaling.line, rows)]) in text


def test_the_table_of_many_photos_is_the_measured_one(benchmark):
    load, results = benchmark
    scaling, rows = load("scaling"), results("scaling_photos")
    assert [row["images"] for row in rows] == [row["images"] for row in scaling.STUDIES["photos"]]
    table = "\n".join([scaling.PHOTOS_HEAD, *map(scaling.photos_line, rows)])
    assert table in (ROOT / "benchmarks/README.md").read_text()
    assert f"a peak of {rows[-1]['peak_mb']:,} MiB" in " ".join(README.split())


def test_the_table_of_scale_is_the_measured_one(benchmark):
    load, results = benchmark
    page, measured = (ROOT / "docs/scale.md").read_text(), results("scale")
    assert "\n".join(load("scale").table(measured)) in page
    kept = 1e6 * measured["MobileNetV2"]["kept 2"]
    assert f"| 1,000,000 | 151 GB | {kept / 1e9:.3g} GB |" in page


def test_the_page_of_bases_is_the_measured_one_and_has_a_row_for_every_base(benchmark):
    load, results = benchmark
    page = (ROOT / "docs/bases.md").read_text()
    assert page == load("bases").page(results("bases"))
    assert re.findall(r"^\| (\w+) \| \d", page, flags=re.MULTILINE) == list(BASES)


def test_what_compare_takes_by_default_is_fast_and_small(benchmark):
    facts = [benchmark[1]("bases")[name] for name in SMALL_BASES]
    assert all(base["frozen"] >= 50 and base["parameters"] < 1e7 for base in facts)


@pytest.mark.parametrize("name", ["MobileNetV2", "ConvNeXtTiny"])
def test_what_the_page_of_bases_counts_is_what_keras_builds(benchmark, name):
    load, results = benchmark
    facts = load("bases").look_at(name)
    assert facts.items() <= results("bases")[name].items()


def test_the_table_of_compared_bases_is_the_measured_one(benchmark):
    load, results = benchmark
    compared, text = load("compare_bases"), " ".join((ROOT / "benchmarks/README.md").read_text().split())
    done = results("compare_bases")
    table = [compared.HEAD, *compared.table(done)]
    assert len(table) > 5
    assert "\n".join(table) in (ROOT / "benchmarks/README.md").read_text()
    for photos in {key.split(" | ")[0] for key in done}:
        for column in compared.PHASES:
            same, pairs, tau = compared.agreement(done, photos, column)
            assert f"{same} of the {pairs} pairs that differ in *{column}* (Kendall's τ {tau:.2f})" in text


def test_the_table_of_engines_is_the_measured_one(benchmark):
    load, results = benchmark
    inference = load("inference")
    table = "\n".join([inference.HEAD, *inference.table(results("inference"))])
    assert table.count("\n") > 20
    assert table in (ROOT / "benchmarks/README.md").read_text()


def test_the_sentences_on_speed_are_the_measured_ones(benchmark):
    load, results = benchmark
    two_phase, text = load("two_phase"), " ".join(README.split())

    def ratio(photos: str, recipe: str) -> float:
        """How many times later than kerastl a recipe is at the official final accuracy: means of three seeds."""
        runs = results(photos)
        goals = [runs[f"official, seed {seed}"]["validation"][-1] for seed in range(3)]
        times = {
            name: sum(two_phase.seconds_to(goals[seed], runs[f"{name}, seed {seed}"]) for seed in range(3))
            for name in (recipe, "kerastl")
        }
        return times[recipe] / times["kerastl"]

    assert f"final accuracy {ratio('flowers', 'official'):.0f} times sooner" in text
    assert f"reaches that accuracy {ratio('flowers', 'uncached'):.1f} times sooner" in text
    assert f"kerastl was {ratio('hymenoptera', 'official'):.0f} times sooner on the 220 photos" in text
    assert f"{ratio('drawn_flowers', 'official'):.0f} times on the bundled drawn flowers" in text
    runs = results("flowers")
    total = {name: sum(runs[f"{name}, seed {n}"]["seconds"][-1] for n in range(3)) for name in ("uncached", "kerastl")}
    assert f"its whole run takes {total['uncached'] / total['kerastl']:.1f} times less time" in text
    tests = [runs[f"kerastl, seed {n}"]["test"] - runs[f"uncached, seed {n}"]["test"] for n in range(3)]
    assert f"its test accuracy differs by {min(tests):.3f} to {max(tests):+.3f}" in text
    largest = next(row for row in results("scaling_images") if row["images"] == 20000 and row["budget"])
    assert f"peaked at {largest['peak_mb']:,} MiB" in text
    assert largest["peak_mb"] * 2**20 < 1.5e9


def test_the_table_of_photos_is_the_measured_one(benchmark, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "data/make")
    (load, results), names = benchmark, ("head only", "fine-tuned")
    for photos in ("flower_photos", "hymenoptera"):
        for pixels in (224, 160):
            runs = [results("photos")[f"{photos}, {pixels} pixels, {name}"] for name in names]
            assert f"| {pixels} | {' | '.join(map(load('measure').mean_and_interval, runs))} |" in README


def test_the_table_of_versions_is_that_of_the_last_run_of_the_matrix():
    (matrix,) = import_from("tests", "matrix")
    results = json.loads(matrix.RESULTS.read_text())
    assert "\n".join([matrix.HEAD, *map(matrix.line, results.values())]) in README
    assert not any(result["failed"] for result in results.values())
