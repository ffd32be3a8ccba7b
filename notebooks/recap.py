"""Two printable pages for each lesson, one for students, one for teachers: `make recap` writes notebooks/recap/*.html.

For students: goals, the steps of the workflow, the first picture, what has been seen, and the questions for the memory,
with room to write. Nothing is on it that is not in the lesson. For teachers: the same questions with their answers
(questions/*.yaml), and what students usually believe (TEACHING.md).
"""

import html
import re
import sys
from pathlib import Path

import mistune
import nbformat

from bank import answers_to, inline
from kerastl.plots.workflow import STEPS
from sources import HERE, Lesson, read_lessons
from teaching import read_beliefs

# The body is as high as the sheet: the picture and the lines to write on share what the words leave.
_STYLE = """
@page { size: A4; margin: 14mm 16mm; }
body { box-sizing: border-box; position: relative; width: 178mm; height: 268mm; margin: 0 auto; display: flex;
  flex-direction: column; font: 12pt/1.35 system-ui, sans-serif; color: #1b1f24; }
body.student { padding-right: 48mm; font-size: 11.5pt; } body.teacher { font-size: 11pt; }
h1 { font-size: 18pt; line-height: 1.2; margin: 0 0 3mm; }
h2 { font-size: 13pt; margin: 4mm 0 1mm; color: #0b5394; }
p, ul { margin: 0; } li { margin: 0 0 1mm; }
code { font-size: .9em; background: #eef1f5; border-radius: 2pt; padding: 0 2pt; }
.steps { border-bottom: .5pt solid #888; padding-bottom: 3mm; } .steps b { border-bottom: 2pt solid #d98b00; }
.notes { position: absolute; top: 0; bottom: 0; right: 0; width: 42mm; padding-left: 2mm; border-left: .5pt solid #888;
  box-sizing: border-box; font-size: 9pt; color: #59636e; }
img { flex: 3 1 0; min-height: 36mm; max-height: 95mm; margin: 3mm 0 0; object-fit: contain; }
.lines { flex: 1 1 8mm; max-height: 18mm; border-bottom: .5pt solid #888; margin-bottom: 3mm; }
dl { margin: 0; } dt { font-weight: 600; } dd { margin: 0 0 2mm 5mm; }
"""


def recap(lesson: Lesson, number: int) -> str:
    """The student's page, as HTML. Raises ValueError when the lesson lacks a part of it."""
    seen = _part(lesson, r"## What you have seen\s+(- .+?)(?=\n\n[^-]|\Z)")
    asked = "".join(f"<p>{inline(question)}</p><div class=lines></div>" for question in recall_questions(lesson))
    return _page(
        lesson,
        number,
        f"<h2>You can now</h2>{_goals(lesson)}{_picture(lesson)}<h2>What you have seen</h2>{mistune.html(seen)}"
        f'<h2>Can you say it without looking?</h2>{asked}<div class="notes">Notes</div>',
        reader="student",
    )


def recap_for_teachers(lesson: Lesson, number: int) -> str:
    """The teacher's page, as HTML: answers open. Raises ValueError when one is missing."""
    answers = answers_to(recall_questions(lesson), lesson.name)
    recall = "".join(f"<dt>{inline(ask)}</dt><dd>{inline(answer)}</dd>" for ask, answer in answers.items())
    beliefs = "".join(
        f"<dt>{inline(row.belief)}</dt><dd>Ask: {inline(row.ask)} Then run <em>{inline(row.section)}</em>.<br>"
        f"{inline(row.answer)}</dd>"
        for row in read_beliefs()
        if row.lesson == str(number)
    )
    return _page(
        lesson,
        number,
        f"<h2>They can now</h2>{_goals(lesson)}<h2>Can you say it without looking?</h2><dl>{recall}</dl>"
        f"<h2>What students usually believe</h2><dl>{beliefs}</dl>",
        reader="teacher",
    )


def recall_questions(lesson: Lesson) -> list[str]:
    """What the lesson asks at its end."""
    asked = _part(lesson, r"\*\*Can you say it without looking\?\*\*\s+(.+?)(?=\n\n|\Z)")
    return [" ".join(question.split()) for question in re.findall(r"[^?]+\?", asked)]


def _page(lesson: Lesson, number: int, body: str, reader: str) -> str:
    steps = " → ".join(f"<b>{step}</b>" if step == lesson.facts["step"] else step for step in STEPS)
    title = html.escape(f"{number}. {lesson.facts['title']}")
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>\n'
        f'<body class="{reader}"><h1>{title}</h1><p class="steps">{steps}</p>{body}</html>\n'
    )


def _goals(lesson: Lesson) -> str:
    return f"<ul>{''.join(f'<li>{html.escape(goal)}</li>' for goal in lesson.facts['goals'])}</ul>"


def _part(lesson: Lesson, pattern: str) -> str:
    text = "\n\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
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
        for make, ending in ((recap, ".html"), (recap_for_teachers, ".teacher.html")):
            file = folder / f"{lesson.name}{ending}"
            file.write_text(make(lesson, number), encoding="utf-8")
            print(Path("notebooks/recap", file.name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
