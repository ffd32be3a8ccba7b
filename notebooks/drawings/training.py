"""The words of training."""

from itertools import pairwise

import numpy as np

from drawings import picture
from kerastl.plots.sketch import INK, arrow, box, line, lock, network, oval, photo, rising, scale, word
from kerastl.plots.style import GREY, HELD_OUT, HELD_STILL, PINK, RED, SKY, TRAINING, WRONG, YELLOW


@picture
def phase_1(ax) -> None:
    network(ax, 95, 22, 1, width=70, height=110)
    lock(ax, 95, 62, 32)
    arrow(ax, (185, 121), (122, 121), width=2)
    word(ax, 190, 121, "the head learns", ha="left")
    word(ax, 140, 62, "the base is frozen", ha="left")


@picture
def phase_2(ax) -> None:
    network(ax, 95, 22, 3, width=70, height=110)
    lock(ax, 95, 43, 32)
    line(ax, [142, 148, 148, 142], [132, 132, 68, 68])
    word(ax, 156, 100, "head and top of the\nbase learn, in\nsmall steps", ha="left")
    word(ax, 140, 43, "the rest is frozen", ha="left")


@picture
def loss(ax) -> None:
    photo(ax, 20, 70, 44)
    word(ax, 42, 52, "a rose")
    for y, name, share, value in ((112, "rose 0.9", 0.12, "small loss"), (58, "rose 0.1", 0.95, "large loss")):
        arrow(ax, (70, 92), (98, y), width=1.6)
        word(ax, 102, y, name, 10, ha="left")
        box(ax, 172, y - 8, 110, 16)
        box(ax, 172, y - 8, 110 * share, 16, fill=WRONG, linewidth=0)
        word(ax, 227, y - 18, value, 8)
    word(ax, 150, 14, "how wrong is the answer?")


@picture
def learning_rate(ax) -> None:
    low, high = (-0.9, -0.65, -0.45, -0.28, -0.14, -0.02), (-0.55, 0.75, -0.95, 1.1)
    side = np.linspace(-1.1, 1.1, 50)
    for middle, places, name, bend in ((78, low, "low", -0.25), (222, high, "too high", 0)):
        line(ax, middle + 58 * side, 42 + 67 * side**2, GREY, 2.5)
        dots = [(middle + 58 * place, 47 + 67 * place**2) for place in places]
        for one, two in pairwise(dots):
            arrow(ax, one, two, width=1.2, mutation_scale=7, connectionstyle=f"arc3,rad={bend}")
        oval(ax, *dots[0], 11, 11, facecolor=INK, edgecolor=INK)
        word(ax, middle, 20, name, 10)


@picture
def epoch(ax) -> None:
    for place, petals in enumerate((PINK, SKY, RED, YELLOW, PINK, RED)):
        photo(ax, 18 + 33 * place, 72, 28, petals=petals, turn=7 * (place % 3) - 7)
    arrow(ax, (215, 86), (236, 86), width=2)
    network(ax, 262, 60, 1, width=40, height=56)
    arrow(ax, (262, 52), (20, 66), width=1.6, connectionstyle="arc3,rad=-0.25")
    word(ax, 116, 122, "all training pictures, once")
    word(ax, 150, 12, "then again: the next epoch")


@picture
def learning_curve(ax) -> None:
    scale(ax, 32, 32, 240, 105, "epochs", "accuracy")
    rising(ax, (36, 32, 228, 105), 0.25, 0.97, 3.5, TRAINING, "--")
    rising(ax, (36, 32, 228, 105), 0.2, 0.8, 4, HELD_OUT)
    word(ax, 88, 127, "training")
    word(ax, 215, 94, "validation")


@picture
def start_slope_asymptote(ax) -> None:
    scale(ax, 32, 32, 240, 105, "epochs", "accuracy")
    rising(ax, (36, 32, 200, 105), 0.25, 0.9, 4.5, HELD_OUT, width=2.5)
    oval(ax, 36, 32 + 105 * 0.25, 9, 9, facecolor=HELD_OUT, zorder=2)
    word(ax, 46, 48, "start", ha="left")
    arrow(ax, (42, 78), (63, 110))
    word(ax, 68, 124, "slope")
    line(ax, [190, 280], [126.5, 126.5], INK, 2, ":")
    word(ax, 235, 110, "asymptote")


@picture
def batchnorm(ax) -> None:
    bars = ((-2, 9), (-1, 38), (0, 68), (1, 38), (2, 9))
    for left, zero, middle, width, name in ((17, 40, 91, 10, "what comes in"), (160, 218, 218, 22, "what goes out")):
        line(ax, [left, left + 116], [45, 45], width=1.2)
        line(ax, [zero, zero], [41, 128], GREY, 1, "--")
        for place, height in bars:
            x = middle + (place - 0.5) * width
            box(ax, x, 45, width, height, fill=HELD_STILL, edgecolor="white", linewidth=0.8)
        word(ax, zero, 34, "0")
        word(ax, left + 58, 16, name)
    arrow(ax, (138, 85), (158, 85), width=2)


@picture
def augmentation(ax) -> None:
    photo(ax, 18, 55, 52)
    arrow(ax, (78, 81), (104, 81), width=2)
    for place, turn in enumerate((-25, 15, 40)):
        photo(ax, 112 + 60 * place, 55, 52, turn=turn)
    word(ax, 44, 30, "as it is")
    word(ax, 200, 30, "changed by chance")


@picture
def class_weight(ax) -> None:
    line(ax, [70, 230], [72, 72], INK, 3)
    line(ax, [150, 132, 168, 150], [72, 40, 40, 72], INK, 2)
    for place in range(6):
        photo(ax, 70 + 23 * (place % 3), 75 + 23 * (place // 3), 21, petals=SKY)
    for place in range(2):
        photo(ax, 173 + 23 * place, 75, 21, petals=RED)
    word(ax, 104, 134, "6 pictures, weight 1")
    word(ax, 198, 112, "2 pictures,\nweight 3")
    word(ax, 150, 20, "both classes count the same")
