"""One handed-in notebook is run and judged, in a process of its own (see grade.py).

What runs is the lesson as its source has it. From the student come only the exercise cells and the cells that were
added; a check is never taken from the student, and what a cell prints is not looked at. Each check answers with a word
that no cell could know beforehand, and what it makes has names that no answer could ask for. An answer that needs a
name of the lesson to be overwritten does not hold.
"""

import ast
import secrets
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

from exercises import Check, is_check, is_exercise, read_check

STARTUP = 120  # seconds for a kernel on a busy machine


class Sheet(NamedTuple):
    """What is asked in one lesson."""

    lesson: str
    cells: list  # of the open notebook, as its source gives it
    worth: dict[str, int]  # points for each exercise, by its title
    digest: str  # of the source


class Limits(NamedTuple):
    seconds: int  # for a notebook
    cell_seconds: int  # for one of its cells
    megabytes: int  # of memory, for its processes together


def grade_notebook(send, content: bytes, sheets: list[Sheet], limits: Limits) -> None:
    """Send ("lesson", name), then ("exercise", title, right, remark) for each that was judged, or ("stop", remark)."""
    _limit_this_process(limits)
    try:
        cells, digest = _read(content)
    except Exception:  # whatever it is, it is no notebook
        send.send(("stop", "not a notebook"))
        return
    sheet = recognise(cells, sheets)
    if sheet is None:
        send.send(("stop", "not a lesson of this course"))
        return
    send.send(("lesson", sheet.lesson))
    try:
        _run(send, sheet, sort_cells(cells, sheet, same_version=digest == sheet.digest), limits.cell_seconds)
    except DeadKernelError:
        send.send(("stop", "its Python ended"))


def _limit_this_process(limits: Limits) -> None:
    """Processes that it starts inherit this. Windows knows no such limits; there grade.py watches alone."""
    try:
        import resource
    except ImportError:
        return
    size = limits.megabytes * 2**20
    wanted = {"RLIMIT_DATA": size, "RLIMIT_FSIZE": size, "RLIMIT_CPU": limits.seconds * 16, "RLIMIT_CORE": 0}
    for name, limit in wanted.items():
        _, most = resource.getrlimit(getattr(resource, name))
        limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(getattr(resource, name), (limit, limit))


def _read(content: bytes) -> tuple[list, str]:
    notebook = nbformat.reads(content.decode("utf-8-sig"), as_version=4)
    cells = [cell for cell in notebook.cells if isinstance(cell.source, str) and isinstance(cell.cell_type, str)]
    return cells, str(notebook.metadata.get("kerastl", {}).get("source"))


def recognise(cells: list, sheets: list[Sheet]) -> Sheet | None:
    """The lesson of which most cells are there unchanged; None where less than a quarter is."""
    texts = {cell.source for cell in cells}

    def share(sheet: Sheet) -> float:
        own = [cell.source for cell in sheet.cells if not is_exercise(cell)]
        return sum(text in texts for text in own) / len(own)

    best = max(sheets, key=share)
    return best if share(best) >= 0.25 else None


def sort_cells(cells: list, sheet: Sheet, same_version: bool) -> dict[int, list[str]]:
    """The student's own code, by the place in the lesson at which or after which it stands.

    A cell of the lesson is known by its text; if that was changed, by its id, where the notebook comes from this
    version of the lesson (Colab gives new ids). Of those only exercises are taken. What is not known, was added.
    """
    by_text = {cell.source: place for place, cell in reversed(list(enumerate(sheet.cells)))}
    by_id = {cell.id: place for place, cell in enumerate(sheet.cells)} if same_version else {}
    own, place, seen = {}, 0, set()
    for cell in cells:
        known = by_text.get(cell.source, by_id.get(cell.get("id")))
        if known is not None and known not in seen:
            seen.add(known)
            place = known
            is_own = is_exercise(sheet.cells[place])
        else:
            is_own = known is None
            if is_own and place + 1 < len(sheet.cells) and is_exercise(sheet.cells[place + 1]):
                place += 1  # an exercise without its id
        if is_own and cell.cell_type == "code":
            own.setdefault(place, []).append(cell.source)
    return own


def _run(send, sheet: Sheet, own: dict[int, list[str]], cell_seconds: int) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell()])
    client = NotebookClient(
        notebook,
        timeout=cell_seconds,
        startup_timeout=STARTUP,
        iopub_timeout=30,
        interrupt_on_timeout=True,
        allow_errors=True,
        kernel_name="python3",
        extra_arguments=["--HistoryManager.hist_file=:memory:"],
    )
    kept, remark = f"_kept_{secrets.token_hex(8)}", ""
    checks = [place for place, cell in enumerate(sheet.cells) if is_check(cell)]

    def execute(source: str) -> tuple[str, str]:
        """(What its last line gives, the error that it raised), or empty texts."""
        outputs = client.execute_cell(nbformat.v4.new_code_cell(source), 0).outputs
        given = [output.data.get("text/plain", "") for output in outputs if output.output_type == "execute_result"]
        errors = [_error(output, cell_seconds) for output in outputs if output.output_type == "error"]
        return "".join(given[-1:]), "".join(errors[-1:])

    with client.setup_kernel():
        for place, cell in enumerate(sheet.cells[: checks[-1] + 1]):
            if is_exercise(cell):
                remark = ""
                execute(f"{kept} = {{name: value for name, value in globals().items() if name[0] != '_'}}")
                for source in own.get(place, [cell.source]):
                    remark = execute(source)[1] or remark
                continue
            if is_check(cell):
                check = read_check(cell.source)
                right, why = _judge(execute, check)
                changed = execute(_CHANGED.format(kept=kept, answer=check.answer))[0].strip("'")
                execute(f"globals().update({{name: {kept}[name] for name in {changed.split()}}})")
                if right and changed:
                    right, why = _judge(execute, check)[0], f"right only with its own values of: {changed}"
                send.send(("exercise", check.title, right, remark or why))
            elif cell.cell_type == "code":
                error = execute(cell.source)[1]
                remark = f"a cell of the lesson failed: {error}" if error else remark
            for source in own.get(place, []):
                execute(source)


# The names of the lesson that mean something else after an exercise.
_CHANGED = "' '.join(n for n, value in {kept}.items() if n != '{answer}' and globals().get(n) is not value)"


def _judge(execute, check: Check) -> tuple[bool, str]:
    """Whether the answer is right, and if not, why: the check cell without `check` itself, which only prints."""
    word = secrets.token_hex(8)
    names, before, is_right = _under_other_names(check, word)
    copy = "globals().update({{{0}: globals()[{1}] for old, new in {names}.items() if {1} in globals()}})"
    given, error = execute(
        f"globals().setdefault({check.answer!r}, ...)\n{copy.format('new', 'old', names=names)}\n{before}\n"
        f"'{word} ' + ('untouched' if {check.answer} is ... else "
        f"'right' if ({is_right})({check.answer}) else 'wrong')"
    )
    execute(copy.format("old", "new", names=names))  # the lesson may go on with them
    return given == f"'{word} right'", "not attempted" if given == f"'{word} untouched'" else error


def _under_other_names(check: Check, word: str) -> tuple[dict[str, str], str, str]:
    """({name that the check makes: its name here}, the lines before the check, its function), renamed."""
    trees = [ast.parse(check.before), ast.parse(check.is_right)]
    nodes = list(ast.walk(trees[0]))
    made = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    made |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    names = {name: f"_{word}_{name}" for name in sorted(made - {check.answer})}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if field := {ast.Name: "id", ast.FunctionDef: "name", ast.arg: "arg"}.get(type(node)):
            name = getattr(node, field)
            setattr(node, field, names.get(name, name))
    return names, *map(ast.unparse, trees)


def _error(output, cell_seconds: int) -> str:
    if output.ename == "KeyboardInterrupt":
        return f"stopped after {cell_seconds} s"
    return f"{output.ename}: {output.evalue}"[:1000]
