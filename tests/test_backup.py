"""What a phase has reached is not lost: after Ctrl-C, a loss that is no number, or the death of the program."""

import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import kerastl as tl


@pytest.fixture(autouse=True)
def _ctrl_c_interrupts():
    """As in a terminal. A shell starts what runs in the background with Ctrl-C switched off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Stop(keras.callbacks.Callback):
    """Presses Ctrl-C in the middle of an epoch, and notes each epoch's validation loss and weights."""

    def __init__(self, epoch: int):
        super().__init__()
        self.at, self.epoch, self.seen = epoch, 0, {}

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (self.at, 1):
            os.kill(os.getpid(), signal.SIGINT)

    def on_epoch_end(self, epoch, logs=None):
        self.seen[logs["val_loss"]] = tl.snapshot(self.model)


# ---- Ctrl-C


@pytest.mark.parametrize("rate", [0.01, 3.0])  # the validation loss falls in each epoch; goes up and down
def test_ctrl_c_leaves_the_best_weights_so_far_and_a_history(toy, data, differing, rate):
    stop = Stop(epoch=4)
    history = tl.train_head(toy, data, epochs=50, learning_rate=rate, callbacks=[stop], verbose=0)
    assert history.epoch == [0, 1, 2, 3]
    assert toy.history is history
    assert min(history.history["val_loss"]) == min(stop.seen)
    assert differing(stop.seen[min(stop.seen)], tl.snapshot(toy)) == set()
    assert tl.evaluate(toy, data.validation).loss == pytest.approx(min(stop.seen), rel=1e-3, abs=1e-6)


def test_ctrl_c_in_the_first_epoch_leaves_the_weights_as_they_are(toy, data, differing):
    before = tl.snapshot(toy)
    history = tl.train_head(toy, data, epochs=5, callbacks=[Stop(epoch=0)], verbose=0)
    assert history.epoch == []
    assert differing(before, tl.snapshot(toy)) == {"classifier/kernel", "classifier/bias"}


def test_ctrl_c_in_phase_2_leaves_the_best_weights_so_far(toy, data, differing):
    tl.unfreeze_top(toy, 5)
    stop = Stop(epoch=2)
    history = tl.fine_tune(toy, data, epochs=9, learning_rate=1.0, callbacks=[stop], verbose=0)
    assert history.epoch == [0, 1]
    assert differing(stop.seen[min(stop.seen)], tl.snapshot(toy)) == set()


def test_what_was_stopped_is_said(toy, data, capsys):
    tl.train_head(toy, data, epochs=5, callbacks=[Stop(epoch=1)])
    assert (
        "phase 1 was stopped in epoch 2. The weights are those of epoch 1, the best so far." in capsys.readouterr().out
    )


# ---- a loss that is no number


def test_a_loss_that_is_no_number_stops_at_once_and_keeps_the_best_weights(toy, data, differing):
    seen = []

    class Poison(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(tl.snapshot(self.model))

        def on_train_batch_begin(self, batch, logs=None):
            if (len(seen), batch) == (2, 1):
                self.model.get_layer("classifier").bias.assign([np.nan] * 3)

    with pytest.raises(
        ValueError, match=r"no number any more, in epoch 3 of phase 1, at the learning rate 0\.01"
    ) as error:
        tl.train_head(toy, data, epochs=9, learning_rate=keras.optimizers.SGD(0.01), callbacks=[Poison()], verbose=0)
    assert "those of epoch 2, the best so far" in str(error.value)
    assert differing(seen[1], tl.snapshot(toy)) == set()


def test_a_loss_that_never_was_a_number_leaves_the_weights_from_before(toy, data, differing):
    tl.unfreeze_top(toy, 5)
    before = tl.snapshot(toy)
    with pytest.raises(ValueError, match=r"in epoch 1 of phase 2.*those from before this phase"):
        tl.fine_tune(toy, data, epochs=2, learning_rate=keras.optimizers.SGD(1e30), verbose=0)
    assert differing(before, tl.snapshot(toy)) == set()


# ---- a run that died

PROGRAM = """
import os, signal, sys
import keras, numpy as np
import kerastl as tl
from kerastl.data import make_dataset

folder, views, die_in = sys.argv[1], sys.argv[2], sys.argv[3]
views = int(views) if views.isdigit() else views
keras.utils.set_random_seed(1)
rng = np.random.default_rng(1)
part = lambda count: (rng.integers(0, 255, (count, 32, 32, 3)).astype(np.uint8), np.arange(count) % 3)
data = tl.ImageData(make_dataset(*part(40), 8, True), make_dataset(*part(9), 8), make_dataset(*part(9), 8), list("abc"))

class Die(keras.callbacks.Callback):
    def __init__(self, phase):
        super().__init__()
        self.phase = phase
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
    def on_train_batch_end(self, batch, logs=None):
        if f"{self.phase}.{self.epoch}.{batch}" == die_in:
            os.kill(os.getpid(), signal.SIGKILL)

model = tl.build_model("MobileNetV2", data, weights=None, alpha=0.35)
kept = {"views": views, "backup_dir": folder if folder != "none" else None, "verbose": 0}
phase1 = tl.train_head(model, data, epochs=3, callbacks=[Die(1)], **kept)
tl.unfreeze_top(model, 20)
phase2 = tl.fine_tune(model, data, epochs=3, callbacks=[Die(2)], **kept)
print(len(phase1.epoch), len(phase2.epoch), ["%.6f" % loss for loss in phase1.history["loss"] + phase2.history["loss"]])
print([float(np.abs(weight).sum()) for weight in model.get_weights()])
"""


def run_program(folder, views, die_in="never"):
    command = [sys.executable, "-c", PROGRAM, str(folder), str(views), die_in]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.parametrize("views", [2, pytest.param("fresh", marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_to_the_same_result(tmp_path, views):
    undisturbed = run_program("none", views)
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert run_program(tmp_path, views, "1.1.2").returncode == -signal.SIGKILL
    assert [file.name for file in tmp_path.iterdir()] == ["phase_1.npz"]
    assert run_program(tmp_path, views, "2.1.3").returncode == -signal.SIGKILL
    resumed = run_program(tmp_path, views)
    assert resumed.stdout == undisturbed.stdout


def test_a_phase_that_was_finished_is_not_trained_again(make_toy, settle, arrays, data, tmp_path, differing, capsys):
    def train():
        keras.utils.set_random_seed(0)
        model = settle(make_toy(), arrays["train"][0])
        return model, tl.train_head(model, data, epochs=2, backup_dir=tmp_path)

    first, history = train()
    capsys.readouterr()
    again, same = train()
    assert differing(tl.snapshot(first), tl.snapshot(again)) == set()
    assert same.history == history.history
    assert same.epoch == history.epoch
    assert "phase 1 was finished before" in capsys.readouterr().out


def test_a_run_that_was_stopped_goes_on(make_toy, settle, arrays, data, tmp_path):
    def train(*callbacks):
        keras.utils.set_random_seed(0)
        model = settle(make_toy(), arrays["train"][0])
        return tl.train_head(model, data, epochs=4, callbacks=callbacks, backup_dir=tmp_path, verbose=0)

    stopped = train(Stop(epoch=2))
    finished = train()
    assert stopped.epoch == [0, 1]
    assert finished.epoch == [0, 1, 2, 3]
    assert finished.history["loss"][:2] == stopped.history["loss"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"epochs": 3}, "epochs: '2' there, '3' here"),
        ({"learning_rate": 0.5}, "learning_rate: '0.001' there, '0.5' here"),
        ({"data": "fewer"}, "training batches: '3' there, '1' here"),
        ({"model": "other"}, r"frozen weights \(SHA-256\)"),
    ],
)
def test_the_backup_of_another_run_is_refused(make_toy, settle, arrays, data, tmp_path, change, named):
    model = settle(make_toy(), arrays["train"][0])
    tl.train_head(model, data, epochs=2, backup_dir=tmp_path, verbose=0)
    kept = (tmp_path / "phase_1.npz").read_bytes()
    if change.pop("model", None):
        model = make_toy()
    if change.pop("data", None):
        data = data._replace(train=data.validation)
    with pytest.raises(ValueError, match=f"belongs to another run .*{named}.*Use another backup_dir"):
        tl.train_head(model, data, **{"epochs": 2, "backup_dir": tmp_path, "verbose": 0, **change})
    assert (tmp_path / "phase_1.npz").read_bytes() == kept


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"text"])
def test_a_file_that_is_no_backup_is_refused(toy, data, tmp_path, content):
    (tmp_path / "phase_1.npz").write_bytes(content)
    with pytest.raises(ValueError, match="is no backup of a training run"):
        tl.train_head(toy, data, epochs=1, backup_dir=tmp_path, verbose=0)


def test_a_backup_with_pickled_objects_is_refused(toy, data, tmp_path):
    np.savez(tmp_path / "phase_1.npz", record=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="is no backup of a training run"):
        tl.train_head(toy, data, epochs=1, backup_dir=tmp_path, verbose=0)


def test_nothing_half_written_is_left_behind(toy, data, tmp_path):
    start = time.time()
    tl.train_head(toy, data, epochs=2, backup_dir=tmp_path / "new" / "folder", verbose=0)
    assert [file.name for file in (tmp_path / "new" / "folder").iterdir()] == ["phase_1.npz"]
    assert (tmp_path / "new" / "folder" / "phase_1.npz").stat().st_mtime >= start - 2
