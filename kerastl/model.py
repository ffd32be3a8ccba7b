"""Build the model: augment -> preprocess -> frozen pre-trained base -> pool -> dropout -> classifier."""

import os
import warnings
from pathlib import Path

import keras

from kerastl.bases import BUNDLED_WEIGHTS, Base, bundled_folder, find_base
from kerastl.data import check_image_data
from kerastl.freezing import freeze


def build_model(
    base: str, data, *, weights="imagenet", augment: bool = True, dropout: float = 0.2, **builder_arguments
) -> keras.Model:
    """Build a classifier for new classes on a frozen, pre-trained base. The second step of the workflow.

    Args:
        base: name of a Keras Application, such as "MobileNetV2". `kerastl.BASES` lists them all.
        data: `ImageData`; the image size and the number of classes come from it.
        weights: "imagenet" (Keras downloads them once), "garden" (bundled; MobileNetV2 with alpha=0.35), None for
            random weights, or a file of weights for this base without its top (`.weights.h5` or `.h5`).
        augment: put random flips, small turns and zooms in front. They act in training, and not in `predict` and
            `evaluate`. When you call the model yourself, say `training=False`: Keras's augmentation layers take it that
            you are training unless they are told (fact 13 in tests/test_traps.py). To export it, take
            `without_augmentation(model)`.
        dropout: share of the pooled features that are dropped in each training step.
        **builder_arguments: passed to the builder in `keras.applications`, as `alpha=0.35`.

    Returns:
        A `keras.Model`: images (batch, height, width, 3), raw pixels 0–255 -> probabilities (batch, classes). The
        scaling that the base needs is inside. It is not compiled; the training functions do that.

    Raises:
        ValueError: unknown base; images too small for it; weights of another shape or for another base; a width
            (`alpha`) that is not above 0, or one for which there are no ImageNet weights.
        FileNotFoundError: the file of weights is not there.
        ConnectionError: Keras could not download the weights.

    Example:
        >>> model = build_model("MobileNetV2", flowers, weights="garden")
        >>> model.output_shape
        (None, 5)
    """
    entry = find_base(base)
    check_image_data(data)
    image_shape = tuple(data.train.element_spec[0].shape[1:])
    if min(image_shape[:2]) < entry.smallest_image:
        raise ValueError(
            f"The images are {image_shape[0]}×{image_shape[1]} pixels. {base} needs at least "
            f"{entry.smallest_image}×{entry.smallest_image}: load them with a larger `image_size`."
        )
    if not 0 <= dropout < 1:
        raise ValueError(f"Received dropout={dropout}. Expected a share from 0 up to, but not including, 1.")
    if not builder_arguments.get("alpha", 1) > 0:
        raise ValueError(
            f"Received alpha={builder_arguments['alpha']}. Expected a width above 0, such as 0.35; 1 is the usual one."
        )
    base_model = _build_base(entry, image_shape, weights, builder_arguments)

    image = keras.Input(image_shape, name="image")
    x = _augmentation()(image) if augment else image
    x = entry.preprocess(x)
    x = base_model(x)  # not `training=False`: released Keras 3 overrides it in fit (facts 1 and 10)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    classifier = keras.layers.Dense(len(data.class_names), activation="softmax", dtype="float32", name="classifier")
    model = keras.Model(image, classifier(x), name=f"{base}_classifier")
    freeze(model)
    return model


def _augmentation() -> keras.Sequential:
    layers = keras.layers
    return keras.Sequential(
        [layers.RandomFlip("horizontal"), layers.RandomRotation(0.05), layers.RandomZoom(0.1)], name="augmentation"
    )


def _build_base(entry: Base, image_shape, weights, builder_arguments) -> keras.Model:
    file = None
    if weights in BUNDLED_WEIGHTS:
        bundled = BUNDLED_WEIGHTS[weights]
        wanted = {**bundled.builder_arguments, **builder_arguments}
        if entry.name != bundled.base or wanted != bundled.builder_arguments:
            arguments = "".join(f", {key}={value}" for key, value in bundled.builder_arguments.items())
            raise ValueError(
                f"The weights {weights!r} belong to {bundled.base}{arguments}. Received {entry.name} with "
                f"{builder_arguments or 'no arguments'}."
            )
        builder_arguments, file, weights = wanted, bundled_folder() / bundled.file, None
    elif weights not in (None, "imagenet"):
        file, weights = Path(os.fspath(weights)).expanduser(), None
    if file and not file.is_file():
        raise FileNotFoundError(
            f"There is no file of weights {str(file)!r}. Expected 'imagenet', {', '.join(map(repr, BUNDLED_WEIGHTS))}, "
            "None, or a file."
        )
    try:
        model = entry.builder(include_top=False, weights=weights, input_shape=image_shape, **builder_arguments)
    except (TypeError, ValueError):
        raise
    except Exception as error:
        if weights is None:
            raise
        raise ConnectionError(
            f"Keras could not download the ImageNet weights of {entry.name} ({error}). Check the connection; copy the "
            'file from another machine to ~/.keras/models; give a file; or use weights="garden", which is bundled.'
        ) from error
    if file:
        _load_weights(model, file)
    return model


def _load_weights(model: keras.Model, file: Path) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # of weights that the file lacks Keras only warns
            model.load_weights(file)
    except (ValueError, KeyError, OSError, UserWarning) as error:
        raise ValueError(f"The weights in {str(file)!r} do not fit {model.name!r} without its top: {error}") from error
