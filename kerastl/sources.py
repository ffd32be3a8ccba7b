"""Read pictures into arrays, each file once, on all cores: from a folder or from TensorFlow Datasets."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kerastl.bases import BUNDLED_SETS, suggest

PART_NAMES = {  # the folder names under which a part is found
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}


PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")


def is_picture(path: Path) -> bool:
    """Whether a file looks like a picture by its name."""
    return path.is_file() and path.suffix.lower() in PICTURE_ENDINGS


def read_image(path, image_size: tuple[int, int]) -> np.ndarray:
    """Read one picture as the model wants it: uint8 (height, width, 3), 0–255, turned as the camera was held.

    Raises FileNotFoundError when it is not there and ValueError when it is not an image that Pillow can read.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return _resize(ImageOps.exif_transpose(image), image_size)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {os.fspath(path)!r}.") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"Cannot read {os.fspath(path)!r} as an image ({error}). Expected a JPEG, PNG, GIF, BMP or WebP file."
        ) from None


def _resize(image, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits a pixel: Pillow would cut off all that is above 255
        image = Image.fromarray((np.asarray(image) // 256).astype(np.uint8))
    return np.asarray(image.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR, reducing_gap=2.0))


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def read_folder(folder: Path, size) -> tuple[dict, list[str]]:
    """{part: (images, labels)} and the class names of a folder."""
    names = {entry.name: entry for entry in _folders(folder)}
    found = {
        part: names[alias]
        for part, aliases in PART_NAMES.items()
        for alias in aliases
        if alias in names and _folders(names[alias])  # a class may be called "train", too: it holds files, no folders
    }
    if "train" not in found:
        found = {"train": folder}
    classes = [entry.name for entry in _folders(found["train"])]
    if len(classes) < 2:
        raise ValueError(
            f"{str(found['train'])!r} has {len(classes)} class folders{': ' + classes[0] if classes else ''}. "
            "Expected at least two: one folder of images for each class."
        )
    for place in found.values():
        others = {entry.name for entry in _folders(place)}
        if others != set(classes):
            raise ValueError(
                f"The classes in {str(place)!r} are not those in {str(found['train'])!r}; they differ in "
                f"{', '.join(sorted(others ^ set(classes)))}."
            )
    unreadable = []
    parts = {part: _read_classes(place, classes, size, unreadable) for part, place in found.items()}
    if unreadable:
        listed = "\n  ".join(unreadable[:10] + [f"… and {len(unreadable) - 10} more"] * (len(unreadable) > 10))
        files = "file is" if len(unreadable) == 1 else "files are"
        warnings.warn(f"{len(unreadable)} unreadable {files} left out:\n  {listed}", stacklevel=3)
    return parts, classes


def _read_classes(folder: Path, classes: list[str], size, unreadable: list[str]) -> tuple[np.ndarray, np.ndarray]:
    paths, labels = [], []
    for label, name in enumerate(classes):
        files = sorted(
            entry for entry in (folder / name).iterdir() if entry.is_file() and not entry.name.startswith(".")
        )
        paths += files
        labels += [label] * len(files)
    images = np.empty((len(paths), *size, 3), np.uint8)
    readable = np.ones(len(paths), bool)

    def read(number: int) -> None:
        try:
            images[number] = read_image(paths[number], size)
        except ValueError as error:
            readable[number] = False
            unreadable.append(str(error).split(" Expected")[0])

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes and resizes outside the interpreter's lock
        list(pool.map(read, range(len(paths))))
    labels = np.array(labels, np.int64)
    for label, name in enumerate(classes):
        if not np.any(readable & (labels == label)):
            raise ValueError(f"{str(folder / name)!r} holds no readable image. Add images, or remove the folder.")
    unreadable.sort()
    return (images, labels) if readable.all() else (images[readable], labels[readable])


def read_tfds(name: str, size) -> tuple[dict, list[str]]:
    """{part: (images, labels)} and the class names of a TensorFlow Datasets set."""
    import tensorflow_datasets as tfds
    from PIL import Image

    try:
        builder = tfds.builder(name)
    except (tfds.core.DatasetNotFoundError, AssertionError, ValueError) as error:
        known = [*BUNDLED_SETS, *tfds.list_builders(with_community_datasets=False)]
        near = suggest(name.split("/")[0].split(":")[0], known)
        raise ValueError(
            f"Unknown images: {name!r}. Expected a folder, a bundled set ({', '.join(BUNDLED_SETS)}) or the name of a "
            f"TensorFlow Datasets set. {near if near.startswith('Did') else ''}".rstrip()
        ) from error
    features, keys = builder.info.features, builder.info.supervised_keys
    if not (
        keys
        and len(keys) == 2
        and isinstance(features[keys[0]], tfds.features.Image)
        and isinstance(features[keys[1]], tfds.features.ClassLabel)
    ):
        raise ValueError(f"TensorFlow Datasets' {name!r} is not an image classification set.")
    try:
        builder.download_and_prepare()
    except ImportError:
        raise
    except Exception as error:  # TFDS raises whatever its many download paths raise
        raise ConnectionError(
            f"Could not download {name!r} with TensorFlow Datasets ({type(error).__name__}: {error}). Check the "
            "connection; or copy a prepared set from another machine to ~/tensorflow_datasets; or, without one, use "
            'the bundled pictures: load_images("drawn_flowers").'
        ) from error
    parts = {}
    for part in PART_NAMES:
        if part in builder.info.splits:
            pairs = [
                (_resize(Image.fromarray(np.squeeze(image)), size), label)
                for image, label in tfds.as_numpy(builder.as_dataset(split=part, as_supervised=True))
            ]
            images, labels = zip(*pairs, strict=True)
            parts[part] = np.stack(images), np.array(labels, np.int64)
    if "train" not in parts:
        raise ValueError(
            f"TensorFlow Datasets' {name!r} has no part named 'train'; it has {list(builder.info.splits)}."
        )
    return parts, list(features[keys[1]].names)
