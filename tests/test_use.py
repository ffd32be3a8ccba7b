"""The page on use: its code runs, on any data and model, and shows what the page says that it shows."""

import re

import numpy as np
import pytest

import kerastl as tl
from kerastl.data import as_arrays
from programs import ROOT

PAGE = (ROOT / "notebooks" / "USE.md").read_text(encoding="utf-8")
FIRST, *TRIED = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_each_question_has_something_to_try_and_something_to_talk_about():
    questions = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    assert len(questions) == 5
    for question in questions:
        assert question.splitlines()[0].endswith("?")
        assert question.count("**Try.**") == question.count("**Talk.**") == 1, question
        assert "?" in question.split("**Talk.**")[1]


def test_the_page_is_short_and_plain():
    prose = re.sub(r"^```.*?^```$|\]\(.+?\)", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(prose.split()) < 900
    for sentence in re.split(r"(?<=[.?!:])\s|\n\n|^- ", prose, flags=re.MULTILINE):
        assert len(sentence.split()) <= 32, sentence
    for page in ("README.md", "TEACHING.md"):
        assert "](USE.md" in (ROOT / "notebooks" / page).read_text(encoding="utf-8")


@pytest.fixture
def tried(data, model, tmp_path, monkeypatch, capsys):
    """What the page's cells print and leave behind, on tiny data: the first of them is replaced by these."""
    monkeypatch.chdir(tmp_path)
    pictures, labels = as_arrays(data.test)
    names = {"data": data, "model": model, "pictures": pictures, "labels": labels}
    names |= {"result": tl.evaluate(model, data.test)}
    exec(FIRST.split("\n\n")[0], names)  # noqa: S102 (its imports)
    for cell in TRIED:
        exec(cell, names)  # noqa: S102
    return names, capsys.readouterr().out


def test_what_there_is_to_try_runs_and_shows_what_it_should(tried, data):
    names, printed = tried
    for name in data.class_names:
        assert re.search(rf"^{name} .*\d", printed, re.MULTILINE)  # recall by class
    assert printed.count("accuracy") == 2
    assert "Prediction(class_name=" in printed
    assert tl.load(names["file"]).class_names == data.class_names
    centre, other = (names["elsewhere"][:, 16, 16], names["elsewhere"][:, 0, 0])
    assert np.array_equal(centre, names["pictures"][:, 16, 16])  # the thing stays
    assert not np.array_equal(other, names["pictures"][:, 0, 0])  # its place does not
    assert 0.2 < names["middle"].mean() < 0.6


@pytest.mark.slow
def test_the_first_cell_runs_and_another_background_costs_accuracy(tmp_path, monkeypatch, capsys):
    """Otherwise the page would ask for the reason of a difference that is not there."""
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(FIRST, names)  # noqa: S102
    exec(next(cell for cell in TRIED if "elsewhere" in cell), names)  # noqa: S102
    before, after = re.findall(r"accuracy (0\.\d+) .*\n", capsys.readouterr().out)[-2:]
    assert float(before) > float(after) + 0.03
