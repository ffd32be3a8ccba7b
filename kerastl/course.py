"""What the lessons share: the two worlds, a quiet beginning, the check of an exercise, and the exam at the end."""

import importlib
import os
import warnings
from collections.abc import Callable
from typing import NamedTuple

from kerastl.quiet import not_of_retracing, quiet_stderr

_EXAM = {"make_task": "task", "seal": "seal", "examine": "examine"}  # name: its file in exam/


class World(NamedTuple):
    """Where a lesson gets its pictures and its pre-trained base from."""

    pictures: str  # for `load_images`
    weights: str  # for `build_model`
    image_size: int  # pixels on a side
    alpha: float  # width of MobileNetV2

    def load(self):
        """The pictures, as `ImageData`."""
        from kerastl.images import load_images

        return load_images(self.pictures, image_size=self.image_size)

    def build(self, data):
        """MobileNetV2 with the pre-trained weights of this world, frozen, and a new head for these data."""
        from kerastl.model import build_model

        return build_model("MobileNetV2", data, weights=self.weights, alpha=self.alpha)


def begin(world: str, seed: int = 0, *, step: str | None = None) -> World:
    """Begin a lesson: quiet logs, fixed chance, the versions on one line, and the picture of the whole work.

    Args:
        world: "drawn" (bundled drawn flowers and a base pre-trained on drawn species; offline) or "photos" (photos of
            flowers and ImageNet weights, which are downloaded once; the environment variables KERASTL_PHOTOS and
            KERASTL_WEIGHTS name a folder and a file to take instead).
        seed: of all chance.
        step: of the workflow, which the picture then marks (see `plot_workflow`); None draws no picture.

    Raises:
        ValueError: there is no such world, or no such step.
    """
    worlds = {
        "drawn": World("drawn_flowers", "garden", 96, 0.35),
        "photos": World(
            os.environ.get("KERASTL_PHOTOS", "tf_flowers"), os.environ.get("KERASTL_WEIGHTS", "imagenet"), 160, 0.35
        ),
    }
    if world not in worlds:
        raise ValueError(f"Received WORLD = {world!r}. Expected one of {', '.join(map(repr, worlds))}.")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Keras says this at each `fit` on a tf.data.Dataset, where nobody asked to shuffle.
    warnings.filterwarnings("ignore", message="`shuffle=True` was passed, but will be ignored")
    with quiet_stderr():
        import keras
        import tensorflow  # some of its parts speak up when they are first used: have that over

        tensorflow.get_logger().setLevel("WARNING")  # not INFO: `export` tells where it writes
        tensorflow.get_logger().addFilter(not_of_retracing)  # a lesson asks many models a few times each

        keras.utils.set_random_seed(seed)
    from kerastl import __version__

    print(f"kerastl {__version__}, Keras {keras.__version__}, pictures: {world}")
    if step is not None:
        from kerastl.plots.workflow import plot_workflow

        plot_workflow(step)  # a notebook shows it under the cell
    return worlds[world]


def check(title: str, answer, is_right: Callable[[object], bool], hint: str) -> None:
    """Print whether the answer to an exercise is right: "not attempted", "correct", or a hint.

    Args:
        title: of the exercise.
        answer: what the student put; `...` where nothing was put yet.
        is_right: looks at the answer. What it raises counts as not right.
        hint: one sentence that helps without telling.
    """
    if answer is ...:
        print(f"{title}: not attempted yet")
        return
    try:
        right = bool(is_right(answer))
    except Exception:
        right = False
    print(f"{title}: correct" if right else f"{title}: not yet. {hint}")


def __getattr__(name: str):
    """The names of the exam. They are loaded when first used: Keras comes with them, and `begin` comes before it."""
    if name not in _EXAM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"kerastl.exam.{_EXAM[name]}"), name)
