"""Pictures that are there twice, or nearly, side by side."""

from pathlib import Path
from typing import TYPE_CHECKING

from kerastl.image_check import ImageCheck
from kerastl.plots.style import words
from kerastl.reading import read_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 224  # pixels in which they are drawn


def plot_doubles(check: ImageCheck, *, count: int = 8) -> "Figure":
    """The pictures that `check_images` found twice: one pair in each row, with the names of the files.

    How to read it: two copies of one photo in two parts make a test too good; with two labels one of them is wrong. Two
    photos of one scene are no mistake, but they belong to one part.

    Args:
        check: from `check_images`; the files have to be where they were.
        count: how many pairs at most: first the same pixels, then those most alike.

    Returns:
        The Matplotlib figure; without a pair it says so.

    Raises:
        FileNotFoundError, ValueError: a file is not there any more, or cannot be read.

    Example:
        >>> figure = plot_doubles(check_images("drawn_flowers"))
    """
    import matplotlib.pyplot as plt

    pairs = [(*group[:2], f"the same pixels, {len(group)} files") for group in check.doubles]
    pairs += [(first, second, f"{bits} of 64 bits differ") for first, second, bits in check.near_doubles]
    pairs = pairs[: max(count, 1)]
    rows = max(len(pairs), 1)
    figure, grid = plt.subplots(rows, 2, figsize=(7, 3 * rows), layout="constrained", squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for row, (first, second, said) in zip(grid, pairs, strict=False):
        for axes, picture, below in zip(row, (first, second), (said, ""), strict=True):
            axes.imshow(read_image(Path(check.folder) / picture.file, (SIDE, SIDE), "pad"))
            axes.set_title("\n".join([picture.file, below]), fontsize=8, **words(picture.file))
    if not pairs:
        figure.text(0.5, 0.5, "no picture is there twice", ha="center", va="center")
    return figure
