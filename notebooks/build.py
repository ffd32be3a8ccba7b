"""Make the lessons from their sources: `make lessons`, or `python notebooks/build.py 00 06` for some of them.

Each file in src/ (jupytext, py:percent) gives two notebooks: one for students, with the exercises open, and one in
solutions/, with the exercises solved. Both are executed from top to bottom, cleaned of all that changes by itself, and
written only when everything held: no error, nothing on stderr, no untouched exercise that reports "correct", no
solution that does not.
"""

import argparse
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

import jupytext
import nbformat
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

HERE = Path(__file__).parent
SECONDS = 150  # the most that a lesson may take
SOLUTION = "# solution"  # in a cell tagged "exercise": what comes after this line is for solutions/ only
SETUP = """# The same in every lesson. Change WORLD to "photos" for real photos and ImageNet weights.
WORLD = "drawn"

import importlib.util
import sys
if "google.colab" in sys.modules and importlib.util.find_spec("kerastl") is None:
    get_ipython().run_line_magic("pip", "install -q git+{repository}")
if importlib.util.find_spec("kerastl") is None:
    raise SystemExit("kerastl is not installed here. In the project's folder run `make lab`, or `pip install -e .`")

from kerastl.course import begin, check
world = begin(WORLD)"""


class Lesson(NamedTuple):
    """One source, read."""

    name: str  # of the file, without its ending
    facts: dict  # the head of the file: title, minutes, needs, goals, step
    cells: list
    digest: str  # of the source


def read_lessons() -> list[Lesson]:
    """All sources, in the order of their numbers."""
    return [read_lesson(file) for file in sorted((HERE / "src").glob("[0-9][0-9]_*.py"))]


def read_lesson(file: Path) -> Lesson:
    text = file.read_text(encoding="utf-8")
    notebook = jupytext.reads(text, fmt="py:percent")
    head, *cells = notebook.cells
    if head.cell_type != "raw":
        raise ValueError(f"{file.name} begins without its head: title, minutes, needs, goals and step between two ---.")
    return Lesson(file.stem, yaml.safe_load(head.source.strip("-\n ")), cells, digest(text))


def digest(source: str) -> str:
    """What tells whether a notebook comes from this source, and from this form of the set-up cell."""
    return hashlib.sha256((SETUP + source).encode()).hexdigest()[:16]


def repository() -> str:
    """The project's address; it stands in pyproject.toml and nowhere else."""
    return re.search(r'^Repository = "(.+)"', (HERE.parent / "pyproject.toml").read_text(), re.MULTILINE).group(1)


def compose(lesson: Lesson, lessons: list[Lesson], solved: bool) -> nbformat.NotebookNode:
    """The notebook, not executed yet."""
    setup = nbformat.v4.new_code_cell(SETUP.format(repository=repository()))
    cells = [nbformat.v4.new_markdown_cell(_head(lesson, lessons, solved)), setup]
    for cell in lesson.cells:
        tags = cell.metadata.get("tags", [])
        source = cell.source
        if "exercise" in tags:
            before, found, after = source.partition(f"{SOLUTION}\n")
            if not found:
                raise ValueError(f"{lesson.name}: an exercise has no line {SOLUTION!r}:\n{source}")
            source = f"{before}{after}".strip() if solved else before.strip()
        new = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
        cells.append(new(source, metadata={"tags": tags} if tags else {}))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number:02d}"
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel | {"language_info": {"name": "python"}})
    notebook.metadata["kerastl"] = {"source": lesson.digest}
    return notebook


def _head(lesson: Lesson, lessons: list[Lesson], solved: bool) -> str:
    number = [other.name for other in lessons].index(lesson.name)
    path = f"notebooks/{'solutions/' if solved else ''}{lesson.name}.ipynb"
    colab = repository().replace("https://github.com/", "https://colab.research.google.com/github/")
    links = [f"[Open in Colab]({colab}/blob/main/{path})"]
    for word, place in (("before", number - 1), ("next", number + 1)):
        if 0 <= place < len(lessons):
            links.append(f"{word}: [{lessons[place].facts['title']}]({lessons[place].name}.ipynb)")
    goals = "\n".join(f"- {goal}" for goal in lesson.facts["goals"])
    steps = " → ".join(f"**{step}**" if step == lesson.facts["step"] else step for step in STEPS)
    solution = "\n\n*With the exercises solved.*" if solved else ""
    return (
        f"# {number}. {lesson.facts['title']}{solution}\n\n{' · '.join(links)}\n\n"
        f"**{lesson.facts['minutes']} minutes.** You need: {lesson.facts['needs']}.\n\n"
        f"After this lesson you can:\n\n{goals}\n\n{steps}"
    )


STEPS = ("load", "look", "build", "phase 1", "phase 2", "test", "save and use")  # the workflow, in every lesson's head


def execute(notebook: nbformat.NotebookNode, world: str = "drawn") -> nbformat.NotebookNode:
    """Run all cells in a fresh kernel, in the folder of the lessons. Raises where a cell does."""
    notebook.cells[1].source = notebook.cells[1].source.replace('WORLD = "drawn"', f'WORLD = "{world}"')
    client = NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": HERE}})
    return client.execute()


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take out what changes by itself: counts, times, the memory addresses of objects."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.metadata.pop("execution", None)
            for output in cell.outputs:
                output.pop("execution_count", None)
                if output.output_type == "execute_result":
                    output.execution_count = None
                if "data" in output:
                    output.data = {
                        kind: output.data[kind] for kind in ("image/png", "text/plain") if kind in output.data
                    }
                    if "image/png" in output.data:
                        output.data["text/plain"] = "picture"
                    output.metadata = {}
    return notebook


def complaints(notebook: nbformat.NotebookNode, solved: bool) -> list[str]:
    """What a finished notebook must not show."""
    found, states = [], []
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            text = output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
            if output.get("name") == "stderr":
                found.append(f"cell {number} writes to stderr: {text.strip()[:300]}")
            if re.search(r" at 0x[0-9a-f]{6,}", text):
                found.append(f"cell {number} prints the address of an object: {text.strip()[:100]}")
            states += re.findall(r"^(.+): (not attempted yet|correct|not yet\. .*)$", text, re.MULTILINE)
    wanted = "correct" if solved else "not attempted yet"
    found += [f"{title} reports {state!r} instead of {wanted!r}" for title, state in states if state != wanted]
    return found if states else [*found, "there is no exercise"]


def build(lesson: Lesson, lessons: list[Lesson]) -> list[str]:
    """Both notebooks of a lesson; returns what is wrong with them. Nothing is written unless all is well."""
    finished = {}
    for solved, folder in ((False, HERE), (True, HERE / "solutions")):
        try:
            notebook = clean(execute(compose(lesson, lessons, solved)))
        except (CellExecutionError, CellTimeoutError) as error:
            return re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().splitlines()[-12:]
        wrong = complaints(notebook, solved)
        if wrong:
            return wrong
        finished[folder / f"{lesson.name}.ipynb"] = nbformat.writes(notebook) + "\n"
    for file, text in finished.items():
        unfinished = file.with_suffix(".part")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(file)
    return []


def course_table(lessons: list[Lesson]) -> str:
    """The table of notebooks/README.md."""
    rows = ["| | lesson | minutes | you can then |", "|---|---|---|---|"]
    for number, lesson in enumerate(lessons):
        goals = "; ".join(lesson.facts["goals"])
        rows.append(
            f"| {number} | [{lesson.facts['title']}]({lesson.name}.ipynb) | {lesson.facts['minutes']} | {goals} |"
        )
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", nargs="*", help="such as 00 06; all by default")
    args = parser.parse_args()
    lessons, failed = read_lessons(), False
    for lesson in lessons:
        if args.numbers and lesson.name[:2] not in args.numbers:
            continue
        wrong = build(lesson, lessons)
        print(f"{lesson.name}: {'made' if not wrong else json.dumps(wrong, indent=1, ensure_ascii=False)}", flush=True)
        failed |= bool(wrong)
    readme = HERE / "README.md"
    text = re.sub(r"\| \| lesson.*?(?=\n\n)", lambda _: course_table(lessons), readme.read_text(), flags=re.DOTALL)
    readme.write_text(text)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
