"""The words for the parts of the data, for how good a model is, and the two words that many use as one."""

import matplotlib as mpl
import numpy as np

from drawings import picture
from kerastl.plots.sketch import (
    INK,
    arrow,
    box,
    canvas,
    cross,
    line,
    oval,
    photo,
    rising,
    scale,
    tick,
    word,
)
from kerastl.plots.style import FINE_TUNED, FROM_SCRATCH, GREY, HELD_OUT, PINK, RED, SKY, TRAINING, WRONG, YELLOW

# ---- the pictures


@picture
def training_validation_test(ax) -> None:
    colours = (PINK, SKY, RED, YELLOW)
    for left, columns, rows, name, use in (
        (12, 5, 2, "training", "learn"),
        (172, 2, 1, "validation", "choose"),
        (236, 2, 1, "test", "once"),
    ):
        box(ax, left, 55, 26 * columns + 4, 58, radius=4)
        for place in range(columns * rows):
            column, row = place % columns, place // columns
            photo(ax, left + 4 + 26 * column, 86 - 13 * rows + 26 * row, 22, petals=colours[(place + left) % 4])
        word(ax, left + 13 * columns + 2, 126, name)
        word(ax, left + 13 * columns + 2, 38, use, 10, style="italic")


@picture
def leak(ax) -> None:
    for left, name in ((15, "training"), (165, "test")):
        box(ax, left, 35, 120, 62, radius=4)
        word(ax, left + 60, 18, name, 10)
    photo(ax, 22, 46, 32, petals=SKY)
    photo(ax, 58, 46, 32, petals=YELLOW)
    photo(ax, 97, 46, 32, petals=RED)
    photo(ax, 172, 46, 32, petals=RED)
    photo(ax, 208, 46, 32, petals=PINK)
    photo(ax, 246, 46, 32, petals=YELLOW, turn=30)
    for left in (94, 169):
        box(ax, left, 43, 38, 38, fill="none", edgecolor=WRONG, linewidth=2.5)
    arrow(ax, (113, 83), (188, 83), WRONG, 2, connectionstyle="arc3,rad=-0.5")
    word(ax, 150, 120, "the same picture", 10)


@picture
def overfitting(ax) -> None:
    scale(ax, 32, 32, 240, 105, "epochs", "accuracy")
    rising(ax, (36, 32, 220, 105), 0.2, 1, 3, TRAINING, "--")
    time = np.linspace(0, 1, 40)
    line(ax, 36 + 220 * time, 32 + 105 * (0.2 + 2.1 * time * np.exp(-2.2 * time) - 0.05 * time), HELD_OUT, 2)
    word(ax, 92, 127, "training")
    word(ax, 215, 50, "validation")
    arrow(ax, (232, 82), (232, 122), WRONG, 1.6, arrowstyle="<|-|>")
    word(ax, 240, 100, "gap", ha="left")


# ---- how good is it?


@picture
def confusion_matrix(ax) -> None:
    counts = ((8, 1, 0), (2, 7, 1), (0, 0, 9))
    for row, values in enumerate(counts):
        for column, count in enumerate(values):
            x, y = 110 + 40 * column, 88 - 28 * row
            shade = mpl.colors.to_hex(1 - (1 - np.array(mpl.colors.to_rgb(HELD_OUT))) * count / 9)
            box(ax, x, y, 40, 28, fill=shade, linewidth=0.8)
            if count:
                word(ax, x + 20, y + 14, str(count), 10, color="white" if count > 5 else INK)
        word(ax, 104, 102 - 28 * row, ("rose", "tulip", "daisy")[row], 9, ha="right")
        word(ax, 130 + 40 * row, 124, ("rose", "tulip", "daisy")[row], 9)
    word(ax, 170, 140, "what the model said", 9, weight="bold")
    word(ax, 34, 74, "what\nit is", 9, weight="bold")
    word(ax, 262, 60, "off the\ndiagonal:\nmistakes", 9)


@picture
def precision_recall(ax) -> None:
    for x, y, petals in (
        (40, 92, PINK),
        (40, 50, PINK),
        (100, 92, PINK),
        (100, 50, PINK),
        (158, 92, SKY),
        (236, 92, SKY),
        (236, 50, YELLOW),
    ):
        photo(ax, x, y, 28, petals=petals)
    box(ax, 90, 42, 106, 86, fill="none", radius=8, edgecolor=INK, linestyle="--", linewidth=1.8)
    word(ax, 143, 138, "taken for roses")
    word(ax, 150, 26, "precision: 2 of 3")
    word(ax, 48, 26, "recall: 2 of 4")
    word(ax, 46, 138, "pink: roses")


@picture
def interval(ax) -> None:
    for y, half, name in ((92, 75, "few test pictures"), (44, 24, "many test pictures")):
        word(ax, 150, y + 26, name)
        line(ax, [150 - half, 150 + half], [y, y], HELD_OUT, 2)
        for end in (150 - half, 150 + half):
            line(ax, [end, end], [y - 7, y + 7], HELD_OUT, 2)
        oval(ax, 150, y, 10, 10, facecolor=HELD_OUT, zorder=2)
    line(ax, [40, 260], [24, 24], width=1.2)
    word(ax, 260, 13, "accuracy", 8, ha="right")


@picture
def calibration(ax) -> None:
    word(ax, 76, 134, "says: 0.8 sure")
    for place in range(10):
        column, row = place % 5, place // 5
        x, y = 22 + 52 * column, 78 - 42 * row
        photo(ax, x, y, 30, petals=(PINK, SKY, RED, YELLOW)[place % 4])
        (cross if place in (3, 7) else tick)(ax, x + 40, y + 14, 12)
    word(ax, 222, 134, "8 of 10 are right")
    arrow(ax, (134, 134), (160, 134), arrowstyle="<|-|>")


@picture
def heat_map(ax) -> None:
    photo(ax, 25, 30, 95)
    arrow(ax, (130, 78), (165, 78), width=2)
    box(ax, 178, 30, 95, 95, fill="#444444", linewidth=1)
    for size, colour in ((80, "#781C6D"), (62, "#BC3754"), (42, "#ED6925"), (22, "#FBB61A")):
        oval(ax, 225, 84, size, size, facecolor=colour, linewidth=0)
    word(ax, 72, 14, "picture")
    word(ax, 225, 14, "speaks for “rose”")


@picture
def positive_negative_neutral_transfer(ax) -> None:
    for left, start, end, name in (
        (8, 0.45, 0.95, "positive"),
        (106, 0.12, 0.45, "negative"),
        (204, 0.2, 0.72, "neutral"),
    ):
        scale(ax, left, 48, 86, 80)
        rising(ax, (left + 2, 48, 84, 80), 0.1, 0.7, 3, FROM_SCRATCH, ":", 2.2)
        rising(ax, (left + 2, 48, 84, 80), start, end, 3, FINE_TUNED, width=2.5)
        word(ax, left + 43, 34, name, 10)
    line(ax, [30, 52], [12, 12], FINE_TUNED, 2.5)
    word(ax, 58, 12, "pre-trained", 8.5, ha="left")
    line(ax, [160, 182], [12, 12], FROM_SCRATCH, 2.2, ":")
    word(ax, 188, 12, "from scratch", 8.5, ha="left")


# ---- two words, one paragraph


def two_words() -> None:
    """Which of the two words fits what was done: a table of two questions."""
    ax = canvas(430, 210)
    box(ax, 264, 12, 158, 186, fill="none", edgecolor=INK, linewidth=2.5, radius=10)
    box(ax, 106, 21, 306, 70, fill="none", edgecolor=FINE_TUNED, linewidth=2.5, radius=10, linestyle="--")
    line(ax, [106, 412], [146, 146], GREY, 0.8)
    word(ax, 343, 183, "transfer learning", 10, weight="bold")
    word(ax, 184, 75, "fine-tuning", 10, weight="bold")
    word(ax, 184, 159, "the same task")
    word(ax, 343, 159, "a new task")
    word(ax, 52, 118, "pre-trained\nparameters\nstay")
    word(ax, 52, 56, "pre-trained\nparameters\nlearn further")
    word(ax, 184, 118, "just use the model")
    word(ax, 343, 118, "feature extraction")
    word(ax, 184, 45, "train some more")
    word(ax, 338, 56, "both words fit\n(the usual case)")
