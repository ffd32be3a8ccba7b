"""The task of the capstone: a folder of pictures, made from those of the course, and the bar to pass."""

import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

import numpy as np
from PIL import Image

from kerastl.bases import BUNDLED_WEIGHTS, bundled_folder
from kerastl.data import as_arrays

PICTURES = 100  # of each class, at most
DOUBLES = 2  # more files of each class that hold a picture which is there already, as in real folders
# The test accuracy that passes. Seven right solutions with other seeds had .93 to .99 on the drawn pictures; one
# that did not scale its pixels had .60, and one that scaled them twice .15.
BARS = {"drawn": 0.85, "photos": 0.75}


class Task(NamedTuple):
    """What a student is given."""

    folder: Path  # with one folder of pictures for each class
    weights: str  # for `keras.applications.MobileNetV2(weights=…)`: a file, or "imagenet"
    alpha: float  # the width that these weights are for
    image_size: tuple[int, int]  # of the pictures, in pixels
    bar: float  # the test accuracy to reach


def make_task(world, folder=None) -> Task:
    """Write the folder of pictures. (`world` is what `kerastl.course.begin` gives; by default the folder is a new one.)

    In each class a few pictures are there twice, byte for byte, under another name.
    """
    data, rng = world.load(), np.random.default_rng(0)
    folder = Path(folder or mkdtemp()) / "capstone_pictures"
    images, labels = as_arrays(data.train)
    for label, name in enumerate(data.class_names):
        rows = np.flatnonzero(labels == label)[:PICTURES]
        place = folder / name
        place.mkdir(parents=True)
        names = rng.permutation(len(rows) + DOUBLES)  # so that no name tells which files are doubles
        for number, row in zip(names, rows, strict=False):
            Image.fromarray(images[row].astype("uint8")).save(place / f"{number:03d}.png")
        for number, first in zip(names[len(rows) :], names, strict=False):
            shutil.copyfile(place / f"{first:03d}.png", place / f"{number:03d}.png")
    bundled = BUNDLED_WEIGHTS.get(world.weights)
    weights = str(bundled_folder() / bundled.file) if bundled else world.weights
    bar = BARS["drawn" if bundled else "photos"]
    return Task(folder, weights, world.alpha, (world.image_size,) * 2, bar)
