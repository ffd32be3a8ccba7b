"""Keep the whole state of a training phase on the disk, so that the same program, run again, goes on from there."""

import json
import os
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np

from kerastl.data import ImageData
from kerastl.engine.batches import Kept, Streamed
from kerastl.engine.callbacks import Best
from kerastl.engine.chance import get_chance, set_chance, warn_of_lost_chance
from kerastl.engine.digest import DIGEST, digest_weights
from kerastl.engine.identity import START
from kerastl.engine.split import Split
from kerastl.engine.witness import Witnessed
from kerastl.files import written_whole
from kerastl.interrupts import hold_ctrl_c


class Backup(keras.callbacks.Callback):
    """One phase after its last finished epoch, in one file, without pickle.

    The file holds what the next epoch depends on: the weights above the frontier, the optimizer's variables and the
    state of every source of chance. The frozen part's outputs are computed anew; the state of chance from before that
    pass is kept, too, so that augmented views come out the same.
    """

    def __init__(
        self, folder, phase: str, split: Split, run: dict[str, str], history: keras.callbacks.History, best: Best
    ):
        """Open the backup of this phase in `folder`, or begin one. Chance is put back to where the phase began.

        Args:
            folder: made if it is not there.
            phase: names the file.
            split: the model's parts; their variables are what is kept.
            run: what has to agree for the run to go on, as `describe_run` gives it; see `agree`.
            history, best: callbacks that come before this one; what they hold is kept, too.

        Raises:
            ValueError: the file is no backup, or that of another run; the differences are named.
            OSError: nothing can be written there.
        """
        super().__init__()
        if not os.fspath(folder):
            raise ValueError("Received backup_dir=''. Expected the name of a folder.")
        self.file = Path(folder).expanduser() / f"{phase.replace(' ', '_')}.npz"
        self._split, self._history, self._best, self._warned = split, history, best, False
        self.record = {"run": {}, "epoch": [], "finished": False, "stopped": False}
        self._arrays = self._groups(start=get_chance(split.front))
        self._opened = os.path.lexists(self.file)
        if self._opened:
            self.record, self._arrays = self._read()
        self.agree(run)
        if self._opened:
            set_chance(split.front, self._group("start"))
        if not self.finished:
            self._try_to_write()
            warn_of_lost_chance(split.front, split.upper)

    def agree(self, run: dict[str, str]) -> None:
        """Add texts by name to what identifies the run; raise ValueError if they are not those in an opened backup."""
        if not self._opened:
            self.record["run"] |= run
            return
        found = self.record["run"]
        differing = [name for name in run if found.get(name) != run[name]]
        if differing and not (differing == [START] and run[START] in self._left_behind()):
            said = "; ".join(
                f"the {name} are different"
                if run[name].startswith(DIGEST)
                else f"{name}: {found.get(name, 'unknown')!r} there, {run[name]!r} here"
                for name in differing
            )
            raise ValueError(
                f"The backup {str(self.file)!r} belongs to another run ({said}). Use another backup_dir, or delete "
                f"{self.all_phases} to begin anew."
            )

    def watch(self, data: ImageData) -> ImageData:
        """The same data, looked at while they are read for the first time; their test part is read now."""
        self._data = ImageData(*map(Witnessed, data[:3]), data.class_names)
        self.agree(self._data.test.describe("test"))
        return self._data

    def agree_on_images(self, *sources: Kept | Streamed) -> None:
        """As `agree`, on what was read of the watched data, and whether what came of it (`sources`) is kept.

        Then the order of the images is put to where the phase was broken off.
        """
        training, validation = self._data.train, self._data.validation
        self.agree(training.describe("training") | validation.describe("validation"))
        self.agree({"images in a batch": str(training.batch_size)})
        if sources:
            places = ["kept" if source.kept else "computed in every epoch" for source in sources]
            self.agree({"what the frozen part gives": ", validation ".join(places)})
        if self.epochs:
            training.begin(self.record["passes"])
        if self.finished:
            training.end()

    @property
    def epochs(self) -> int:
        """How many epochs are done."""
        return len(self.record["epoch"])

    @property
    def finished(self) -> bool:
        """Whether the phase is over: it ran to its end, or was stopped, and the next phase has begun from there."""
        gone_on = self.file.name == "phase_1.npz" and self.file.with_name("phase_2.npz").exists()
        return self.record["finished"] or (self.record["stopped"] and gone_on)

    @property
    def all_phases(self) -> str:
        """The backups of this run, as a text: a phase goes on only after the one before it."""
        pattern = "phase_*.npz" if self.file.name.startswith("phase_") else self.file.name
        files = sorted(self.file.parent.glob(pattern)) or [self.file]
        return " and ".join(repr(str(file)) for file in files)

    def on_train_begin(self, logs=None):
        if self.epochs:
            self.restore()

    def on_epoch_end(self, epoch, logs=None):
        self.save()

    @hold_ctrl_c()
    def save(self, finished: bool = False) -> None:
        """Write the state as it is now, whole or not at all.

        Where that fails, what was written before stays, and a warning says so once: training is not to be lost.
        """
        history, best, upper = self._history, self._best, self._split.upper
        self.record |= {
            "history": history.history,
            "epoch": history.epoch,
            "passes": self._data.train.passes,
            "finished": finished,
            "stopped": False,
            "best epoch": best.epoch,
            "best loss": best.loss,
        }
        kept = {name: array for name, array in self._arrays.items() if name.startswith("start/")}
        self._arrays = kept | self._groups(
            now=get_chance(self._split.front),
            upper=upper.variables,
            optimizer=upper.optimizer.variables,
            best=best.weights,
        )
        self._replace()

    @hold_ctrl_c()
    def note_stop(self) -> None:
        """Note in the file that somebody stopped the phase after the epoch that was saved last."""
        if self.epochs:
            self.record["stopped"] = True
            self._replace()

    def _replace(self) -> None:
        try:
            if os.path.lexists(self.file) and self._read(arrays=False)[0]["run"] != self.record["run"]:
                raise ValueError("another run writes its own there")
            with written_whole(self.file) as unfinished, open(unfinished, "xb") as file:
                np.savez(file, record=json.dumps(self.record, default=float), **self._arrays)
        except (OSError, ValueError) as error:
            if not self._warned:
                warnings.warn(
                    f"The backup of epoch {self.epochs} could not be written into {str(self.file)!r} ({error}). "
                    "Training goes on, and each epoch tries again.",
                    stacklevel=2,
                )
            self._warned = True

    @hold_ctrl_c()
    def restore(self) -> None:
        """Put everything back as it was saved; the upper part is compiled."""
        upper, best = self._split.upper, self._best
        upper.optimizer.build(upper.trainable_variables)
        self._history.history, self._history.epoch = self.record["history"], self.record["epoch"]
        best.weights, best.epoch, best.loss = self._group("best"), self.record["best epoch"], self.record["best loss"]
        for group, variables in (("upper", upper.variables), ("optimizer", upper.optimizer.variables)):
            for variable, array in zip(variables, self._group(group), strict=True):
                variable.assign(array)
        if not self.record["finished"] and self.finished:
            best.restore()  # as the stop did
        set_chance(self._split.front, self._group("now"))

    def _read(self, arrays: bool = True) -> tuple[dict, dict]:
        try:
            with np.load(self.file, allow_pickle=False) as stored:
                record = json.loads(str(stored["record"]))
                names = [name for name in stored.files if name != "record"] if arrays else []
                found = {name: stored[name] for name in names}
            if not isinstance(record["run"], dict):
                raise TypeError("it does not say of which run it is")
        except Exception as error:  # on a damaged file NumPy and zipfile raise whatever they meet
            raise ValueError(
                f"{str(self.file)!r} is no backup of a training run, or it is damaged. Delete it, or use another "
                "backup_dir."
            ) from error
        return record, found

    def _try_to_write(self) -> None:
        """Find now, before any training, that the folder cannot be used."""
        folder = self.file.parent
        if folder.is_file():
            raise FileExistsError(f"{str(folder)!r} is a file. Expected a folder: use another backup_dir.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"kerastl")
        except OSError as error:
            raise OSError(
                f"No backup can be written into {str(folder)!r} ({error}). Expected a folder, or a place "
                "where one can be made: use another backup_dir."
            ) from error

    def _left_behind(self) -> set[str]:
        """Digests of the weights with which this backup's run left the model: it may go on with it in one program."""
        upper = self._split.upper
        ours = {id(weight) for weight in upper.weights}
        last = [
            array for variable, array in zip(upper.variables, self._group("upper"), strict=True) if id(variable) in ours
        ]
        return {digest_weights(weights) for weights in (self._group("best"), last)}

    def _group(self, name: str) -> list[np.ndarray]:
        count = sum(key.startswith(f"{name}/") for key in self._arrays)
        return [self._arrays[f"{name}/{number}"] for number in range(count)]

    @staticmethod
    def _groups(**groups: list) -> dict[str, np.ndarray]:
        return {
            f"{name}/{number}": _as_numpy_knows_it(keras.ops.convert_to_numpy(value))
            for name, values in groups.items()
            for number, value in enumerate(values)
        }


def _as_numpy_knows_it(array: np.ndarray) -> np.ndarray:
    """A file of NumPy's forgets what bfloat16 is; float32 holds the same numbers."""
    return array.astype(np.float32) if array.dtype.kind == "V" else array
