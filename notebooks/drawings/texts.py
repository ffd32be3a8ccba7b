"""The words for a network that reads texts."""

from drawings import picture
from kerastl.plots.sketch import arrow, block, box, line, lock, network, page, word
from kerastl.plots.style import GREY, HELD_OUT


@picture
def token_id(ax) -> None:
    word(ax, 150, 139, "Draw histograms.", 11)
    for x, piece, number in ((38, "draw", "1438"), (118, "histogram", "2022"), (198, "##s", "268"), (258, ".", "18")):
        width = 90 if len(piece) > 4 else 46
        box(ax, x - width / 2, 76, width, 26, radius=4)
        word(ax, x, 89, piece, 10, family="monospace")
        arrow(ax, (x, 72), (x, 50))
        word(ax, x, 40, number, 11, family="monospace", weight="bold")
    line(ax, [14, 14, 282, 282], [108, 114, 114, 108], width=1.2)
    arrow(ax, (150, 129), (150, 115), width=2)
    word(ax, 150, 14, "a number for each piece")


@picture
def bag_of_words(ax) -> None:
    page(ax, 8, 30, 104, 92)
    word(ax, 56, 66, "the sum of\nthe rows and\nthe columns", 9)
    arrow(ax, (116, 80), (148, 80), width=2)
    for place, (name, count) in enumerate((("the", 3), ("sum", 1), ("of", 1), ("rows", 1), ("and", 1), ("columns", 1))):
        y = 132 - 20 * place
        word(ax, 214, y, name, 10, ha="right")
        box(ax, 222, y - 6, 20 * count, 12, fill=HELD_OUT)
    word(ax, 64, 14, "a text")
    word(ax, 214, 8, "how often each occurs")


@picture
def bert(ax) -> None:
    word(ax, 24, 122, "the sum of", 9, ha="left")
    box(ax, 106, 112, 24, 20, linestyle="--")
    word(ax, 118, 122, "?", 11, weight="bold")
    arrow(ax, (76, 108), (76, 92), width=2)
    network(ax, 76, 26, 4, width=56, height=62, head=False)
    word(ax, 80, 12, "names what is hidden", 8)
    arrow(ax, (122, 58), (160, 58), GREY, 2)
    network(ax, 206, 26, 0, width=56, height=62, head=False)
    lock(ax, 206, 57)
    block(ax, 178, 92, 56, 14, True)
    word(ax, 206, 124, "one output layer", 9)
    arrow(ax, (206, 12), (206, 26), width=2)
    word(ax, 220, 10, "your texts", 9, ha="left")
