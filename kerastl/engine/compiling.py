"""What `compile` is given: the loss that suits the end of the model, the optimizer, and its rate."""

import json
import re
import warnings

import keras

from kerastl.calls import find_calls, last_activation
from kerastl.engine.digest import without_counts

_LOSSES = {
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
}
_NOT_SET = r"LearningRateSchedule|has no attribute 'assign'"  # Keras, where somebody sets a rate that is a schedule


def loss_for(model: keras.Model) -> str:
    """The name of the loss that suits what a model ends in. Raises ValueError when it does not give probabilities."""
    name, outputs = last_activation(find_calls(model)), model.output_shape[-1]
    if name == "softmax" and outputs > 1:
        return "sparse_categorical_crossentropy"
    if name == "sigmoid" and outputs == 1:
        return "binary_crossentropy"
    raise ValueError(
        f"The model ends in {name} with {outputs} outputs: these are no probabilities of classes. Expected a last "
        "layer `Dense(num_classes, activation='softmax')`, or `Dense(1, activation='sigmoid')` for two classes."
    )


def make_optimizer(learning_rate, steps: int, callbacks) -> keras.optimizers.Optimizer:
    """Adam, unless an optimizer was given. A rate that is a number falls to 0 within `steps`."""
    if isinstance(learning_rate, keras.optimizers.Optimizer):
        return learning_rate
    if isinstance(learning_rate, float) and _falls_by_itself(callbacks):
        learning_rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    return keras.optimizers.Adam(learning_rate)


def describe_rate(learning_rate, callbacks) -> str:
    """The rate, schedule or optimizer as a text, which tells whether two are alike."""
    if isinstance(learning_rate, float):
        return f"{learning_rate:g}" + ("" if _falls_by_itself(callbacks) else ", set by a callback")
    text = json.dumps(keras.saving.serialize_keras_object(learning_rate), sort_keys=True, default=str)
    return without_counts(text)


def _falls_by_itself(callbacks) -> bool:
    setters = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
    return not any(isinstance(callback, setters) for callback in callbacks)


def check_rate_was_left(learning_rate, error: Exception) -> None:
    """Raise TypeError, with what to do, when training failed because a callback set a rate that falls by itself."""
    was_set = isinstance(error, TypeError | AttributeError) and re.search(_NOT_SET, str(error))
    if was_set and isinstance(learning_rate, float):
        raise TypeError(
            "A callback sets the learning rate, but a rate that is given as a number falls by itself. Give an "
            f"optimizer: `learning_rate=keras.optimizers.Adam({learning_rate})`."
        ) from error


def compile_whole(model, learning_rate, optimizer, loss) -> None:
    """Leave the model so that Keras's own `fit` can go on with it: a rate that fell to 0 would teach it nothing."""
    fresh = keras.optimizers.Adam(learning_rate) if isinstance(learning_rate, float) else optimizer
    model.compile(fresh, loss, metrics=["accuracy"])
    if not model.optimizer.built:  # else Keras warns when it loads what its own `save` wrote
        model.optimizer.build(model.trainable_variables)


def warn_of_what_goes(model: keras.Model, loss: str) -> None:
    """Tell those who compiled the model with another loss or other metrics: training compiles it anew."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a lambda cannot be stored, says Keras
        compiled = model.get_compile_config() or {}
    same = keras.losses.serialize(_LOSSES[loss]())
    given = _settings_in([compiled.get(part) for part in ("loss", "metrics", "weighted_metrics")])
    names = [_name_of(setting) for setting in given if setting != same]
    names = [name for name in names if name not in (loss, "accuracy")]
    if names:
        warnings.warn(
            f"The model was compiled with {' and '.join(names)}. kerastl does not use that: it trains with {loss} and "
            "measures accuracy. Give an optimizer as `learning_rate`; for another loss or metric use Keras's `fit`.",
            stacklevel=6,
        )


def _settings_in(part) -> list:
    """The losses or metrics in a part of a compiled model's config: one, or lists and dicts of them, by output."""
    if isinstance(part, dict) and "class_name" not in part:
        part = list(part.values())
    if isinstance(part, list):
        return [setting for inner in part for setting in _settings_in(inner)]
    return [] if part is None else [part]


def _name_of(setting) -> str:
    """The name of a loss or metric in a compiled model's config: a name already, a function, or an object."""
    if isinstance(setting, str):
        return setting
    return setting["config"] if isinstance(setting.get("config"), str) else str(setting.get("class_name"))
