"""Save a model with its class names in one file, load it, and predict from it."""

import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from kerastl.data import check_pixels
from kerastl.quiet import no_retracing_warnings
from kerastl.sources import read_image

_CLASS_NAMES_FILE = "class_names.json"  # a further member of the .keras archive; Keras leaves it alone (fact 6)


class SavedModel(NamedTuple):
    """What `load` found in a file."""

    model: keras.Model
    class_names: list[str]


class Prediction(NamedTuple):
    """One class and how probable the model finds it."""

    class_name: str
    probability: float


def save(model: keras.Model, path, class_names: Sequence[str]) -> Path:
    """Save a model and its class names in one `.keras` file.

    `keras.models.load_model` opens the file, too, without this package. The file appears under its name only when it is
    complete; a file of that name is replaced.

    Args:
        model: as `build_model` returns it, trained.
        path: where to write; must end in `.keras`.
        class_names: in the order of the model's outputs.

    Returns:
        The path.

    Raises:
        ValueError: another ending; as many names as outputs were expected.
        FileNotFoundError: the folder is not there.
    """
    path = Path(path).expanduser()
    if path.suffix != ".keras":
        raise ValueError(f"Received the path {str(path)!r}. Expected one that ends in '.keras'.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(path.parent)!r}. Make it first.")
    _check_class_names(list(class_names), model)
    unfinished = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
    try:
        model.save(unfinished)
        with zipfile.ZipFile(unfinished, "a") as archive:
            archive.writestr(_CLASS_NAMES_FILE, json.dumps(list(class_names), ensure_ascii=False))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def load(path) -> SavedModel:
    """Load a file that `save` wrote, in Keras's safe mode: nothing in it is run as code.

    Returns:
        `SavedModel(model, class_names)`. What was frozen is still frozen.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: it is no `.keras` file, or has no class names inside.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    try:
        with zipfile.ZipFile(path) as archive:
            class_names = json.loads(archive.read(_CLASS_NAMES_FILE))
    except zipfile.BadZipFile:
        raise ValueError(f"{str(path)!r} is not a .keras file.") from None
    except KeyError:
        raise ValueError(
            f"{str(path)!r} has no class names inside. Save models with `kerastl.save`, or open this one "
            "with `keras.models.load_model`."
        ) from None
    model = keras.models.load_model(path, safe_mode=True)
    _check_class_names(class_names, model)
    return SavedModel(model, class_names)


@no_retracing_warnings()
def predict(model, image, *, class_names: Sequence[str] | None = None, top: int = 3) -> list[Prediction]:
    """Name what is in one picture.

    Args:
        model: a file that `save` wrote, what `load` returned, or a model (then give `class_names`).
        image: a file, or an array (height, width, 3) with pixels 0–255 in the model's size.
        class_names: only with a bare model.
        top: how many classes to return.

    Returns:
        A list of `Prediction(class_name, probability)`, the most probable first.

    Raises:
        FileNotFoundError, ValueError: the file or the picture is not there or not readable; an array of another shape.

    Example:
        >>> predict("flowers.keras", "photo.jpg")
        [Prediction(class_name='tulip', probability=0.97), …]
    """
    if isinstance(model, SavedModel):
        model, class_names = model
    elif not isinstance(model, keras.Model):
        model, class_names = load(model)
    elif class_names is None:
        raise ValueError("Received a bare model. Expected `class_names` with it, or the file that `save` wrote.")
    _check_class_names(list(class_names), model)
    height, width = model.input_shape[1:3]
    pixels = image if isinstance(image, np.ndarray) else read_image(image, (height, width))
    check_pixels(pixels)
    if pixels.shape != (height, width, 3):
        raise ValueError(f"Received an array of shape {pixels.shape}. Expected {(height, width, 3)}.")
    probabilities = model.predict_on_batch(pixels[None].astype("float32"))[0]
    if len(probabilities) == 1:
        probabilities = np.array([1 - probabilities[0], probabilities[0]])
    best = np.argsort(-probabilities, kind="stable")[: max(top, 1)]
    return [Prediction(class_names[number], float(probabilities[number])) for number in best]


def _check_class_names(class_names: list[str], model: keras.Model) -> None:
    outputs = max(model.output_shape[-1], 2)
    if len(class_names) != outputs or not all(isinstance(name, str) for name in class_names):
        raise ValueError(
            f"Received the class names {class_names}. Expected {outputs} strings, one for each output of the "
            "model, as in `data.class_names`."
        )
