"""Look at what training is given, before it begins."""

import math
import os
from numbers import Real

import keras
import numpy as np

from kerastl.checks import is_whole, list_some
from kerastl.data import ImageData, check_image_data, labels_of
from kerastl.engine.batches import FRESH
from kerastl.engine.split import Split
from kerastl.graph import is_kerass, leaf_layers
from kerastl.inputs import as_taken, check_size
from kerastl.private import can_train
from kerastl.sources import PART_NAMES

# What of a model is not used here, if somebody wrote it anew.
OWN_WAYS = (
    "compile",
    "fit",
    "make_train_function",
    "make_test_function",
    "train_step",
    "test_step",
    "compute_loss",
    "compute_metrics",
)


def check_arguments(epochs, learning_rate, views, callbacks, backup_dir) -> None:
    """Raise ValueError or TypeError when one of the arguments of the training functions cannot be meant."""
    check_epochs(epochs)
    if isinstance(learning_rate, Real):
        impossible = isinstance(learning_rate, bool) or not learning_rate >= 0 or math.isinf(learning_rate)
    else:  # a schedule is callable, too; but so is a class
        known = isinstance(learning_rate, keras.optimizers.Optimizer) or callable(learning_rate)
        impossible = isinstance(learning_rate, type) or not known
    if impossible:
        raise ValueError(
            f"Received learning_rate={learning_rate!r}. Expected 0 or a positive number, such as 1e-3; or a schedule "
            "or an optimizer of Keras, such as `keras.optimizers.Adam(1e-3)`."
        )
    named = views is None or (isinstance(views, str) and views == FRESH)
    if not named and not is_whole(views, least=0):
        raise ValueError(f"Received views={views!r}. Expected 0, a positive whole number, {FRESH!r}, or None.")
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            made = f" Make one of the class: `{callback.__name__}()`." if isinstance(callback, type) else ""
            raise TypeError(f"Received {callback!r} among the callbacks. Expected callbacks of Keras.{made}")
    if any(isinstance(callback, keras.callbacks.BackupAndRestore) for callback in callbacks):
        raise ValueError("Received the callback BackupAndRestore, which does not know of phases. Use `backup_dir`.")
    if not isinstance(backup_dir, str | os.PathLike | None):
        raise TypeError(f"Received backup_dir={backup_dir!r}. Expected the name of a folder.")


def whole_class_weight(class_weight, data: ImageData) -> dict[int, float] | None:
    """The weight of each class, 1 where none is given; None as it is.

    Raises:
        ValueError: it is not "balanced", and does not give numbers of classes their weights.
    """
    if class_weight is None:
        return None
    numbers = range(len(data.class_names))
    if isinstance(class_weight, str) and class_weight == "balanced":
        class_weight = _balanced(labels_of(data.train))
    if hasattr(class_weight, "keys") and all(is_whole(key, least=0) and key in numbers for key in class_weight):
        weights = {number: class_weight.get(number, 1.0) for number in numbers}
        known = all(isinstance(weight, Real) and 0 <= weight < math.inf for weight in weights.values())
        if known and any(weights.values()):
            return {number: float(weight) for number, weight in weights.items()}
    example = ", ".join(f"{number}: 1.0" for number in numbers[:3])
    raise ValueError(
        f'Received class_weight={class_weight!r}. Expected "balanced", or {{number of a class: its weight}}, as '
        f"{{{example}}}: a weight is 0 or more, one of them above 0, and the numbers are the places in "
        f"{list_some(data.class_names)}, counted from 0."
    )


def _balanced(labels: np.ndarray) -> dict[int, float]:
    """images / (classes × images of the class), for each class that has some, as scikit-learn weighs them."""
    present, counts = np.unique(labels, return_counts=True)
    return dict(zip(present.tolist(), (len(labels) / (len(present) * counts)).tolist(), strict=True))


def check_epochs(epochs) -> None:
    """Raise ValueError unless it is a number of epochs."""
    if not is_whole(epochs, least=1):
        raise ValueError(f"Received epochs={epochs!r}. Expected a whole number, 1 or more.")


def check_data(model, data) -> ImageData:
    """`data` as the model takes them. Raises ValueError when the images or the classes are not those of the model."""
    check_image_data(data)
    outputs = max(model.output_shape[-1], 2)
    if len(data.class_names) != outputs:
        raise ValueError(
            f"The data have {len(data.class_names)} classes ({list_some(data.class_names)}), the model "
            f"has {outputs} outputs. Build the model with these data: `build_model(base, data)`."
        )
    data = data._replace(**{part: as_taken(model, getattr(data, part)) for part in PART_NAMES})
    check_size(data.train.element_spec[0].shape[1:], model)
    return data


def check_trainable(model: keras.Model, split: Split, learning_rate) -> None:
    """Raise ValueError when nothing can be trained, or not in the way, or by the optimizer, that the user gave."""
    upper = split.upper
    for name in OWN_WAYS:
        if name in vars(model) or not is_kerass(getattr(type(model), name)):
            raise ValueError(
                f"{model.name!r} has a `{name}` of its own, which would not be used here. Train it with Keras's `fit`."
            )
    learning = {id(weight) for weight in upper.trainable_weights}
    counting = [
        layer.name
        for layer in (*leaf_layers(split.front), *leaf_layers(upper))
        if isinstance(layer, keras.layers.SpectralNormalization) and id(layer.kernel) not in learning
    ]
    if counting:
        raise ValueError(
            f"The layer {counting[0]!r} is frozen, in a part of the model that runs in training. But a "
            "SpectralNormalization goes on counting there: unfreeze it and what it holds, or take it out."
        )
    if not upper.trainable_weights:
        raise ValueError("Nothing in the model can be trained: every layer is frozen. Unfreeze the head, at least.")
    if isinstance(learning_rate, keras.optimizers.Optimizer) and not can_train(learning_rate, upper.trainable_weights):
        raise ValueError(
            "The optimizer has trained other weights before. Expected a new one for each phase, such as "
            "`learning_rate=keras.optimizers.Adam(1e-4)`."
        )
