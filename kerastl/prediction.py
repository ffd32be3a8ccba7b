"""Name what is in one picture."""

import os
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import keras
import numpy as np

from kerastl.bert import warn_of_long_texts
from kerastl.checks import check_pixels, is_whole
from kerastl.evaluation import both_classes
from kerastl.inputs import preprocessor_of, resize_of, takes_texts
from kerastl.quiet import no_retracing_warnings
from kerastl.reading import read_image
from kerastl.saving import SavedModel, check_class_names, load

AnyModel: TypeAlias = str | os.PathLike | SavedModel | keras.Model
Picture: TypeAlias = str | os.PathLike | np.ndarray
Texts: TypeAlias = str | Sequence[str]


class Prediction(NamedTuple):
    """One class and how probable the model finds it."""

    class_name: str
    probability: float


@no_retracing_warnings()
def predict(
    model: AnyModel, image: Picture | Texts, *, class_names: Sequence[str] | None = None, top: int = 3
) -> list[Prediction] | list[list[Prediction]]:
    """Name what is in one picture, or what a text is about.

    Args:
        model: a file that `save` wrote, what `load` returned, or a model (then give `class_names`).
        image: a file, which is resized as the training images were (`resize` of `load_images`), or an array (height,
            width, 3) with pixels 0–255 in the model's size. For a model of texts: a
            text, or a list of texts.
        class_names: only with a bare model.
        top: how many classes to return, 1 or more.

    Returns:
        A list of `Prediction(class_name, probability)`, the most probable first. For a list of texts, such a list of
        each.

    Raises:
        FileNotFoundError, ValueError: the file or the picture is not there or not readable; an array of another shape;
            an impossible `top`; an empty text.

    Example:
        >>> predict("flowers.keras", "photo.jpg")
        [Prediction(class_name='tulip', probability=0...), ...]
    """
    check_top(top)
    model, class_names = open_model(model, class_names)
    if takes_texts(model):
        texts = [image] if isinstance(image, str) else image
        named = [
            _name(row, class_names, top) for row in both_classes(model.predict(read_texts(model, texts), verbose=0))
        ]
        return named[0] if isinstance(image, str) else named
    return _name(probabilities_of(model, read_pixels(model, image)), class_names, top)


def _name(probabilities: np.ndarray, class_names: list[str], top: int) -> list[Prediction]:
    best = np.argsort(-probabilities, kind="stable")[:top]
    return [Prediction(class_names[number], float(probabilities[number])) for number in best]


def read_texts(model: keras.Model, texts: Sequence[str]) -> np.ndarray:
    """Texts as token ids, int32 (texts, length), as the model takes them. It warns of those that are longer."""
    if not isinstance(texts, Sequence) or not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"Received {str(texts)[:80]!r}. The model takes texts. Expected a string, or a list of them.")
    empty = [number for number, text in enumerate(texts) if not text.strip()]
    if empty:
        raise ValueError(f"Received an empty text (number {empty[0]}, counted from 0). Expected a word, at least.")
    preprocessor = preprocessor_of(model)
    warn_of_long_texts(model, [list(texts)])
    return np.asarray(preprocessor(list(texts))["token_ids"])


def check_top(top) -> None:
    """Raise ValueError unless at least one class is asked for."""
    if not is_whole(top, least=1):
        raise ValueError(f"Received top={top!r}. Expected how many classes to show: a whole number, 1 or more.")


def open_model(model: AnyModel, class_names: Sequence[str] | None = None) -> SavedModel:
    """The model and its class names, from a file that `save` wrote, from what `load` returned, or as they are."""
    if isinstance(model, SavedModel):
        model, class_names = model
    elif not isinstance(model, keras.Model):
        model, class_names = load(model)
    elif class_names is None:
        raise ValueError("Received a bare model. Expected `class_names` with it, or the file that `save` wrote.")
    return SavedModel(model, check_class_names(class_names, model))


def read_pixels(model: keras.Model, image: Picture) -> np.ndarray:
    """A picture as the model takes it, (height, width, 3), 0–255: a file is resized, an array is checked."""
    shape = model.input_shape
    if len(shape) != 4 or shape[3] != 3 or None in shape[1:]:
        raise ValueError(f"The model takes {shape}. Expected (None, height, width, 3): colour pictures of one size.")
    height, width = shape[1:3]
    if isinstance(image, str | os.PathLike):
        return read_image(image, (height, width), resize_of(model))
    pixels = np.asarray(image)
    if pixels.shape != (height, width, 3) or pixels.dtype.kind not in "uif":
        raise ValueError(
            f"Received an array of shape {pixels.shape}, {pixels.dtype}. Expected {(height, width, 3)}, with pixels "
            "from 0 to 255; or give the file of the picture, which is resized."
        )
    check_pixels(pixels)
    return pixels


def probabilities_of(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    """One probability for each class, (classes,) float32, for one picture as `read_pixels` gives it."""
    return both_classes(model.predict_on_batch(pixels[None].astype("float32")))[0]
