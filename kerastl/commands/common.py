"""What several commands need to print and to draw."""

from pathlib import Path

import matplotlib.pyplot as plt


def printable(value) -> str:
    """Text from outside, without what could steer the terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in str(value))


def save_figure(figure, path: Path) -> None:
    """Write a figure as PNG, and close it."""
    figure.savefig(path, dpi=120)
    plt.close(figure)
