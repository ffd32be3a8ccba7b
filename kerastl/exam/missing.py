"""How a check says what is missing."""

import re


class MissingError(Exception):
    """What is missing in the work of a student, and what to do: one sentence."""


def in_short(error: Exception) -> str:
    """An error of a library as a part of a sentence: its kind, and the beginning of what it says."""
    said = re.split(r"[.!?:]\s|\n", str(error).strip() or "nothing more is said")[0].rstrip(".")
    return f"{type(error).__name__}: {said[:150]}"
