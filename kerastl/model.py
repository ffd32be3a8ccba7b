"""Build the model: augment -> preprocess -> frozen pre-trained base -> pool -> dropout -> classifier."""

import os
from collections.abc import Callable

import keras

from kerastl.backbones import take_network
from kerastl.bases import find_base
from kerastl.bert import build_bert, warn_of_long_texts
from kerastl.data import ImageData, TextData, check_image_data
from kerastl.freezing import freeze
from kerastl.graph import leaf_layers
from kerastl.inputs import holds_texts
from kerastl.pretrained import build_base

_POOLINGS = ("avg", "max", "both", "token")


def build_model(
    base: str | keras.Model,
    data: ImageData,
    *,
    weights: str | os.PathLike | None = "imagenet",
    preprocess: Callable | None = None,
    augment: bool | keras.Layer = True,
    pooling: str = "avg",
    dropout: float = 0.2,
    **builder_arguments: object,
) -> keras.Model:
    """Build a classifier for new classes on a frozen, pre-trained base. The second step of the workflow.

    Args:
        base: name of a Keras Application, such as "MobileNetV2". `kerastl.BASES` lists them all. For texts,
            "small_bert" (bundled) or a BERT of KerasHub, such as "bert_tiny_en_uncased" (downloaded once). Or a network
            of your own without its head, or a backbone of KerasHub (`pip install 'kerastl[hub]'`): a functional
            `keras.Model` from images (batch, height, width, 3) to features, (batch, height, width, channels), (batch,
            tokens, channels) or (batch, channels). It is used itself, with the weights that it has; it is no copy.
        data: `ImageData` or `TextData`; the image size and the number of classes come from it.
        weights: "imagenet" (Keras downloads them once), "garden" (bundled; MobileNetV2 with alpha=0.35), None for
            random weights, or a file of weights for this base without its top (`.weights.h5` or `.h5`). For texts only
            None, or nothing: then they are those that belong to the base.
        preprocess: only for a network of your own, and needed there: what makes of pixels 0–255 what the network was
            trained on, as a layer, `keras.layers.Rescaling(1 / 255)`, or a function of Keras's, such as
            `keras.applications.resnet.preprocess_input`; of KerasHub's `ImageConverter` only the scaling is taken.
            `keras.layers.Identity()` where pixels are right as they are.
        augment: put random flips, small turns and zooms in front; False for nothing; or a layer, such as
            `keras.layers.RandomBrightness(0.2)`, several of them in a `keras.Sequential`. It takes pixels 0–255 and
            gives as many of the same range. Take only changes after which the class is still right: flips harm where
            left and right matter, as in hand signs, digits, letters and arrows. They act in training, and not in
            `predict` and `evaluate`; `export` leaves them out. When you call the model yourself, say `training=False`:
            Keras's augmentation layers take it that you are training unless they are told (fact 13 in
            tests/test_traps.py).
        pooling: what makes one vector of the features: "avg", their mean over all places (or tokens); "max"; "both",
            one after the other; or "token", the first of the tokens, for a transformer that has a class token.
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
        TypeError: the base is neither a name nor a network; an argument that the builder does not take; `augment` is no
            layer.
        ValueError: unknown base; images too small for it; weights of another shape or for another base; a width
            (`alpha`) that is not above 0, or one for which there are no ImageNet weights; a layer in `augment` that
            changes the size, has weights to train, mixes pictures of several classes, or could not be loaded again;
            Keras is set to channels first.
            A network of your own without `preprocess`, with a head, of another image size than the data, or with
            `weights`; a pooling that its features do not allow.
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
    own = isinstance(base, keras.Model)
    name = base.name if own else find_base(base).name
    check_image_data(data)
    if holds_texts(data.train):
        raise TypeError(f"The data hold texts, and {name!r} takes images. Make them `TextData`, and take 'small_bert'.")
    if keras.config.image_data_format() == "channels_first":
        raise ValueError(
            "Keras is set to channels first. Expected images (height, width, 3), as the data give them: call "
            "`keras.config.set_image_data_format('channels_last')`."
        )
    if preprocess is not None and not own:
        raise ValueError(f"Received `preprocess`, but {name!r} has its own. It is for a network of your own.")
    image_shape = tuple(data.train.element_spec[0].shape[1:])
    image = keras.Input(image_shape, name="image")
    if own:
        base_model, preprocess = take_network(base, image_shape, preprocess, weights, builder_arguments)
    else:
        base_model, preprocess = build_base(find_base(base), image_shape, weights, builder_arguments)
    x = _augment(image, augment)
    x = preprocess(x)
    x = base_model(x)  # not `training=False`: released Keras 3 overrides it in fit (facts 1 and 10)
    model = _add_classifier(image, _pool(x, pooling), name, data, dropout)
    model.resize = data.resize
    return model


def _pool(features, pooling: str):
    """One vector for each image, (batch, …), from what a base gives."""
    layers, rank = keras.layers, len(features.shape)
    if pooling not in _POOLINGS:
        raise ValueError(f"Received pooling={pooling!r}. Expected one of {', '.join(map(repr, _POOLINGS))}.")
    if pooling == "token" and rank != 3:
        raise ValueError(
            f"Received pooling='token', and the base gives {tuple(features.shape)}. Expected tokens, (None, tokens, "
            "channels), as a transformer gives them. Take 'avg'."
        )
    if rank == 2:  # a network that pools by itself
        return layers.Identity(name="pool")(features)
    if pooling == "token":
        return features[:, 0]
    means, highest = {
        3: (layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D),
        4: (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D),
    }[rank]
    if pooling == "both":
        return layers.Concatenate(name="pool")([means(name="mean")(features), highest(name="max")(features)])
    return (means if pooling == "avg" else highest)(name="pool")(features)


def _add_classifier(taken, pooled, base: str, data: ImageData, dropout: float) -> keras.Model:
    """The whole model, its base frozen: from what it takes, through the pooled features, to the probabilities."""
    x = keras.layers.Dropout(dropout, name="dropout")(pooled)
    classifier = keras.layers.Dense(len(data.class_names), activation="softmax", dtype="float32", name="classifier")
    model = keras.Model(taken, classifier(x), name=f"{base}_classifier")
    freeze(model)
    return model


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
        if isinstance(leaf, tuple(getattr(layers, name) for name in ("MixUp", "CutMix") if hasattr(layers, name))):
            reason = "mixes pictures of several classes, but not their labels. Expected changes to single pictures"
    if reason:
        raise ValueError(f"Received {augment.name!r} as `augment`, which {reason}.")
    return x
