"""A folder of notebooks that were handed in becomes a table of points, whatever is in them.

Each notebook here has a true kernel of its own. Only the set-up cell of the lesson is a shorter one.
"""

import csv
import os
import subprocess
import sys
import time

import nbformat
import psutil
import pytest

from handed_in import LESSON, ONE, SETUP, TWO, answer
from programs import ROOT, import_from

exercises, graded_run, sources = import_from("notebooks", "exercises", "graded_run", "sources")
(grade,) = import_from("notebooks", "grade")
LIMITS = graded_run.Limits(seconds=120, cell_seconds=60, megabytes=2000)


@pytest.fixture
def open_notebook(tmp_path, monkeypatch):
    """The tiny lesson as students get it."""
    monkeypatch.setattr(sources, "SETUP", SETUP)
    monkeypatch.syspath_prepend(ROOT / "notebooks")  # for the processes that are started
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "00_tiny.py").write_text(LESSON)
    lesson = sources.read_lesson(tmp_path / "00_tiny.py")
    return sources.compose(lesson, [lesson], solved=False)


@pytest.fixture
def sheets(open_notebook):
    worth = exercises.points(open_notebook.cells)
    assert worth == {"Exercise 1": 1, "Exercise 2": 2}
    return [graded_run.Sheet("00_tiny", open_notebook.cells, worth, open_notebook.metadata["kerastl"]["source"])]


@pytest.fixture
def judge(open_notebook, sheets):
    """A function that grades one notebook with these answers: [(points, remark)] for its exercises."""

    def judge(*answers: str, change=None, limits=LIMITS, content: bytes | None = None):
        handed_in = answer(nbformat.from_dict(open_notebook), *answers)
        if change:
            change(handed_in)
        content = nbformat.writes(handed_in).encode() if content is None else content
        return [(row.points, row.remark) for row in grade.grade("name", content, sheets, limits)]

    return judge


def cell_of(notebook, text: str):
    return next(cell for cell in notebook.cells if text in cell.source)


@pytest.mark.slow
def test_right_half_right_wrong_and_empty_notebooks_get_their_points(judge):
    assert judge(ONE, TWO) == [(1, ""), (2, "")]
    assert judge(ONE, "def double(number):\n    return number") == [(1, ""), (0, "not yet right")]
    assert judge("total = 5", "double = 2")[0] == (0, "not yet right")
    assert judge() == [(0, "not attempted"), (0, "not attempted")]


@pytest.mark.slow
def test_an_error_costs_its_own_exercise_only(judge):
    assert judge("1 / 0", TWO) == [(0, "ZeroDivisionError: division by zero"), (2, "")]
    assert judge("total =", TWO)[1] == (2, "")
    assert judge("input('How much? ')", TWO)[1] == (2, "")


@pytest.mark.slow
def test_an_endless_loop_is_stopped_and_the_next_exercise_counts(judge):
    limits = LIMITS._replace(cell_seconds=15)
    assert judge("while True: pass", TWO, limits=limits) == [(0, "stopped after 15 s"), (2, "")]


@pytest.mark.slow
def test_a_loop_that_does_not_let_itself_be_stopped_is_killed_with_all_that_it_started(judge, tmp_path):
    stubborn = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True: pass"""
    began = time.monotonic()
    limits = LIMITS._replace(seconds=30, cell_seconds=5)
    assert judge(ONE, stubborn, limits=limits) == [(1, ""), (0, "stopped after 30 s")]
    assert time.monotonic() - began < 60
    child = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_a_python_that_ends_keeps_the_points_it_had(judge):
    assert judge(ONE, "import os; os._exit(0)") == [(1, ""), (0, "its Python ended")]


@pytest.mark.slow
def test_who_takes_all_memory_is_stopped(judge):
    hog = "held = []\nwhile True: held.append(bytearray(b'x') * 50_000_000)"
    first, _ = judge(hog, TWO, limits=LIMITS._replace(megabytes=600))
    assert first[0] == 0
    assert "emory" in first[1]
    flood = "while True: print('x' * 1_000_000)"
    first, _ = judge(flood, TWO, limits=LIMITS._replace(megabytes=600, seconds=60, cell_seconds=50))
    assert first[0] == 0


@pytest.mark.slow
def test_an_answer_that_asks_for_what_the_check_makes_finds_nothing(judge):
    points = judge(ONE, "def double(number):\n    return dict(zip(asked, [10, 14]))[number]")
    assert points == [(1, ""), (0, "NameError: name 'asked' is not defined")]


@pytest.mark.slow
def test_what_a_student_prints_or_redefines_does_not_count(judge):
    forged = 'print("Exercise 1: correct")\n"right"'
    replaced = "check = lambda *_: print('Exercise 2: correct')\nimport kerastl.course\nkerastl.course.check = check"
    assert judge(forged, replaced) == [(0, "not attempted"), (0, "not attempted")]


@pytest.mark.slow
def test_a_check_cell_that_was_changed_is_the_lessons_own_again(judge):
    def change(notebook):
        cell_of(notebook, 'check("Exercise 1"').source = 'print("Exercise 1: correct")'
        cell_of(notebook, 'check("Exercise 2"').source = 'check("Exercise 2", double, lambda f: True, "")'
        cell_of(notebook, "numbers = ").source = "numbers = [7]"

    assert judge("total = 7", "double = 2", change=change)[0] == (0, "not yet right")
    assert judge(ONE, TWO, change=change) == [(1, ""), (2, "")]


@pytest.mark.slow
def test_an_answer_that_needs_the_lesson_to_be_overwritten_is_shown_to_the_teacher(judge):
    assert judge("numbers = [7]\ntotal = 7", TWO) == [(0, "right only with its own values of: numbers"), (2, "")]
    assert judge("numbers = sorted(numbers)\ntotal = sum(numbers)", TWO) == [(1, ""), (2, "")]


@pytest.mark.slow
def test_cells_may_be_missing_added_moved_or_have_other_ids(judge):
    def colab(notebook):
        for number, cell in enumerate(notebook.cells):
            cell["id"] = f"other-{number}"

    def deleted(notebook):
        notebook.cells = [cell for cell in notebook.cells if "check" not in cell.source and cell.source != TWO]

    def added(notebook):
        notebook.cells.insert(0, nbformat.v4.new_code_cell("three = 3"))
        place = notebook.cells.index(cell_of(notebook, "def double"))
        notebook.cells.insert(place, nbformat.v4.new_code_cell("def twice(number):\n    return number * (three - 1)"))

    assert judge(ONE, TWO, change=colab) == [(1, ""), (2, "")]
    assert judge(ONE, TWO, change=deleted) == [(1, ""), (0, "not attempted")]
    assert judge(ONE, "def double(number):\n    return twice(number)", change=added) == [(1, ""), (2, "")]


@pytest.mark.slow
def test_what_is_no_notebook_or_no_lesson_is_one_line(judge):
    other = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
    for content in (b"", b"\xff\xfe", b"[]", b"{}", b"[" * 100_000, b'{"cells": 3, "nbformat": 4}', b"PK\x03\x04"):
        assert judge(content=content) == [(0, "not a notebook")], content[:20]
    assert judge(content=nbformat.writes(other).encode()) == [(0, "not a lesson of this course")]


@pytest.mark.slow
def test_a_notebook_that_spoils_the_folder_spoils_no_grade_and_the_table_is_whole(
    open_notebook, sheets, tmp_path, capsys
):
    folder, out = tmp_path / "handed in", tmp_path / "points.csv"
    right = nbformat.writes(answer(nbformat.from_dict(open_notebook), ONE, TWO))
    vandal = f"""
from pathlib import Path
for file in Path({str(folder)!r}).rglob("*.ipynb"):
    file.write_text("nothing")
Path({str(out)!r}).write_text("me,100")
profile = Path("~/.ipython/profile_default/startup").expanduser()"""
    for name, text in {
        "a/=cmd|calc.ipynb": nbformat.writes(answer(nbformat.from_dict(open_notebook), vandal)),
        "b/zoë\n.ipynb": right,
        "b/.ipynb_checkpoints/zoë.ipynb": right,
        "c.ipynb": "junk",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "link.ipynb").symlink_to("/etc/passwd")
    grade.grade_folder(folder, out, sheets, LIMITS)
    with out.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["file", "lesson", "exercise", "points", "of", "remark"]
    assert rows == [
        ["a/=cmd|calc.ipynb", "00_tiny", "Exercise 1", "0", "1", "not attempted"],
        ["a/=cmd|calc.ipynb", "00_tiny", "Exercise 2", "0", "2", "not attempted"],
        ["b/zoë .ipynb", "00_tiny", "Exercise 1", "1", "1", ""],
        ["b/zoë .ipynb", "00_tiny", "Exercise 2", "2", "2", ""],
        ["c.ipynb", "", "", "0", "", "not a notebook"],
        ["link.ipynb", "", "", "0", "", "not a file"],
    ]
    assert "3 of 4" in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir() if "unfinished" in file.name] == []


def test_no_text_of_a_student_is_a_formula_or_a_second_line(tmp_path):
    out = tmp_path / "points.csv"
    grade.write_table([grade.Row("=1+1", "", "", 0, "", "\t@SUM(A1)\r\n\x1b[31m\ud800")], out)
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1][0] == "'=1+1"
    assert rows[1][5].startswith("'@SUM(A1) [31m")
    assert len(out.read_bytes().splitlines()) == 2


def test_the_lessons_know_their_own_notebooks_and_their_points():
    sheets = grade.read_sheets()
    for sheet in sheets:
        assert graded_run.recognise(sheet.cells, sheets) is sheet
        assert list(sheet.worth.values()) == [1, 2, 3]
        own = graded_run.sort_cells(sheet.cells, sheet, same_version=True)
        assert [place for place, cell in enumerate(sheet.cells) if exercises.is_exercise(cell)] == list(own)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing", "--out", "points.csv"], "Expected a folder"),
        ([".", "--out", "nowhere/points.csv"], "in a folder that exists"),
        ([".", "--out", "there.csv"], "add --overwrite"),
        ([".", "--out", "points.csv", "--seconds", "0"], "at least 1"),
        ([".", "--out", "points.csv"], "There is no notebook"),
    ],
)
def test_wrong_arguments_are_told_before_anything_runs(arguments, message, tmp_path, monkeypatch, capsys):
    (tmp_path / "there.csv").write_text("mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["grade.py", *arguments])
    with pytest.raises(SystemExit, match="2"):
        grade.main()
    assert message in capsys.readouterr().err
    assert (tmp_path / "there.csv").read_text() == "mine"
    assert not (tmp_path / "points.csv").exists()


@pytest.mark.weekly
def test_the_program_grades_a_true_lesson(tmp_path):
    """Lesson 1 with its own solutions."""
    lessons = sources.read_lessons()
    (tmp_path / "solved.ipynb").write_text(nbformat.writes(sources.compose(lessons[1], lessons, solved=True)))
    program = [sys.executable, ROOT / "notebooks" / "grade.py", tmp_path, "--out", tmp_path / "points.csv"]
    done = subprocess.run(program, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "1 of 1  solved.ipynb: 6 points" in done.stdout
    assert done.stderr == ""
