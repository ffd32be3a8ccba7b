"""The training itself: read the images, train the part above the cut with Keras's `fit`, and leave the model in order.

The upper part shares its layers with the model, so training the upper part is training the model.
"""

from numbers import Real

import keras

from kerastl.devices import count_replicas, scope_of
from kerastl.engine.arguments import check_arguments, check_data, check_trainable, whole_class_weight
from kerastl.engine.backup import Backup
from kerastl.engine.batches import Batches, make_batches
from kerastl.engine.callbacks import Bar, Best, Epochs, NotFiniteError, Steps, Stop, looks_at_batches, rate_of
from kerastl.engine.compiling import (
    check_rate_was_left,
    compile_whole,
    describe_rate,
    loss_for,
    make_optimizer,
    warn_of_what_goes,
)
from kerastl.engine.frozen import Frozen
from kerastl.engine.identity import describe_run
from kerastl.engine.split import split_model
from kerastl.graph import find_base_model
from kerastl.interrupts import hold_ctrl_c
from kerastl.private import version
from kerastl.progress import Progress
from kerastl.quiet import no_retracing_warnings

# Steps of a head that Keras runs in one call: calls take longer than such a step. On torch Keras wants them one by one,
# and before 3.7 it ran out of batches where their number is no multiple of this one.
STEPS_AT_ONCE = 1 if keras.backend.backend() == "torch" or version() < (3, 7) else 16


@no_retracing_warnings()
def train(model, *arguments) -> keras.callbacks.History:
    """Train what is trainable in the model. For the arguments, the result and the errors see `kerastl.training`."""
    with scope_of(model):
        return _train(model, *arguments)


def _train(model, data, phase, epochs, learning_rate, views, class_weight, callbacks, backup_dir, verbose):
    callbacks = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else list(callbacks or ())
    check_arguments(epochs, learning_rate, views, callbacks, backup_dir)
    if isinstance(learning_rate, Real):
        learning_rate = float(learning_rate)  # Keras takes no other number
    data = check_data(model, data)
    class_weight = whole_class_weight(class_weight, data)
    loss, split = loss_for(model), split_model(model)
    frozen, upper = Frozen(model, split), split.upper
    check_trainable(model, split, learning_rate)
    warn_of_what_goes(model, loss)
    history, best, backup = keras.callbacks.History(), Best(upper), None
    history.epoch, model.history, upper.history, model.stop_training = [], history, history, False
    if backup_dir is not None:
        run = describe_run(
            model,
            split,
            data,
            phase,
            epochs=epochs,
            views=views,
            learning_rate=describe_rate(learning_rate, callbacks),
            class_weight=class_weight,
        )
        backup = Backup(backup_dir, phase, split, run, history, best)
    try:
        sources = _read_images(frozen, data, views, backup, verbose)
    except KeyboardInterrupt:
        _say(verbose, f"{phase} was stopped while its {frozen.noun} were read. The weights have not changed.")
        return history

    optimizer = make_optimizer(learning_rate, epochs * (sources[0].steps if sources else 1), callbacks)
    # Compiled always (fact 3), and both with the same optimizer: mixed precision wraps it once.
    upper.compile(optimizer, loss, metrics=["accuracy"], steps_per_execution=_at_once(model, sources, callbacks))
    model.compile(upper.optimizer, loss, metrics=["accuracy"])
    if backup and backup.finished:
        backup.restore()
        compile_whole(model, learning_rate, upper.optimizer, loss)
        anew = f"To train anew, delete {backup.all_phases}."
        _say(verbose, f"{phase} was finished before: taken from {backup.file}. {anew}")
        return history
    if backup and backup.epochs:
        _say(verbose, f"{phase} goes on after epoch {backup.epochs}, from {backup.file}")
    training, validation = Batches(sources[0], upper, class_weight), Batches(sources[1], upper)
    with Progress(phase, verbose) as progress:
        before = [steps := Steps(upper), Epochs(upper, training, validation)]
        after = [history, best, Bar(progress, training), *([backup] if backup else []), Stop(upper)]
        try:
            hooks = keras.callbacks.CallbackList(
                [*before, *callbacks, *after], model=model, epochs=epochs, verbose=verbose, steps=training.steps
            )
            stopped = _fit(upper, training, validation, epochs, backup.epochs if backup else 0, hooks)
            if stopped:
                hooks.on_train_end()
        except NotFiniteError:
            rate, kept = rate_of(upper.optimizer), best.restore()
            compile_whole(model, learning_rate, upper.optimizer, loss)
            raise ValueError(
                f"The loss is no number any more, in epoch {len(history.epoch) + 1} of {phase}, at the learning rate "
                f"{rate:.2g}. The weights are {kept}. Train with a lower learning_rate."
            ) from None
        except BaseException as error:
            compile_whole(model, learning_rate, upper.optimizer, loss)
            check_rate_was_left(learning_rate, error)
            raise
        finally:
            steps.close()
        progress.whole = not stopped
    with hold_ctrl_c():  # impatient people press twice
        if stopped:
            if backup:
                backup.note_stop()
            kept = best.restore() if best.epoch else "what was learned until now: no epoch was finished"
            _say(verbose, f"{phase} was stopped in epoch {len(history.epoch) + 1}. The weights are {kept}.")
        elif backup:
            backup.save(finished=True)
        compile_whole(model, learning_rate, upper.optimizer, loss)
    return history


def _fit(upper, training: Batches, validation: Batches, epochs: int, done: int, hooks) -> bool:
    """Keras's own `fit` on the part that learns. Returns whether Ctrl-C stopped it."""
    try:
        upper.fit(
            training,
            validation_data=validation,
            epochs=epochs,
            initial_epoch=done,
            callbacks=hooks,
            shuffle=False,  # the batches come shuffled
            verbose=0,
        )
    except KeyboardInterrupt:
        return True
    except NotFiniteError:
        raise
    except Exception as error:
        raise training.error or validation.error or error from None
    finally:
        training.close()
        validation.close()
    return False


def _at_once(model, sources: list, callbacks: list) -> int:
    """How many steps Keras runs in one call."""
    tiny = sources and sources[0].kept and not find_base_model(model).trainable_weights and count_replicas(model) == 1
    return STEPS_AT_ONCE if tiny and not any(map(looks_at_batches, callbacks)) else 1


def _read_images(frozen: Frozen, data, views, backup: Backup | None, verbose: int) -> list:
    """What the frozen part gives for the training images and for those of validation.

    Nothing where the backup says that the phase is over; then the images are only compared with those of the backup.
    """
    data = backup.watch(data) if backup else data
    sources = []
    if not (backup and backup.finished):
        sources = [
            make_batches(frozen, data.train, views, True, verbose, f"training {frozen.noun}"),
            make_batches(frozen, data.validation, 0, False, verbose, f"validation {frozen.noun}"),
        ]
    if backup:
        backup.agree_on_images(*sources)
    return sources


def _say(verbose: int, line: str) -> None:
    if verbose:
        print(line, flush=True)
