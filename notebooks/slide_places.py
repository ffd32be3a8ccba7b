"""Where each cell of a lesson stands when the lesson is shown as slides.

The places go into the cells' metadata, where `jupyter nbconvert --to slides`, JupyterLab and slides.py read them.
"""

import re

from nbformat import NotebookNode

SHORT = 80  # words; a shorter text shares its slide with the code that it is about
FEW = 10  # lines; two code cells that have no more together share a slide


def mark_slides(cells: list[NotebookNode]) -> None:
    """Write its place into each cell. The first is the title, the second the set-up cell."""
    shown = [cell for number, cell in enumerate(cells) if number != 1 and not _only_for_the_notebook(cell)]
    for cell in cells:
        cell.metadata["slideshow"] = {"slide_type": "skip"}
    for before, cell, after in zip([None, *shown], shown, [*shown[1:], None], strict=False):
        cell.metadata["slideshow"]["slide_type"] = _place(before, cell, after)


def _only_for_the_notebook(cell: NotebookNode) -> bool:
    """Checkpoints, and the cells in which exercises are answered and checked."""
    if cell.cell_type == "markdown":
        return cell.source.startswith("**Checkpoint.**")
    checks = re.search(r"^(assert |check\()", cell.source, re.MULTILINE)
    return bool(checks) or "exercise" in cell.metadata.get("tags", [])


def _place(before: NotebookNode | None, cell: NotebookNode, after: NotebookNode | None) -> str:
    """ "slide" begins a part of the lesson, "subslide" a slide within it; "-" stays on the slide before."""
    if cell.cell_type == "code":
        few = before.cell_type == "code" and len((before.source + "\n" + cell.source).splitlines()) <= FEW
        return "-" if few or _is_short(before) else "subslide"
    if re.search(r"^##? ", cell.source, re.MULTILINE):
        return "slide"
    explains = before.cell_type == "code" and _is_short(cell) and (after is None or after.cell_type == "markdown")
    return "-" if explains or cell.source.startswith("**Exercise") else "subslide"


def _is_short(cell: NotebookNode) -> bool:
    """A text of a few words that asks for no prediction: the answer must not stand on the same slide."""
    return cell.cell_type == "markdown" and "<details>" not in cell.source and len(cell.source.split()) <= SHORT
