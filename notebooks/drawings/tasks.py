"""The words for a network that learns one task after another."""

from drawings import picture
from kerastl.plots.sketch import INK, arrow, block, box, line, lock, network, oval, photo, word
from kerastl.plots.style import GREY, HELD_OUT, PINK, SKY, TEAL, YELLOW


def butterfly(ax, x: float, y: float, size: float = 30) -> None:
    """A square picture of a butterfly from its lower left corner."""
    box(ax, x, y, size, size, linewidth=1)
    for side in (-1, 1):
        for height, wide in ((0.64, 0.34), (0.34, 0.24)):
            place = (x + size * (0.5 + side * 0.21), y + size * height)
            oval(ax, *place, size * wide, size * wide, facecolor=TEAL, edgecolor=INK, linewidth=0.6)
    line(ax, [x + size / 2] * 2, [y + size * 0.2, y + size * 0.85], width=1.5)


@picture
def forgetting(ax) -> None:
    for x, title, heights in ((40, "before", (80, 14)), (180, "after learning B", (28, 78))):
        for place, (name, height) in enumerate(zip("AB", heights, strict=True)):
            left = x + 40 * place
            box(ax, left, 30, 28, height, fill=(HELD_OUT, GREY)[place])
            word(ax, left + 14, 20, name, 10, weight="bold")
        line(ax, [x - 10, x + 80], [30, 30], width=1.2)
        word(ax, x + 34, 134, title)
    arrow(ax, (126, 70), (162, 70), width=2)
    word(ax, 16, 76, "accuracy", 9, rotation=90)


@picture
def joint_training(ax) -> None:
    for number, petals in enumerate((PINK, YELLOW, SKY)):
        photo(ax, 20 + 9 * number, 92 - 5 * number, 32, petals=petals)
    for number in range(3):
        butterfly(ax, 22 + 9 * number, 36 - 5 * number, 30)
    word(ax, 50, 138, "old pictures: A")
    word(ax, 54, 14, "new pictures: B")
    for y in (96, 52):
        arrow(ax, (84, y), (116, 74), width=2)
    network(ax, 160, 32, 5, width=60, head=False)
    for y, name in ((100, "head of A"), (48, "head of B")):
        arrow(ax, (196, 74), (214, y), width=2)
        block(ax, 216, y - 8, 60, 16, True)
        word(ax, 246, y + (18 if y > 74 else -18), name, 9)


@picture
def learning_without_forgetting(ax) -> None:
    photo(ax, 14, 60, 34, petals=YELLOW)
    word(ax, 31, 44, "new\npicture", 8)
    arrow(ax, (52, 84), (76, 104), width=2)
    arrow(ax, (52, 70), (76, 46), width=2)
    network(ax, 100, 84, 0, width=40, height=52)
    lock(ax, 132, 110)
    word(ax, 100, 143, "before", 8)
    network(ax, 100, 16, 5, width=40, height=52)
    word(ax, 100, 8, "learns", 8)
    arrow(ax, (146, 108), (164, 108), width=2)
    arrow(ax, (146, 46), (164, 46), width=2)
    for y, shares, name in ((92, (30, 18, 8), "recorded"), (30, (28, 20, 8), "now")):
        for place, share in enumerate(shares):
            box(ax, 170, y + 11 * place, share, 8, fill=GREY)
        word(ax, 186, y - 9, name, 8)
    arrow(ax, (219, 98), (219, 56), arrowstyle="<|-|>", width=2)
    word(ax, 228, 77, "old answers\nstay alike", 8, ha="left")
