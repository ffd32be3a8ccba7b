"""The network as a strip of blocks: what is frozen, what learns."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerastl.blocks import Blocks, list_blocks
from kerastl.plots.style import FROZEN, GREY, HELD_STILL, TRAINABLE, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STATES = (  # what the legend calls it, the field of `Block`, colour, hatching; from the foot of the strip to its top
    ("frozen", "frozen", FROZEN, ""),
    ("trainable", "trainable", TRAINABLE, "////"),
    ("BatchNorm held still", "held_still", HELD_STILL, "...."),
)
_LEAST = 0.006  # share of the strip that a block gets at least, so that one sees it
_LABEL = 10  # points between the middles of names that stand upright


def plot_layers(
    *models: keras.Model | Blocks, titles: Sequence[str] = (), ax: "Axes | Sequence[Axes] | None" = None
) -> Any:
    """A model as a strip of blocks from the image to the head, coloured by what training can change in each.

    How to read it: the area of a colour is its share of the parameters. A block is as wide as its share of them (one
    with less than 0.6 % is drawn a little wider, so that it can be seen), and the colours divide its height. Grey is
    without parameters. Names stand below where there is room for them.

    Args:
        *models: one model, or several to be drawn below each other; instead of a model also what `list_blocks` gave for
            it earlier, as before `unfreeze_top`.
        titles: a few words for each, to its left.
        ax: axes for each; a new figure by default.

    Returns:
        The Matplotlib axes: one, or a list.

    Raises:
        TypeError, ValueError: as `list_blocks` does; another number of axes or titles than of models.

    Example:
        >>> before = list_blocks(model)
        >>> unfrozen = unfreeze_top(model, 30)
        >>> upper, lower = plot_layers(before, model, titles=["phase 1", "phase 2"])
    """
    import matplotlib.pyplot as plt

    tables = [model if isinstance(model, Blocks) else list_blocks(model) for model in models]
    if not tables:
        raise ValueError("Received no model. Expected one or more.")
    if titles and len(titles) != len(tables):
        raise ValueError(f"Received {len(titles)} titles for {len(tables)} models. Expected one for each.")
    if ax is None:
        size = (8, 1.4 + 0.78 * len(tables))
        _, grid = plt.subplots(len(tables), 1, figsize=size, layout="constrained", squeeze=False)
        ax = list(grid[:, 0]) if len(tables) > 1 else grid[0, 0]
    every = [ax] if len(tables) == 1 else list(ax)
    if len(every) != len(tables):
        raise ValueError(f"Received {len(every)} axes for {len(tables)} models. Expected one for each.")
    names = [[block.name for block in table.blocks] for table in tables]
    for number, (axes, table) in enumerate(zip(every, tables, strict=True)):
        _draw(axes, table)
        if names[number : number + 2] != [names[number]] * 2:  # else those below the next strip are meant for both
            _name_blocks(axes, table)
        if titles:
            axes.set_ylabel(titles[number], rotation=0, ha="right", va="center", **words(titles[number]))
    _explain(every[0], tables)
    return ax if len(tables) == 1 else every


def _draw(axes, table: Blocks) -> None:
    edges = _edges(table)
    for block, left, right in zip(table.blocks, edges, edges[1:], strict=False):
        foot = 0.0
        for _, field, colour, hatch in STATES:
            height = getattr(block, field) / max(block.parameters, 1)
            if height:
                axes.bar(
                    left, height, right - left, foot, color=colour, hatch=hatch, edgecolor="white", lw=0, align="edge"
                )
            foot += height
        if not block.parameters:
            axes.bar(left, 1, right - left, color=GREY, align="edge")
    axes.vlines(edges[1:-1], 0, 1, color=axes.get_facecolor(), linewidth=0.8)
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    total = table.total
    text = f"{total.trainable:,} of {total.parameters:,} parameters are trainable"
    axes.set_title(f"{text} ({total.trainable / total.parameters:.2%})", fontsize="medium", loc="left")


def _edges(table: Blocks) -> np.ndarray:
    """Where the blocks begin and end, from 0 to 1: as wide as their parameters, but none too narrow to be seen."""
    shares = np.array([block.parameters for block in table.blocks]) / table.total.parameters
    least = min(_LEAST, 0.2 / len(shares))
    tiny = shares < least
    widths = np.where(tiny, least, shares * (1 - least * tiny.sum()) / shares[~tiny].sum())
    return np.concatenate([[0], np.cumsum(widths)])


def _name_blocks(axes, table: Blocks) -> None:
    """Names below the strip: those of both ends first, then of the widest blocks, where there is room."""
    edges, across = _edges(table), axes.get_window_extent().width * 72 / axes.figure.dpi  # points
    middles, widths = across * (edges[:-1] + edges[1:]) / 2, across * np.diff(edges)
    named = []
    for number in [len(widths) - 1, 0, *np.argsort(-widths, kind="stable")]:
        if all(abs(middles[number] - middles[other]) >= _LABEL for other in named):
            named.append(int(number))
    lies = {number: widths[number] > 5 * len(table.blocks[number].name) + _LABEL for number in named}
    names = [table.blocks[number].name for number in named]
    texts = [name if lies[number] else _short(name) for number, name in zip(named, names, strict=True)]
    axes.set_xticks(middles[named] / across, texts, fontsize=8)
    for number, label in zip(named, axes.get_xticklabels(), strict=True):
        label.set_rotation(0 if lies[number] else 90)
    axes.tick_params(axis="x", length=0)


def _explain(axes, tables: Sequence[Blocks]) -> None:
    """A legend above the title of the first strip."""
    from matplotlib.patches import Patch
    from matplotlib.transforms import ScaledTranslation

    patches = [
        Patch(facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0, label=label)
        for label, field, colour, hatch in STATES
        if any(getattr(table.total, field) for table in tables)
    ]
    if any(not block.parameters for table in tables for block in table.blocks):
        patches.append(Patch(color=GREY, label="no parameters"))
    above = axes.transAxes + ScaledTranslation(0, 20 / 72, axes.figure.dpi_scale_trans)
    axes.legend(
        handles=patches,
        ncols=4,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        bbox_transform=above,
        borderaxespad=0,
        frameon=False,
        fontsize="small",
        columnspacing=1.2,
    )


def _short(name: str) -> str:
    return name if len(name) <= 16 else f"{name[:7]}…{name[-8:]}"
