"""Save a model with its class names in one file, and load it."""

import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras

# Further members of the .keras archive; Keras leaves them alone (fact 6).
_CLASS_NAMES_FILE = "class_names.json"
_SUMMARY_FILE = "training.json"
_MOST_BYTES = 1_000_000  # of each of them


class SavedModel(NamedTuple):
    """What `load` found in a file."""

    model: keras.Model
    class_names: list[str]


def save(model: keras.Model, path, class_names: Sequence[str], *, summary: dict | None = None) -> Path:
    """Save a model and its class names in one `.keras` file.

    `keras.models.load_model` opens the file, too, without this package. The file appears under its name only when it is
    complete; a file of that name is replaced.

    Args:
        model: as `build_model` returns it, trained.
        path: where to write; must end in `.keras`.
        class_names: in the order of the model's outputs.
        summary: what you want to know later about the training, as JSON can hold it; `load_summary` gives it back.

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
    check_class_names(list(class_names), model)
    unfinished = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
    try:
        model.save(unfinished)
        with zipfile.ZipFile(unfinished, "a") as archive:
            archive.writestr(_CLASS_NAMES_FILE, json.dumps(list(class_names), ensure_ascii=False))
            if summary is not None:
                archive.writestr(_SUMMARY_FILE, json.dumps(summary, ensure_ascii=False))
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
            class_names = _read_json(archive, _CLASS_NAMES_FILE)
    except zipfile.BadZipFile:
        raise ValueError(f"{str(path)!r} is not a .keras file.") from None
    except KeyError:
        raise ValueError(
            f"{str(path)!r} has no class names inside. Save models with `kerastl.save`, or open this one "
            "with `keras.models.load_model`."
        ) from None
    model = keras.models.load_model(path, safe_mode=True)
    check_class_names(class_names, model)
    return SavedModel(model, class_names)


def load_summary(path) -> dict | None:
    """What `save` was given as `summary`; None if nothing was. Raises ValueError when `path` is no `.keras` file."""
    try:
        with zipfile.ZipFile(Path(path).expanduser()) as archive:
            summary = _read_json(archive, _SUMMARY_FILE) if _SUMMARY_FILE in archive.namelist() else None
    except zipfile.BadZipFile:
        raise ValueError(f"{str(path)!r} is not a .keras file.") from None
    return summary if isinstance(summary, dict) else None


def _read_json(archive: zipfile.ZipFile, name: str):
    """A small member of an archive that is not trusted: its size unpacked is looked at before it is unpacked."""
    if archive.getinfo(name).file_size > _MOST_BYTES:
        raise ValueError(f"{name!r} in {archive.filename!r} is larger than {_MOST_BYTES:,} bytes: not one of ours.")
    return json.loads(archive.read(name))


def check_class_names(class_names: list[str], model: keras.Model) -> None:
    """Raise ValueError unless there is one name for each output of the model."""
    outputs = max(model.output_shape[-1], 2)
    if len(class_names) != outputs or not all(isinstance(name, str) for name in class_names):
        raise ValueError(
            f"Received the class names {class_names}. Expected {outputs} strings, one for each output of the "
            "model, as in `data.class_names`."
        )
