"""The engine under the training functions: run the frozen part once, then train what is above it, epoch by epoch.

The upper part shares its layers with the model, so training the upper part is training the model.
"""

import json
import math
from collections.abc import Iterator

import keras

from kerastl.backup import Backup, Best
from kerastl.data import ImageData, check_image_data
from kerastl.features import FRESH, make_source
from kerastl.frontier import single, split_model
from kerastl.identity import Witnessed, describe_run
from kerastl.interrupts import hold_ctrl_c
from kerastl.progress import Progress
from kerastl.quiet import no_retracing_warnings


@no_retracing_warnings()
def train(model, data, phase, epochs, learning_rate, views, class_weight, callbacks, backup_dir, verbose):
    """Train what is trainable in the model. For the arguments, the result and the errors see `kerastl.training`."""
    _check_arguments(epochs, views)
    check_data(model, data)
    loss, split, backup = _loss_for(model), split_model(model), None
    if backup_dir is not None:
        run = describe_run(
            model,
            split,
            data,
            phase,
            epochs=epochs,
            views=views,
            learning_rate=_describe_rate(learning_rate, callbacks),
            class_weight=dict(sorted(class_weight.items())) if class_weight else None,
        )
        backup = Backup(backup_dir, phase, split, run)
        data = ImageData(*map(Witnessed, data[:3]), data.class_names)
        backup.agree(data.test.describe("test"))
    finished = backup is not None and backup.record["finished"]
    history, best = keras.callbacks.History(), Best(split.upper)
    if not finished:
        training = make_source(split, data.train, views, True, verbose, "training images")
        validation = make_source(split, data.validation, 0, False, verbose, "validation images")
    if backup:
        backup.agree(data.train.describe("training") | data.validation.describe("validation"))
        backup.agree({"images in a batch": str(data.train.batch_size)})
        if backup.record["epoch"]:
            data.train.begin(backup.record["passes"])
    steps = 1 if finished else training.steps
    optimizer = _make_optimizer(learning_rate, epochs * steps, callbacks)
    for trained in (model, split.upper):  # always: a change of `trainable` acts only after compile (fact 3)
        trained.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    hooks = keras.callbacks.CallbackList(
        [history, *callbacks], model=model, epochs=epochs, verbose=verbose, steps=steps
    )
    model.history, model.stop_training = history, False
    if finished:
        backup.restore(history, optimizer, best)
        _say(verbose, f"{phase} was finished before: taken from {backup.file}. Delete that file to train anew.")
        return history

    hooks.on_train_begin()
    if backup and backup.record["epoch"]:
        backup.restore(history, optimizer, best)
        _say(verbose, f"{phase} goes on after epoch {len(history.epoch)}, from {backup.file}")
    logs, stopped = {}, False
    try:
        with Progress(phase, verbose) as progress:
            progress.expect((epochs - len(history.epoch)) * training.images)
            for epoch in range(len(history.epoch), epochs):
                hooks.on_epoch_begin(epoch)
                rate = _rate(optimizer)
                logs = _train_epoch(model, split.upper, training.epoch(), class_weight, hooks, progress)
                logs |= _measure(split.upper, validation.epoch(), hooks)
                logs["learning_rate"] = rate  # at the beginning of the epoch
                best.see(epoch + 1, logs["val_loss"])
                hooks.on_epoch_end(epoch, logs)
                progress.advance(
                    0,
                    f"epoch {epoch + 1}/{epochs}  accuracy {logs['accuracy']:.3f}  "
                    f"validation {logs['val_accuracy']:.3f}",
                )
                if backup:
                    backup.save(history, optimizer, best, data.train.passes)
                if model.stop_training:
                    break
    except KeyboardInterrupt:
        stopped = True
    except _NotFiniteError:
        raise ValueError(
            f"The loss is no number any more, in epoch {len(history.epoch) + 1} of {phase}, at the learning rate "
            f"{_rate(optimizer):.2g}. The weights are {best.restore()}. Train with a lower learning_rate."
        ) from None
    with hold_ctrl_c():  # impatient people press twice
        hooks.on_train_end(logs)
        if stopped:
            kept = best.restore() if best.epoch else "as they are: no epoch was finished"
            _say(verbose, f"{phase} was stopped in epoch {len(history.epoch) + 1}. The weights are {kept}.")
        elif backup:
            backup.save(history, optimizer, best, data.train.passes, finished=True)
    return history


class _NotFiniteError(ArithmeticError):
    """The loss is no number any more."""


def _train_epoch(model, upper, batches: Iterator, class_weight, hooks, progress) -> dict[str, float]:
    totals, images = {}, 0
    for step, (tensors, labels) in enumerate(batches):
        hooks.on_train_batch_begin(step)
        upper.reset_metrics()  # figures of this batch alone, on every version of Keras
        logs = upper.train_on_batch(single(tensors), labels, class_weight=class_weight, return_dict=True)
        if not math.isfinite(logs["loss"]):
            raise _NotFiniteError
        hooks.on_train_batch_end(step, logs)
        _add(totals, logs, len(labels))
        images += len(labels)
        progress.advance(len(labels))
        if model.stop_training:
            break
    return {name: total / images for name, total in totals.items()}


def _measure(upper, batches: Iterator, hooks) -> dict[str, float]:
    totals, images = {}, 0
    hooks.on_test_begin()
    for step, (tensors, labels) in enumerate(batches):
        hooks.on_test_batch_begin(step)
        upper.reset_metrics()
        logs = upper.test_on_batch(single(tensors), labels, return_dict=True)
        hooks.on_test_batch_end(step, logs)
        _add(totals, logs, len(labels))
        images += len(labels)
    figures = {name: total / images for name, total in totals.items()}
    hooks.on_test_end(figures)
    if not math.isfinite(figures["loss"]):
        raise _NotFiniteError
    return {f"val_{name}": value for name, value in figures.items()}


def _add(totals: dict, logs: dict, weight: int) -> None:
    for name, value in logs.items():
        totals[name] = totals.get(name, 0.0) + float(value) * weight


def _say(verbose: int, line: str) -> None:
    if verbose:
        print(line, flush=True)


def _rate(optimizer) -> float:
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))


def _make_optimizer(learning_rate, steps: int, callbacks) -> keras.optimizers.Optimizer:
    if isinstance(learning_rate, keras.optimizers.Optimizer):
        return learning_rate
    if isinstance(learning_rate, int | float):
        if not learning_rate >= 0 or math.isinf(learning_rate):
            raise ValueError(f"Received learning_rate={learning_rate}. Expected 0 or a positive number, such as 1e-3.")
        if _falls_by_itself(callbacks):
            learning_rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    return keras.optimizers.Adam(learning_rate)


def _falls_by_itself(callbacks) -> bool:
    setters = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
    return not any(isinstance(callback, setters) for callback in callbacks)


def _describe_rate(learning_rate, callbacks) -> str:
    if isinstance(learning_rate, int | float):
        return f"{learning_rate:g}" + ("" if _falls_by_itself(callbacks) else ", set by a callback")
    return json.dumps(keras.saving.serialize_keras_object(learning_rate), sort_keys=True, default=str)


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


def check_data(model, data) -> None:
    """Raise ValueError when the images or the classes of `data` are not those of the model."""
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
