"""Keep what a training phase has reached: the best weights in memory, the whole state on disk if that is wanted."""

import json
import os
import zipfile
from pathlib import Path

import keras
import numpy as np

from kerastl.frontier import Split
from kerastl.recall import digest_weights


class Best:
    """The weights after the epoch with the lowest validation loss so far; at first, those from before the phase."""

    def __init__(self, upper: keras.Model):
        self._upper = upper
        self.weights, self.loss, self.epoch = upper.get_weights(), float("inf"), 0

    def see(self, epoch: int, loss: float) -> None:
        """Look at the weights as they are after an epoch (1 is the first)."""
        if loss < self.loss:
            self.weights, self.loss, self.epoch = self._upper.get_weights(), loss, epoch

    def restore(self) -> str:
        """Put the weights back; returns what they are, in words."""
        self._upper.set_weights(self.weights)
        return f"those of epoch {self.epoch}, the best so far" if self.epoch else "those from before this phase"


class Backup:
    """One phase after its last finished epoch, in one file, without pickle.

    The file holds what the next epoch depends on: the weights above the frontier, the optimizer's variables and the
    state of every source of chance. The frozen part's outputs are computed anew; the state of chance from before that
    pass is kept, too, so that augmented views come out the same.
    """

    def __init__(self, folder, phase: str, split: Split, run: dict):
        """Open the backup of this phase in `folder`, or begin one. Chance is put back to where the phase began.

        Args:
            folder: made if it is not there.
            phase: names the file.
            split: the model's parts; their variables are what is kept.
            run: what has to agree for the run to go on: texts by name, as `describe_run` gives them.

        Raises:
            ValueError: the file is no backup, or that of another run; the differences are named.
        """
        self.file = Path(folder).expanduser() / f"{phase.replace(' ', '_')}.npz"
        self._split = split
        self.record = {"run": run, "epoch": [], "finished": False}
        self._arrays = self._groups(start=self._chance())
        if self.file.exists():
            self._open(run)
            self._set_chance("start")

    def save(self, history: keras.callbacks.History, optimizer, best: Best, passes: int, finished: bool = False):
        """Write the state as it is now, whole or not at all; `passes`: how often the training data were begun."""
        self.record |= {"history": history.history, "epoch": history.epoch, "passes": passes, "finished": finished}
        self.record |= {"best epoch": best.epoch, "best loss": best.loss}
        kept = {name: array for name, array in self._arrays.items() if name.startswith("start/")}
        self._arrays = kept | self._groups(
            now=self._chance(), upper=self._split.upper.variables, optimizer=optimizer.variables, best=best.weights
        )
        self.file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.file.with_suffix(".part")
        with open(unfinished, "wb") as file:
            np.savez(file, record=json.dumps(self.record), **self._arrays)
        os.replace(unfinished, self.file)

    def restore(self, history: keras.callbacks.History, optimizer, best: Best) -> None:
        """Put everything back as it was saved."""
        optimizer.build(self._split.upper.trainable_variables)
        history.history, history.epoch = self.record["history"], self.record["epoch"]
        best.weights, best.epoch, best.loss = self._group("best"), self.record["best epoch"], self.record["best loss"]
        for group, variables in (("upper", self._split.upper.variables), ("optimizer", optimizer.variables)):
            for variable, array in zip(variables, self._group(group), strict=True):
                variable.assign(array)
        self._set_chance("now")

    def _open(self, run: dict) -> None:
        try:
            with np.load(self.file, allow_pickle=False) as stored:
                arrays = dict(stored)
            record = json.loads(str(arrays.pop("record")))
            found = record["run"]
        except (ValueError, KeyError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{str(self.file)!r} is no backup of a training run ({error}). Use another backup_dir."
            ) from error
        differing = [
            f"{name}: {found.get(name)!r} there, {run[name]!r} here" for name in run if found.get(name) != run[name]
        ]
        if differing:
            raise ValueError(
                f"The backup {str(self.file)!r} belongs to another run ({'; '.join(differing)}). Use another "
                "backup_dir, or delete the file to begin anew."
            )
        self.record, self._arrays = record, arrays

    def _chance(self) -> list:
        """The state of NumPy's generator and of the augmentation's. (Dropout's is among the upper part's variables.)"""
        _, keys, *numbers = np.random.get_state()
        return [keys, np.array(numbers, np.float64), *self._split.front.variables]

    def _set_chance(self, group: str) -> None:
        keys, (place, has_gauss, gauss), *variables = self._group(group)
        np.random.set_state(("MT19937", keys, int(place), int(has_gauss), gauss))
        for variable, array in zip(self._split.front.variables, variables, strict=True):
            variable.assign(array)

    def _group(self, name: str) -> list[np.ndarray]:
        count = sum(key.startswith(f"{name}/") for key in self._arrays)
        return [self._arrays[f"{name}/{number}"] for number in range(count)]

    @staticmethod
    def _groups(**groups: list) -> dict[str, np.ndarray]:
        return {
            f"{name}/{number}": keras.ops.convert_to_numpy(value)
            for name, values in groups.items()
            for number, value in enumerate(values)
        }


def describe_run(split: Split, data, **arguments) -> dict:
    """What has to be the same for a run to go on: the model, the data and the arguments, as texts by name."""
    validation = np.bincount(np.concatenate([np.asarray(labels) for _, labels in data.validation]))
    trained = [weight.path for weight in split.upper.trainable_weights]
    return (
        {
            "classes": ", ".join(data.class_names),
            "training batches": str(int(data.train.cardinality())),  # to look into a shuffled dataset would disturb it
            "validation images of each class": str(validation.tolist()),
            "shape of an image": str(tuple(split.front.input_shape[1:])),
            "trained weights": f"{len(trained)}, from {trained[0]!r}",
            "frozen weights (SHA-256)": digest_weights(split.lower.weights)[:12],
        }
        | {name: str(value) for name, value in arguments.items()}
    )
