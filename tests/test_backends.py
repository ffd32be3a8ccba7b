"""Keras on JAX and on torch: training, heat maps and files are those of Keras on TensorFlow. `make backends` runs this.

Run as a program, this file does the same work, on the backend that the environment names.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import kerastl as tl
from kerastl.data import as_arrays, few_of_each, make_dataset
from kerastl.explain import heat_maps

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


def few_flowers() -> tl.ImageData:
    """Some of the drawn flowers, in an order that is always the same."""
    flowers, parts = tl.load_images("drawn_flowers"), []
    for part, count in (("train", 8), ("validation", 3), ("test", 4)):
        images, labels = as_arrays(getattr(flowers, part))
        order = np.lexsort((images.mean(axis=(1, 2, 3)), labels))  # the training part shuffles itself
        images, labels = images[order], labels[order]
        few = few_of_each(labels, count)
        parts.append(make_dataset(images[few], labels[few], batch_size=10))
    return tl.ImageData(*parts, flowers.class_names)


def run_workflow(folder: Path) -> None:
    """Train in two phases without chance of the backend's own, and write down what came of it."""
    keras.utils.set_random_seed(0)
    flowers = few_flowers()
    model = tl.build_model("MobileNetV2", flowers, weights="garden", augment=False, dropout=0.0)
    kernel = model.get_layer("classifier").kernel
    kernel.assign(np.random.default_rng(0).normal(0, 0.02, kernel.shape))
    start = tl.snapshot(model)
    phase1 = tl.train_head(model, flowers, epochs=3, learning_rate=keras.optimizers.SGD(0.1, momentum=0.9), verbose=0)
    tl.unfreeze_top(model, 30)
    slow = keras.optimizers.SGD(0.01, momentum=0.9)
    phase2 = tl.fine_tune(model, flowers, epochs=3, learning_rate=slow, views=0, verbose=0)
    tl.save(model, folder / "model.keras", flowers.class_names)
    np.savez(folder / "start.npz", **start)
    np.savez(folder / "weights.npz", **tl.snapshot(model))
    history = {name: phase1.history[name] + phase2.history[name] for name in phase1.history}
    np.savez(folder / "history.npz", **history)
    look(folder / "model.keras", folder / "seen.npz")


def look(file: Path, into: Path) -> None:
    """Write down what the model in a file says about the test flowers, and where it looks."""
    images, labels = as_arrays(few_flowers().test)
    model, _ = tl.load(file)
    said = model.predict(images.astype("float32"), batch_size=10, verbose=0)
    np.savez(into, probabilities=said, heat=heat_maps(model, images, labels))


def on_tensorflow(*arguments) -> None:
    folder = Path(tl.__file__).parent.parent
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(folder)}
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Two folders with what came of the workflow: here, and on TensorFlow."""
    if ON_TENSORFLOW:
        pytest.skip("TensorFlow would be compared with itself")
    here, there = (tmp_path_factory.mktemp(name) for name in ("here", "there"))
    run_workflow(here)
    on_tensorflow("run_workflow", there)
    return here, there


def test_both_phases_give_the_weights_that_they_give_on_tensorflow(both):
    start, here, there = (np.load(both[0] / "start.npz"), *(np.load(folder / "weights.npz") for folder in both))
    moved = {path for path in start.files if not np.array_equal(start[path], here[path])}
    assert len(moved) == 12
    assert here.files == there.files
    for path in here.files:
        distance = np.abs(here[path] - there[path]).max()
        assert distance <= 0.01 * np.abs(there[path] - start[path]).max() + 1e-6 * np.abs(start[path]).max(), path
    for name, values in np.load(both[0] / "history.npz").items():
        np.testing.assert_allclose(values, np.load(both[1] / "history.npz")[name], rtol=1e-3, err_msg=name)


def test_heat_maps_and_probabilities_are_those_of_tensorflow(both, tmp_path):
    here, there = (np.load(folder / "seen.npz") for folder in both)
    np.testing.assert_allclose(here["probabilities"], there["probabilities"], atol=2e-3)
    np.testing.assert_allclose(here["heat"], there["heat"], atol=2e-2)
    assert here["heat"].max() == 1


@pytest.mark.parametrize("way", ["from TensorFlow", "to TensorFlow"])
def test_a_file_opens_on_the_other_backend_and_says_the_same(both, tmp_path, way):
    here, there = both
    if way == "from TensorFlow":
        look(there / "model.keras", tmp_path / "seen.npz")
    else:
        on_tensorflow("look", here / "model.keras", tmp_path / "seen.npz")
    writer = there if way == "from TensorFlow" else here
    for name, values in np.load(writer / "seen.npz").items():
        np.testing.assert_allclose(np.load(tmp_path / "seen.npz")[name], values, atol=1e-4, err_msg=name)


@pytest.fixture
def press_inside_a_step(monkeypatch):
    """A function that presses Ctrl-C inside the nth step of training, before its result is at its place."""
    make = keras.Model.make_train_function

    def arm(number: int) -> None:
        done = []

        def make_pressing(self, force=False):
            make(self, force)
            step = self.train_function

            def press(*arguments):
                result = step(*arguments)
                done.append(len(done))
                if len(done) == number:
                    os.kill(os.getpid(), signal.SIGINT)
                return result

            self.train_function = press

        make_pressing.__module__ = make.__module__  # one of a user's own would be refused
        monkeypatch.setattr(keras.Model, "make_train_function", make_pressing)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield arm
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "epochs_done"), [(2, 0), (5, 1)])
def test_ctrl_c_inside_a_step_leaves_a_whole_model(toy, data, press_inside_a_step, number, epochs_done):
    tl.unfreeze_top(toy, 5)
    press_inside_a_step(number)
    history = tl.fine_tune(toy, data, epochs=4, verbose=0)
    assert len(history.epoch) == epochs_done
    assert all(np.isfinite(weight).all() for weight in tl.snapshot(toy).values())
    assert np.isfinite(tl.evaluate(toy, data.test).loss)
    toy.fit(data.train, epochs=1, shuffle=False, verbose=0)


def test_callbacks_see_and_may_change_the_weights_at_each_step(toy, data):
    seen = []

    class Halve(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            bias = self.model.get_layer("classifier").bias
            seen.append(keras.ops.convert_to_numpy(bias).copy())
            bias.assign(np.full(3, 7.0))

        def on_test_batch_end(self, batch, logs=None):
            seen.append(keras.ops.convert_to_numpy(self.model.get_layer("classifier").bias))

    tl.train_head(toy, data, epochs=1, learning_rate=keras.optimizers.SGD(0.01), callbacks=Halve(), verbose=0)
    assert len(seen) == 4
    assert np.abs(seen[0]).max() < 1
    for bias in seen[1:3]:
        assert 6 < bias.min() <= bias.max() < 8
    assert np.array_equal(seen[3], np.full(3, 7.0))


@pytest.mark.slow
def test_the_command_line_trains_and_prints_no_chatter(picture_folder, tmp_path):
    few = ["--weights", "none", "--alpha", "0.35", "--image-size", "32", "--epochs", "1"]
    command = [sys.executable, "-m", "kerastl", "train", str(picture_folder), *few, "--out", str(tmp_path / "run")]
    done = subprocess.run(command, cwd=Path(tl.__file__).parent.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "run" / "report.html").exists()


def test_without_augmentation_a_model_gives_what_predict_gives(model, arrays):
    images = arrays["test"][0].astype("float32")
    said = keras.ops.convert_to_numpy(tl.without_augmentation(model)(images))
    np.testing.assert_allclose(said, model.predict(images, verbose=0), atol=1e-5)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras 3.15 cannot, on torch")
@pytest.mark.slow
def test_it_is_exported_for_tensorflows_server(model, arrays, tmp_path):
    import tensorflow as tf

    images = arrays["test"][0].astype("float32")
    tl.without_augmentation(model).export(tmp_path / "served", verbose=False)
    server = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(server.serve(images), model.predict(images, verbose=0), atol=1e-5)


if __name__ == "__main__":
    globals()[sys.argv[1]](*map(Path, sys.argv[2:]))
