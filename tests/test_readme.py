"""The README is true: its code runs, its commands exist, its tables are the measured ones."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kerastl.__main__ import make_parser

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    return [text for name, text in fenced if name == language]


def commands(first_word: str) -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks("") for line in block.splitlines()]
    return [line for line in lines if line.startswith(first_word)]


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


def test_the_tables_are_the_measured_ones(tmp_path):
    for name in ("README.md", "data/README.md", "data/measured.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("data/make", "data/garden"):
        shutil.copytree(ROOT / name, tmp_path / name)
    program = tmp_path / "data/make/measure.py"
    subprocess.run([sys.executable, program, "--tables"], check=True, capture_output=True)
    for name in ("README.md", "data/README.md"):
        assert (tmp_path / name).read_text() == (ROOT / name).read_text()
