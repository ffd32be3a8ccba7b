"""Train: the head on the frozen base (phase 1), the unfrozen top (phase 2), or everything from scratch.

Three thin functions over one engine. The engine splits the model at its frontier, runs the frozen part once for each
image, and trains what is above it. The layers are shared, so training the upper part is training the model.
"""

import math
from collections.abc import Iterator, Sequence

import keras

from kerastl.features import keep_source, single, split_model, stream_source
from kerastl.freezing import unfreeze_all
from kerastl.graph import find_base_model, is_batch_norm, leaf_layers
from kerastl.progress import Progress

FRESH = "fresh"


def train_head(
    model,
    data,
    *,
    epochs: int = 10,
    learning_rate=1e-3,
    views=0,
    class_weight=None,
    callbacks: Sequence = (),
    verbose: int = 1,
) -> keras.callbacks.History:
    """Phase 1: train the head on the frozen base.

    The base runs once for each image, not once for each image and epoch: with everything frozen its output cannot
    change. The result is the same as that of a plain `fit` of the whole model.

    Args:
        model: as `build_model` returns it; its base is frozen.
        data: `ImageData`; `train` is learned from, `validation` is measured after each epoch.
        epochs: passes over the training images.
        learning_rate: where the rate starts; it falls to 0 along half a cosine (Loshchilov & Hutter 2017, arXiv
            1608.03983). A `LearningRateSchedule` or a whole `keras.optimizers.Optimizer` is taken as it is.
        views: 0 to train on the images as they are; k to keep k augmented views of each image and draw one in each
            epoch; "fresh" for a new augmentation in each epoch, for which the frozen part runs every time.
        class_weight: {class index: weight} for classes of unequal size.
        callbacks: Keras callbacks; their `self.model` is the whole model.
        verbose: 0 for silence, 1 for progress bars.

    Returns:
        `keras.callbacks.History` with `loss`, `accuracy`, `val_loss`, `val_accuracy` and `learning_rate` per epoch.

    Raises:
        ValueError: something in the base is unfrozen; the classes of `data` are not those of the model.

    Example:
        >>> phase1 = train_head(model, flowers, epochs=10)
        >>> phase1.history["val_accuracy"][-1]
        0.93
    """
    base = find_base_model(model)
    if base.trainable_weights:
        names = [layer.name for layer in leaf_layers(base) if layer.trainable_weights]
        raise ValueError(
            f"{len(names)} layers of the base are unfrozen (first: {names[0]!r}). Phase 1 trains the head on a frozen "
            "base. Call `freeze(model)` first, or `fine_tune` to train what is unfrozen."
        )
    return _train(model, data, "phase 1", epochs, learning_rate, views, class_weight, callbacks, verbose)


def fine_tune(
    model,
    data,
    *,
    epochs: int = 10,
    learning_rate=1e-4,
    views=0,
    class_weight=None,
    callbacks: Sequence = (),
    verbose: int = 1,
) -> keras.callbacks.History:
    """Phase 2: train the unfrozen top of the base together with the head, at a much lower rate.

    Everything below the lowest unfrozen layer runs once for each image. Arguments, result and errors are those of
    `train_head`, with a lower default rate; call `unfreeze_top` first.

    Raises:
        ValueError: nothing in the base is unfrozen; a BatchNormalization layer is (call `unfreeze_top`, which holds
            them still); the classes of `data` are not those of the model.
    """
    base = find_base_model(model)
    if not base.trainable_weights:
        raise ValueError(
            "Nothing in the base is unfrozen, so there is nothing to fine-tune. Call "
            "`unfreeze_top(model, 30)` first, or `train_head` to train the head alone."
        )
    moving = [layer.name for layer in leaf_layers(base) if is_batch_norm(layer) and layer.trainable]
    if moving:
        raise ValueError(
            f"{len(moving)} BatchNormalization layers are unfrozen (first: {moving[0]!r}); their "
            "statistics would be lost. Call `unfreeze_top`, which holds them still."
        )
    return _train(model, data, "phase 2", epochs, learning_rate, views, class_weight, callbacks, verbose)


def train_from_scratch(
    model,
    data,
    *,
    epochs: int = 20,
    learning_rate=1e-3,
    views=FRESH,
    class_weight=None,
    callbacks: Sequence = (),
    verbose: int = 1,
) -> keras.callbacks.History:
    """Train every layer at once: the baseline to which transfer is compared.

    Meant for a model built with `weights=None`. The momentum of BatchNormalization is set to suit the number of steps:
    Keras's 0.999 leaves the statistics far behind after a few hundred steps, and validation at chance (fact 8 in
    tests/test_traps.py). Arguments and result are those of `train_head`.
    """
    _check_data(model, data)
    steps = epochs * max(int(data.train.cardinality()), 1)
    momentum = min(0.99, max(0.5, 1 - 10 / steps))  # the statistics look back over about a tenth of the run
    for layer in leaf_layers(unfreeze_all(model)):
        if is_batch_norm(layer):
            layer.momentum = min(layer.momentum, momentum)
    return _train(model, data, "from scratch", epochs, learning_rate, views, class_weight, callbacks, verbose)


def _train(model, data, phase, epochs, learning_rate, views, class_weight, callbacks, verbose):
    """The engine: run the frozen part once, then train the upper part on what came out."""
    _check_arguments(epochs, views)
    _check_data(model, data)
    split = split_model(model)
    if views == FRESH or split.depth == 0:
        training = stream_source(split, data.train, augment=views != 0)
    else:
        training = keep_source(split, data.train, views, True, verbose, "training images")
    validation = keep_source(split, data.validation, 0, False, verbose, "validation images")
    optimizer = _make_optimizer(learning_rate, epochs * training.steps)
    for trained in (model, split.upper):  # always: a change of `trainable` acts only after compile (fact 3)
        trained.compile(optimizer=optimizer, loss=_loss_for(model), metrics=["accuracy"])

    history = keras.callbacks.History()
    hooks = keras.callbacks.CallbackList(
        [history, *callbacks], model=model, epochs=epochs, verbose=verbose, steps=training.steps
    )
    model.stop_training = False
    hooks.on_train_begin()
    with Progress(phase, verbose) as progress:
        progress.expect(epochs * training.images)
        for epoch in range(epochs):
            hooks.on_epoch_begin(epoch)
            rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
            logs = _train_epoch(split.upper, training.epoch(), class_weight, hooks, progress)
            logs |= {f"val_{name}": value for name, value in _measure(split.upper, validation.epoch()).items()}
            logs["learning_rate"] = rate  # at the beginning of the epoch
            hooks.on_epoch_end(epoch, logs)
            note = f"epoch {epoch + 1}/{epochs}  accuracy {logs['accuracy']:.3f}  validation {logs['val_accuracy']:.3f}"
            progress.advance(0, note)
            if model.stop_training:
                break
    hooks.on_train_end(logs)
    return history


def _train_epoch(upper, batches: Iterator, class_weight, hooks, progress) -> dict[str, float]:
    totals, images = {}, 0
    for step, (tensors, labels) in enumerate(batches):
        hooks.on_train_batch_begin(step)
        upper.reset_metrics()  # figures of this batch alone, on every version of Keras
        logs = upper.train_on_batch(single(tensors), labels, class_weight=class_weight, return_dict=True)
        hooks.on_train_batch_end(step, logs)
        _add(totals, logs, len(labels))
        images += len(labels)
        progress.advance(len(labels))
    return {name: total / images for name, total in totals.items()}


def _measure(upper, batches: Iterator) -> dict[str, float]:
    totals, images = {}, 0
    for tensors, labels in batches:
        upper.reset_metrics()
        _add(totals, upper.test_on_batch(single(tensors), labels, return_dict=True), len(labels))
        images += len(labels)
    return {name: total / images for name, total in totals.items()}


def _add(totals: dict, logs: dict, weight: int) -> None:
    for name, value in logs.items():
        totals[name] = totals.get(name, 0.0) + float(value) * weight


def _make_optimizer(learning_rate, steps: int) -> keras.optimizers.Optimizer:
    if isinstance(learning_rate, keras.optimizers.Optimizer):
        return learning_rate
    if isinstance(learning_rate, int | float):
        if not learning_rate >= 0 or math.isinf(learning_rate):
            raise ValueError(f"Received learning_rate={learning_rate}. Expected 0 or a positive number, such as 1e-3.")
        learning_rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    return keras.optimizers.Adam(learning_rate)


def _loss_for(model) -> str:
    activation = getattr(model.layers[-1], "activation", None)
    name = getattr(activation, "__name__", "no activation")
    if name == "softmax":
        return "sparse_categorical_crossentropy"
    if name == "sigmoid" and model.output_shape[-1] == 1:
        return "binary_crossentropy"
    raise ValueError(
        f"The model ends in {name}, so its outputs are no probabilities. Expected a last layer "
        "`Dense(num_classes, activation='softmax')`, or `Dense(1, activation='sigmoid')` for two classes."
    )


def _check_arguments(epochs, views) -> None:
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        raise ValueError(f"Received epochs={epochs!r}. Expected a whole number, 1 or more.")
    if views != FRESH and (isinstance(views, bool) or not isinstance(views, int) or views < 0):
        raise ValueError(f"Received views={views!r}. Expected 0, a positive whole number, or {FRESH!r}.")


def _check_data(model, data) -> None:
    from kerastl.data import check_image_data

    check_image_data(data)
    outputs = max(model.output_shape[-1], 2)
    if len(data.class_names) != outputs:
        raise ValueError(
            f"The data have {len(data.class_names)} classes ({', '.join(data.class_names[:5])}…), the model "
            f"has {outputs} outputs. Build the model with these data: `build_model(base, data)`."
        )
    size, expected = tuple(data.train.element_spec[0].shape[1:]), tuple(model.input_shape[1:])
    if size != expected:
        raise ValueError(
            f"The images are {size}, the model expects {expected}. Load the images with "
            f"`image_size={expected[:2]}`, or build the model with these data."
        )
