"""Both phases on several devices give what one device gives with the same batches, to rounding."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # each test starts programs

PROGRAM = Path(__file__).with_name("on_devices.py")


def run(folder, how: str) -> dict:
    """What the program wrote down."""
    out = folder / f"{how}.npz"
    done = subprocess.run([sys.executable, str(PROGRAM), how, str(out)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return dict(np.load(out))


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> dict:
    return run(tmp_path_factory.mktemp("one"), "one")


def assert_alike(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    assert list(found["moved"]) == ["classifier", "classifier", "high", "high"]
    for name, values in expected.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
        else:
            assert np.array_equal(found[name], values), name


def test_the_program_learns(one):
    losses = one["losses"]
    assert losses[3][-1] < losses[0][0]


@pytest.mark.parametrize("how", ["mirrored", "outside"])  # as people do it: the scope only where the model is made
def test_two_devices_train_as_one(one, tmp_path, how):
    assert_alike(run(tmp_path, how), one)


WORKERS = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
import keras
import numpy as np
import kerastl as tl
from kerastl.data import make_dataset

part = make_dataset(np.zeros((4, 32, 32, 3), np.uint8), np.array([0, 1, 0, 1]), 4)
data = tl.ImageData(part, part, part, ["a", "b"])
with strategy.scope():
    model = tl.build_model("MobileNetV2", data, weights=None, alpha=0.35)
    model.compile("sgd", "sparse_categorical_crossentropy")
try:
    model.fit(part, verbose=0)
    print("keras: trains")
except ValueError as error:
    print("keras:", str(error).splitlines()[0])
try:
    tl.train_head(model, data, epochs=1, verbose=0)
    print("kerastl: trains")
except RuntimeError as error:
    print("kerastl:", error)
"""


def test_several_processes_are_refused_as_long_as_keras_cannot_train_in_them():
    addresses = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            addresses.append(f"127.0.0.1:{free.getsockname()[1]}")
    cluster = {"worker": addresses}
    tasks = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": number}}) for number in range(2)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKERS],
            env=os.environ | {"TF_CONFIG": task, "KERAS_BACKEND": "tensorflow"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for task in tasks
    ]
    for process in processes:
        keras_said, kerastl_said = process.communicate(timeout=600)[0].splitlines()
        assert "PerReplica" in keras_said, "Keras trains in several processes now: so can kerastl."
        assert "Keras 3 cannot train in those" in kerastl_said


def test_two_devices_of_jax_train_as_one(tmp_path):
    pytest.importorskip("jax")
    assert_alike(run(tmp_path, "parallel"), run(tmp_path, "jax"))
