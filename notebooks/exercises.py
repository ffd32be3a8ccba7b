"""The exercises of a lesson, and the wrong answers that their checks have to refuse.

In a source, a cell tagged "exercise" holds what a student sees, a line `# solution`, what only the solved notebook
shows, and lines `# wrong: EXPRESSION`, which no notebook shows. When a lesson is built, each expression takes the place
of the answer once, after the solution has run and was checked, and the check must say "not yet".
"""

import ast
import re
from typing import NamedTuple

import nbformat
from jupyter_client.jsonutil import parse_date

SOLUTION = "# solution"
WRONG = "# wrong: "
CHECK = re.compile(r"^check\(", re.MULTILINE)


class Exercise(NamedTuple):
    """One exercise, as its source has it."""

    title: str  # as its check prints it, such as "Exercise 1"
    answer: str  # the name that holds the answer, `...` at first
    asked: str  # what a student sees
    solved: str  # the same with the solution
    wrong: list[str]  # expressions: answers that must be refused


def is_exercise(cell) -> bool:
    return "exercise" in cell.metadata.get("tags", [])


def is_check(cell) -> bool:
    return cell.cell_type == "code" and bool(CHECK.search(cell.source))


def read_exercise(source: str, title: str = "") -> Exercise:
    """Take an exercise cell apart."""
    lines = source.splitlines()
    shown = [line for line in lines if not line.startswith(WRONG)]
    if SOLUTION not in shown:
        raise ValueError(f"An exercise has no line {SOLUTION!r}:\n{source}")
    place = shown.index(SOLUTION)
    asked, solved = ("\n".join(part).strip() for part in (shown[:place], shown[:place] + shown[place + 1 :]))
    answer = re.search(r"^(\w+) = \.\.\.$", asked, re.MULTILINE)
    if not answer:
        raise ValueError(f"An exercise has no line of the form 'name = ...' before {SOLUTION!r}:\n{source}")
    wrong = [line.removeprefix(WRONG).strip() for line in lines if line.startswith(WRONG)]
    return Exercise(title, answer.group(1), asked, solved, wrong)


def read_exercises(cells) -> list[Exercise]:
    """All exercises of a lesson, in order; each has its check in one of the next cells."""
    found, waiting = [], None
    for cell in cells:
        if is_exercise(cell):
            waiting = cell
        elif is_check(cell) and waiting is not None:
            found.append(read_exercise(waiting.source, _title(cell.source)))
            waiting = None
    return found


def _title(check: str) -> str:
    """What the call of `check` is given first."""
    calls = (node for node in ast.walk(ast.parse(check)) if isinstance(node, ast.Call))
    return next(call.args[0].value for call in calls if getattr(call.func, "id", "") == "check")


def is_typed_in(expression: str) -> bool:
    """Whether this is a number, or several in a list, tuple, set or dict, as somebody types it who computes nothing."""
    try:
        value = ast.literal_eval(expression)
    except (ValueError, SyntaxError):
        return False
    values = list(value.values()) if isinstance(value, dict) else value
    values = list(values) if isinstance(values, (list, tuple, set)) else [values]
    return bool(values) and all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in values)


# ---- the attack


def add_attacks(notebook: nbformat.NotebookNode, exercises: list[Exercise]) -> None:
    """After each check of a solved notebook, put a cell for each wrong answer, which asks the same check."""
    cells, waiting = [], iter(exercises)
    for cell in notebook.cells:
        cells.append(cell)
        if is_check(cell):
            exercise = next(waiting)
            cells += [_attack(exercise, wrong, cell.source) for wrong in exercise.wrong]
    notebook.cells = cells


def _attack(exercise: Exercise, wrong: str, check: str) -> nbformat.NotebookNode:
    source = f"_right, {exercise.answer} = {exercise.answer}, ({wrong})\n{check}\n{exercise.answer} = _right"
    metadata = {"attack": {"title": exercise.title, "wrong": wrong}}
    return nbformat.v4.new_code_cell(source, metadata=metadata)


def take_attacks(notebook: nbformat.NotebookNode) -> tuple[list[str], float]:
    """Take those cells out again: (the wrong answers that a check did not refuse, the seconds that all cells took)."""
    attacks = [cell for cell in notebook.cells if "attack" in cell.metadata]
    notebook.cells = [cell for cell in notebook.cells if "attack" not in cell.metadata]
    accepted, seconds = [], 0.0
    for cell in attacks:
        printed = "".join(output.get("text", "") for output in cell.outputs)
        if f"\n{cell.metadata.attack.title}: not yet." not in f"\n{printed}":
            accepted.append(f"{cell.metadata.attack.title} does not refuse {cell.metadata.attack.wrong}: {printed}")
        began, ended = (cell.metadata.execution[key] for key in ("iopub.status.busy", "shell.execute_reply"))
        seconds += (parse_date(ended) - parse_date(began)).total_seconds()
    return accepted, seconds
