"""The training itself: read the images, train the part above the cut with Keras's `fit`, and leave the model in order.

The upper part shares its layers with the model, so training the upper part is training the model.
"""

import json
import math
import os
import warnings
from numbers import Real

import keras

from kerastl.calls import find_calls, last_activation
from kerastl.checks import check_size, is_whole
from kerastl.data import check_image_data
from kerastl.devices import count_replicas, scope_of
from kerastl.engine.backup import Backup
from kerastl.engine.batches import FRESH, Batches, make_batches
from kerastl.engine.callbacks import Bar, Best, Epochs, NotFiniteError, Steps, Stop, looks_at_batches, rate_of
from kerastl.engine.frozen import Frozen
from kerastl.engine.identity import describe_run
from kerastl.engine.split import split_model
from kerastl.graph import find_base_model
from kerastl.interrupts import hold_ctrl_c
from kerastl.private import can_train
from kerastl.progress import Progress
from kerastl.quiet import no_retracing_warnings

_LOSSES = {
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
}
# Steps of a head that Keras runs in one call: calls take longer than such a step. On torch Keras wants them one by one.
STEPS_AT_ONCE = 1 if keras.backend.backend() == "torch" else 16


@no_retracing_warnings()
def train(model, *arguments) -> keras.callbacks.History:
    """Train what is trainable in the model. For the arguments, the result and the errors see `kerastl.training`."""
    with scope_of(model):
        return _train(model, *arguments)


def _train(model, data, phase, epochs, learning_rate, views, class_weight, callbacks, backup_dir, verbose):
    callbacks = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else list(callbacks or ())
    _check_arguments(epochs, learning_rate, views, callbacks, backup_dir)
    check_data(model, data)
    loss, split = _loss_for(model), split_model(model)
    frozen, upper = Frozen(model, split), split.upper
    _check_trainable(upper, learning_rate)
    history, best, backup = keras.callbacks.History(), Best(upper), None
    history.epoch, model.history, model.stop_training = [], history, False
    _warn_of_what_goes(model, loss)
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
        backup = Backup(backup_dir, phase, split, run, history, best)
    finished = backup is not None and backup.finished
    try:
        sources = _read_images(frozen, data, views, backup, verbose)
    except KeyboardInterrupt:
        _say(verbose, f"{phase} was stopped while its images were read. The weights are as they were.")
        return history

    optimizer = _make_optimizer(learning_rate, epochs * (sources[0].steps if sources else 1), callbacks)
    if finished:
        upper.compile(optimizer, loss)
        backup.restore()
        _compile(model, learning_rate, upper.optimizer, loss)
        anew = f"To train anew, delete {backup.all_phases}."
        _say(verbose, f"{phase} was finished before: taken from {backup.file}. {anew}")
        return history
    if backup and backup.epochs:
        _say(verbose, f"{phase} goes on after epoch {backup.epochs}, from {backup.file}")
    tiny = sources[0].kept and not find_base_model(model).trainable_weights and count_replicas(model) == 1
    at_once = STEPS_AT_ONCE if tiny and not any(map(looks_at_batches, callbacks)) else 1
    upper.compile(optimizer, loss, metrics=["accuracy"], steps_per_execution=at_once)  # always (fact 3)
    model.compile(upper.optimizer, loss, metrics=["accuracy"])  # the same one: mixed precision wraps it once
    upper.history = history
    training, validation = (Batches(source, upper) for source in sources)
    with Progress(phase, verbose) as progress:
        before = [steps := Steps(upper), Epochs(upper, training, validation)]
        after = [history, best, Bar(progress, training)]
        after += [backup] * (backup is not None) + [Stop(upper)]
        hooks = keras.callbacks.CallbackList(
            [*before, *callbacks, *after], model=model, epochs=epochs, verbose=verbose, steps=training.steps
        )
        try:
            upper.fit(
                training,
                validation_data=validation,
                epochs=epochs,
                initial_epoch=backup.epochs if backup else 0,
                class_weight=class_weight,
                callbacks=hooks,
                shuffle=False,  # the batches come shuffled
                verbose=0,
            )
            stopped = False
        except KeyboardInterrupt:
            stopped = True
        except NotFiniteError:
            raise ValueError(
                f"The loss is no number any more, in epoch {len(history.epoch) + 1} of {phase}, at the learning rate "
                f"{rate_of(upper.optimizer):.2g}. The weights are {best.restore()}. Train with a lower learning_rate."
            ) from None
        except Exception as error:
            raise training.error or validation.error or error from None
        finally:
            for part in (training, validation, steps):
                part.close()
    with hold_ctrl_c():  # impatient people press twice
        if stopped:
            hooks.on_train_end()
            if backup:
                backup.note_stop()
            kept = best.restore() if best.epoch else "as they are: no epoch was finished"
            _say(verbose, f"{phase} was stopped in epoch {len(history.epoch) + 1}. The weights are {kept}.")
        elif backup:
            backup.save(finished=True)
        _compile(model, learning_rate, upper.optimizer, loss)
    return history


def _read_images(frozen: Frozen, data, views, backup: Backup | None, verbose: int) -> list:
    """What the frozen part gives for the training images and for those of validation.

    Nothing where the backup says that the phase is over; then the images are only compared with those of the backup.
    """
    data = backup.watch(data) if backup else data
    sources = []
    if not (backup and backup.finished):
        sources = [
            make_batches(frozen, data.train, views, True, verbose, "training images"),
            make_batches(frozen, data.validation, 0, False, verbose, "validation images"),
        ]
    if backup:
        backup.agree_on_images(*sources)
    return sources


def _compile(model, learning_rate, optimizer, loss) -> None:
    """Leave the model so that Keras's own `fit` can go on with it: a rate that fell to 0 would teach it nothing."""
    fresh = keras.optimizers.Adam(learning_rate) if isinstance(learning_rate, int | float) else optimizer
    model.compile(fresh, loss, metrics=["accuracy"])


def _say(verbose: int, line: str) -> None:
    if verbose:
        print(line, flush=True)


def _make_optimizer(learning_rate, steps: int, callbacks) -> keras.optimizers.Optimizer:
    if isinstance(learning_rate, keras.optimizers.Optimizer):
        return learning_rate
    if isinstance(learning_rate, int | float) and _falls_by_itself(callbacks):
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
    name, outputs = last_activation(find_calls(model)), model.output_shape[-1]
    if name == "softmax" and outputs > 1:
        return "sparse_categorical_crossentropy"
    if name == "sigmoid" and outputs == 1:
        return "binary_crossentropy"
    raise ValueError(
        f"The model ends in {name} with {outputs} outputs: these are no probabilities of classes. Expected a last "
        "layer `Dense(num_classes, activation='softmax')`, or `Dense(1, activation='sigmoid')` for two classes."
    )


def _check_trainable(upper: keras.Model, learning_rate) -> None:
    if not upper.trainable_weights:
        raise ValueError("Nothing in the model can be trained: every layer is frozen. Unfreeze the head, at least.")
    if isinstance(learning_rate, keras.optimizers.Optimizer) and not can_train(learning_rate, upper.trainable_weights):
        raise ValueError(
            "The optimizer has trained other weights before. Expected a new one for each phase, such as "
            "`learning_rate=keras.optimizers.Adam(1e-4)`."
        )


def _warn_of_what_goes(model: keras.Model, loss: str) -> None:
    """Tell those who compiled the model with another loss or other metrics: training compiles it anew."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a lambda cannot be stored, says Keras
        compiled = model.get_compile_config() or {}
    same = keras.losses.serialize(_LOSSES[loss]())
    given = [compiled.get("loss")]
    for part in ("metrics", "weighted_metrics"):
        metrics = compiled.get(part) or []
        given += metrics if isinstance(metrics, list) else [metrics]
    names = [_name_of(setting) for setting in given if setting not in (None, same)]
    names = [name for name in names if name not in (loss, "accuracy")]
    if names:
        warnings.warn(
            f"The model is compiled with {' and '.join(names)}. That goes: here it is trained with {loss} and measured "
            "by accuracy. Give an optimizer as `learning_rate`; for another loss or other metrics use Keras's `fit`.",
            stacklevel=5,
        )


def _name_of(setting) -> str:
    """The name of a loss or metric in a compiled model's config: a name already, a function, or an object."""
    if isinstance(setting, str):
        return setting
    return setting["config"] if isinstance(setting.get("config"), str) else str(setting.get("class_name"))


def check_epochs(epochs) -> None:
    """Raise ValueError unless it is a number of epochs."""
    if not is_whole(epochs, least=1):
        raise ValueError(f"Received epochs={epochs!r}. Expected a whole number, 1 or more.")


def _check_arguments(epochs, learning_rate, views, callbacks, backup_dir) -> None:
    check_epochs(epochs)
    if isinstance(learning_rate, Real):
        impossible = isinstance(learning_rate, bool) or not learning_rate >= 0 or math.isinf(learning_rate)
    else:  # a schedule is callable, too
        impossible = not (isinstance(learning_rate, keras.optimizers.Optimizer) or callable(learning_rate))
    if impossible:
        raise ValueError(
            f"Received learning_rate={learning_rate!r}. Expected 0 or a positive number, such as 1e-3; or a schedule "
            "or an optimizer of Keras."
        )
    if views != FRESH and not is_whole(views, least=0):
        raise ValueError(f"Received views={views!r}. Expected 0, a positive whole number, or {FRESH!r}.")
    if any(isinstance(callback, keras.callbacks.BackupAndRestore) for callback in callbacks):
        raise ValueError("Received the callback BackupAndRestore, which does not know of phases. Use `backup_dir`.")
    if not isinstance(backup_dir, str | os.PathLike | None):
        raise TypeError(f"Received backup_dir={backup_dir!r}. Expected the name of a folder.")


def check_data(model, data) -> None:
    """Raise ValueError when the images or the classes of `data` are not those of the model."""
    check_image_data(data)
    outputs = max(model.output_shape[-1], 2)
    if len(data.class_names) != outputs:
        raise ValueError(
            f"The data have {len(data.class_names)} classes ({', '.join(data.class_names[:5])}…), the model "
            f"has {outputs} outputs. Build the model with these data: `build_model(base, data)`."
        )
    check_size(data.train.element_spec[0].shape[1:], model)
