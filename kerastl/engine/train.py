"""The engine under the training functions: run the frozen part once, then train what is above it with Keras's `fit`.

The upper part shares its layers with the model, so training the upper part is training the model.
"""

import json
import math
import os
from numbers import Real

import keras

from kerastl.checks import check_size, is_whole
from kerastl.data import ImageData, check_image_data
from kerastl.engine.backup import Backup, Best
from kerastl.engine.batches import FRESH, make_source
from kerastl.engine.callbacks import After, Batches, Before, NotFiniteError, Steps, looks_at_batches, rate_of
from kerastl.engine.identity import describe_run
from kerastl.engine.split import split_model
from kerastl.engine.witness import Witnessed
from kerastl.graph import find_base_model
from kerastl.interrupts import hold_ctrl_c
from kerastl.progress import Progress
from kerastl.quiet import no_retracing_warnings

# Steps of a head that Keras runs in one call: calls take longer than such a step. On torch Keras wants them one by one.
STEPS_AT_ONCE = 1 if keras.backend.backend() == "torch" else 16


@no_retracing_warnings()
def train(model, data, phase, epochs, learning_rate, views, class_weight, callbacks, backup_dir, verbose):
    """Train what is trainable in the model. For the arguments, the result and the errors see `kerastl.training`."""
    callbacks = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else list(callbacks or ())
    _check_arguments(epochs, learning_rate, views, callbacks, backup_dir)
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
    finished = backup is not None and backup.finished
    history, best = keras.callbacks.History(), Best(split.upper)
    history.epoch, model.history, model.stop_training = [], history, False
    try:
        if backup:
            backup.agree(data.test.describe("test"))
        if not finished:
            training = make_source(split, data.train, views, True, verbose, "training images")
            validation = make_source(split, data.validation, 0, False, verbose, "validation images")
        if backup:
            backup.agree(data.train.describe("training") | data.validation.describe("validation"))
            backup.agree({"images in a batch": str(data.train.batch_size)})
            if not finished:
                backup.agree({"what the frozen part gives": _place(training) + ", validation " + _place(validation)})
            if backup.record["epoch"]:
                data.train.begin(backup.record["passes"])
    except KeyboardInterrupt:
        _say(verbose, f"{phase} was stopped while its images were read. The weights are as they were.")
        return history

    optimizer = _make_optimizer(learning_rate, epochs * (1 if finished else training.steps), callbacks)
    if finished:
        split.upper.compile(optimizer, loss)
        backup.restore(history, split.upper.optimizer, best)
        _compile(model, learning_rate, split.upper.optimizer, loss)
        _say(
            verbose,
            f"{phase} was finished before: taken from {backup.file}. To train anew, delete {backup.all_phases}.",
        )
        return history
    if backup and backup.record["epoch"]:
        _say(verbose, f"{phase} goes on after epoch {len(backup.record['epoch'])}, from {backup.file}")
    tiny = training.kept and not find_base_model(model).trainable_weights
    at_once = STEPS_AT_ONCE if tiny and not any(map(looks_at_batches, callbacks)) else 1
    split.upper.compile(optimizer, loss, metrics=["accuracy"], steps_per_execution=at_once)  # always (fact 3)
    model.compile(split.upper.optimizer, loss, metrics=["accuracy"])  # the same one: mixed precision wraps it once
    split.upper.history = history
    batches, stopped = (Batches(training, split.upper), Batches(validation, split.upper)), False
    with Progress(phase, verbose) as progress:
        steps, before = Steps(split.upper), Before(split.upper.optimizer, *batches)
        after = After(split.upper, training, progress, history, best, backup, data.train)
        hooks = keras.callbacks.CallbackList(
            [steps, before, *callbacks, history, after],
            model=model,
            epochs=epochs,
            verbose=verbose,
            steps=training.steps,
        )
        try:
            split.upper.fit(
                batches[0],
                validation_data=batches[1],
                epochs=epochs,
                initial_epoch=len(backup.record["epoch"]) if backup else 0,
                class_weight=class_weight,
                callbacks=hooks,
                shuffle=False,  # a source shuffles by itself
                verbose=0,
            )
        except KeyboardInterrupt:
            stopped = True
        except NotFiniteError:
            raise ValueError(
                f"The loss is no number any more, in epoch {len(history.epoch) + 1} of {phase}, at the learning rate "
                f"{rate_of(split.upper.optimizer):.2g}. The weights are {best.restore()}. Train with a lower "
                "learning_rate."
            ) from None
        except Exception as error:
            raise next((part.error for part in batches if part.error), error) from None
        finally:
            for part in (*batches, steps):
                part.close()
    with hold_ctrl_c():  # impatient people press twice
        if stopped:
            hooks.on_train_end()
            if backup:
                backup.note_stop()
            kept = best.restore() if best.epoch else "as they are: no epoch was finished"
            _say(verbose, f"{phase} was stopped in epoch {len(history.epoch) + 1}. The weights are {kept}.")
        elif backup:
            backup.save(history, split.upper.optimizer, best, data.train.passes, finished=True)
        _compile(model, learning_rate, split.upper.optimizer, loss)
    return history


def _place(source) -> str:
    return "kept" if source.kept else "computed in every epoch"


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
