"""What a teacher sees beside a slide and students do not: minutes, what to ask, and the answers.

Nothing is written here: minutes, questions and beliefs are those of TEACHING.md, answers to predictions those of the
lesson, answers to the recap those of the question bank.
"""

import re

from bank import answers_to
from recap import recall_questions
from sources import Lesson
from teaching import read_beliefs, read_minutes, read_talks


class Notes:
    """The notes of one lesson. Made once, asked for each slide."""

    def __init__(self, lesson: Lesson, number: int):
        self.minutes = read_minutes()[number]
        self.recap = answers_to(recall_questions(lesson), lesson.name)
        self.talks = [talk for talk in read_talks() if talk.lesson == str(number)]
        self.beliefs = [belief for belief in read_beliefs() if belief.lesson == str(number)]

    def of(self, section: str | None, text: str) -> str:
        """The notes, as Markdown, of a slide in a section (None: before the first one) that shows this text."""
        parts = [self._of_section(section)] + [f"The prediction: {answer}" for answer in _answers(text)]
        if "**Can you say it without looking?**" in text:
            parts.append("\n".join(f"- {ask} **{answer}**" for ask, answer in self.recap.items()))
        return "\n\n".join(parts)

    def _of_section(self, section: str | None) -> str:
        if section is None:
            plan = " · ".join(f"{name} **{minutes}**" for name, minutes in self.minutes.items())
            return f"**{sum(self.minutes.values())} minutes.** {plan}"
        parts = (
            [f"**{self.minutes[section]} minutes** for *{section}*."] if section in self.minutes else [f"*{section}*"]
        )
        parts += [f"While it runs: {talk.ask}" for talk in self.talks if talk.section == section]
        parts += [
            f"They may believe: {row.belief} Ask: {row.ask} Answer: {row.answer}"
            for row in self.beliefs
            if row.section == section
        ]
        if section == "Exercises":
            parts.append("★ now, ★★ in pairs, ★★★ at home. The solved exercises are in `solutions/`.")
        return "\n\n".join(parts)


def _answers(text: str) -> list[str]:
    """What is folded away in a text."""
    return [" ".join(found.split()) for found in re.findall(r"</summary>(.+?)</details>", text, re.DOTALL)]
