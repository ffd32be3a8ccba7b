"""Without the packages of an extra, everything else works, and the step that needs them says how to install them."""

import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import kerastl as tl
from kerastl.__main__ import main
from kerastl.evaluation import Evaluation

ROOT = Path(__file__).parent.parent
REQUIREMENTS = re.findall(r"^\w.*$", (ROOT / "requirements.txt").read_text(), re.M)
CURVES = {"one": np.full((3, 4), 0.5), "other": np.full((3, 4), 0.7)}


@pytest.fixture
def without(monkeypatch):
    """A function that hides a package, and what was imported from it."""

    def hide(package: str):
        for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)

    return hide


@pytest.mark.parametrize(
    ("package", "extra", "step"),
    [
        ("tensorflow_datasets", "tfds", lambda *_: tl.load_images("tf_flowers")),
        ("sklearn", "analysis", lambda data, toy: tl.plot_features(toy, data)),
        ("scipy", "analysis", lambda *_: tl.fit_temperature(Evaluation(0.5, 0.5, *np.ones((2, 2), int)))),
        ("scipy", "analysis", lambda *_: tl.explain_transfer(CURVES)),
    ],
)
def test_a_step_without_its_package_says_how_to_install_it(without, data, toy, package, extra, step):
    without(package)
    with pytest.raises(ImportError, match=rf"needs {package}, .*`pip install 'kerastl\[{extra}\]'`"):
        step(data, toy)


def test_a_map_of_features_with_a_projection_of_ones_own_needs_no_scikit_learn(without, data, toy):
    class First:
        def fit_transform(self, values):
            return values[:, :2]

    without("sklearn")
    assert tl.plot_features(toy, data, projection=First()).collections


def test_an_unknown_name_is_named_also_where_the_catalogue_is_not_installed(without, tmp_path, capsys):
    without("tensorflow_datasets")
    with pytest.raises(ImportError, match=r"Unknown images: 'drawn_flower'\..* Did you mean drawn_flowers or .*tfds"):
        tl.load_images("drawn_flower")
    assert main(["train", "my_photo", "--weights", "none", "--out", str(tmp_path / "run")]) == 2
    assert re.fullmatch(r"error: Unknown images: 'my_photo'\. There is no folder.*\n", capsys.readouterr().err)


def test_the_docstrings_of_a_package_that_is_not_there_are_an_error(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'kerastl\[text\]'"):
        tl.load_texts("docstrings")


TEN_LINES = """
import sys
for package in ("tensorflow_datasets", "sklearn", "scipy", "keras_hub", "pandas", "pyarrow"):
    sys.modules[package] = None
{code}
"""


@pytest.mark.slow
def test_the_ten_lines_need_no_extra(tmp_path):
    (code,) = re.findall(r"^```python\n(import kerastl.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    code = code.replace("epochs=10", "epochs=1").replace("photo.jpg", f"{ROOT}/data/drawn_flowers/test/tulip/000.jpg")
    done = subprocess.run(
        [sys.executable, "-c", TEN_LINES.format(code=code)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Prediction(class_name=" in done.stdout


def test_the_requirements_of_the_course_hold_every_package_of_the_wheel():
    wheel = (ROOT / "pyproject.toml").read_text().partition("\ndependencies")[2]
    others = ("heic", "huggingface", "export")  # what the course does without
    needed = re.findall(r'"([\w-]+)>=', re.sub(rf"(?m)^({'|'.join(others)}) = .*", "", wheel))
    assert {"keras", "matplotlib", "scipy", "keras-hub"} <= set(needed)
    assert set(needed) <= {re.match(r"[\w-]+", line)[0] for line in REQUIREMENTS}


@pytest.mark.parametrize(
    ("version", "warned"),
    [
        *(("3.3.3", True), ("3.12.3", True), ("3.12.4", False), ("3.12.10", False), ("3.13.0", True)),
        *(("3.15.0", True), ("3.15.1", False), ("3.16.0.dev2026", False), ("4.0", False)),
    ],
)
def test_load_warns_of_a_keras_whose_own_loading_has_holes(make_toy, tmp_path, monkeypatch, recwarn, version, warned):
    path = tl.save(make_toy(), tmp_path / "m.keras", ["a", "b", "c"])
    monkeypatch.setattr(keras, "__version__", version)  # (the file says that another one wrote it; that is no warning)
    tl.load(path)
    said = [str(warning.message) for warning in recwarn if "known holes" in str(warning.message)]
    assert len(said) == warned
    (keras_line,) = (line for line in REQUIREMENTS if line.startswith("keras>"))
    assert all(f'`pip install "{keras_line}"`' in line and version in line for line in said)
