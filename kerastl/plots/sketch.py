"""What small drawings are made of: a canvas in pixels, photos, blocks of a network, locks, arrows, curves.

Colours mean what they mean in `plot_layers`: blue is frozen, orange with hatching learns. All drawings are dark on
white, whatever the style of the notebook is.
"""

import numpy as np
from matplotlib.patches import Arc, Circle, Ellipse, FancyArrowPatch, FancyBboxPatch, PathPatch, Polygon, Rectangle
from matplotlib.path import Path

from kerastl.plots.style import FROZEN, GREEN, PINK, TRAINABLE, WRONG, YELLOW

INK, PALE = "#333333", "#E8EEF4"


def canvas(width: float, height: float, ax=None):
    """White axes without a scale, `width` × `height` units; on a new figure 100 units are an inch."""
    import matplotlib.pyplot as plt

    if ax is None:
        figure = plt.figure(figsize=(width / 100, height / 100), facecolor="white")
        ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal", facecolor="white", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def word(ax, x: float, y: float, text: str, size: float = 9, **style):
    """Text around a point; "\\n" begins a new line."""
    style = {"ha": "center", "va": "center_baseline", "color": INK, "parse_math": False, "linespacing": 1.05} | style
    return ax.text(x, y, text, fontsize=size, **style)


def box(ax, x: float, y: float, width: float, height: float, *, fill="white", radius: float = 0, **style) -> None:
    """A rectangle from its lower left corner, with round corners if there is a radius."""
    style = {"facecolor": fill, "edgecolor": INK, "linewidth": 1.2} | style
    if radius:
        shape = f"round,pad=0,rounding_size={radius}"
        ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=shape, **style))
    else:
        ax.add_patch(Rectangle((x, y), width, height, **style))


def line(ax, xs, ys, colour: str = INK, width: float = 1.5, dash: str = "-") -> None:
    """A line through points; like a patch it lies on what was drawn before, and under what comes later."""
    ax.plot(xs, ys, dash, color=colour, linewidth=width, solid_capstyle="round", zorder=1)


def arrow(ax, start, end, colour: str = INK, width: float = 1.6, **style) -> None:
    """From one point to another."""
    style = {"arrowstyle": "-|>", "mutation_scale": 10, "shrinkA": 0, "shrinkB": 0} | style
    ax.add_patch(FancyArrowPatch(start, end, color=colour, linewidth=width, **style))


def photo(ax, x: float, y: float, size: float = 28, *, petals: str = PINK, turn: float = 0) -> None:
    """A square picture of a flower from its lower left corner; `turn` in degrees."""
    box(ax, x, y, size, size, fill=PALE, linewidth=1)
    middle = np.array([x + size / 2, y + size * 0.58])
    angle = np.radians(turn)
    down = np.array([np.sin(angle), -np.cos(angle)])
    line(ax, *zip(middle, middle + 0.46 * size * down, strict=True), GREEN, max(size / 18, 0.8))
    ax.add_patch(PathPatch(_flower(middle, size, angle), facecolor=petals, linewidth=0))
    oval(ax, *middle, 0.18 * size, 0.18 * size, facecolor=YELLOW if petals != YELLOW else "#B07700", linewidth=0)


def _flower(middle, size: float, angle: float) -> Path:
    """Five petals, each one curve: out, round, and back."""
    points = []
    for petal in angle + np.arange(5) * 0.4 * np.pi + 0.5 * np.pi:
        for turned, away in ((-0.628, 0.1), (-0.7, 0.44), (0.7, 0.44)):
            points.append(middle + away * size * np.array([np.cos(petal + turned), np.sin(petal + turned)]))
    return Path([*points, points[0]], [Path.MOVETO] + [Path.CURVE4] * len(points))


def block(ax, x: float, y: float, width: float, height: float, learns: bool) -> None:
    """Some layers of a network: blue if they are frozen, orange and hatched if they learn."""
    style = {"fill": TRAINABLE, "hatch": "////"} if learns else {"fill": FROZEN}
    box(ax, x, y, width, height, edgecolor="white", linewidth=0.8, **style)


def network(ax, x: float, y: float, learning: int, *, width: float = 44, height: float = 66, head: bool = True) -> None:
    """Four blocks of a base and a smaller head on top, around `x` and up from `y`.

    Args:
        learning: how many learn, counted from the top; the head is the first of them.
        head: whether there is one.
    """
    step = height / 5
    for number in range(4):
        block(ax, x - width / 2, y + number * step, width, step, number >= 4 - learning + head)
    if head:
        block(ax, x - width * 0.3, y + 4 * step, width * 0.6, step, learning > 0)


def lock(ax, x: float, y: float, size: float = 16, *, is_open: bool = False) -> None:
    """A padlock around a point, with a light edge so that it can be seen on any block."""
    middle, wide = x + (0.42 * size if is_open else 0), 0.5 * size
    for colour, width in (("white", 4.5), (INK, 2)):
        ax.add_patch(Arc((middle, y + 0.1 * size), wide, 0.8 * size, theta1=0, theta2=180, color=colour, lw=width))
    box(ax, x - 0.4 * size, y - 0.5 * size, 0.8 * size, 0.6 * size, fill=INK, edgecolor="white", linewidth=1)


def page(ax, x: float, y: float, width: float = 30, height: float = 40) -> None:
    """A file, with one corner folded, from its lower left corner."""
    fold, right, top = width / 3, x + width, y + height
    edge = [(x, y), (right, y), (right, top - fold), (right - fold, top), (x, top)]
    ax.add_patch(Polygon(edge, facecolor="white", edgecolor=INK, linewidth=1.3))
    line(ax, [right - fold, right - fold, right], [top, top - fold, top - fold], width=1.1)


def lens(ax, x: float, y: float, radius: float = 13) -> None:
    """A magnifier around a point."""
    line(ax, [x + 0.7 * radius, x + 1.6 * radius], [y - 0.7 * radius, y - 1.6 * radius], width=3.5)
    ax.add_patch(Circle((x, y), radius, facecolor="#FFFFFF88", edgecolor=INK, linewidth=2))


def tick(ax, x: float, y: float, size: float = 10) -> None:
    """A tick around a point: right."""
    line(ax, [x - 0.5 * size, x - 0.1 * size, x + 0.6 * size], [y, y - 0.4 * size, y + 0.5 * size], INK, 2.4)


def cross(ax, x: float, y: float, size: float = 10, colour: str = WRONG) -> None:
    """A cross around a point: wrong."""
    half = size / 2
    line(ax, [x - half, x + half], [y - half, y + half], colour, 2.4)
    line(ax, [x - half, x + half], [y + half, y - half], colour, 2.4)


def numbers(ax, x: float, y: float, values, *, width: float = 60, height: float = 14) -> None:
    """What a frozen base gives: a row of cells, the fuller the larger the number (0 to 1), around a point."""
    cell = width / len(values)
    for place, value in enumerate(values):
        left = x - width / 2 + place * cell
        box(ax, left, y - height / 2, cell, height * value, fill=FROZEN, linewidth=0)
        box(ax, left, y - height / 2, cell, height, fill="none", linewidth=0.8)


def scale(ax, x: float, y: float, width: float, height: float, across: str = "", up: str = "") -> None:
    """The two lines of a graph from its lower left corner, with the names of what is drawn."""
    line(ax, [x, x, x + width], [y + height, y, y], width=1.2)
    if across:
        word(ax, x + width, y - 8, across, 8, ha="right")
    if up:
        word(ax, x - 8, y + height, up, 8, rotation=90, va="top")


def rising(ax, area, begin: float, end: float, pace: float, colour: str, dash: str = "-", width: float = 2) -> None:
    """A curve of learning in an area (x, y, width, height): quick at first, then flat.

    Args:
        begin, end: share of the height.
        pace: how quickly it gets there; 3 is near the end at the right.
    """
    x, y, across, up = area
    time = np.linspace(0, 1, 40)
    line(ax, x + time * across, y + up * (end - (end - begin) * np.exp(-pace * time)), colour, width, dash)


def oval(ax, x: float, y: float, width: float, height: float, **style) -> None:
    ax.add_patch(Ellipse((x, y), width, height, **style))
