"""Build the model: augment -> preprocess -> frozen pre-trained base -> pool -> dropout -> classifier."""

import inspect
import os
import warnings
from numbers import Real
from pathlib import Path

import keras

from kerastl.bases import BUNDLED_WEIGHTS, Base, bundled_folder, find_base
from kerastl.bert import build_bert, warn_of_long_texts
from kerastl.data import ImageData, TextData, check_image_data
from kerastl.freezing import freeze
from kerastl.graph import leaf_layers
from kerastl.inputs import holds_texts

_OURS = {  # arguments of the builders that are decided here, or play no role without the top
    *("include_top", "weights", "input_tensor", "input_shape", "pooling", "classes", "classifier_activation"),
}


def build_model(
    base: str,
    data: ImageData,
    *,
    weights: str | os.PathLike | None = "imagenet",
    augment: bool | keras.Layer = True,
    dropout: float = 0.2,
    **builder_arguments: object,
) -> keras.Model:
    """Build a classifier for new classes on a frozen, pre-trained base. The second step of the workflow.

    Args:
        base: name of a Keras Application, such as "MobileNetV2". `kerastl.BASES` lists them all. For texts,
            "small_bert" (bundled) or a BERT of KerasHub, such as "bert_tiny_en_uncased" (downloaded once).
        data: `ImageData` or `TextData`; the image size and the number of classes come from it.
        weights: "imagenet" (Keras downloads them once), "garden" (bundled; MobileNetV2 with alpha=0.35), None for
            random weights, or a file of weights for this base without its top (`.weights.h5` or `.h5`). For texts only
            None, or nothing: then they are those that belong to the base.
        augment: put random flips, small turns and zooms in front; False for nothing; or a layer, such as
            `keras.layers.RandomBrightness(0.2)`, several of them in a `keras.Sequential`. It takes pixels 0–255 and
            gives as many of the same range. Take only changes after which the class is still right: flips harm where
            left and right matter, as in hand signs, digits, letters and arrows (on photos of hand signs, augmented
            views cost 0.017 of accuracy). They act in training, and not in `predict` and `evaluate`. When you call the
            model yourself, say `training=False`: Keras's augmentation layers take it that you are training unless they
            are told (fact 13 in tests/test_traps.py). To export it, take `without_augmentation(model)`.
        dropout: share of the pooled features that are dropped in each training step.
        **builder_arguments: passed to the builder in `keras.applications`, as `alpha=0.35`. For texts only
            `sequence_length`, how many word pieces of a text the model reads, with one at its beginning and one at its
            end; 64 for "small_bert", else 128.

    Returns:
        A `keras.Model`: images (batch, height, width, 3), raw pixels 0–255 -> probabilities (batch, classes). The
        scaling that the base needs is inside. It is not compiled; the training functions do that. `model.resize` is
        that of the data: `predict` brings files to the model's size in the same way. For texts: token ids,
        int32 (batch, length), 0 for padding -> probabilities. `model.preprocessor`, a layer of KerasHub, makes token
        ids of strings, and the functions of kerastl use it. The head reads the mean of what BERT gives for each token.

    Raises:
        TypeError: the base is no name; an argument that the builder does not take; `augment` is no layer.
        ValueError: unknown base; images too small for it; weights of another shape or for another base; a width
            (`alpha`) that is not above 0, or one for which there are no ImageNet weights; a layer in `augment` that
            changes the size, has weights to train, mixes pictures of several classes, or could not be loaded again;
            Keras is set to channels first.
        FileNotFoundError: the file of weights is not there.
        ConnectionError: Keras could not download the weights.
        ImportError: texts, and KerasHub is not installed.

    Warns:
        UserWarning: some texts are longer than the model reads; their ends are left out.

    Example:
        >>> model = build_model("MobileNetV2", flowers, weights="garden")
        >>> model.output_shape
        (None, 5)
    """
    if not 0 <= dropout < 1:
        raise ValueError(f"Received dropout={dropout}. Expected a share from 0 up to, but not including, 1.")
    if isinstance(data, TextData):
        check_image_data(data)
        ids, pooled, preprocessor = build_bert(base, weights, augment, builder_arguments)
        model = _add_classifier(ids, pooled, base, data, dropout)
        model.preprocessor = preprocessor
        warn_of_long_texts(model, (texts for part in data[:3] if holds_texts(part) for texts, _ in part))
        return model
    entry = find_base(base)
    check_image_data(data)
    if holds_texts(data.train):
        raise TypeError(f"The data hold texts, and {base!r} takes images. Make them `TextData`, and take 'small_bert'.")
    image_shape = tuple(data.train.element_spec[0].shape[1:])
    check_base(entry, image_shape[:2], weights, builder_arguments)
    if keras.config.image_data_format() == "channels_first":
        raise ValueError(
            "Keras is set to channels first. Expected images (height, width, 3), as the data give them: call "
            "`keras.config.set_image_data_format('channels_last')`."
        )
    base_model = _build_base(entry, image_shape, weights, builder_arguments)

    image = keras.Input(image_shape, name="image")
    x = _augment(image, augment)
    x = entry.preprocess(x)
    x = base_model(x)  # not `training=False`: released Keras 3 overrides it in fit (facts 1 and 10)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    model = _add_classifier(image, x, base, data, dropout)
    model.resize = data.resize
    return model


def _add_classifier(taken, pooled, base: str, data: ImageData, dropout: float) -> keras.Model:
    """The whole model, its base frozen: from what it takes, through the pooled features, to the probabilities."""
    x = keras.layers.Dropout(dropout, name="dropout")(pooled)
    classifier = keras.layers.Dense(len(data.class_names), activation="softmax", dtype="float32", name="classifier")
    model = keras.Model(taken, classifier(x), name=f"{base}_classifier")
    freeze(model)
    return model


def check_base(entry: Base, image_size: tuple[int, int], weights, builder_arguments: dict) -> None:
    """Raise what `build_model` raises of a base that cannot be built so: no picture is needed to find it."""
    if min(image_size) < entry.smallest_image:
        raise ValueError(
            f"The images are {image_size[0]}×{image_size[1]} pixels. {entry.name} needs at least "
            f"{entry.smallest_image}×{entry.smallest_image}: load them with a larger `image_size`."
        )
    taken = [name for name in inspect.signature(entry.builder).parameters if name not in _OURS]
    for name, value in builder_arguments.items():
        if name not in taken:
            raise TypeError(f"Received {name}={value!r}. {entry.name} takes no {name}; it takes: {', '.join(taken)}.")
    alpha = builder_arguments.get("alpha", 1)
    if not isinstance(alpha, Real) or not alpha > 0:
        raise ValueError(f"Received alpha={alpha!r}. Expected a width above 0, such as 0.35; 1 is the usual one.")
    if weights in BUNDLED_WEIGHTS and not _fits(entry, weights, builder_arguments):
        bundled = BUNDLED_WEIGHTS[weights]
        arguments = "".join(f", {key}={value}" for key, value in bundled.builder_arguments.items())
        raise ValueError(
            f"The weights {weights!r} belong to {bundled.base}{arguments}. Received {entry.name} with "
            f"{builder_arguments or 'no arguments'}."
        )
    file = _file_of(weights)
    if file and not file.is_file():
        raise FileNotFoundError(
            f"There is no file of weights {str(file)!r}. Expected 'imagenet', {', '.join(map(repr, BUNDLED_WEIGHTS))}, "
            "None, or a file."
        )
    if file and file.suffix == ".keras":
        raise ValueError(
            f"{str(file)!r} is a whole model, not the weights of a base. Expected a file that ends in .weights.h5 or "
            ".h5."
        )


def _fits(entry: Base, bundled_weights: str, builder_arguments: dict) -> bool:
    bundled = BUNDLED_WEIGHTS[bundled_weights]
    wanted = {**bundled.builder_arguments, **builder_arguments}
    return entry.name == bundled.base and wanted == bundled.builder_arguments


def _file_of(weights) -> Path | None:
    if weights in (None, "imagenet"):
        return None
    if weights in BUNDLED_WEIGHTS:
        return bundled_folder() / BUNDLED_WEIGHTS[weights].file
    return Path(weights).expanduser()


def _augment(image, augment: bool | keras.Layer):
    """The image after augmentation.

    Turn and zoom warp the picture one after the other, at 0.6 to 1 times the cost of the smallest base; one warp would
    take half of it. But Keras has no layer for that, and with one of ours a saved model would not load without us.
    """
    layers = keras.layers
    if augment is True:
        steps = [layers.RandomFlip("horizontal"), layers.RandomRotation(0.05), layers.RandomZoom(0.1)]
        augment = keras.Sequential(steps, name="augmentation")
    elif augment is False:
        return image
    elif not isinstance(augment, keras.Layer):
        raise TypeError(
            f"Received augment={augment!r}. Expected True, False, or a layer such as "
            "`keras.layers.RandomFlip('horizontal')`; several layers go into a `keras.Sequential`."
        )
    x = augment(image)
    reason = None
    if x.shape != image.shape:
        reason = f"makes images {tuple(x.shape[1:])} of {tuple(image.shape[1:])}. Expected the same size"
    elif augment.trainable_weights:
        reason = "has weights to train, but training begins above the frozen base. Expected a layer without"
    for leaf in leaf_layers(augment):
        if isinstance(leaf, layers.Lambda):
            reason = "holds a Lambda: Keras refuses to load it again. Expected layers of Keras"
        if isinstance(leaf, layers.MixUp | layers.CutMix):
            reason = "mixes pictures of several classes, but not their labels. Expected changes to single pictures"
    if reason:
        raise ValueError(f"Received {augment.name!r} as `augment`, which {reason}.")
    return x


def _build_base(entry: Base, image_shape, weights, builder_arguments) -> keras.Model:
    file = _file_of(weights)
    if weights in BUNDLED_WEIGHTS:
        builder_arguments = BUNDLED_WEIGHTS[weights].builder_arguments
    if file:
        weights = None
    try:
        model = entry.builder(include_top=False, weights=weights, input_shape=image_shape, **builder_arguments)
    except (TypeError, ValueError):
        raise
    except Exception as error:
        if weights is None:
            raise
        bundled = [name for name in BUNDLED_WEIGHTS if _fits(entry, name, builder_arguments)]
        raise ConnectionError(
            f"Keras could not download the ImageNet weights of {entry.name} ({error}). Check the connection; copy the "
            "file from another machine to ~/.keras/models; or give a file."
            + "".join(f' Or use weights="{name}", which is bundled.' for name in bundled)
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
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"The weights in {str(file)!r} do not fit {model.name!r} without its top: {said}. Expected a file that the "
            "base's `save_weights` wrote, or Keras's own."
        ) from error
