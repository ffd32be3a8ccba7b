"""A map of what the base tells apart."""

from typing import TYPE_CHECKING

import keras
import numpy as np

from kerastl.data import ImageData, find_part
from kerastl.extras import import_extra
from kerastl.features import extract_features
from kerastl.plots.style import COLOURS, SHAPES, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_features(
    model: keras.Model, data: ImageData, *, part: str = "test", projection: object = None, ax: "Axes | None" = None
) -> "Axes":
    """A flat map of the base's features: each point is an image, near where images lie that the base finds like it.

    How to read it: classes that form islands can be told apart by a simple classifier. Draw it before training and
    after it, on two axes, and see the islands move apart. The map keeps only two of many directions: classes that
    overlap here may still be apart.

    Args:
        model: as `build_model` returns it.
        data: `ImageData`.
        part: "train", "validation" or "test".
        projection: an object with scikit-learn's `fit_transform`, such as `TSNE()`; default: `PCA(2)`.
        ax: Matplotlib axes; a new figure by default.

    Returns:
        The Matplotlib axes.

    Raises:
        ImportError: there is no scikit-learn, and no `projection` was given.
        TypeError, ValueError: no `ImageData`, or no such part; not a built Keras model with one base.

    Example:
        >>> axes = plot_features(model, flowers)
    """
    import matplotlib.pyplot as plt

    dataset = find_part(data, part)
    if projection is None:
        projection = import_extra("sklearn.decomposition", "analysis").PCA(2)
    values, labels = extract_features(model, dataset)
    places = np.asarray(projection.fit_transform(values))
    if ax is None:
        _, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
    for number, name in enumerate(data.class_names):
        own = places[labels == number]
        ax.scatter(
            *own[:, :2].T,
            s=18,
            alpha=0.75,
            color=COLOURS[number % len(COLOURS)],
            marker=SHAPES[number % len(SHAPES)],
            label=str(name),
            linewidths=0,
        )
    shares = getattr(projection, "explained_variance_ratio_", None)
    for axis, number in ((ax.xaxis, 0), (ax.yaxis, 1)):
        share = "" if shares is None else f" ({shares[number]:.0%} of the variance)"
        axis.set_label_text(f"direction {number + 1}{share}")
        axis.set_ticks([])
    legend = ax.legend(
        frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1), ncols=1 + len(data.class_names) // 20
    )
    for text in legend.get_texts():
        text.set(**words(text.get_text()))
    return ax
