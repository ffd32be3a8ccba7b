"""Make the lessons from their sources: `make lessons`, or `python notebooks/build.py 00 06 capstone` for some of them.

Each file in src/ (jupytext, py:percent) gives two notebooks: one for students, with the exercises open, and one in
solutions/, with the exercises solved. Both are executed from top to bottom, cleaned of all that changes by itself, and
written only when everything held: no error, nothing on stderr, no untouched exercise that reports "correct", no
solution that does not, no wrong answer (see exercises.py) that is not refused. The capstone is examined instead: its
solution has to pass every check, its blank page not.
"""

import argparse
import json
import os
import re
import sys
import time
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from PIL import Image

from exercises import add_attacks, read_exercises, take_attacks
from sources import HERE, Lesson, compose, link, read_capstone, read_lessons

AT_ONCE = 2  # lessons: nine tenths of their time is one thread
SECONDS = 240  # the most that a lesson may take with another one on the second core; alone it is done sooner
TOGETHER = 25 * 60  # and all of them, with their wrong answers
LINES = 40  # the most that a cell may print
LARGE = 300_000  # letters of a picture in base64


def execute(notebook: nbformat.NotebookNode, world: str = "drawn", folder: Path | None = None) -> nbformat.NotebookNode:
    """Run all cells in a fresh kernel, by default in the folder of the lessons. Raises where a cell does."""
    notebook.cells[1].source = notebook.cells[1].source.replace('WORLD = "drawn"', f'WORLD = "{world}"')
    limit = SECONDS if world == "drawn" else None  # for a cell; photos are more and larger
    place = {"metadata": {"path": folder or HERE}}
    # Printed lines arrive in parts, as chance has it: join them.
    client = NotebookClient(notebook, timeout=limit, kernel_name="python3", resources=place, coalesce_streams=True)
    return client.execute()


def in_fewer_bytes(picture: str) -> str:
    """A PNG in base64; a large one, with many small pictures in it, in 256 colours: a notebook has to stay small."""
    if len(picture) < LARGE:
        return picture
    smaller = BytesIO()
    Image.open(BytesIO(b64decode(picture))).convert("RGB").quantize(256).save(smaller, "PNG", optimize=True)
    return b64encode(smaller.getvalue()).decode()


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take out what changes by itself: counts, times, the memory addresses of objects, the version of Python."""
    notebook.metadata.language_info = {"name": notebook.metadata.language_info.name}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.metadata.pop("execution", None)
            for output in cell.outputs:
                output.pop("execution_count", None)
                if "data" in output:
                    output.data = {
                        kind: output.data[kind] for kind in ("image/png", "text/plain") if kind in output.data
                    }
                    if "image/png" in output.data:
                        output.data["text/plain"] = "picture"
                        output.data["image/png"] = in_fewer_bytes(output.data["image/png"])
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
            if output.output_type == "execute_result":
                found.append(f"cell {number} ends in a value that nobody asked for: {text[:100]}")
            if text.count("\n") > LINES:
                found.append(f"cell {number} prints {text.count(chr(10))} lines; at most {LINES} can be read")
            states += re.findall(r"^(.+): (not attempted yet|correct|not yet\. .*)$", text, re.MULTILINE)
            for passed, checks in re.findall(r"^(\d+) of (\d+) checks passed\.$", text, re.MULTILINE):
                states.append(("the exam", "correct" if passed == checks else "not attempted yet"))
    wanted = "correct" if solved else "not attempted yet"
    found += [f"{title} reports {state!r} instead of {wanted!r}" for title, state in states if state != wanted]
    return found if states else [*found, "there is no exercise"]


def run(lesson: Lesson, lessons: list[Lesson], solved: bool, world: str = "drawn"):
    """Execute one form of a lesson: (the notebook, cleaned, or None; what is wrong with it; seconds)."""
    notebook, began = compose(lesson, lessons, solved), time.monotonic()
    if solved:
        add_attacks(notebook, read_exercises(lesson.cells))
    try:
        with TemporaryDirectory() as own:  # in the capstone a student writes files beside the notebook
            execute(notebook, world, None if lesson in lessons else Path(own))
    except (CellExecutionError, CellTimeoutError) as error:
        lines = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().splitlines()
        return None, lines[-12:], time.monotonic() - began
    accepted, beside = take_attacks(notebook)
    return clean(notebook), complaints(notebook, solved) + accepted, time.monotonic() - began - beside


def build(lesson: Lesson, lessons: list[Lesson]) -> list[str]:
    """Both notebooks of a lesson; returns what is wrong with them. Nothing is written unless all is well."""
    finished = {}
    for file, solved in _places(lesson):
        notebook, wrong, _ = run(lesson, lessons, solved)
        if wrong:
            return wrong
        finished[file] = notebook
    _write(finished)
    return []


def renew_texts(lesson: Lesson, lessons: list[Lesson]) -> list[str]:
    """The same for a lesson in which only texts have changed: the outputs stay, and nothing is executed."""
    finished = {}
    for file, solved in _places(lesson):
        old, new = nbformat.read(file, as_version=4), compose(lesson, lessons, solved)
        executed, code = ([cell for cell in made.cells if cell.cell_type == "code"] for made in (old, new))
        if [cell.source for cell in executed] != [cell.source for cell in code]:
            return ["a code cell has changed: make the lesson without --texts"]
        if old.metadata.kerastl.get("refuses") != new.metadata.kerastl.get("refuses"):
            return ["a wrong answer has changed: make the lesson without --texts"]
        for before, now in zip(executed, code, strict=True):
            now.outputs = before.outputs
        finished[file] = new
    _write(finished)
    return []


def _places(lesson: Lesson) -> list[tuple[Path, bool]]:
    """The file of each form, and whether its exercises are solved."""
    return [(folder / f"{lesson.name}.ipynb", solved) for solved, folder in ((False, HERE), (True, HERE / "solutions"))]


def _write(finished: dict[Path, nbformat.NotebookNode]) -> None:
    for file, notebook in finished.items():
        unfinished = file.with_suffix(".part")
        unfinished.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        unfinished.replace(file)


def try_out(lesson: Lesson, lessons: list[Lesson], world: str) -> list[str]:
    """Execute a lesson with its exercises solved and write nothing; returns what is wrong with it."""
    _, wrong, seconds = run(lesson, lessons, True, world)
    print(f"{lesson.name}: {seconds:.0f} s", flush=True)
    if world == "drawn" and seconds > SECONDS:
        wrong.append(f"took {seconds:.0f} s; at most {SECONDS} are allowed")
    return wrong


def course_table(lessons: list[Lesson]) -> str:
    """The table of notebooks/README.md."""
    rows = ["| | lesson | minutes | you can then |", "|---|---|---|---|"]
    for number, lesson in enumerate(lessons):
        goals = "; ".join(lesson.facts["goals"])
        rows.append(f"| {number} | {link(lesson)} | {lesson.facts['minutes']} | {goals} |")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", nargs="*", help="such as 00 06; all by default")
    parser.add_argument("--texts", action="store_true", help="only texts have changed: keep what the cells printed")
    parser.add_argument("--try", dest="world", choices=("drawn", "photos"), help="execute in this world; write nothing")
    args = parser.parse_args()
    lessons, failed, began = read_lessons(), False, time.monotonic()
    chosen = [*lessons, read_capstone()]
    if args.numbers:
        chosen = [lesson for lesson in chosen if lesson.name.startswith(tuple(args.numbers))]
    make = partial(try_out, world=args.world) if args.world else renew_texts if args.texts else build
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for lesson, wrong in zip(chosen, pool.map(make, chosen, repeat(lessons)), strict=True):
                result = json.dumps(wrong, indent=1, ensure_ascii=False) if wrong else "as it should be"
                print(f"{lesson.name}: {result}", flush=True)
                failed |= bool(wrong)
        except KeyboardInterrupt:
            os._exit(130)  # at once, and the kernels with it: the pool would go on to the last lesson
    seconds = time.monotonic() - began
    if args.world == "drawn" and seconds > TOGETHER:
        print(f"All together took {seconds:.0f} s; at most {TOGETHER} are allowed.")
        failed = True
    if not args.world:
        readme = HERE / "README.md"
        text = re.sub(r"\| \| lesson.*?(?=\n\n)", lambda _: course_table(lessons), readme.read_text(), flags=re.DOTALL)
        readme.write_text(text)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
