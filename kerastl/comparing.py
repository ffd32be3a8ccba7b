"""Which base should I take? Each is read once, frozen, and logistic regression says what its features are worth."""

import contextlib
import gc
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from kerastl.base_scores import BaseScore, ComparedBases
from kerastl.bases import find_base
from kerastl.checks import check_labels, check_seed, is_whole
from kerastl.data import ImageData, TextData, check_image_data
from kerastl.engine.frozen import predict_padded
from kerastl.extras import import_extra
from kerastl.features import feature_model, predict_all
from kerastl.graph import find_base_model
from kerastl.model import build_model
from kerastl.pretrained import check_base
from kerastl.progress import Progress
from kerastl.quiet import no_retracing_warnings
from kerastl.sources import digest

TIMED = 5  # batches, after those of the pass
STRENGTH = 0.01  # scikit-learn's C for standardised features, as in data/make/measure.py


@no_retracing_warnings()
def compare_bases(
    data: ImageData,
    bases: Sequence[str | tuple[str, dict]],
    *,
    weights: str | os.PathLike | None = "imagenet",
    folds: int = 5,
    seed: int = 0,
    verbose: int = 1,
) -> ComparedBases:
    """Compare bases on your images before any training: which one to give to `build_model`?

    Each base runs once over the training and validation images, frozen. Logistic regression on its standardised
    features is trained on all folds but one and tested on that one, in turn. Copies of an image, and the images of one
    of the `groups` of `load_images`, are in one fold. All bases get the images at the size that `data` has, also where
    their ImageNet weights were trained on another (`kerastl.BASES`).

    The test images are not read, so they can still give an honest result of the base that you choose. (The accuracy of
    the first of many is a little too high, since it was chosen by it.)

    Ctrl-C ends it; what was measured so far is returned.

    Args:
        data: `ImageData`; images 0–255.
        bases: names of Keras Applications; or pairs of a name and arguments of `build_model`, such as
            ("MobileNetV2", {"alpha": 0.35, "weights": "garden"}).
        weights: for the bases that bring none of their own: "imagenet", "garden", None or a file, as in `build_model`.
        folds: 2 or more; as many as the smallest class has images, if these are fewer.
        seed: draws the folds, the same for all bases.
        verbose: 0 for silence, 1 for a progress bar for each base.

    Returns:
        `ComparedBases(rows, images, image_size, weights)`, each row a `BaseScore(name, accuracies, parameters,
        milliseconds, seconds, error)`, the most accurate first. A base that cannot be built (its weights cannot be had
        or do not fit, the images are too small for it) stands last, with the reason in `error`. `print` it for a table,
        give it to `plot_comparison` for a picture.

    Raises:
        TypeError: no `ImageData`, or texts; `bases` is no list of names or pairs; an argument that a builder does not
            take.
        ImportError: scikit-learn is not installed: `pip install 'kerastl[analysis]'`.
        ValueError: an unknown base; no base; fewer than two folds; a class with one image, or only one class with
            images; pixels that are scaled; the training images are others in each pass.

    Example:
        >>> pair = [("MobileNetV2", {"weights": "garden"}), ("MobileNet", {"alpha": 0.25, "weights": None})]
        >>> compared = compare_bases(flowers, pair, verbose=0)
        >>> compared.rows[0].name
        'MobileNetV2, weights=garden'

    Source: linear evaluation of features: Kornblith et al. (2019), "Do better ImageNet models transfer better?", arXiv
        1805.08974, section 4.1.
    """
    check_image_data(data)
    if isinstance(data, TextData):
        raise TypeError("Received TextData. Expected ImageData: only bases for images are compared.")
    check_seed(seed)
    import_extra("sklearn", "analysis")  # what is missing is said before the first base is built
    if not is_whole(folds, least=2):
        raise ValueError(f"Received folds={folds!r}. Expected a whole number, 2 or more.")
    pairs = _check_bases(bases, data, weights)
    rows, pictures = [], _Pictures(data)
    for name, arguments in pairs:
        label = ", ".join([name, *(f"{key}={_short(value)}" for key, value in arguments.items())])
        try:
            rows.append(_measure(label, name, {"weights": weights, **arguments}, pictures, folds, seed, verbose))
        except KeyboardInterrupt:
            if not rows:
                raise
            rows.append(BaseScore(label, error="stopped"))
            break
        gc.collect()  # one base at a time: a Keras model holds itself, in a circle
    rows.sort(key=lambda row: -math.inf if math.isnan(row.accuracy) else row.accuracy, reverse=True)
    known = "random" if weights is None else _short(weights)
    return ComparedBases(rows, pictures.images, tuple(data.train.element_spec[0].shape[1:3]), known)


def _measure(label: str, name: str, arguments: dict, pictures: "_Pictures", folds, seed, verbose) -> BaseScore:
    start = time.perf_counter()
    try:
        model = build_model(name, pictures.data, augment=False, **arguments)
    except (ValueError, OSError) as error:
        return BaseScore(label, error=" ".join(str(error).split()))
    base, reader = find_base_model(model), feature_model(model)
    with Progress(label, verbose) as pictures.progress:
        pictures.progress.expect(pictures.images)
        values, labels = predict_all(reader, pictures)
        order = pictures.order()
        accuracies = _accuracies(values[order], labels[order], pictures.units(order), folds, seed)
        pictures.progress.advance(0, f"accuracy {accuracies.mean():.3f}")
    milliseconds = _time_batches(reader, pictures.first)
    return BaseScore(label, accuracies, base.count_params(), milliseconds, time.perf_counter() - start)


class _Pictures:
    """The training and validation images, read as one dataset; each is known by a digest, whatever its place."""

    def __init__(self, data: ImageData):
        self.data, self.progress, self.first = data, None, None
        held = [getattr(dataset, "rows", None) for dataset in (data.train, data.validation)]
        self.images = sum(len(rows.numbers) for rows in held) if all(held) else 0  # 0 as long as it is not known
        # {digest of an image: what it belongs to}, where `load_images` knows of groups; else only copies are together
        self._units = {digest(rows.images[one]): int(rows.units[one]) for rows in held if rows for one in rows.numbers}
        self.keys: list[tuple[bytes, int]] = []  # of the last pass: digest and label
        self._known: list[tuple[bytes, int]] = []  # of the first one, sorted

    def __iter__(self):
        self.keys = []
        for dataset in (self.data.train, self.data.validation):
            for images, labels in dataset:
                numbers = np.asarray(labels)
                check_labels(numbers, len(self.data.class_names))
                self.first = images if self.first is None else self.first
                for image, number in zip(np.asarray(images), numbers, strict=True):
                    self.keys.append((digest(image), int(number)))
                yield images, labels
                self.progress.advance(len(numbers))

    def order(self) -> list[int]:
        """The order in which the images of this pass are the same as in every other: `train` shuffles."""
        order = sorted(range(len(self.keys)), key=self.keys.__getitem__)
        self._known = self._known or [self.keys[number] for number in order]
        if self._known != [self.keys[number] for number in order]:
            raise ValueError(
                "The data gave other images in another pass. Expected the same for each base: take the augmentation "
                "out of the dataset, `build_model` has its own."
            )
        self.images = len(order)
        return order

    def units(self, order: list[int]) -> np.ndarray:
        """The number of what each image belongs to, in this order: copies, and the pictures of a group, are in one."""
        digests = [self.keys[number][0] for number in order]
        return np.unique([str(self._units.get(one, one)) for one in digests], return_inverse=True)[1]


def _accuracies(values: np.ndarray, labels: np.ndarray, units: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Accuracy of logistic regression on each fold, trained on the others. Images of one unit are in one fold."""
    linear, splits = (import_extra(f"sklearn.{name}", "analysis") for name in ("linear_model", "model_selection"))
    scale = import_extra("sklearn.preprocessing", "analysis").StandardScaler()
    join = import_extra("sklearn.pipeline", "analysis").make_pipeline
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2 or counts.min() < 2:
        few = f"class {classes[counts.argmin()]} has {counts.min()}" if len(classes) > 1 else "all are of one class"
        raise ValueError(
            f"The training and validation parts are too small to compare bases: {few}. Expected two classes or more, "
            "with at least two images of each."
        )
    probe = join(scale, linear.LogisticRegression(C=STRENGTH, max_iter=1000))
    if len(np.unique(units)) == len(units):
        kind, groups = splits.StratifiedKFold, None
    else:
        kind, groups = splits.StratifiedGroupKFold, units
    fewest = min(len(np.unique(units[labels == label])) for label in classes)
    if fewest < 2:
        raise ValueError(
            "The training and validation parts are too small to compare bases: a class has one group, or copies of one "
            "image. Expected two at least."
        )
    parts = kind(min(folds, fewest), shuffle=True, random_state=seed)
    return splits.cross_val_score(probe, values, labels, groups=groups, cv=parts, error_score="raise")


def _time_batches(reader: keras.Model, images) -> float:
    """Milliseconds for an image: the median of some batches, in a model that has run already."""
    images, seconds = keras.ops.convert_to_tensor(images, dtype=reader.inputs[0].dtype), []
    for _ in range(TIMED):
        start = time.perf_counter()
        predict_padded(reader, images, batch_size=len(images))
        seconds.append(time.perf_counter() - start)
    return 1000 * float(np.median(seconds)) / len(images)


def _check_bases(bases, data: ImageData, weights) -> list[tuple[str, dict]]:
    """Names and arguments. What is wrong with them for all images is said before the first base is built."""
    expected = 'Expected a list of names, such as "MobileNetV2", or of pairs, ("MobileNetV2", {"alpha": 0.35}).'
    if isinstance(bases, str) or not isinstance(bases, Sequence):
        raise TypeError(f"Received bases={bases!r}. {expected}")
    if not bases:
        raise ValueError(f"Received no base. {expected}")
    pairs = []
    for one in bases:
        pair = (one, {}) if isinstance(one, str) else one
        if not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[1], dict)):
            raise TypeError(f"Received {one!r} as a base. {expected}")
        name, arguments = pair
        others = {key: value for key, value in arguments.items() if key != "weights"}
        size = data.train.element_spec[0].shape[1:3]
        entry = find_base(name)
        with contextlib.suppress(ValueError, OSError):  # that gets a row
            check_base(entry, tuple(size), arguments.get("weights", weights), others)
        pairs.append((name, dict(arguments)))
    return pairs


def _short(value) -> str:
    """An argument as the table shows it: of a path only the name."""
    return Path(value).name if isinstance(value, str | os.PathLike) else str(value)
