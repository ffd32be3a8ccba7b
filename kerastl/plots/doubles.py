"""Pictures that are there twice, or nearly, side by side."""

from pathlib import Path
from typing import TYPE_CHECKING

from kerastl.image_check import ImageCheck, Picture, where
from kerastl.plots.style import WRONG, words
from kerastl.reading import read_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 224  # pixels in which they are drawn


def plot_doubles(check: ImageCheck, *, count: int = 8) -> "Figure":
    """The pictures that `check_images` found twice: one pair in each row, with the names of the files.

    How to read it: two copies of one photo in two parts make a test too good; with two labels one of them is wrong. The
    words of such pairs are orange, and they stand first. Two photos of one scene are no mistake, but they belong to one
    part.

    Args:
        check: from `check_images`; the files have to be where they were.
        count: how many pairs at most: first those in two parts or with two labels; of these, as of the others, first
            the same pixels, then those most alike.

    Returns:
        The Matplotlib figure; without a pair it says so.

    Raises:
        FileNotFoundError, ValueError: a file is not there any more, or cannot be read.

    Example:
        >>> figure = plot_doubles(check_images("drawn_flowers"))
    """
    import matplotlib.pyplot as plt

    found = [(*_most_different(group), f"the same pixels, {len(group)} files{where(group)}") for group in check.doubles]
    found += [(a, b, f"{bits} of 64 bits differ{where([a, b])}") for a, b, bits in check.near_doubles]
    found.sort(key=lambda pair: not where(pair[:2]))
    pairs = found[: max(count, 1)]
    rows = max(len(pairs), 1)
    figure, grid = plt.subplots(rows, 2, figsize=(7, 3.2 * rows), layout="constrained", squeeze=False)
    figure.get_layout_engine().set(h_pad=0.12)
    if len(pairs) < len(found):
        figure.suptitle(f"{len(pairs)} of {len(found)} pairs")
    for axes in grid.flat:
        axes.set_axis_off()
    for row, (first, second, said) in zip(grid, pairs, strict=False):
        for axes, picture, below in zip(row, (first, second), (said, ""), strict=True):
            axes.imshow(read_image(Path(check.folder) / picture.file, (SIDE, SIDE), "pad"))
            colour = {"color": WRONG} if where([first, second]) else {}
            axes.set_title("\n".join([picture.file, below]), fontsize=8, **colour, **words(picture.file))
    if not pairs:
        figure.text(0.5, 0.5, "no picture is there twice", ha="center", va="center")
    return figure


def _most_different(group: list[Picture]) -> tuple[Picture, Picture]:
    """The first of some copies, and one with another label or in another part, if there is one."""
    return group[0], max(group[1:], key=lambda one: len(where([group[0], one])))
