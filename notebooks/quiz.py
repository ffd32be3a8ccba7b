"""Multiple-choice questions for a class: `make questions` writes notebooks/quiz/ from the bank in questions/*.yaml.

One file for Moodle (GIFT), with a category for each lesson and a word on each choice; and for each lesson a sheet to
print, without and with the key. Source of the format: https://docs.moodle.org/en/GIFT_format.
"""

import html
import re
import sys
from pathlib import Path

from bank import Question, inline, read_questions
from sources import HERE, Lesson, read_lessons

LETTERS = "ABCD"
_STYLE = """
@page { size: A4; margin: 12mm 16mm; }
body { max-width: 178mm; margin: 0 auto; font: 10pt/1.3 system-ui, sans-serif; color: #1b1f24; }
h1 { font-size: 15pt; line-height: 1.2; margin: 0 0 2mm; }
.name { margin: 0 0 3mm; padding: 2mm 0; border-bottom: .5pt solid #888; }
.question { break-inside: avoid; margin: 0 0 3mm; }
.question p { margin: 0 0 1mm; font-weight: 600; }
ol { list-style: upper-alpha; margin: 0; padding: 0 0 0 9mm; } li { margin: 0 0 .6mm; }
code { font-size: .92em; background: #eef1f5; border-radius: 2pt; padding: 0 2pt; }
.key li { color: #59636e; } .key li.right { color: #1b1f24; font-weight: 600; }
.key small { display: block; font-weight: 400; font-style: italic; }
"""


def gift(lessons: list[Lesson]) -> str:
    """The whole bank as Moodle imports it. A blank line ends a question, so there is none within."""
    parts = ["// Made by `make questions` from notebooks/questions. Change these files, not this one."]
    for number, lesson in enumerate(lessons):
        title = lesson.facts["title"].replace("/", "//")  # a single one would begin a category in this one
        parts.append(f"$CATEGORY: $course$/top/Transfer learning/{number}. {title}")
        for place, question in enumerate(read_questions(lesson.name), start=1):
            choices = "\n".join(
                f"{'=' if choice.is_right else '~'}{_escaped(choice.text)}#{_escaped(choice.because)}"
                for choice in question.choices
            )
            parts.append(f"::Lesson {number}, question {place}::[html]{_escaped(question.ask)} {{\n{choices}\n}}")
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    """As HTML on one line, with a backslash before each character that means something in GIFT."""
    return re.sub(r"([\\~=#{}:])", r"\\\1", " ".join(inline(text).split()))


def sheet(lesson: Lesson, number: int, with_key: bool) -> str:
    """The questions of a lesson to print, as HTML."""
    title = html.escape(f"{number}. {lesson.facts['title']}")
    questions = read_questions(lesson.name)
    asked = "".join(_asked(place, question, with_key) for place, question in enumerate(questions, start=1))
    head = f"Key: {' '.join(key(questions))}" if with_key else "Name:"
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>\n'
        f'<body{" class=key" if with_key else ""}><h1>{title}</h1><p class="name">{head}</p>{asked}</html>\n'
    )


def key(questions: list[Question]) -> list[str]:
    """Of each question its number with the letter of the right choice, such as "1C"."""
    return [
        f"{place}{LETTERS[[choice.is_right for choice in question.choices].index(True)]}"
        for place, question in enumerate(questions, start=1)
    ]


def _asked(place: int, question: Question, with_key: bool) -> str:
    choices = "".join(
        f"<li{' class=right' if with_key and choice.is_right else ''}>{inline(choice.text)}"
        f"{f'<small>{inline(choice.because)}</small>' if with_key else ''}</li>\n"
        for choice in question.choices
    )
    return f"<div class=question><p>{place}. {inline(question.ask)}</p><ol>{choices}</ol></div>"


def main() -> int:
    folder, lessons = HERE / "quiz", read_lessons()
    folder.mkdir(exist_ok=True)
    made = {"moodle.gift.txt": gift(lessons)}
    for number, lesson in enumerate(lessons):
        made[f"{lesson.name}.html"] = sheet(lesson, number, with_key=False)
        made[f"{lesson.name}.key.html"] = sheet(lesson, number, with_key=True)
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
        print(Path("notebooks/quiz", name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
