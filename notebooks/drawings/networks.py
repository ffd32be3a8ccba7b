"""The words for the network, and for what of it learns."""

from drawings import picture
from kerastl.plots.sketch import (
    INK,
    PALE,
    arrow,
    block,
    box,
    cross,
    line,
    lock,
    network,
    numbers,
    oval,
    page,
    photo,
    word,
)
from kerastl.plots.style import GREY, PINK, RED, SKY, TRAINABLE, YELLOW

ROW = (0.9, 0.3, 0.6, 0.2, 0.8, 0.5)  # some features


# ---- the network


@picture
def weights(ax) -> None:
    left, right = [(60, 108), (60, 66), (60, 24)], [(160, 91), (160, 41)]
    for place, (one, two) in enumerate((one, two) for one in left for two in right):
        line(ax, *zip(one, two, strict=True), TRAINABLE, 1 + 0.9 * (place * 2 % 5))
    for place in left + right:
        oval(ax, *place, 20, 20, facecolor="white", edgecolor=INK, linewidth=1.5)
    for y, number in ((99, "0.7"), (66, "–0.2"), (33, "1.3")):
        word(ax, 225, y, number, 11, family="monospace")
    word(ax, 150, 138, "each line has a number")


@picture
def pre_trained_model(ax) -> None:
    for number, petals in enumerate((SKY, YELLOW, RED, PINK)):
        photo(ax, 22 + 9 * number, 72 - 11 * number, 40, petals=petals)
    arrow(ax, (102, 75), (130, 75), width=2)
    network(ax, 168, 42, 5, width=50)
    arrow(ax, (206, 75), (232, 75), width=2)
    page(ax, 242, 50, 38, 50)
    word(ax, 261, 70, "0.7  0.1\n0.3  0.4", 6)
    word(ax, 62, 18, "many pictures")
    word(ax, 168, 18, "learned")
    word(ax, 261, 18, "saved")


@picture
def base(ax) -> None:
    photo(ax, 18, 52, 36)
    arrow(ax, (58, 70), (72, 70), width=2)
    network(ax, 112, 32, 0, width=64, height=94, head=False)
    box(ax, 92, 118, 40, 17, linestyle="--")
    arrow(ax, (138, 126), (162, 126), GREY, 2)
    word(ax, 168, 126, "old classifier: out", ha="left")
    word(ax, 154, 70, "base: stays", 10, ha="left", weight="bold")


@picture
def head(ax) -> None:
    network(ax, 70, 25, 1, width=64, height=95)
    for y, name, width in ((118, "rose", 62), (98, "tulip", 22), (78, "daisy", 8)):
        word(ax, 190, y, name, ha="right")
        box(ax, 198, y - 6, width, 12, fill=GREY)
    arrow(ax, (98, 111), (150, 111), width=2)
    word(ax, 112, 55, "base", ha="left")
    word(ax, 100, 131, "head", 10, weight="bold", ha="left")
    word(ax, 215, 50, "one probability\nfor each class")


@picture
def features(ax) -> None:
    photo(ax, 18, 55, 44)
    arrow(ax, (68, 77), (90, 77), width=2)
    network(ax, 120, 48, 0, width=46, height=72, head=False)
    arrow(ax, (150, 77), (172, 77), width=2)
    numbers(ax, 235, 77, ROW, width=110, height=26)
    word(ax, 40, 28, "picture")
    word(ax, 120, 28, "base")
    word(ax, 235, 28, "features:\na row of numbers")


# ---- what learns


@picture
def freeze(ax) -> None:
    network(ax, 80, 30, 0, width=70, height=110, head=False)
    lock(ax, 80, 74, 34)
    arrow(ax, (215, 104), (130, 82), GREY, 2, linestyle="--")
    cross(ax, 170, 93, 18)
    word(ax, 218, 118, "training")
    word(ax, 205, 55, "the parameters\nstay as they are")


@picture
def unfreeze(ax) -> None:
    network(ax, 80, 30, 2, width=70, height=110, head=False)
    lock(ax, 80, 52, 26)
    lock(ax, 74, 95, 26, is_open=True)
    arrow(ax, (215, 107), (122, 97), width=2)
    word(ax, 218, 120, "training")
    word(ax, 215, 80, "can change\nthe orange part")


@picture
def transfer_learning(ax) -> None:
    network(ax, 70, 45, 5, width=56, height=70)
    network(ax, 235, 45, 1, width=56, height=70)
    arrow(ax, (108, 72), (197, 72), INK, 3, mutation_scale=16)
    word(ax, 152, 88, "knowledge")
    for place, petals in enumerate((SKY, YELLOW)):
        photo(ax, 42 + 30 * place, 118, 25, petals=petals)
        photo(ax, 207 + 30 * place, 118, 25, petals=(RED, PINK)[place])
    word(ax, 70, 25, "first task", 10)
    word(ax, 235, 25, "new task", 10)


@picture
def feature_extraction(ax) -> None:
    photo(ax, 8, 60, 36)
    arrow(ax, (48, 78), (62, 78))
    network(ax, 88, 50, 0, width=42, height=72, head=False)
    lock(ax, 88, 78, 22)
    arrow(ax, (113, 78), (127, 78))
    numbers(ax, 170, 78, ROW, width=78, height=20)
    arrow(ax, (213, 78), (227, 78))
    box(ax, 231, 58, 60, 40, fill=TRAINABLE, hatch="////", edgecolor="white", linewidth=0)
    box(ax, 237, 68, 48, 20, linewidth=0)
    word(ax, 261, 78, "classifier", 8)
    word(ax, 88, 26, "only read")
    word(ax, 170, 26, "features")
    word(ax, 261, 26, "learns")


@picture
def fine_tuning(ax) -> None:
    for x, learning in ((60, 0), (220, 3)):
        network(ax, x, 40, learning, width=60, height=85)
    arrow(ax, (104, 85), (174, 85), width=2)
    word(ax, 139, 98, "learn further")
    word(ax, 60, 20, "pre-trained")
    word(ax, 220, 20, "a little changed")
    arrow(ax, (264, 74), (264, 122), width=2)


@picture
def learning_from_scratch(ax) -> None:
    for row in range(5):
        width = 36 if row == 4 else 60
        box(ax, 60 - width / 2, 40 + 17 * row, width, 17, fill=PALE, edgecolor="white")
        word(ax, 60, 48.5 + 17 * row, "?" if row == 4 else "?   ?   ?", 9)
    arrow(ax, (104, 85), (174, 85), width=2)
    word(ax, 139, 98, "learn all")
    network(ax, 220, 40, 5, width=60, height=85)
    word(ax, 60, 20, "random\nparameters")
    word(ax, 220, 20, "after training")


@picture
def end_to_end(ax) -> None:
    photo(ax, 20, 57, 40)
    arrow(ax, (66, 77), (92, 77), width=2)
    for place in range(5):
        block(ax, 98 + 21 * place, 47, 20, 60, True)
    arrow(ax, (208, 77), (234, 77), width=2)
    word(ax, 264, 77, "rose", 12, style="italic")
    word(ax, 40, 28, "pixels")
    word(ax, 150, 28, "all of it learns")
    word(ax, 264, 28, "answer")
