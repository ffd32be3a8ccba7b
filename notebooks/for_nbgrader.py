"""Write the lessons as a course for nbgrader: `make nbgrader`. GRADING.md says how to go on from there.

Each lesson becomes one assignment, source/LESSON/LESSON.ipynb, with the cell metadata that nbgrader knows: an exercise
is a solution cell, its check is a grade cell with one point for a star, every other code cell is locked. nbgrader
itself makes the students' version of it. Nothing is executed here.
"""

import argparse
import re
import sys
from pathlib import Path

import nbformat

from build import SECONDS
from exercises import Check, is_check, is_exercise, points, read_check, read_exercise
from sources import HERE, Lesson, compose, read_lessons

SCHEMA = 3  # of the metadata of a cell, in nbgrader 0.9
CONFIG = """# Written once by `make nbgrader`. Change it as you like: it is not written again.
c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "kerastl"
c.Execute.timeout = {seconds}  # seconds for a cell; the lessons train networks
c.ClearSolutions.code_stub = {{"python": "# Your code here"}}  # not an error: the notebook must run to its end
"""


def for_nbgrader(lesson: Lesson, lessons: list[Lesson]) -> nbformat.NotebookNode:
    """One lesson, with its solutions between nbgrader's marks, and metadata for each cell of code."""
    notebook, worth = compose(lesson, lessons, solved=False), points(lesson.cells)
    written = iter([cell for cell in lesson.cells if is_exercise(cell)])
    for cell in notebook.cells:
        if is_exercise(cell):
            cell.source, name = _with_solution(next(written).source), f"answer-{cell.id}"
            _mark(cell, name, solution=True)
        elif is_check(cell):
            check = read_check(cell.source)
            cell.source += _hidden(check)
            _mark(cell, check.title.lower().replace(" ", "-"), grade=True, locked=True, points=worth[check.title])
        elif cell.cell_type == "code":
            _mark(cell, cell.id, locked=True)
    first, last = notebook.cells[0], notebook.cells[-1]
    first.source = re.sub(r"\n\n\[Open in Colab\].*", "", first.source)  # each assignment has a folder of its own,
    last.source = re.sub(r"\n\n\*\*Next:\*\*.*", "", last.source)  # and no lesson lies beside it
    return notebook


def _with_solution(source: str) -> str:
    exercise = read_exercise(source)
    solution = exercise.solved.removeprefix(exercise.asked).strip()
    return f"{exercise.asked}\n### BEGIN SOLUTION\n{solution}\n### END SOLUTION"


def _hidden(check: Check) -> str:
    """`check` only prints. What gives no point is an error, in lines that a student does not see."""
    return (
        f"\n### BEGIN HIDDEN TESTS\n{check.before}\n"
        f"if ({check.answer}) is ... or not ({check.is_right})({check.answer}):\n"
        f"    raise AssertionError({check.hint})\n### END HIDDEN TESTS"
    )


def _mark(cell: nbformat.NotebookNode, name: str, **what) -> None:
    about = {"grade": False, "solution": False, "locked": False, "task": False} | what
    cell.metadata["nbgrader"] = {"grade_id": name, "schema_version": SCHEMA, "cell_type": cell.cell_type} | about
    cell.metadata.pop("jupyter", None)  # nbgrader's own tools do not show folded cells


def write_course(folder: Path) -> list[Path]:
    """Write all lessons, and the configuration where there is none; nothing else in the folder is touched."""
    lessons, written = read_lessons(), []
    for lesson in lessons:
        file = folder / "source" / lesson.name / f"{lesson.name}.ipynb"
        file.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(for_nbgrader(lesson, lessons), file)
        written.append(file)
    config = folder / "nbgrader_config.py"
    if not config.exists():
        config.write_text(CONFIG.format(seconds=SECONDS), encoding="utf-8")
    return written


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "nbgrader", help="the folder of the course")
    folder = parser.parse_args().out
    print(f"{len(write_course(folder))} assignments in {folder / 'source'}; GRADING.md says how to go on.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
