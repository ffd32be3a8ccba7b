"""Write a model for other programs, and ask their own runtime whether it answers as the model does."""

import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np

from kerastl.checks import check_batches
from kerastl.data import ImageData
from kerastl.evaluation import both_classes
from kerastl.files import written_together
from kerastl.formats import FORMATS, Answer, need, write_litert
from kerastl.in_use import without_augmentation
from kerastl.inputs import check_size, check_values, resize_of
from kerastl.prediction import AnyModel, open_model
from kerastl.quiet import no_retracing_warnings, quiet_stderr

if TYPE_CHECKING:
    import tensorflow as tf

MOST_DIFFERENCE = 0.01  # of a probability: far more than rounding, also that of graphics cards, and less than a mistake


class Exported(NamedTuple):
    """What `export` wrote, and how it answers beside the model."""

    path: Path
    labels: Path  # the class names, one a line, in the order of the outputs
    format: str
    size: int  # bytes, with all that lies beside or inside, without the labels
    image_size: tuple[int, int]  # height and width of the pictures that it takes
    resize: str  # how pictures of another shape come to that size: as `load_images` calls it
    difference: float  # the largest of a probability, on a few pictures
    agreement: float  # the share of these pictures with the same most probable class

    def __str__(self) -> str:
        height, width = self.image_size
        return (
            f"{self.path} ({self.format}, {self.size / 1e6:.2f} MB), classes in {self.labels.name}\n"
            f"takes float32 (pictures, {height}, {width}, 3): red, green, blue, 0–255, resized bilinearly "
            f"({self.resize})\n"
            f"beside the Keras model: probabilities differ by at most {self.difference:.1g}, "
            f"the same class for {self.agreement:.0%}"
        )


@no_retracing_warnings()
def export(
    model: AnyModel,
    path: str | os.PathLike,
    *,
    class_names: Sequence[str] | None = None,
    int8: "tf.data.Dataset | None" = None,
) -> Exported:
    """Write a trained model for a phone, a server or another runtime. The last step of the workflow.

    Augmentation is left out, the scaling of pixels stays inside. The file is opened in its own runtime and asked beside
    the Keras model, on drawn noise (on the first batch of `int8`, where that is given), before it gets its name.

    Args:
        model: a file that `save` wrote, what `load` returned, or a model (then give `class_names`).
        path: where to write. The ending chooses the format: `.tflite` is LiteRT (phones, small boards), `.onnx` ONNX,
            `.xml` OpenVINO (with a `.bin` beside it), and no ending a folder with a TensorFlow SavedModel. A file of
            that name is replaced, a folder is not.
        class_names: only with a bare model.
        int8: only for `.tflite`: batches of (images, labels), images 0–255, such as `data.train.take(10)`. Weights and
            activations then have 8 bits, in ranges that these pictures show; LiteRT's guide asks for 100 to 500. What
            goes in and out stays float32. The answers differ: look at `agreement`.

    Returns:
        `Exported(path, labels, format, size, image_size, resize, difference, agreement)`. Print it to see what the file
        takes. `labels` is the text file `NAME.labels.txt` beside it, UTF-8, one class a line. A model with one output
        gives the probability of the second class.

    Raises:
        FileNotFoundError, FileExistsError: the folder is not there; `path` is itself a folder that is there.
        ImportError: the packages of ONNX or OpenVINO are not there: `pip install 'kerastl[export]'`.
        TypeError, ValueError: as `predict` and `without_augmentation` do; another ending; a class name of several
            lines; `int8` for another format; Keras does not run on TensorFlow, which all writers need.
        RuntimeError: the file answers otherwise than the model. Nothing is written then.

    Example:
        >>> exported = export("flowers.keras", "flowers.tflite")
        >>> exported.format, exported.image_size, exported.difference < 0.001
        ('LiteRT', (96, 96), True)
    """
    path = Path(path).expanduser()
    _check_place(path, int8)
    kind = FORMATS[path.suffix]
    model, class_names = open_model(model, class_names)
    broken = [name for name in class_names if name and name.splitlines() != [name]]
    if broken:
        raise ValueError(f"Received the class name {broken[0]!r}. Expected names of one line, for the labels file.")
    if None in model.input_shape[1:]:
        raise ValueError(f"The model takes {model.input_shape}. Expected pictures of one size.")
    in_use, images = without_augmentation(model), _draw_noise(model) if int8 is None else _first_batch(int8, model)
    need(kind.packages, kind.name)
    labels = path.with_name(f"{path.name}.labels.txt")
    with written_together(path) as unfinished:
        with _quiet():
            if int8 is None:
                kind.write(in_use, unfinished)
            else:
                write_litert(in_use, unfinished, _pictures(int8, model))
            difference, agreement = _compare(kind.open(unfinished), model, images)
        size = sum(file.stat().st_size for file in unfinished.parent.rglob("*") if file.is_file())
        if int8 is None and not difference <= MOST_DIFFERENCE:
            raise RuntimeError(
                f"The {kind.name} file gives probabilities that differ by {difference:.2g} from those of the model. "
                f"Expected {MOST_DIFFERENCE} at most. Nothing was written. Choose another format."
            )
        unfinished.with_name(labels.name).write_text("".join(f"{name}\n" for name in class_names), encoding="utf-8")
    name = kind.name + ", int8" * (int8 is not None)
    return Exported(path, labels, name, size, tuple(model.input_shape[1:3]), resize_of(model), difference, agreement)


def _check_place(path: Path, int8) -> None:
    if path.suffix not in FORMATS:
        raise ValueError(
            f"Received the path {str(path)!r}. Expected one that ends in .tflite, .onnx or .xml (OpenVINO), or has no "
            "ending (a folder with a SavedModel)."
        )
    if int8 is not None and path.suffix != ".tflite":
        raise ValueError(f"Received int8 for {str(path)!r}. Expected a path that ends in .tflite: only LiteRT has it.")
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"Keras runs on {keras.backend.backend()}. Expected TensorFlow, which writes all formats. Save the model, "
            "and export the file in a program that was started with KERAS_BACKEND=tensorflow."
        )
    if path.is_dir() or (path.exists() and not path.suffix):
        raise FileExistsError(f"{str(path)!r} is there already. Choose another name, or move it away.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(path.parent)!r}. Make it first.")


def _first_batch(dataset, model: keras.Model) -> np.ndarray:
    """The first pictures for the calibration. Raises TypeError or ValueError when the model cannot take them."""
    if isinstance(dataset, ImageData):
        raise TypeError("Received ImageData as int8. Expected one part of it, such as `data.train.take(10)`.")
    check_batches(dataset)
    first = next(_pictures(dataset, model), None)
    if first is None:
        raise ValueError("The dataset for int8 is empty. Expected at least one batch of (images, labels).")
    return first


def _pictures(dataset, model: keras.Model) -> Iterator[np.ndarray]:
    """Batches of pictures, float32."""
    for images, _ in dataset:
        check_size(images.shape[1:], model)
        check_values(images, model.inputs[0])
        yield np.asarray(images, "float32")


def _draw_noise(model: keras.Model) -> np.ndarray:
    """Eight pictures of coloured clouds."""
    small = np.random.default_rng(0).uniform(0, 255, (8, 4, 4, 3)).astype("float32")
    return keras.ops.convert_to_numpy(
        keras.ops.image.resize(small, model.input_shape[1:3], data_format="channels_last")
    )


def _compare(answer: Answer, model: keras.Model, images: np.ndarray) -> tuple[float, float]:
    """The largest difference of a probability, and the share of pictures with the same most probable class."""
    given, expected = answer(images), model.predict_on_batch(images)
    first, second = (both_classes(values).argmax(axis=1) for values in (given, expected))
    return float(np.abs(given - expected).max()), float(np.mean(first == second))


@contextlib.contextmanager
def _quiet():
    """Converters tell much of their own work, on stderr and as warnings."""
    with warnings.catch_warnings(), quiet_stderr():
        warnings.simplefilter("ignore")
        yield
