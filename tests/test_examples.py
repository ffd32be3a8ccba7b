"""The examples in the docstrings run as they stand, and every public function has one."""

import doctest
import shutil
from pathlib import Path

import pytest

import kerastl as tl
from kerastl.data import as_arrays, few_of_each, make_dataset
from tiers import slow

PHOTO = Path(__file__).parent.parent / "data/drawn_flowers/test/tulip/000.jpg"
SLOW = {
    "export",
    "fine_tune",
    "plot_heat",
    "train_from_scratch",
    "without_augmentation",
}  # they compile much of a network
SLOW |= {"load_texts"}  # reads all files of five packages
FUNCTIONS = {name for name in tl.__all__ if callable(getattr(tl, name))}
pytestmark = pytest.mark.usefixtures("matplotlib_stays")


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> tuple[Path, dict]:
    """A folder, and the names that a user has after phase 1: what the examples build on. Few pictures, to be fast."""
    folder, flowers = tmp_path_factory.mktemp("examples"), tl.load_images("drawn_flowers")
    parts = []
    for dataset in flowers[:3]:
        images, labels = as_arrays(dataset)
        few = few_of_each(labels, 30)
        parts.append(make_dataset(images[few], labels[few], shuffle=dataset is flowers.train))
    flowers = tl.ImageData(*parts, flowers.class_names)
    model = tl.build_model("MobileNetV2", flowers, weights="garden")
    phase1 = tl.train_head(model, flowers, verbose=0)
    result = tl.evaluate(model, flowers.test)
    tl.save(model, folder / "flowers.keras", flowers.class_names)
    shutil.copy(PHOTO, folder / "photo.jpg")
    names = {"flowers": flowers, "model": model, "phase1": phase1, "result": result}
    return folder, {name: getattr(tl, name) for name in tl.__all__} | names


@pytest.mark.parametrize("name", [*sorted(FUNCTIONS - SLOW), *slow(*sorted(SLOW))])
def test_the_example_runs_as_it_stands(name, session, monkeypatch):
    folder, names = session
    monkeypatch.chdir(folder)
    tl.freeze(names["model"])  # another example may have unfrozen it
    example = doctest.DocTestParser().get_doctest(getattr(tl, name).__doc__, dict(names), name, None, 0)
    assert example.examples, f"The docstring of {name} has no example."
    said = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)
    assert not said, "".join(said)
