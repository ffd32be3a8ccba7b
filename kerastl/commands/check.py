"""`python -m kerastl check`: whether this machine is ready for the course, in less than a minute."""

import os
import platform
import shutil
import tempfile
import time

import keras
import numpy as np
import psutil
import tensorflow

import kerastl
from kerastl.bases import bundled_folder
from kerastl.evaluation import evaluate
from kerastl.freezing import unfreeze_top
from kerastl.images import load_images
from kerastl.model import build_model
from kerastl.storage import memory_left, size_text
from kerastl.training import fine_tune, train_head

MEMORY, DISK = 2e9, 1e9  # bytes that the course wants free (measured: a lesson takes 1 GB)
# The lowest test accuracy of four seeds was 0.948 after phase 1 and 0.960 after phase 2 (TensorFlow 2.21, Keras 3.15.1,
# one processor). Other processors round otherwise, so a little less is right, too.
LEAST = {"phase 1": 0.93, "phase 2": 0.93}


def run(args) -> int:
    """Print versions, memory, speed and two accuracies. Returns 0, or 1 when something is not as it should be."""
    began, wrong = time.perf_counter(), []
    _print_versions()
    for name, free, wanted in (
        ("memory", psutil.virtual_memory().available, MEMORY),
        ("temporary folder", shutil.disk_usage(tempfile.gettempdir()).free, DISK),
    ):
        _line(name, f"{size_text(free)} free")
        if free < wanted:
            wrong.append(f"{size_text(free)} are free ({name}). Expected {size_text(wanted)}: close other programs.")
    _line("memory budget", f"{size_text(memory_left())} (environment variable KERASTL_MEMORY_MB)")
    _line("bundled data", str(bundled_folder()))
    accuracies, speed = _train()
    _line("speed", f"{speed:,.0f} pictures a second through the frozen base")
    for phase, accuracy in accuracies.items():
        _line(phase, f"test accuracy {accuracy:.3f}, expected {LEAST[phase]:.2f} or more")
        if accuracy < LEAST[phase]:
            wrong.append(f"The test accuracy after {phase} is {accuracy:.3f}. Expected {LEAST[phase]:.2f} or more.")
    _line("time", f"{time.perf_counter() - began:.0f} s")
    for line in wrong:
        print(f"not right: {line}")
    print("Something is not as it should be." if wrong else "Ready.")
    return int(bool(wrong))


def _print_versions() -> None:
    _line("Python", f"{platform.python_version()} on {platform.platform()}, {platform.machine()}")
    _line("kerastl", kerastl.__version__)
    _line("TensorFlow", tensorflow.__version__)
    _line("Keras", f"{keras.__version__} on {keras.backend.backend()}")
    _line("NumPy", np.__version__)
    _line("processor cores", str(os.cpu_count()))
    _line("graphics cards", str(len(tensorflow.config.list_physical_devices("GPU"))))


def _train() -> tuple[dict[str, float], float]:
    """Test accuracies on the bundled flowers after each phase, and pictures a second through the frozen base."""
    keras.utils.set_random_seed(0)
    flowers = load_images("drawn_flowers")
    model = build_model("MobileNetV2", flowers, weights="garden")
    images = next(iter(flowers.train))[0]
    model.predict_on_batch(images)  # compiles
    began = time.perf_counter()
    for _ in range(10):
        model.predict_on_batch(images)
    speed = 10 * len(images) / (time.perf_counter() - began)
    train_head(model, flowers, epochs=5, verbose=0)
    accuracies = {"phase 1": evaluate(model, flowers.test).accuracy}
    unfreeze_top(model, 30)
    fine_tune(model, flowers, epochs=3, views=0, verbose=0)
    return accuracies | {"phase 2": evaluate(model, flowers.test).accuracy}, speed


def _line(name: str, value: str) -> None:
    print(f"{name:<18}{value}", flush=True)
