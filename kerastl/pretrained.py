"""A Keras Application without its top, with the weights that are asked for."""

import inspect
import os
import warnings
from numbers import Real
from pathlib import Path

import keras

from kerastl.bases import BUNDLED_WEIGHTS, Base, bundled_folder

_OURS = {  # arguments of the builders that are decided here, or play no role without the top
    *("include_top", "weights", "input_tensor", "input_shape", "pooling", "classes", "classifier_activation"),
}


def check_base(entry: Base, image_size: tuple[int, int], weights, builder_arguments: dict) -> None:
    """Raise what `build_model` raises of a base that cannot be built so: no picture is needed to find it."""
    if min(image_size) < entry.smallest_image:
        raise ValueError(
            f"The images are {image_size[0]}×{image_size[1]} pixels. {entry.name} needs at least "
            f"{entry.smallest_image}×{entry.smallest_image}: load them with a larger `image_size`."
        )
    taken = taken_arguments(entry)
    for name, value in builder_arguments.items():
        if name not in taken:
            raise TypeError(f"Received {name}={value!r}. {entry.name} takes no {name}; it takes: {', '.join(taken)}.")
    alpha = builder_arguments.get("alpha", 1)
    if not isinstance(alpha, Real) or not alpha > 0:
        raise ValueError(f"Received alpha={alpha!r}. Expected a width above 0, such as 0.35; 1 is the usual one.")
    if weights in BUNDLED_WEIGHTS and not _fits(entry, weights, builder_arguments):
        bundled = BUNDLED_WEIGHTS[weights]
        arguments = "".join(f", {key}={value}" for key, value in bundled.builder_arguments.items())
        raise ValueError(
            f"The weights {weights!r} belong to {bundled.base}{arguments}. Received {entry.name} with "
            f"{builder_arguments or 'no arguments'}."
        )
    file = _file_of(weights)
    if file and not file.is_file():
        raise FileNotFoundError(
            f"There is no file of weights {str(file)!r}. Expected 'imagenet', {', '.join(map(repr, BUNDLED_WEIGHTS))}, "
            "None, or a file."
        )
    if file and file.suffix == ".keras":
        raise ValueError(
            f"{str(file)!r} is a whole model, not the weights of a base. Expected a file that ends in .weights.h5 or "
            ".h5."
        )


def taken_arguments(entry: Base) -> list[str]:
    """What else the builder of a base takes, such as `alpha`."""
    return [name for name in inspect.signature(entry.builder).parameters if name not in _OURS]


def _fits(entry: Base, bundled_weights: str, builder_arguments: dict) -> bool:
    bundled = BUNDLED_WEIGHTS[bundled_weights]
    wanted = {**bundled.builder_arguments, **builder_arguments}
    return entry.name == bundled.base and wanted == bundled.builder_arguments


def _file_of(weights) -> Path | None:
    if weights in (None, "imagenet"):
        return None
    if weights in BUNDLED_WEIGHTS:
        return bundled_folder() / BUNDLED_WEIGHTS[weights].file
    return Path(weights).expanduser()


def build_base(entry: Base, image_shape: tuple[int, int, int], weights, builder_arguments: dict) -> tuple:
    """A Keras Application without its top, and what makes its input of pixels. Args, errors: as for `build_model`."""
    check_base(entry, image_shape[:2], weights, builder_arguments)
    file = _file_of(weights)
    if weights in BUNDLED_WEIGHTS:
        builder_arguments = BUNDLED_WEIGHTS[weights].builder_arguments
    if file:
        weights = None
    try:
        model = entry.builder(include_top=False, weights=weights, input_shape=image_shape, **builder_arguments)
    except (TypeError, ValueError):
        raise
    except Exception as error:
        if weights is None:
            raise
        bundled = [name for name in BUNDLED_WEIGHTS if _fits(entry, name, builder_arguments)]
        raise ConnectionError(
            f"Keras could not download the ImageNet weights of {entry.name}. It said: {error}. Check the connection; "
            f"copy the file from another machine to {Path(os.environ.get('KERAS_HOME') or '~/.keras', 'models')}; or "
            "give a file."
            + "".join(f' Or use weights="{name}" (--weights {name}), which is bundled.' for name in bundled)
        ) from error
    if file:
        _load_weights(model, file, "alpha" in taken_arguments(entry))
    return model, entry.preprocess


def _load_weights(model: keras.Model, file: Path, has_widths: bool) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # of weights that the file lacks Keras only warns
            model.load_weights(file)
    except (ValueError, KeyError, OSError, UserWarning) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"The weights in {str(file)!r} do not fit {model.name!r} without its top: {said}. Expected a file that the "
            "base's `save_weights` wrote, or Keras's own." + " Is the base of another width? See `alpha`." * has_widths
        ) from error
