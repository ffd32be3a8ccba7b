"""The lessons as a course for nbgrader, and nbgrader itself on notebooks that were handed in."""

import importlib.util
import os
import sys

import nbformat
import pytest

from handed_in import LESSON, ONE, SETUP, TWO, answer
from programs import ROOT, import_from

for_nbgrader, sources = import_from("notebooks", "for_nbgrader", "sources")
LESSONS = sources.read_lessons()
without_nbgrader = pytest.mark.skipif(
    importlib.util.find_spec("nbgrader") is None, reason="needs requirements-nbgrader.txt: `make nbgrader`"
)


def about(notebook, kind: str) -> list:
    """The cells of one kind, as nbgrader sees them."""
    return [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get(kind)]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_each_exercise_is_a_solution_cell_and_each_check_a_locked_grade_cell_with_points(lesson):
    made = for_nbgrader.for_nbgrader(lesson, LESSONS)
    nbformat.validate(made)
    answers, checks = about(made, "solution"), about(made, "grade")
    assert [cell.metadata.nbgrader.points for cell in checks] == [1, 2, 3]
    assert [cell.metadata.nbgrader.grade_id for cell in checks] == ["exercise-1", "exercise-2", "exercise-3"]
    assert len(answers) == 3
    assert all(" = ...\n" in cell.source.partition("### BEGIN SOLUTION")[0] for cell in answers)
    assert all(cell.source.endswith("### END SOLUTION") for cell in answers)
    assert not any("# wrong:" in cell.source for cell in made.cells)
    assert all("raise AssertionError" in cell.source for cell in checks)
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    assert about(made, "locked") == [cell for cell in code if cell not in answers]
    names = [cell.metadata.nbgrader.grade_id for cell in code]
    assert len(set(names)) == len(names)
    for cell in checks:
        compile(cell.source, "cell", "exec")


def test_a_course_is_written_once_more_without_the_loss_of_what_a_teacher_put_there(tmp_path):
    written = for_nbgrader.write_course(tmp_path)
    assert len(written) == len(LESSONS)
    (tmp_path / "nbgrader_config.py").write_text("mine")
    (tmp_path / "gradebook.db").write_text("grades")
    before = [file.read_bytes() for file in written]
    for_nbgrader.write_course(tmp_path)
    assert [file.read_bytes() for file in written] == before
    assert (tmp_path / "nbgrader_config.py").read_text() == "mine"
    assert (tmp_path / "gradebook.db").read_text() == "grades"


HANDED_IN = {  # student: (what the two exercise cells hold, points)
    "right": ((ONE, TWO), 3),
    "half": ((ONE, "double = 2"), 1),
    "wrong": (("total = 7", "def double(number):\n    return number"), 0),
    "empty": ((), 0),
    "raises": (("1 / 0", TWO), 2),
    "endless": (("while True: pass", TWO), 2),
    "forged": (('print("Exercise 1: correct")', "check = lambda *_: print('Exercise 2: correct')"), 0),
    "dies": ((ONE, "import os; os._exit(1)"), 0),  # nbgrader says so, and goes on with the next student
}


@pytest.mark.slow
@without_nbgrader
def test_nbgrader_makes_the_students_version_and_gives_the_points(tmp_path, monkeypatch):
    from nbgrader.api import Gradebook
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    monkeypatch.setattr(sources, "SETUP", SETUP)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))  # `alembic`
    (tmp_path / "00_tiny.py").write_text(LESSON)
    tiny = sources.read_lesson(tmp_path / "00_tiny.py")
    source = tmp_path / "source" / "tiny" / "tiny.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(for_nbgrader.for_nbgrader(tiny, [tiny]), source)

    config = Config()
    exec(for_nbgrader.CONFIG.format(seconds=15), {"get_config": lambda: config})  # noqa: S102
    config.CourseDirectory.root = str(tmp_path)
    api = NbGraderAPI(config=config)
    made = api.generate_assignment("tiny")
    assert made["success"], made
    released = tmp_path / "release" / "tiny" / "tiny.ipynb"
    text = released.read_text()
    assert not any(secret in text for secret in ("sum(numbers)\\n", "return 2", "SOLUTION", "HIDDEN", "AssertionError"))

    for student, (answers, _) in HANDED_IN.items():
        file = tmp_path / "submitted" / student / "tiny" / "tiny.ipynb"
        file.parent.mkdir(parents=True)
        nbformat.write(answer(nbformat.read(released, as_version=4), *answers), file)
    failed = [student for student in HANDED_IN if not api.autograde("tiny", student)["success"]]
    assert failed == ["dies"]
    with Gradebook(api.coursedir.db_url) as gradebook:
        scores = {student: gradebook.find_submission("tiny", student).score for student in HANDED_IN}
    assert scores == {student: worth for student, (_, worth) in HANDED_IN.items()}
