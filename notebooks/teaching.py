"""The tables of TEACHING.md, for what is printed or shown from them: sheets, slides, and their tests."""

import re
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parent / "TEACHING.md"


class Belief(NamedTuple):
    """A row of "What students usually believe"."""

    lesson: str  # its number
    belief: str
    ask: str
    section: str  # what settles it: a heading of the lesson
    answer: str


class Talk(NamedTuple):
    """A row of "What to say while training runs"."""

    lesson: str
    section: str
    ask: str


def read_beliefs() -> list[Belief]:
    return [Belief(*row) for row in read_table("What students usually believe")]


def read_talks() -> list[Talk]:
    return [Talk(*row) for row in read_table("What to say while training runs")]


def read_minutes() -> dict[int, dict[str, int]]:
    """{lesson: {heading of a section: its minutes}}"""
    return {int(row[0]): minutes_of(row[2]) for row in read_table("Minutes for each section")}


def minutes_of(cell: str) -> dict[str, int]:
    """Of "Lesson 5: The idea **3** · 1. Freeze **4**": what each part takes."""
    parts = re.sub(r"^Lesson \d+: ", "", cell).split(" · ")
    pairs = [re.fullmatch(r"(.+) \*\*(\d+)\*\*", part).groups() for part in parts]
    return {name: int(number) for name, number in pairs}


def read_table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head."""
    below = re.split(rf"^##+ {re.escape(heading)}$", FILE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1]
    rows = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE).group().splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
