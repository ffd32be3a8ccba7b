"""A lesson as it is written, and the two notebooks that it gives: for students, and with the exercises solved.

The sources are src/NN_name.py (jupytext, py:percent) with a head of facts; nothing is executed here (see build.py).
The capstone, src/capstone.py, has no number, and cells that only its solution shows.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import jupytext
import nbformat
import yaml

from exercises import WRONG, is_check, is_exercise, read_exercise
from kerastl.plots.workflow import STEPS
from slide_places import mark_slides

HERE = Path(__file__).parent
SETUP = """# The same in every lesson. Change WORLD to "photos" for real photos and ImageNet weights.
WORLD = "drawn"

import importlib.util
import sys
from pathlib import Path
def is_missing():
    spec = importlib.util.find_spec("kerastl")
    return spec is None or spec.origin is None  # the folder of a clone has this name, too, but no origin
IN_COLAB = "google.colab" in sys.modules
if IN_COLAB and is_missing():
    source = "./kerastl" if Path("kerastl/pyproject.toml").exists() else "git+{repository}"
    get_ipython().run_line_magic("pip", "install -q " + source)
if is_missing():
    class NotInstalled(Exception):
        def _render_traceback_(self):  # what Jupyter shows
            if IN_COLAB:
                return ["kerastl could not be installed. Ask your teacher for its wheel (.whl). Upload it with the",
                        "file browser on the left, and run %pip install kerastl-*.whl in a new cell above this one."]
            return ["kerastl is not in this kernel. Run `make lab` in its folder, or choose the kernel .venv there."]
    raise NotInstalled

from kerastl.course import begin, check
world = begin(WORLD, step="{step}")"""


class Lesson(NamedTuple):
    """One source, read."""

    name: str  # of the file, without its ending
    facts: dict  # the head of the file: title, minutes, needs, goals, step
    cells: list
    digest: str  # of the source
    refuses: str  # the digest of its wrong answers; empty where there are none


def read_lessons() -> list[Lesson]:
    """All sources, in the order of their numbers."""
    return [read_lesson(file) for file in sorted((HERE / "src").glob("[0-9][0-9]_*.py"))]


def read_capstone() -> Lesson:
    return read_lesson(HERE / "src" / "capstone.py")


def read_lesson(file: Path) -> Lesson:
    text = file.read_text(encoding="utf-8")
    notebook = jupytext.reads(text, fmt="py:percent")
    head, *cells = notebook.cells
    if head.cell_type != "raw":
        raise ValueError(f"{file.name} begins without its head: title, minutes, needs, goals and step between two ---.")
    wrong = "\n".join(line for line in text.splitlines() if line.startswith(WRONG))
    facts = yaml.safe_load(head.source.strip("-\n "))
    return Lesson(file.stem, facts, cells, digest(text), digest(wrong) if wrong else "")


def digest(source: str) -> str:
    """What tells whether a notebook comes from this source, and from this form of the set-up cell."""
    return hashlib.sha256((SETUP + source).encode()).hexdigest()[:16]


def repository() -> str:
    """The project's address; it stands in pyproject.toml and nowhere else."""
    return re.search(r'^Repository = "(.+)"', (HERE.parent / "pyproject.toml").read_text(), re.MULTILINE).group(1)


def compose(lesson: Lesson, lessons: list[Lesson], solved: bool) -> nbformat.NotebookNode:
    """The notebook, not executed yet."""
    setup = nbformat.v4.new_code_cell(SETUP.format(repository=repository(), step=lesson.facts["step"]))
    cells = [nbformat.v4.new_markdown_cell(_head(lesson, lessons, solved)), setup]
    for cell in lesson.cells:
        tags = cell.metadata.get("tags", [])
        source = cell.source
        if "solution" in tags and not solved:
            continue
        if is_exercise(cell):
            exercise = read_exercise(source)
            source = exercise.solved if solved else exercise.asked
        metadata = {"tags": tags} if tags else {}
        if is_check(cell):  # folded: it tells the answer
            source = f"# Run this cell to see whether your answer is right.\n{source}"
            metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}
        new = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
        cells.append(new(source, metadata=metadata))
    cells[-1].source += _next(lesson, lessons)
    for cell in cells:
        _attach_pictures(cell)
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number:02d}"
    mark_slides(cells)
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel | {"language_info": {"name": "python"}})
    notebook.metadata["kerastl"] = {"source": lesson.digest}
    if solved and lesson.refuses:
        notebook.metadata["kerastl"]["refuses"] = lesson.refuses
    return notebook


def _attach_pictures(cell: nbformat.NotebookNode) -> None:
    """Put the drawings of pictures/ that a text shows into its cell: the notebook may be opened anywhere."""
    files = re.findall(r"\]\(pictures/([^)]+)\)", cell.source) if cell.cell_type == "markdown" else []
    for file in files:
        drawn = base64.b64encode((HERE / "pictures" / file).read_bytes()).decode()
        cell.setdefault("attachments", {})[file] = {"image/svg+xml": drawn}
        cell.source = cell.source.replace(f"](pictures/{file})", f"](attachment:{file})")


def _head(lesson: Lesson, lessons: list[Lesson], solved: bool) -> str:
    number = _number(lesson, lessons)
    path = f"notebooks/{'solutions/' if solved else ''}{lesson.name}.ipynb"
    colab = repository().replace("https://github.com/", "https://colab.research.google.com/github/")
    links = [f"[Open in Colab]({colab}/blob/main/{path})"]
    for word, place in (("before", number - 1), ("next", number + 1)):
        if 0 <= place < len(lessons):
            links.append(f"{word}: {link(lessons[place])}")
    goals = "\n".join(f"- {goal}" for goal in lesson.facts["goals"])
    steps = " → ".join(f"**{step}**" if step == lesson.facts["step"] else step for step in STEPS)
    solution = "\n\n*With the exercises solved.*" if solved else ""
    return (
        f"# {f'{number}. ' * (lesson in lessons)}{lesson.facts['title']}{solution}\n\n{' · '.join(links)}\n\n"
        f"**{lesson.facts['minutes']} minutes.** You need: {lesson.facts['needs']}.\n\n"
        f"After this {'lesson ' * (lesson in lessons)}you can:\n\n{goals}\n\n{steps}"
    )


def _number(lesson: Lesson, lessons: list[Lesson]) -> int:
    """Its place among the lessons; the capstone comes after the last one."""
    names = [other.name for other in lessons]
    return names.index(lesson.name) if lesson.name in names else len(lessons)


def _next(lesson: Lesson, lessons: list[Lesson]) -> str:
    """The last line of a lesson."""
    place = _number(lesson, lessons) + 1
    if place >= len(lessons):
        return ""
    return f"\n\n**Next:** {link(lessons[place])}"


def link(lesson: Lesson) -> str:
    """From one notebook to another, or from README.md."""
    return f"[{lesson.facts['title']}]({lesson.name}.ipynb)"
