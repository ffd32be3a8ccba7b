"""What the pictures of GLOSSARY.md show: one function for each word, which draws on a canvas of 300 × 150."""

from collections.abc import Callable

WIDTH, HEIGHT = 300, 150
PICTURES: dict[str, Callable] = {}  # by the name of the file


def picture(draw: Callable) -> Callable:
    """Keep a function that draws the picture of the word that it is named after."""
    PICTURES[draw.__name__.replace("_", "-")] = draw
    return draw
