"""What a phase has reached is not lost: after Ctrl-C, a loss that is no number, or the death of the program.

What makes a run another one, so that its backup is refused, is tested in test_identity.py.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.backend.common import global_state

import kerastl as tl
from kerastl.engine.backup import Backup


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
        self.seen.setdefault(logs["val_loss"], tl.snapshot(self.model))


# ---- Ctrl-C


@pytest.mark.parametrize("rate", [0.01, 3.0])  # the validation loss falls in each epoch; goes up and down
def test_ctrl_c_leaves_the_best_weights_so_far_and_a_history(toy, data, differing, loss_in_fit, rate):
    stop = Stop(epoch=4)
    history = tl.train_head(toy, data, epochs=50, learning_rate=rate, callbacks=[stop], verbose=0)
    assert history.epoch == [0, 1, 2, 3]
    assert toy.history is history
    assert min(history.history["val_loss"]) == min(stop.seen)
    assert differing(stop.seen[min(stop.seen)], tl.snapshot(toy)) == set()
    assert loss_in_fit(tl.evaluate(toy, data.validation)) == pytest.approx(min(stop.seen), rel=1e-3, abs=1e-6)


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
    said = capsys.readouterr().out
    assert "phase 1 was stopped in epoch 2. The weights are those of epoch 1, the best so far." in said
    assert re.search(r"^phase 1 .*] +[2-4]\d% ", said, re.MULTILINE), "the bar is not full"


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


def test_after_a_loss_that_was_no_number_keras_can_train_on(toy, data):
    with pytest.raises(ValueError, match="no number any more"):
        tl.train_head(toy, data, epochs=2, learning_rate=1e38, verbose=0)
    toy.optimizer.learning_rate = 1e-3
    assert np.isfinite(toy.fit(data.validation, epochs=1, verbose=0).history["loss"]).all()


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


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float64"])
@pytest.mark.slow
def test_a_head_of_any_kind_of_numbers_comes_back_to_the_last_bit(make_toy, data, tmp_path, differing, kind):
    def trained() -> dict:
        keras.utils.set_random_seed(1)
        toy = make_toy()
        model = keras.Model(
            toy.inputs, keras.layers.Dense(3, "softmax", dtype=kind, name="last")(toy.layers[-3].output)
        )
        tl.train_head(model, data, epochs=2, backup_dir=tmp_path, verbose=0)
        return tl.snapshot(model)

    first = trained()
    file = next(tmp_path.glob("*.npz"))
    written = file.stat().st_mtime_ns
    assert differing(first, trained()) == set()
    assert file.stat().st_mtime_ns == written  # the second one was taken from it


def run_program(folder, views, die_in="never"):
    command = [sys.executable, "-c", PROGRAM, str(folder), str(views), die_in]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.parametrize("views", [2, "fresh"])
@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_result(tmp_path, views):
    undisturbed = run_program("none", views)
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert run_program(tmp_path, views, "1.1.2").returncode == -signal.SIGKILL
    assert [file.name for file in tmp_path.iterdir()] == ["phase_1.npz"]
    assert run_program(tmp_path, views, "2.1.3").returncode == -signal.SIGKILL
    resumed = run_program(tmp_path, views)
    assert resumed.stdout == undisturbed.stdout


@pytest.mark.slow
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


@pytest.mark.slow
def test_from_scratch_speaks_of_its_own_backup_only(make_toy, data, tmp_path, capsys):
    for other in ("phase_1.npz", "phase_2.npz"):
        (tmp_path / other).touch()
    for _ in range(2):
        keras.utils.set_random_seed(0)
        tl.train_from_scratch(make_toy(), data, epochs=1, backup_dir=tmp_path)
    assert f"To train anew, delete {str(tmp_path / 'from_scratch.npz')!r}." in capsys.readouterr().out


@pytest.mark.slow
def test_a_phase_that_was_stopped_is_over_once_the_next_one_has_begun(make_toy, settle, arrays, data, tmp_path, capsys):
    def train(stops):
        keras.utils.set_random_seed(0)
        model = settle(make_toy(), arrays["train"][0])
        kept = {"epochs": 5, "backup_dir": tmp_path}
        phase1 = tl.train_head(model, data, callbacks=stops[:1], learning_rate=3.0, **kept)
        after_1 = tl.snapshot(model)
        tl.unfreeze_top(model, 5)
        return phase1, after_1, tl.fine_tune(model, data, callbacks=stops[1:], **kept)

    stopped, head, _ = train([Stop(epoch=3), Stop(epoch=1)])  # the second stands for a crash
    phase1, same_head, phase2 = train([])
    assert phase1.epoch == stopped.epoch == [0, 1, 2]
    assert all(np.array_equal(head[path], same_head[path]) for path in head)
    assert phase2.epoch == [0, 1, 2, 3, 4]
    assert "phase 2 goes on after epoch 1" in capsys.readouterr().out


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


def augmented(image, label):
    return tf.cast(image, tf.float32) * tf.random.uniform((), 0.5, 1.0), label


@pytest.mark.parametrize(
    ("change", "views"),
    [
        (lambda plain: plain.shuffle(24).repeat(2).batch(9), "fresh"),
        (lambda plain: plain.shuffle(24).map(augmented).repeat(2).batch(9), None),
        (lambda plain: plain.take(12).shuffle(12).concatenate(plain.skip(12).shuffle(12)).batch(4), "fresh"),
    ],
)
@pytest.mark.slow
def test_a_dataset_that_goes_on_drawing_behind_its_first_images_goes_on_to_the_same_result(
    make_toy, settle, arrays, data, tmp_path, change, views
):
    def train(folder, *callbacks):
        keras.utils.set_random_seed(0)
        model = settle(make_toy(), arrays["train"][0])
        own = data._replace(train=change(tf.data.Dataset.from_tensor_slices(arrays["train"])))
        kept = {"backup_dir": tmp_path / folder, "views": views, "verbose": 0}
        return tl.train_head(model, own, epochs=4, learning_rate=0.05, callbacks=callbacks, **kept).history["loss"]

    whole = train("whole")
    assert len(train("broken off", Stop(epoch=2))) == 2
    assert train("broken off") == whole


@pytest.mark.slow
def test_phase_2_goes_on_after_a_phase_1_whose_dataset_draws_behind_its_first_images(
    make_toy, settle, arrays, data, tmp_path
):
    def train(folder, *callbacks):
        keras.utils.set_random_seed(0)
        model = settle(make_toy(), arrays["train"][0])
        images = tf.data.Dataset.from_tensor_slices(arrays["train"])
        own = data._replace(train=images.shuffle(24).repeat().batch(9).take(3))
        kept = {"backup_dir": tmp_path / folder, "views": "fresh", "verbose": 0}
        tl.train_head(model, own, epochs=2, **kept)
        tl.unfreeze_top(model, 5)
        return tl.fine_tune(model, own, epochs=4, callbacks=callbacks, **kept).history["loss"]

    whole = train("whole")
    assert len(train("broken off", Stop(epoch=2))) == 2
    assert train("broken off") == whole


@pytest.mark.parametrize("end", [2, 9])  # stopped in the third epoch; not stopped
def test_the_same_program_may_go_on_with_the_model_that_it_has(toy, data, tmp_path, differing, end):
    keep = {"epochs": 4, "backup_dir": tmp_path, "verbose": 0}
    tl.train_head(toy, data, callbacks=[Stop(epoch=end)], **keep)  # as in a notebook, where a cell is run again
    left, again = tl.snapshot(toy), tl.train_head(toy, data, **keep)
    assert again.epoch == [0, 1, 2, 3]
    assert bool(differing(left, tl.snapshot(toy))) == (end == 2)


@pytest.mark.slow
def test_without_a_seed_phase_1_goes_on_from_the_head_that_the_backup_holds(
    make_toy, settle, arrays, data, tmp_path, differing
):
    global_state.set_global_attribute("global_random_seed", None)  # as if `set_random_seed` had not been called
    heads = []

    def train(*callbacks):
        model = make_toy()
        heads.append(model.get_layer("classifier").kernel.numpy())
        for layer in model.get_layer("toy").layers:  # the base is loaded from a file, usually
            layer.set_weights([np.full(weight.shape, 0.1) for weight in layer.get_weights()])
        return tl.train_head(model, data, epochs=3, callbacks=callbacks, backup_dir=tmp_path, verbose=0)

    stopped, finished = train(Stop(epoch=1)), train()
    assert not np.array_equal(*heads)
    assert finished.epoch == [0, 1, 2]
    assert finished.history["loss"][:1] == stopped.history["loss"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"text"])
def test_a_file_that_is_no_backup_is_refused(toy, data, tmp_path, content):
    (tmp_path / "phase_1.npz").write_bytes(content)
    with pytest.raises(ValueError, match="is no backup of a training run"):
        tl.train_head(toy, data, epochs=1, backup_dir=tmp_path, verbose=0)


def test_a_backup_with_any_bit_flipped_is_refused_or_read(toy, data, tmp_path):
    tl.train_head(toy, data, epochs=1, backup_dir=tmp_path, verbose=0)
    file, rng = tmp_path / "phase_1.npz", np.random.default_rng(0)
    whole = file.read_bytes()
    directory = whole.rindex(b"PK\x01\x02", 0, whole.index(b"PK\x05\x06"))
    refused = 0
    for place in [*range(directory, directory + 40), *rng.integers(0, len(whole), 60)]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged)
        try:
            Backup._read(SimpleNamespace(file=file))
        except ValueError as error:
            refused += 1
            assert "is no backup of a training run, or it is damaged" in str(error)  # noqa: PT017
    assert refused > 30


@pytest.mark.slow
def test_what_was_kept_has_to_be_kept_again(toy, data, tmp_path, monkeypatch, make_toy):
    def train(*callbacks):
        keras.utils.set_random_seed(0)
        tl.train_head(make_toy(), data, epochs=3, backup_dir=tmp_path, callbacks=callbacks, verbose=0)

    train(Stop(epoch=1))
    monkeypatch.setenv("KERASTL_MEMORY_MB", "0.0008")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(ValueError, match=r"what the frozen part gives: 'kept.*there, 'computed in every epoch"):
        train()


def test_a_backup_with_pickled_objects_is_refused(toy, data, tmp_path):
    np.savez(tmp_path / "phase_1.npz", record=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="is no backup of a training run"):
        tl.train_head(toy, data, epochs=1, backup_dir=tmp_path, verbose=0)


def test_nothing_half_written_is_left_behind(toy, data, tmp_path):
    start = time.time()
    tl.train_head(toy, data, epochs=2, backup_dir=tmp_path / "new" / "folder", verbose=0)
    assert [file.name for file in (tmp_path / "new" / "folder").iterdir()] == ["phase_1.npz"]
    assert (tmp_path / "new" / "folder" / "phase_1.npz").stat().st_mtime >= start - 2


@pytest.fixture
def in_the_way(tmp_path):
    """Places where no backup can be."""
    (tmp_path / "file").write_text("a user's")
    (tmp_path / "nowhere").symlink_to(tmp_path / "not there")
    (tmp_path / "locked").mkdir(mode=0o500)
    return tmp_path


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("file", "file' is a file. Expected a folder: use"),
        *(
            (place, "No backup can be written into .*Expected a folder.*use")
            for place in ("file/x", "nowhere", "locked")
        ),
    ],
)
def test_a_place_where_no_backup_can_be_is_found_before_training(toy, data, in_the_way, place, said):
    if place == "locked" and os.access(in_the_way / place, os.W_OK):
        pytest.skip("root may write everywhere; Windows knows no such folders")
    stop = Stop(epoch=9)
    with pytest.raises(OSError, match=f"{said} another backup_dir"):
        tl.train_head(toy, data, epochs=1, callbacks=[stop], backup_dir=in_the_way / place, verbose=0)
    assert stop.seen == {}
    assert sorted(entry.name for entry in in_the_way.iterdir()) == ["file", "locked", "nowhere"]
    assert (in_the_way / "file").read_text() == "a user's"


def test_no_name_is_no_backup_folder(toy, data):
    with pytest.raises(ValueError, match=r"Received backup_dir=''\. Expected the name of a folder"):
        tl.train_head(toy, data, epochs=1, backup_dir="", verbose=0)


def test_a_link_to_nowhere_under_the_backups_name_is_left_as_it_is(toy, data, tmp_path):
    (tmp_path / "phase_1.npz").symlink_to(tmp_path / "a user's")
    with pytest.raises(ValueError, match="is no backup of a training run"):
        tl.train_head(toy, data, epochs=1, backup_dir=tmp_path, verbose=0)
    assert (tmp_path / "phase_1.npz").is_symlink()


def test_files_of_the_user_beside_the_backup_are_left_as_they_are(toy, data, tmp_path):
    theirs = {tmp_path / name for name in ("phase_1.part", "phase_1", ".unfinished", "phase_2.npz")}
    for file in theirs:
        file.write_text("a user's")
    tl.train_head(toy, data, epochs=2, backup_dir=tmp_path, verbose=0)
    assert set(tmp_path.iterdir()) == theirs | {tmp_path / "phase_1.npz"}
    assert {file.read_text() for file in theirs} == {"a user's"}


class Look(keras.callbacks.Callback):
    """Does something before each epoch, and notes what is in a folder then."""

    def __init__(self, folder, **actions):
        super().__init__()
        self.folder, self.actions, self.seen = folder, actions, []

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append({file.name: file.read_bytes() for file in self.folder.iterdir()})
        self.actions.get(f"epoch_{epoch + 1}", lambda: None)()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the length of files")
def test_a_disk_that_is_full_warns_once_and_training_goes_on(toy, data, tmp_path, recwarn):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    look = Look(tmp_path, epoch_2=lambda: limit(1000), epoch_4=lambda: limit(before[0]), epoch_5=lambda: limit(1000))
    start = toy.get_weights()
    try:
        history = tl.train_head(toy, data, epochs=5, callbacks=[look], backup_dir=tmp_path, verbose=0)
    finally:
        limit(before[0])
    first, whole = look.seen[1]["phase_1.npz"], look.seen[4]["phase_1.npz"]
    assert look.seen == [{}, *[{"phase_1.npz": first}] * 3, {"phase_1.npz": whole}]  # old, and nothing half written
    assert whole != first  # when there was room again
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"phase_1.npz": whole}
    (warning,) = [str(warning.message) for warning in recwarn if "The backup" in str(warning.message)]
    assert warning.startswith("The backup of epoch 2 could not be written into ")
    assert "\n" not in warning
    assert history.epoch == [0, 1, 2, 3, 4]
    toy.set_weights(start)  # as in the same program, run again
    resumed = tl.train_head(toy, data, epochs=5, backup_dir=tmp_path, verbose=0)
    assert resumed.history["loss"][:4] == history.history["loss"][:4]


@pytest.mark.parametrize("whose", ["another run's", "a user's"])
def test_what_another_program_writes_meanwhile_is_not_replaced(toy, data, tmp_path, recwarn, whose):
    tl.train_head(toy, data, epochs=1, backup_dir=tmp_path / "other", verbose=0)
    content = (tmp_path / "other" / "phase_1.npz").read_bytes() if whose == "another run's" else b"a user's"
    file = tmp_path / "mine" / "phase_1.npz"
    look = Look(tmp_path / "mine", epoch_1=lambda: file.write_bytes(content))
    history = tl.train_head(toy, data, epochs=3, callbacks=[look], backup_dir=tmp_path / "mine", verbose=0)
    assert history.epoch == [0, 1, 2]
    assert file.read_bytes() == content
    assert sum("backup of epoch 1 could not be written" in str(warning.message) for warning in recwarn) == 1


@pytest.mark.slow
def test_ctrl_c_while_the_backup_is_written_waits_until_it_is_whole(toy, data, tmp_path, monkeypatch):
    write, pressed = np.savez, []

    def press_and_write(*arguments, **arrays):
        if not pressed:
            pressed.append(os.kill(os.getpid(), signal.SIGINT))
        write(*arguments, **arrays)

    monkeypatch.setattr(np, "savez", press_and_write)
    stopped = tl.train_head(toy, data, epochs=3, backup_dir=tmp_path, verbose=0)
    monkeypatch.setattr(np, "savez", write)
    assert stopped.epoch == [0]
    assert [file.name for file in tmp_path.iterdir()] == ["phase_1.npz"]
    assert tl.train_head(toy, data, epochs=3, backup_dir=tmp_path, verbose=0).epoch == [0, 1, 2]
