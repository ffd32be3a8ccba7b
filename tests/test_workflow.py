"""The ten lines of the workflow, from end to end, and the front door."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kerastl as tl


def run_python(*arguments: str) -> subprocess.CompletedProcess:
    folder = os.path.dirname(os.path.dirname(os.path.abspath(tl.__file__)))
    environment = {**os.environ, "PYTHONPATH": folder}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, encoding="utf-8", env=environment, check=False
    )


def test_the_ten_lines_run_from_a_folder_to_a_prediction(picture_folder, tmp_path, differing):
    pictures = tl.load_images(picture_folder, image_size=32)
    model = tl.build_model("MobileNetV2", pictures, weights=None, alpha=0.35)
    start = tl.snapshot(model)
    phase1 = tl.train_head(model, pictures, epochs=2, verbose=0)
    assert {"classifier/kernel"} <= differing(start, tl.snapshot(model)) <= {"classifier/kernel", "classifier/bias"}
    tl.unfreeze_top(model, 30)
    phase2 = tl.fine_tune(model, pictures, epochs=2, verbose=0)
    top = {weight.path for weight in model.trainable_weights}
    moved = differing(start, tl.snapshot(model))
    assert len(top) == 12
    assert {"classifier/kernel", "Conv_1/kernel"} <= moved <= top  # with random weights some gradients are 0
    axes = tl.plot_history(phase1, phase2)
    assert axes[0].lines[0].get_xdata().tolist() == [1, 2, 3, 4]
    result = tl.evaluate(model, pictures.test)
    assert len(result.labels) == 6
    path = tl.save(model, tmp_path / "pictures.keras", pictures.class_names)

    photo = tmp_path / "photo.png"
    image = next(iter(pictures.test))[0][0].numpy()
    Image.fromarray(image).save(photo)
    said = tl.predict(path, photo)
    expected = model.predict_on_batch(image[None].astype("float32"))[0]
    assert {guess.class_name: guess.probability for guess in said} == dict(
        zip(pictures.class_names, map(float, expected), strict=True)
    )
    again = tl.evaluate(tl.load(path).model, pictures.test)
    assert np.array_equal(again.probabilities, result.probabilities)


def test_importing_the_package_loads_no_framework():
    code = "import sys, kerastl; print([m for m in ('tensorflow', 'keras', 'matplotlib') if m in sys.modules])"
    done = run_python("-c", code)
    assert done.stdout.strip() == "[]", done.stderr


def test_help_loads_no_framework_and_shows_how_to_start():
    code = (
        "import sys, runpy; sys.argv = ['kerastl', '--help']\n"
        "try: runpy.run_module('kerastl', run_name='__main__')\n"
        "except SystemExit as end: print('ended', end.code)\n"
        "print([m for m in ('tensorflow', 'keras', 'matplotlib') if m in sys.modules])"
    )
    done = run_python("-c", code)
    assert done.stdout.strip().splitlines()[-2:] == ["ended 0", "[]"], done.stderr
    assert "train drawn_flowers" in done.stdout


def test_every_public_name_can_be_imported_and_says_what_it_is():
    assert len(tl.__all__) == len(set(tl.__all__))
    for name in tl.__all__:
        assert getattr(tl, name).__doc__
        assert name in dir(tl)


def test_type_checkers_see_the_names_that_are_there():
    stub = Path(tl.__file__).with_suffix(".pyi").read_text()
    seen = re.findall(r"^from kerastl\.(\S+) import (\w+) as \2$", stub, flags=re.MULTILINE)
    assert {name: home for home, name in seen} == tl._HOME


@pytest.mark.parametrize("name", [name for name in tl.__all__ if inspect.isfunction(getattr(tl, name))])
def test_every_argument_and_result_says_its_type(name):
    signature = inspect.signature(getattr(tl, name))
    types = [signature.return_annotation, *(argument.annotation for argument in signature.parameters.values())]
    assert inspect.Signature.empty not in types


def test_an_unknown_name_is_an_error_that_lists_what_there_is():
    with pytest.raises(AttributeError, match=r"'kerastl' has no attribute 'train'; it has .*train_head"):
        tl.train  # noqa: B018
