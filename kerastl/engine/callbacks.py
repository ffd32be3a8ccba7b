"""What the engine adds to Keras's own `fit`: where the batches come from, and what happens around an epoch."""

import math
from contextlib import ExitStack

import keras
import numpy as np

from kerastl.engine.backup import Backup, Best
from kerastl.engine.batches import Source
from kerastl.engine.split import single
from kerastl.interrupts import hold_ctrl_c
from kerastl.progress import Progress


class NotFiniteError(ArithmeticError):
    """The loss is no number any more."""


class Batches(keras.utils.PyDataset):
    """A source as `fit` reads it: each epoch has to be begun, and is then read once, in order."""

    def __init__(self, source: Source, upper: keras.Model):
        super().__init__()
        self.source, self.error = source, None
        self._epoch, self._inputs = None, upper.inputs

    def __len__(self) -> int:
        return self.source.steps

    def __getitem__(self, number: int):
        if self._epoch is None:  # before it trains, Keras looks at two batches, only to know what they look like
            empty = [np.zeros((1 + number, *tensor.shape[1:]), tensor.dtype) for tensor in self._inputs]
            return single(empty), np.zeros(1 + number, np.int64)
        try:
            tensors, labels = next(self._epoch)
        except Exception as error:
            self.error = error  # TensorFlow would make one of its own of it
            raise
        return single(tensors), labels

    def begin(self) -> None:
        """Begin the next epoch."""
        self._epoch = self.source.epoch()

    def close(self) -> None:
        """Let go of the source: TensorFlow keeps what reads a Python dataset for ever, and this with it (fact 14)."""
        self.source, self._epoch = None, None


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


class Before(keras.callbacks.Callback):
    """Comes before the user's callbacks."""

    def __init__(self, optimizer, training: Batches, validation: Batches):
        super().__init__()
        self._optimizer, self._training, self._validation = optimizer, training, validation

    def on_epoch_begin(self, epoch, logs=None):
        self._training.begin()
        self._rate = rate_of(self._optimizer)

    def on_test_begin(self, logs=None):
        self._validation.begin()

    def on_epoch_end(self, epoch, logs=None):
        if not math.isfinite(logs["val_loss"]):
            raise NotFiniteError
        logs["learning_rate"] = self._rate  # at the beginning of the epoch


class After(keras.callbacks.Callback):
    """Comes after the user's callbacks and the history: they have seen the epoch, and may have ended the training."""

    def __init__(
        self, upper: keras.Model, source: Source, progress: Progress, history, best: Best, backup: Backup | None, data
    ):
        super().__init__()
        self._upper, self._source, self._progress = upper, source, progress
        self._history, self._best, self._backup, self._data = history, best, backup, data

    def on_train_begin(self, logs=None):
        if self._backup and self._backup.record["epoch"]:
            self._backup.restore(self._history, self._upper.optimizer, self._best)
        self._progress.expect((self.params["epochs"] - len(self._history.epoch)) * self._source.images)

    def on_epoch_begin(self, epoch, logs=None):
        self._done = 0

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            raise NotFiniteError
        done = round(self._source.images * (batch + 1) / self._source.steps)
        self._progress.advance(done - self._done)
        self._done = done
        self._upper.stop_training = self.model.stop_training  # `fit` asks the part, the user's callbacks know the whole

    def on_epoch_end(self, epoch, logs=None):
        self._best.see(epoch + 1, logs["val_loss"])
        self._progress.advance(
            0,
            f"epoch {epoch + 1}/{self.params['epochs']}  accuracy {logs['accuracy']:.3f}  "
            f"validation {logs['val_accuracy']:.3f}",
        )
        if self._backup:
            self._backup.save(self._history, self._upper.optimizer, self._best, self._data.passes)
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
