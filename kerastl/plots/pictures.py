"""Pictures themselves: what is in the data, what augmentation makes of it, where the model is wrong and why."""

import hashlib
from typing import TYPE_CHECKING

import keras
import numpy as np

from kerastl.calls import find_calls
from kerastl.data import ImageData, TextData, find_part, pick_images
from kerastl.evaluation import Evaluation, check_names
from kerastl.explain import HeatMap
from kerastl.graph import acts_differently_in_training, leaf_layers
from kerastl.plots.style import WRONG, words
from kerastl.prediction import Picture, read_pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_images(
    data: ImageData, *, part: str = "train", evaluation: Evaluation | None = None, count: int = 15
) -> "Figure":
    """Pictures from one part of the data, as many of each class, each with its class.

    They are chosen by what is in them, as if by chance, and so they are the same each time, also where the part is
    shuffled.

    With `evaluation` (from `evaluate` on the same part) a second line tells what the model said: the class and its
    probability. Where it is wrong, both lines are coloured.

    Args:
        data: `ImageData`.
        part: "train", "validation" or "test".
        evaluation: what to write above the pictures instead of their classes.
        count: how many pictures at most; each class gets an equal part. If there are more classes, some of them are
            shown, one picture each, and a line below tells how many.

    Returns:
        The Matplotlib figure.

    Raises:
        TypeError, ValueError: no `ImageData`, or no such part; the evaluation is of other images, or the part gives its
            images in another order than then (`data.train` is shuffled).

    Example:
        >>> figure = plot_images(flowers, part="test", evaluation=result)
    """
    dataset = _part(data, part, evaluation)
    chosen, classes = _some_of_each(dataset, max(count, 1))
    columns = next((side for side in (5, 4, 3) if classes % side == 0 or side % classes == 0), 5)
    figure, grid = _grid(len(chosen), columns)
    for axes, (number, image, label) in zip(grid, chosen, strict=False):
        _show(axes, image, label, data.class_names, evaluation, number)
    if len(chosen) < classes:
        figure.supxlabel(f"{len(chosen)} of {classes} classes", fontsize=9)
    return figure


def plot_mistakes(evaluation: Evaluation, data: ImageData, *, part: str = "test", count: int = 10) -> "Figure":
    """The pictures that the model took for another class, those of which it was most sure first.

    How to read it: what the picture is, and below it what the model said, with its probability. Look for what the
    mistakes share: a wrong label, a second thing in the picture, a background that belongs to the other class.

    Args:
        evaluation: from `evaluate` on the same part.
        data: `ImageData`.
        part: "train", "validation" or "test".
        count: how many pictures at most.

    Returns:
        The Matplotlib figure; without a mistake it says so.

    Raises:
        TypeError, ValueError: as `plot_images` does.

    Example:
        >>> figure = plot_mistakes(result, flowers)
    """
    dataset = _part(data, part, evaluation)
    numbers = evaluation.mistakes[: max(count, 1)]
    if not len(numbers):
        figure, (axes,) = _grid(1)
        axes.text(0.5, 0.5, f"no mistake\nin {len(evaluation.labels):,} images", ha="center", va="center")
        return figure
    figure, grid = _grid(len(numbers))
    for axes, number, pair in zip(grid, numbers, pick_images(dataset, numbers), strict=False):
        _show(axes, *pair, data.class_names, evaluation, number)
    return figure


def plot_augmentation(model: keras.Model, image: Picture, *, count: int = 9) -> "Figure":
    """One picture as the model sees it in training: as it is, then turned, flipped and zoomed by chance.

    How to read it: could you still name each of them? If not, the augmentation is too strong.

    Args:
        model: as `build_model` returns it.
        image: a file, or an array (height, width, 3) with pixels 0–255 in the model's size.
        count: how many augmented pictures beside the picture itself.

    Returns:
        The Matplotlib figure.

    Raises:
        ValueError: the model has no augmentation; the picture is of another size.

    Example:
        >>> figure = plot_augmentation(model, "photo.jpg")
    """
    pixels = read_pixels(model, image)
    changing = [
        node
        for node in find_calls(model).before
        if isinstance(node.operation, keras.Layer)
        and any(acts_differently_in_training(leaf) for leaf in leaf_layers(node.operation))
    ]
    if not changing:
        raise ValueError(f"{model.name!r} has no augmentation. Build the model with `augment=True`.")
    augment = keras.Model(model.inputs[0], changing[-1].outputs[0])
    pictures = augment(np.repeat(pixels[None].astype("float32"), count, axis=0), training=True)
    figure, grid = _grid(1 + count)
    grid[0].set_title("as it is", fontsize=9)
    for axes, picture in zip(grid, [pixels, *keras.ops.convert_to_numpy(pictures)], strict=False):
        axes.imshow(np.clip(np.asarray(picture), 0, 255).astype(np.uint8))
    return figure


def plot_heat(heat: HeatMap, *, ax: "Axes | None" = None) -> "Axes":
    """A heat map of `grad_cam` over its picture, which is drawn in grey.

    How to read it: what is bright speaks for the class in the title; what stays grey does not. It shows where the model
    looked, not why, and not whether it is right.

    Args:
        heat: from `grad_cam`.
        ax: Matplotlib axes; a new figure by default.

    Returns:
        The Matplotlib axes.

    Example:
        >>> axes = plot_heat(grad_cam("flowers.keras", "photo.jpg"))
    """
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=(3, 3.2), layout="constrained")
    ax.set_axis_off()
    grey = np.asarray(heat.image, "float32") @ np.array([0.299, 0.587, 0.114], "float32")
    ax.imshow(grey, cmap="gray", vmin=0, vmax=255)
    ax.imshow(heat.heat, cmap="inferno", vmin=0, vmax=1, alpha=0.65 * np.sqrt(heat.heat))
    ax.set_title(f"{heat.class_name} {heat.probability:.2f}", fontsize=9, **words(heat.class_name))
    return ax


def _part(data, part: str, evaluation: Evaluation | None):
    if isinstance(data, TextData):
        raise TypeError(
            "Received TextData. Expected ImageData: texts are no pictures. To read some: "
            f"`kerastl.data.as_arrays(data.{part}.take(1))`."
        )
    dataset = find_part(data, part)
    if evaluation is not None:
        check_names(evaluation, data.class_names)
        images = sum(len(labels) for _, labels in dataset)
        if images != len(evaluation.labels):
            raise ValueError(
                f"The {part} part has {images} images, the evaluation {len(evaluation.labels)}. Expected an "
                f"evaluation of `data.{part}`."
            )
    return dataset


def _some_of_each(dataset, count: int) -> tuple[list[tuple[int, np.ndarray, int]], int]:
    """(number, image, label) of as many images of each class, at most `count` in all; and how many classes there are.

    One pass, since in the next a shuffled dataset has another order. Of each class it takes the images whose digests
    are lowest: that does not depend on the order. First comes one of each class, then the second of each.
    """
    found, start = {}, 0  # {label: [(digest, number, image)]}
    for images, labels in dataset:
        for number, (image, label) in enumerate(zip(np.asarray(images), np.asarray(labels), strict=True), start):
            digest = hashlib.blake2b(image.tobytes(), digest_size=8).digest()
            found.setdefault(int(label), []).append((digest, number, image))
        start += len(labels)
        each = max(count // len(found), 1)
        found = {label: sorted(own, key=lambda one: one[:2])[:each] for label, own in found.items()}
    known = sorted(found)
    shown = [known[place] for place in np.linspace(0, len(known) - 1, min(count, len(known))).round().astype(int)]
    ranks = range(max(map(len, found.values())))
    chosen = [(*found[label][rank][1:], label) for rank in ranks for label in shown if rank < len(found[label])]
    return chosen, len(known)


def _grid(count: int, columns: int = 5):
    import matplotlib.pyplot as plt

    columns = min(columns, count)
    rows = -(-count // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(1.9 * columns, 2.15 * rows), layout="constrained", squeeze=False
    )
    for axes in grid.flat:
        axes.set_axis_off()
    return figure, grid.ravel()


def _show(axes, image, label: int, class_names, evaluation: Evaluation | None, number: int) -> None:
    axes.imshow(np.asarray(image).astype(np.uint8))
    title, wrong = class_names[label], False
    if evaluation is not None:
        if evaluation.labels[number] != label:
            raise ValueError(
                "The images come in another order than when they were evaluated. Expected a part that is not shuffled, "
                "as `data.test`."
            )
        said = evaluation.predictions[number]
        wrong = said != label
        title = f"is {title}\nsaid {class_names[said]} {evaluation.probabilities[number, said]:.2f}"
    axes.set_title(title, fontsize=9, **({"color": WRONG} if wrong else {}), **words(title))
