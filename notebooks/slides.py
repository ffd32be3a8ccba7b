"""Slides of the lessons, for a teacher: `make slides` writes notebooks/slides/*.slides.html.

Each file has all that it needs inside, and opens without a network. Which cell begins a slide stands in the lessons
themselves (slide_places.py), what a teacher says to it in slide_notes.py; slides.html.j2 measures the slides in the
browser and divides what is too long.
"""

import copy
import re
import sys
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from traitlets.config import Config

from slide_notes import Notes
from sources import HERE, read_lessons

NOT_SHOWN = r"\[Open in Colab\]|\*\*Checkpoint\.\*\*|\**load\** → "  # how such paragraphs begin; the steps are drawn


def slides(notebook: nbformat.NotebookNode, notes: Notes) -> str:
    """The page, as HTML."""
    inside = {
        "title": notebook.cells[0].source.splitlines()[0].lstrip("# "),
        "files": {file.name: file.read_text(encoding="utf-8") for file in (HERE / "reveal").iterdir()},
    }
    exporter = SlidesExporter(
        config=Config(CSSHTMLHeaderPreprocessor={"style": "default"}, CoalesceStreamsPreprocessor={"enabled": True}),
        template_file=str(HERE / "slides.html.j2"),
        exclude_anchor_links=True,
    )
    return exporter.from_notebook_node(for_slides(notebook, notes), {"lesson": inside})[0]


def for_slides(notebook: nbformat.NotebookNode, notes: Notes) -> nbformat.NotebookNode:
    """The same without what only serves in a notebook, such as the set-up code and checkpoints; with notes."""
    notebook = copy.deepcopy(notebook)
    setup = notebook.cells[1]
    setup.source, setup.metadata.slideshow.slide_type = "", "-"  # its picture of the work stays, on the title's slide
    setup.outputs = [output for output in setup.outputs if "data" in output]
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            first, *others = _texts(cell.source)
            cell.source = first
            rest = [_like(cell, other) for other in others]
            if rest:
                cell.metadata.slideshow.slide_type = "-"
            cells += [cell, *rest]
        else:
            cell.source = cell.source.replace("\n\n\n", "\n\n")
            cells.append(cell)
    notebook.cells = _with_notes(cells, notes)
    return notebook


def _like(cell: nbformat.NotebookNode, source: str) -> nbformat.NotebookNode:
    """Another text with the metadata and the drawings of a text cell."""
    kept = {name: copy.deepcopy(cell[name]) for name in ("metadata", "attachments") if name in cell}
    return nbformat.v4.new_markdown_cell(source, **kept)


def _with_notes(cells: list[nbformat.NotebookNode], notes: Notes) -> list[nbformat.NotebookNode]:
    """With a cell of notes at the end of each slide."""
    shown, made, section, text = [cell for cell in cells if cell.metadata.slideshow.slide_type != "skip"], [], None, ""
    for cell, after in zip(shown, [*shown[1:], None], strict=True):
        if cell.cell_type == "markdown":
            section = (re.findall(r"^## (.+)$", cell.source, re.MULTILINE) or [section])[0]
            text += f"\n\n{cell.source}"
        made.append(cell)
        if after is None or after.metadata.slideshow.slide_type != "-":
            note = {"slideshow": {"slide_type": "notes"}}
            made.append(nbformat.v4.new_markdown_cell(notes.of(section, text), metadata=note))
            text = ""
    return made


def _texts(source: str) -> list[str]:
    """A text without what is not shown, with links to other slides, and cut where a heading stands in its middle.

    A lesson (its name begins with its number) has slides; of another notebook the link leads out of their folder.
    """
    shown = [part for part in source.split("\n\n") if not re.match(NOT_SHOWN, part)]
    text = re.sub(r"\]\((\d\w+)\.ipynb\)", r"](\1.slides.html)", "\n\n".join(shown))
    text = re.sub(r"\]\((\w+\.ipynb)\)", r"](../\1)", text)
    return re.split(r"\n\n(?=## )", text)


def main() -> int:
    folder = HERE / "slides"
    folder.mkdir(exist_ok=True)
    for number, lesson in enumerate(read_lessons()):
        file, notebook = (
            folder / f"{lesson.name}.slides.html",
            nbformat.read(HERE / f"{lesson.name}.ipynb", as_version=4),
        )
        file.write_text(slides(notebook, Notes(lesson, number)), encoding="utf-8")
        print(Path("notebooks/slides", file.name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
