"""The page of a run: complete, self-contained, safe, and true to the figures. (How it looks: test_browser.py.)"""

import base64
import html.parser
import io
import re

import keras
import numpy as np
import pytest
from PIL import Image

import kerastl as tl
from kerastl import report
from kerastl.report import Run, make_report

EVIL = "<script>alert('1')</script>&\"'"


class Reader(html.parser.HTMLParser):
    """Collects tags with their attributes, and the text."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def finished(make_toy, settle, arrays, ordered_data):
    """(run, model, data) after a short training in two phases; the class names are hostile. Only for reading."""
    keras.utils.set_random_seed(0)
    toy = settle(make_toy(), arrays["train"][0])
    data = ordered_data._replace(class_names=[EVIL, "日本語", "plain"])
    blocks = [tl.list_blocks(toy)]
    phase1 = tl.train_head(toy, data, epochs=1, learning_rate=1e-3, verbose=0)
    tl.unfreeze_top(toy, 3)
    blocks.append(tl.list_blocks(toy))
    phase2 = tl.fine_tune(toy, data, epochs=1, verbose=0)
    result = tl.evaluate(toy, data.test)
    results = [{"name": "fine-tuned", "test_accuracy": result.accuracy, "seconds": 1.5}]
    return Run(f"Title {EVIL}", [("pictures", EVIL)], results, blocks, [phase1, phase2], result), toy, data


@pytest.mark.usefixtures("matplotlib_stays")
def test_the_page_is_one_file_that_loads_nothing_and_runs_nothing(finished):
    page = make_report(*finished)
    reader = Reader(page)
    assert not reader.all("script")
    assert not [name for _, attributes in reader.tags for name in attributes if name.startswith("on")]
    addresses = [value for _, tag in reader.tags for name, value in tag.items() if name in ("src", "href")]
    assert all(address.startswith("data:") for address in addresses)
    assert not re.search(r"url\(|@import|http", page.replace("http-equiv", ""))
    assert any("default-src 'none'" in tag.get("content", "") for tag in reader.all("meta"))
    assert len(page.encode()) < 3e6


def test_every_picture_is_inside_as_a_whole_png_with_its_size_and_words(finished):
    images = Reader(make_report(*finished)).all("img")
    assert len(images) >= 6
    for tag in images:
        picture = Image.open(io.BytesIO(base64.b64decode(tag["src"].removeprefix("data:image/png;base64,"))))
        picture.load()
        assert abs(picture.width - int(tag["width"])) <= 1
        assert abs(picture.height - int(tag["height"])) <= 1
        assert len(tag["alt"]) > 5


def test_what_comes_from_outside_is_text_and_nothing_else(finished):
    page = make_report(*finished)
    assert "<script" not in page
    assert Reader(page).text.count(EVIL) >= 3  # the title, the pictures, the class


def test_the_page_tells_what_was_measured(finished):
    run, _, _ = finished
    text = Reader(make_report(*finished)).text
    assert str(run.evaluation) in text
    assert f"{run.evaluation.accuracy:.3f}" in text
    for score in run.evaluation.class_scores:
        assert f"{score.recall:.3f}" in text


def test_mistakes_are_shown_with_both_classes(finished):
    run, model, data = finished
    probabilities = np.full((9, 3), 0.25, "float32")
    probabilities[:, 2] = 0.5  # every picture is "plain"
    result = run.evaluation._replace(probabilities=probabilities)
    text = Reader(make_report(run._replace(evaluation=result), model, data)).text
    assert text.count("is 日本語 (0.25)said plain (0.50)") == 3
    assert text.count(f"is {EVIL} (0.25)said plain (0.50)") == 3


def test_without_mistakes_or_history_the_page_says_so_and_holds(finished):
    run, model, data = finished
    perfect = run.evaluation._replace(probabilities=np.eye(3, dtype="float32")[run.evaluation.labels])
    text = Reader(make_report(run._replace(evaluation=perfect, phases=[]), model, data)).text
    assert "There is none in 9 pictures" in text
    assert "How it went" not in text


def test_a_model_whose_maps_cannot_be_had_still_gets_its_page(finished, monkeypatch):
    run, model, data = finished

    def refuse(*_):
        raise ValueError("no heat today")

    monkeypatch.setattr(report, "heat_maps", refuse)
    assert "Use the file" in Reader(make_report(run, model, data)).text


def test_the_code_without_this_package_runs_as_it_stands(finished, tmp_path, monkeypatch):
    _, model, data = finished
    tl.save(model, tmp_path / "model.keras", data.class_names)
    monkeypatch.chdir(tmp_path)
    code = re.findall("<pre>(.*?)</pre>", make_report(*finished), re.DOTALL)[-1]
    names = {}
    exec(html.unescape(code), names)  # noqa: S102
    assert "kerastl" not in code
    assert names["model"].output_shape == model.output_shape
