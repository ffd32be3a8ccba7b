"""The seven steps of the work as one picture: what every lesson begins with."""

from kerastl.plots.sketch import (
    INK,
    arrow,
    box,
    canvas,
    cross,
    lens,
    lock,
    network,
    page,
    photo,
    tick,
    word,
)
from kerastl.plots.style import PINK, RED, SKY, TRAINABLE, YELLOW

_SLOT, _HEIGHT = 114, 150  # for each step, in hundredths of an inch
_MIDDLE = 88  # height of the arrows, and of the middle of each sketch


def plot_workflow(step: str | None = None, *, ax=None):
    """The whole work as a row of seven sketches, from the pictures to the saved model, with one step marked.

    How to read it: blue blocks are frozen, hatched orange blocks learn. The step in the frame, with its name in bold,
    is the one at hand.

    Args:
        step: one of `STEPS`; None marks none.
        ax: Matplotlib axes; a new figure of 8 × 1.5 inches by default.

    Returns:
        The Matplotlib axes.

    Raises:
        ValueError: there is no such step.
    """
    if step is not None and step not in STEPS:
        raise ValueError(f"Received step = {step!r}. Expected one of {', '.join(map(repr, STEPS))}.")
    ax = canvas(_SLOT * len(STEPS), _HEIGHT, ax)
    for number, name in enumerate(STEPS):
        middle = (number + 0.5) * _SLOT
        if name == step:
            box(ax, middle - 48, 5, 96, 140, radius=8, linewidth=2.5)
        _SKETCHES[name](ax, middle)
        word(ax, middle, 25, name.replace(" and", "\nand"), 10, weight="bold" if name == step else "normal")
        if number:
            arrow(ax, (middle - _SLOT / 2 - 6, _MIDDLE), (middle - _SLOT / 2 + 6, _MIDDLE), width=2)
    return ax


def _load(ax, x: float) -> None:
    for number, petals in enumerate((SKY, YELLOW, PINK)):
        photo(ax, x - 34 + 11 * number, _MIDDLE - 18 - 9 * (number - 1), 44, petals=petals)


def _look(ax, x: float) -> None:
    colours = (PINK, SKY, RED, YELLOW)
    for place in range(9):
        column, row = place % 3, place // 3
        photo(ax, x - 35 + 24 * column, _MIDDLE - 33 + 24 * row, 21, petals=colours[(place + row) % 4])
    lens(ax, x + 9, _MIDDLE - 4, 18)


def _build(ax, x: float) -> None:
    network(ax, x, _MIDDLE - 40, 0, width=54, height=66, head=False)
    box(ax, x - 16, _MIDDLE + 25, 32, 13, fill=TRAINABLE, hatch="////", edgecolor="white", linewidth=0.8)
    for side in (-25, 25):
        arrow(ax, (x + side, _MIDDLE + 38), (x + side, _MIDDLE + 17))


def _phase_1(ax, x: float) -> None:
    network(ax, x, _MIDDLE - 40, 1, width=54, height=78)
    lock(ax, x, _MIDDLE - 8, 24)
    arrow(ax, (x + 35, _MIDDLE + 20), (x + 35, _MIDDLE + 40), width=2.2)


def _phase_2(ax, x: float) -> None:
    network(ax, x, _MIDDLE - 40, 3, width=54, height=78)
    lock(ax, x, _MIDDLE - 24, 24)
    arrow(ax, (x + 35, _MIDDLE - 8), (x + 35, _MIDDLE + 40), width=2.2)


def _test(ax, x: float) -> None:
    for row, (petals, mark) in enumerate(((PINK, tick), (SKY, cross), (YELLOW, tick))):
        y = _MIDDLE + 13 - 26 * row
        photo(ax, x - 40, y, 23, petals=petals)
        box(ax, x - 12, y + 2, 18, 18)
        mark(ax, x - 3, y + 11, 12)
    word(ax, x + 27, _MIDDLE, "%", 17, weight="bold")


def _save_and_use(ax, x: float) -> None:
    page(ax, x - 42, _MIDDLE - 24, 36, 50)
    network(ax, x - 24, _MIDDLE - 17, 0, width=22, height=30)
    arrow(ax, (x - 3, _MIDDLE), (x + 13, _MIDDLE))
    word(ax, x + 15, _MIDDLE, "rose", 9, ha="left", color=INK, style="italic")


_SKETCHES = {
    "load": _load,
    "look": _look,
    "build": _build,
    "phase 1": _phase_1,
    "phase 2": _phase_2,
    "test": _test,
    "save and use": _save_and_use,
}
STEPS = tuple(_SKETCHES)
