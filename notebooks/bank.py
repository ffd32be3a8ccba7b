"""The question bank: questions/*.yaml, one file a lesson, with multiple-choice questions and the answers of the recap.

questions/README.md says what a file holds. What does not have this form is refused, with a word on what to write.
"""

import random
from pathlib import Path
from typing import NamedTuple

import mistune
import yaml
from mistune.core import BlockState

FOLDER = Path(__file__).parent / "questions"
WRONG = 3  # choices beside the right one
_markdown = mistune.create_markdown(escape=True)


class Choice(NamedTuple):
    text: str
    because: str  # why it is wrong, or right
    is_right: bool


class Question(NamedTuple):
    ask: str
    choices: list[Choice]  # in the order in which they are shown


def read_questions(lesson: str) -> list[Question]:
    """The multiple-choice questions of a lesson, such as "00_start_here", their choices shuffled: always alike.

    Of any four questions in a row, counted from the first, each place has the right choice once.
    """
    entries, chance = _read(lesson)["questions"], random.Random(lesson)
    places = [place for _ in entries[::4] for place in chance.sample(range(1 + WRONG), 1 + WRONG)]
    found = []
    for number, (entry, place) in enumerate(zip(entries, places, strict=False)):
        right, *wrong = _checked(entry, f"{file_of(lesson)}, questions[{number}]")
        chance.shuffle(wrong)
        found.append(Question(entry["ask"], [*wrong[:place], right, *wrong[place:]]))
    return found


def read_answers(lesson: str) -> dict[str, str]:
    """Of each question of the recap its answer."""
    answers = _read(lesson)["recap"]
    _fields(answers, list(answers), f"{file_of(lesson)}, recap")
    return answers


def answers_to(asked: list[str], lesson: str) -> dict[str, str]:
    """The answers to what a lesson asks at its end. Raises ValueError when one is missing, or stale."""
    answers = read_answers(lesson)
    missing, stale = [ask for ask in asked if ask not in answers], sorted(set(answers) - set(asked))
    if missing or stale:
        raise ValueError(
            f"The recap of {lesson} has questions without an answer: {missing}. It does not ask: {stale}. "
            f"Write under `recap:` in {file_of(lesson)} each question, word for word, with its answer."
        )
    return {ask: answers[ask] for ask in asked}


def file_of(lesson: str) -> str:
    """The place of a lesson's file in the project."""
    return f"notebooks/questions/{lesson}.yaml"


def inline(text: str) -> str:
    """A line of Markdown as HTML: emphasis and code. "2. Leaks" does not begin a list, as it would on a page."""
    return _markdown.renderer.render_tokens(_markdown.inline(text, {}), BlockState())


def _read(lesson: str) -> dict:
    file = FOLDER / f"{lesson}.yaml"
    if not file.exists():
        raise FileNotFoundError(f"{file_of(lesson)} is missing. Write it like the others; its README.md says how.")
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or set(content) != {"recap", "questions"}:
        raise ValueError(f"{file_of(lesson)} should hold `recap:` and `questions:`, and nothing else.")
    return content


def _checked(entry: dict, place: str) -> list[Choice]:
    """The choices of a question, the right one first."""
    if not isinstance(entry, dict) or set(entry) != {"ask", "right", "because", "wrong"}:
        raise ValueError(f"{place} should hold `ask`, `right`, `because` and `wrong`, and nothing else.")
    wrong = entry["wrong"]
    if not isinstance(wrong, list) or len(wrong) != WRONG:
        raise ValueError(f"{place} should have {WRONG} choices under `wrong`.")
    _fields({key: entry[key] for key in ("ask", "right", "because")}, ["ask", "right", "because"], place)
    for number, choice in enumerate(wrong):
        _fields(choice, ["choice", "because"], f"{place}, wrong[{number}]")
    return [
        Choice(entry["right"], entry["because"], True),
        *(Choice(choice["choice"], choice["because"], False) for choice in wrong),
    ]


def _fields(entry: dict, wanted: list[str], place: str) -> None:
    """Raises ValueError unless the entry has these fields, each with a text in it."""
    if not isinstance(entry, dict) or set(entry) != set(wanted):
        raise ValueError(f"{place} should hold {' and '.join(f'`{name}`' for name in wanted)}, and nothing else.")
    for name, text in entry.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{place}: `{name}` should be a text, and is {text!r}. Put it between quotes.")
