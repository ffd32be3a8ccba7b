"""The network as a strip of blocks: what is frozen, what learns."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras

from kerastl.blocks import Block, Blocks, list_blocks
from kerastl.plots.style import BLUE, GREY, ORANGE, SKY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STATES = (  # what the legend calls it, the field of `Block`, colour, hatching
    ("frozen", "frozen", BLUE, ""),
    ("BatchNorm held still", "held_still", SKY, "...."),
    ("trainable", "trainable", ORANGE, "///"),
)
_LEAST = 10  # parameters at the foot of the axis, which is logarithmic


def plot_layers(*models: keras.Model | Blocks, ax: "Axes | Sequence[Axes] | None" = None) -> Any:
    """A model as a strip of blocks from the image to the head, coloured by what training can change in each.

    How to read it: each bar is a block, as high as it has parameters (each line of the grid is ten times the line below
    it). The colours share the bar as they share the parameters. A grey mark is a block without parameters.

    Args:
        *models: one model, or several to be drawn side by side; instead of a model also what `list_blocks` gave for it
            earlier, as before `unfreeze_top`.
        ax: axes for each; a new figure by default.

    Returns:
        The Matplotlib axes: one, or a list.

    Raises:
        TypeError, ValueError: as `list_blocks` does; another number of axes than of models.

    Example:
        >>> before = list_blocks(model)
        >>> unfrozen = unfreeze_top(model, 30)
        >>> left, right = plot_layers(before, model)
    """
    import matplotlib.pyplot as plt

    tables = [model if isinstance(model, Blocks) else list_blocks(model) for model in models]
    if not tables:
        raise ValueError("Received no model. Expected one or more.")
    if ax is None:
        width = max(4.5, 1.5 + 0.24 * max(len(table.blocks) for table in tables))
        _, grid = plt.subplots(
            1, len(tables), figsize=(width * len(tables), 3.8), layout="constrained", squeeze=False, sharey=True
        )
        ax = grid[0] if len(tables) > 1 else grid[0, 0]
    every = [ax] if len(tables) == 1 else list(ax)
    if len(every) != len(tables):
        raise ValueError(f"Received {len(every)} axes for {len(tables)} models. Expected one for each.")
    for axes, table in zip(every, tables, strict=True):
        _draw(axes, table)
    for axes in every[1:]:
        axes.set_ylabel("")
    return ax if len(tables) == 1 else every


def _draw(axes, table: Blocks) -> None:
    for place, block in enumerate(table.blocks):
        foot = 0.0
        for _, field, colour, hatch in STATES:
            height = _height(block) * getattr(block, field) / max(block.parameters, 1)
            if height:
                axes.bar(place, height, 0.85, foot, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
            foot += height
        if not block.parameters:
            axes.plot(place, 0.06, "s", color=GREY, markersize=5)
    top = max(map(_height, table.blocks))
    decades = range(int(top) + 1)
    axes.set_yticks(decades, [f"{_LEAST * 10**decade:,}" for decade in decades])
    axes.set_ylim(0, top * 1.32)  # room for the legend
    axes.set_ylabel("parameters")
    axes.set_xticks(range(len(table.blocks)), [_short(block.name) for block in table.blocks], rotation=90)
    axes.tick_params(axis="x", labelsize=8 if len(table.blocks) <= 40 else 5, length=0)
    axes.set_xlim(-0.7, len(table.blocks) - 0.3)
    axes.grid(axis="y", color=GREY, alpha=0.3)
    axes.set_axisbelow(True)
    total = table.total
    axes.set_title(f"{total.trainable:,} of {total.parameters:,} parameters are trainable", fontsize="medium")
    axes.legend(handles=_legend(table), ncols=2, frameon=False, fontsize="small", loc="upper left")


def _legend(table: Blocks) -> list:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    seen = [
        Patch(facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0, label=label)
        for label, field, colour, hatch in STATES
        if getattr(table.total, field)
    ]
    mark = Line2D([], [], marker="s", color=GREY, linestyle="none", markersize=5, label="no parameters")
    return [*seen, mark] if any(not block.parameters for block in table.blocks) else seen


def _height(block: Block) -> float:
    return max(math.log10(block.parameters / _LEAST), 0.1) if block.parameters else 0.0


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:10]}…{name[-13:]}"
