"""Write a model for other programs, and ask their own runtime whether it answers as the model does."""

import collections
import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from kerastl.data import ImageData, check_image_data
from kerastl.evaluation import both_classes
from kerastl.files import written_together
from kerastl.formats import FORMATS, Answer, need, write_litert
from kerastl.in_use import in_float32, without_augmentation
from kerastl.inputs import check_classes, check_size, check_values, resize_of
from kerastl.prediction import AnyModel, open_model
from kerastl.quiet import no_retracing_warnings, quiet_stderr

CALIBRATION = 500  # pictures
# Of a probability in the file from that of the model, as a share of how far the model's own answers lie apart: far more
# than rounding, also that of graphics cards, and less than a mistake. And where its answers are all alike.
MOST_DIFFERENCE, MOST_ROUNDING = 0.01, 1e-5


class Exported(NamedTuple):
    """What `export` wrote, and how it answers beside the model."""

    path: Path
    labels: Path  # the class names, one a line, in the order of the outputs
    format: str
    size: int  # bytes, with all that lies beside or inside, without the labels
    image_size: tuple[int, int]  # height and width of the pictures that it takes
    resize: str  # how pictures of another shape come to that size: as `load_images` calls it
    asked: int  # how many pictures the file and the model were asked about
    difference: float  # the largest of a probability, on these pictures
    agreement: float  # the share of these pictures with the same most probable class

    def __str__(self) -> str:
        height, width = self.image_size
        return (
            f"{self.path} ({self.format}, {self.size / 1e6:.2f} MB), classes in {self.labels.name}\n"
            f"takes float32 (pictures, {height}, {width}, 3): red, green, blue, 0–255, resized bilinearly "
            f"({self.resize})\n"
            f"beside the Keras model, on {self.asked:,} pictures: probabilities differ by at most "
            f"{self.difference:.1g}, the same class for {self.agreement:.1%}"
        )


@no_retracing_warnings()
def export(
    model: AnyModel,
    path: str | os.PathLike,
    *,
    class_names: Sequence[str] | None = None,
    int8: ImageData | None = None,
) -> Exported:
    """Write a trained model for a phone, a server or another runtime. The last step of the workflow.

    Augmentation is left out, the scaling of pixels stays inside; a model of mixed precision is written with 32 bits.
    The file is opened in its own runtime and asked beside the Keras model (with 32 bits), on drawn noise (where `int8`
    is given, on its validation pictures), before it gets its name.

    Args:
        model: a file that `save` wrote, what `load` returned, or a model (then give `class_names`).
        path: where to write. The ending chooses the format: `.tflite` is LiteRT (phones, small boards), `.onnx` ONNX,
            `.xml` OpenVINO (with a `.bin` beside it), and no ending a folder with a TensorFlow SavedModel. Files of
            these names, and that of the labels, are replaced, folders are not.
        class_names: only with a bare model.
        int8: only for `.tflite`: `ImageData` with the classes of the model. Weights and activations then have 8 bits,
            in ranges that the first training pictures show; LiteRT's guide asks for 100 to 500, here it is up to 500.
            What goes in and out stays float32. The answers differ: look at `agreement`, which is of validation
            pictures, and evaluate the file on test pictures before you rely on it.

    Returns:
        `Exported(path, labels, format, size, image_size, resize, asked, difference, agreement)`. Print it to see what
        the file takes. `labels` is the text file `NAME.labels.txt` beside it, UTF-8, one class a line. A model with one
        output gives the probability of the second class.

    Raises:
        FileNotFoundError, FileExistsError: the folder is not there; `path` is itself a folder that is there.
        ImportError: the packages of ONNX or OpenVINO are not there: `pip install 'kerastl[export]'`.
        TypeError, ValueError: as `predict` and `without_augmentation` do; another ending; a class name that is not one
            line; `int8` for another format, of other classes, or no `ImageData`; a model that answers nan; Keras does
            not run on TensorFlow, which all writers need.
        RuntimeError: the format cannot hold this model, or the file answers otherwise. Nothing is written then.

    Example:
        >>> exported = export("flowers.keras", "flowers.tflite")
        >>> exported.format, exported.image_size, exported.difference < 0.001
        ('LiteRT', (96, 96), True)
    """
    path = Path(path).expanduser()
    _check_place(path, int8)
    kind = FORMATS[path.suffix.lower()]
    model, class_names = open_model(model, class_names)
    _check_names(class_names)
    if None in model.input_shape[1:] or model.input_shape[0] is not None:
        raise ValueError(f"The model takes {model.input_shape}. Expected any number of pictures, of one size.")
    in_use, asked = without_augmentation(model), [_draw_noise(model)]
    if int8 is not None:
        check_image_data(int8)
        check_classes(int8, class_names, "int8")
        collections.deque(_calibration(int8, model), maxlen=0)  # what is wrong with them is no fault of the writer
        asked = _pictures(int8.validation, model)
    need(kind.packages, kind.name)
    labels = _labels_of(path)
    with written_together(path) as unfinished, in_float32(in_use):
        try:
            with _quiet():
                if int8 is None:
                    kind.write(in_use, unfinished)
                else:
                    write_litert(in_use, unfinished, _calibration(int8, model))
                answer = kind.open(unfinished)
        except OSError:
            raise
        except Exception as error:  # each writer and runtime has errors of its own
            raise _cannot(kind.name, error) from error
        given, expected = _ask(kind.name, answer, in_use, asked)
        difference = float(np.abs(given - expected).max())
        size = sum(file.stat().st_size for file in unfinished.parent.rglob("*") if file.is_file())
        most = max(MOST_ROUNDING, MOST_DIFFERENCE * float(np.ptp(expected, axis=0).max()))
        if int8 is None and difference > most:
            raise RuntimeError(
                f"The {kind.name} file gives probabilities that differ by {difference:.2g} from those of the model, "
                f"more than {most:.1g}. Nothing was written. Choose another format."
            )
        unfinished.with_name(labels.name).write_text("".join(f"{name}\n" for name in class_names), encoding="utf-8")
    first, second = (both_classes(values).argmax(axis=1) for values in (given, expected))
    agreement = float(np.mean(first == second))
    name = kind.name + ", int8" * (int8 is not None)
    return Exported(
        path, labels, name, size, tuple(model.input_shape[1:3]), resize_of(model), len(given), difference, agreement
    )


def _labels_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.labels.txt")


def _check_names(class_names: Sequence[str]) -> None:
    for name in class_names:
        if name.splitlines() != [name] or name.encode("utf-8", "replace").decode() != name:
            raise ValueError(
                f"Received the class name {name!r}. Expected names of one line of text, for the labels file."
            )


def _check_place(path: Path, int8) -> None:
    ending = path.suffix.lower()
    if ending not in FORMATS or path.name.startswith(".") or path.name.endswith("."):
        raise ValueError(
            f"Received the path {str(path)!r}. Expected one that ends in .tflite, .onnx or .xml (OpenVINO), or has no "
            "ending (a folder with a SavedModel)."
        )
    if int8 is not None and ending != ".tflite":
        raise ValueError(f"Received int8 for {str(path)!r}. Expected a path that ends in .tflite: only LiteRT has it.")
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"Keras runs on {keras.backend.backend()}. Expected TensorFlow, which writes all formats. Save the model, "
            "and export the file in a program that was started with KERAS_BACKEND=tensorflow."
        )
    if path.is_dir() or (os.path.lexists(path) and not ending):
        raise FileExistsError(f"{str(path)!r} is there already. Choose another name, or move it away.")
    for beside in [_labels_of(path), *([path.with_suffix(".bin")] if ending == ".xml" else [])]:
        if beside.is_dir():
            raise IsADirectoryError(f"{str(beside)!r}, which lies beside the file, is a folder. Choose another name.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(path.parent)!r}. Make it first.")


def _cannot(name: str, error: Exception) -> RuntimeError:
    said = " ".join(str(error).split()) or type(error).__name__
    said = said if len(said) < 300 else f"{said[:120]} … {said[-160:]}"  # the cause often stands last
    return RuntimeError(
        f"This model cannot be written as {name}, or not be read there ({said}). Nothing was written. Choose another "
        "format."
    )


def _pictures(dataset, model: keras.Model) -> Iterator[np.ndarray]:
    """Batches of pictures, float32."""
    for images, _ in dataset:
        check_size(images.shape[1:], model)
        check_values(images, model.inputs[0])
        yield np.asarray(images, "float32")


def _calibration(data: ImageData, model: keras.Model) -> Iterator[np.ndarray]:
    """The first training pictures, in batches."""
    count = CALIBRATION
    for batch in _pictures(data.train, model):
        yield batch[:count]
        count -= len(batch)
        if count <= 0:
            return


def _draw_noise(model: keras.Model) -> np.ndarray:
    """Eight pictures of coloured clouds."""
    small = np.random.default_rng(0).uniform(0, 255, (8, 4, 4, 3)).astype("float32")
    return keras.ops.convert_to_numpy(
        keras.ops.image.resize(small, model.input_shape[1:3], data_format="channels_last")
    )


def _ask(name: str, answer: Answer, model: keras.Model, batches) -> tuple[np.ndarray, np.ndarray]:
    """What the file and the model say about some pictures."""
    given, expected = [], []
    for images in batches:
        expected.append(keras.ops.convert_to_numpy(model.predict_on_batch(images)))
        if not np.isfinite(expected[-1]).all():
            raise ValueError(
                f"{model.name!r} gives {expected[-1][~np.isfinite(expected[-1])][0]} for a picture: its training went "
                "wrong. Train again, at a lower rate."
            )
        try:
            given.append(np.reshape(answer(images), expected[-1].shape))
        except Exception as error:  # each runtime has errors of its own
            raise _cannot(name, error) from error
    return np.concatenate(given), np.concatenate(expected)


@contextlib.contextmanager
def _quiet():
    """Converters tell much of their own work, on stderr and as warnings."""
    with warnings.catch_warnings(), quiet_stderr():
        warnings.simplefilter("ignore")
        yield
