"""What is added to Keras's own `fit`, around the user's callbacks.

`fit` trains the upper part, but every callback's `self.model` is the whole model.
"""

import math
from contextlib import ExitStack

import keras

from kerastl.engine.batches import Batches
from kerastl.interrupts import hold_ctrl_c
from kerastl.progress import Progress


class NotFiniteError(ArithmeticError):
    """The loss is no number any more."""


class Steps(keras.callbacks.Callback):
    """Each step is done as a whole: Ctrl-C waits for its end, and then the weights are in their place. Comes first.

    (On JAX they are elsewhere meanwhile. Keras puts them back for callbacks that ask for `self.model`; but that is the
    whole model here, and what trains is its upper part.)
    """

    def __init__(self, upper: keras.Model):
        super().__init__()
        self._upper, self._held = upper, ExitStack()

    def on_train_batch_begin(self, batch, logs=None):
        self._held.enter_context(hold_ctrl_c())

    def on_train_batch_end(self, batch, logs=None):
        if keras.backend.backend() == "jax":
            self._upper.jax_state_sync()
        self.close()

    on_test_batch_begin, on_test_batch_end = on_train_batch_begin, on_train_batch_end

    def close(self) -> None:
        self._held.close()


class Epochs(keras.callbacks.Callback):
    """Begins each epoch's batches, and adds to its logs the learning rate. Comes before the user's callbacks."""

    def __init__(self, upper: keras.Model, training: Batches, validation: Batches):
        super().__init__()
        self._upper, self._training, self._validation = upper, training, validation

    def on_epoch_begin(self, epoch, logs=None):
        self._training.begin()
        self._rate = None

    def on_train_batch_begin(self, batch, logs=None):
        if self._rate is None:  # now, since a callback may have set it when the epoch began
            self._rate = rate_of(self._upper.optimizer)

    def on_test_begin(self, logs=None):
        self._validation.begin()

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            raise NotFiniteError

    def on_epoch_end(self, epoch, logs=None):
        if not math.isfinite(logs["val_loss"]):
            raise NotFiniteError
        logs["learning_rate"] = self._rate  # at the beginning of the epoch


class Best(keras.callbacks.Callback):
    """The weights after the epoch with the lowest validation loss so far; at first, those from before the phase."""

    def __init__(self, upper: keras.Model):
        super().__init__()
        self._upper = upper
        self.weights, self.loss, self.epoch = upper.get_weights(), float("inf"), 0

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_loss"] < self.loss:
            self.weights, self.loss, self.epoch = self._upper.get_weights(), logs["val_loss"], epoch + 1

    def restore(self) -> str:
        """Put the weights back; returns what they are, in words."""
        self._upper.set_weights(self.weights)
        return f"those of epoch {self.epoch}, the best so far" if self.epoch else "those from before this phase"


class Bar(keras.callbacks.Callback):
    """Shows on a progress bar the images that were learned from, and what each epoch reached."""

    def __init__(self, progress: Progress, training: Batches):
        super().__init__()
        self._progress, self._training = progress, training

    def on_epoch_begin(self, epoch, logs=None):
        if not self._progress.total:
            self._progress.expect((self.params["epochs"] - epoch) * self._training.images)
        self._done = 0

    def on_train_batch_end(self, batch, logs=None):
        steps = min(batch + 1, self._training.steps)  # where Keras runs many in one call, it counts on past the end
        done = round(self._training.images * steps / self._training.steps)
        self._progress.advance(done - self._done)
        self._done = done

    def on_epoch_end(self, epoch, logs=None):
        self._progress.advance(
            0,
            f"epoch {epoch + 1}/{self.params['epochs']}  accuracy {logs['accuracy']:.3f}  "
            f"validation accuracy {logs['val_accuracy']:.3f}",
        )


class Stop(keras.callbacks.Callback):
    """Ends training when a callback has told the whole model so: `fit` asks the part. Comes last."""

    def __init__(self, upper: keras.Model):
        super().__init__()
        self._upper = upper

    def on_train_batch_end(self, batch, logs=None):
        self._upper.stop_training = self.model.stop_training

    def on_epoch_end(self, epoch, logs=None):
        self._upper.stop_training = self.model.stop_training


def rate_of(optimizer) -> float:
    """The learning rate now."""
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))


def looks_at_batches(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback wants to be called for each batch."""
    names = [f"on_{part}batch_{end}" for part in ("", "train_", "test_") for end in ("begin", "end")]
    return any(
        getattr(getattr(callback, name), "__func__", None) is not getattr(keras.callbacks.Callback, name)
        for name in names
    )
