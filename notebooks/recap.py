"""One printable page for each lesson, from the lesson itself: `make recap` writes notebooks/recap/*.html.

Goals, the steps of the workflow, the first picture, what has been seen, and the questions for the memory. Nothing is
written here that is not in the lesson.
"""

import html
import re
import sys
from pathlib import Path

import mistune
import nbformat

from kerastl.plots.workflow import STEPS
from sources import HERE, Lesson, read_lessons

# The body is as high as the sheet: the picture and the lines to write on share what the words leave.
_STYLE = """
@page { size: A4; margin: 14mm 16mm; }
body { box-sizing: border-box; width: 178mm; height: 268mm; margin: 0 auto; display: flex; flex-direction: column;
  font: 12pt/1.35 system-ui, sans-serif; color: #1b1f24; }
h1 { font-size: 18pt; line-height: 1.2; margin: 0 0 3mm; }
h2 { font-size: 13pt; margin: 4mm 0 1mm; color: #0b5394; }
p, ul { margin: 0; } li { margin: 0 0 1mm; }
code { font-size: .9em; background: #eef1f5; border-radius: 2pt; padding: 0 2pt; }
.steps { border-bottom: .5pt solid #888; padding-bottom: 3mm; } .steps b { border-bottom: 2pt solid #d98b00; }
img { flex: 3 1 0; min-height: 40mm; max-height: 95mm; margin: 3mm 0 0; object-fit: contain; }
.lines { flex: 1 1 8mm; max-height: 18mm; border-bottom: .5pt solid #888; margin-bottom: 3mm; }
"""


def recap(lesson: Lesson, number: int) -> str:
    """The page, as HTML. Raises ValueError when the lesson lacks a part of it."""
    text = "\n\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    seen = _part(lesson, text, r"## What you have seen\s+(- .+?)(?=\n\n[^-]|\Z)")
    questions = _part(lesson, text, r"\*\*Can you say it without looking\?\*\*\s+(.+?)(?=\n\n|\Z)")
    asked = "".join(
        f"{mistune.html(question.strip())}<div class=lines></div>" for question in re.findall(r"[^?]+\?", questions)
    )
    steps = " → ".join(f"<b>{step}</b>" if step == lesson.facts["step"] else step for step in STEPS)
    goals = "".join(f"<li>{html.escape(goal)}</li>" for goal in lesson.facts["goals"])
    title = html.escape(f"{number}. {lesson.facts['title']}")
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>\n'
        f'<h1>{title}</h1><p class="steps">{steps}</p><h2>You can now</h2><ul>{goals}</ul>{_picture(lesson)}'
        f"<h2>What you have seen</h2>{mistune.html(seen)}<h2>Can you say it without looking?</h2>{asked}</html>\n"
    )


def _part(lesson: Lesson, text: str, pattern: str) -> str:
    found = re.search(pattern, text, re.DOTALL)
    if not found:
        raise ValueError(f"{lesson.name} has no part that looks like {pattern!r}.")
    return found.group(1)


def _picture(lesson: Lesson) -> str:
    """The first picture that the executed lesson shows, after that of the steps under its set-up cell."""
    notebook = nbformat.read(HERE / f"{lesson.name}.ipynb", as_version=4)
    for cell in notebook.cells[2:]:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                picture = output.data["image/png"].strip()
                return f'<img alt="the first picture of the lesson" src="data:image/png;base64,{picture}">'
    return ""


def main() -> int:
    folder = HERE / "recap"
    folder.mkdir(exist_ok=True)
    for number, lesson in enumerate(read_lessons()):
        file = folder / f"{lesson.name}.html"
        file.write_text(recap(lesson, number), encoding="utf-8")
        print(Path("notebooks/recap", file.name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
