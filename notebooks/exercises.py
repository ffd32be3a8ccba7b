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
    """One exercise cell, as its source has it."""

    answer: str  # the name that holds the answer, `...` at first; empty in the capstone
    asked: str  # what a student sees
    solved: str  # the same with the solution
    wrong: list[str]  # expressions: answers that must be refused


class Check(NamedTuple):
    """A cell with a call of `check`, taken apart; each part is Python."""

    title: str  # such as "Exercise 1"
    before: str  # the other lines of the cell
    answer: str
    is_right: str  # a function of the answer
    hint: str


def is_exercise(cell) -> bool:
    return "exercise" in cell.metadata.get("tags", [])


def is_check(cell) -> bool:
    return cell.cell_type == "code" and bool(CHECK.search(cell.source))


def read_exercise(source: str) -> Exercise:
    """Take an exercise cell apart."""
    lines = source.splitlines()
    shown = [line for line in lines if not line.startswith(WRONG)]
    if SOLUTION not in shown:
        raise ValueError(f"An exercise has no line {SOLUTION!r}:\n{source}")
    place = shown.index(SOLUTION)
    asked, solved = ("\n".join(part).strip() for part in (shown[:place], shown[:place] + shown[place + 1 :]))
    answers = re.findall(r"^(\w+) = \.\.\.$", asked, re.MULTILINE)
    wrong = [line.removeprefix(WRONG).strip() for line in lines if line.startswith(WRONG)]
    return Exercise(answers[0] if answers else "", asked, solved, wrong)


def read_check(source: str) -> Check:
    """Take a check cell apart."""
    call = next(
        node for node in ast.parse(source).body if isinstance(node, ast.Expr) and ast.unparse(node).startswith("check(")
    )
    lines = source.splitlines()
    before = "\n".join(lines[: call.lineno - 1] + lines[call.end_lineno :])
    title, *rest = (ast.get_source_segment(source, argument) for argument in call.value.args)
    return Check(ast.literal_eval(title), before, *rest)


def read_exercises(cells) -> list[tuple[Exercise, Check]]:
    """All exercises of a lesson, in order, each with its check, which stands in a later cell."""
    found, waiting = [], None
    for cell in cells:
        if is_exercise(cell):
            waiting = cell
        elif is_check(cell) and waiting is not None:
            found.append((read_exercise(waiting.source), read_check(cell.source)))
            waiting = None
    return found


def points(cells) -> dict[str, int]:
    """What each exercise is worth, by its title: one point for a star."""
    texts = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return {title: len(stars) for title, stars in re.findall(r"^\*\*(Exercise \d+) (★+)\*\*", texts, re.MULTILINE)}


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


def add_attacks(notebook: nbformat.NotebookNode, exercises: list[tuple[Exercise, Check]]) -> None:
    """After each check of a solved notebook, put a cell for each wrong answer, which asks the same check."""
    cells, waiting = [], iter(exercises)
    for cell in notebook.cells:
        cells.append(cell)
        if is_check(cell):
            exercise, check = next(waiting)
            cells += [_attack(exercise.answer, check.title, wrong, cell.source) for wrong in exercise.wrong]
    notebook.cells = cells


def _attack(answer: str, title: str, wrong: str, check: str) -> nbformat.NotebookNode:
    source = f"_right, {answer} = {answer}, ({wrong})\n{check}\n{answer} = _right"
    return nbformat.v4.new_code_cell(source, metadata={"attack": {"title": title, "wrong": wrong}})


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
