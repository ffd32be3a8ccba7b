"""Save a model with its class names in one file, and load it."""

import json
import os
import warnings
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras

from kerastl.backbones import mend_hub
from kerastl.bert import read_tokenizer, write_tokenizer
from kerastl.extras import import_extra
from kerastl.files import written_whole
from kerastl.graph import all_layers, single
from kerastl.inputs import resize_of, takes_texts
from kerastl.private import version
from kerastl.resizing import check_resize
from kerastl.untrusted import (
    CLASS_NAMES,
    CONFIG,
    DIGESTS,
    FLAGS,
    MEMBERS,
    METADATA,
    RESIZE,
    SUMMARY,
    TOKENIZER,
    WEIGHTS,
    check_digests,
    load_checked,
    make_digests,
    read_json,
    read_members,
)
from kerastl.vocabulary import check_config


class SavedModel(NamedTuple):
    """What `load` found in a file."""

    model: keras.Model
    class_names: list[str]


def save(
    model: keras.Model, path: str | os.PathLike, class_names: Sequence[str], *, summary: dict | None = None
) -> Path:
    """Save a model and its class names in one `.keras` file.

    `keras.models.load_model` opens the file, too, without this package (for a model of texts, `import keras_hub` first;
    its vocabulary is in the file, as `tokenizer.json`). How pictures are resized is in it, too, as `resize.json`. The
    file appears under its name only when it is complete; a file of that name is replaced. The optimizer is left out: it
    is as large as the weights, and every training function makes a new one. The model itself stays as it is, compiled
    and with its optimizer.

    Args:
        model: as `build_model` returns it, trained.
        path: where to write; must end in `.keras`.
        class_names: in the order of the model's outputs.
        summary: what you want to know later about the training, as JSON can hold it; `load_summary` gives it back.

    Returns:
        The path.

    Raises:
        TypeError: the arguments in another order.
        ValueError: another ending; the number of names is not the number of outputs.
        FileNotFoundError, IsADirectoryError: the folder is not there; the path is itself a folder.

    Warns:
        UserWarning: the model holds a layer that `load` does not know, such as one of your own.

    Example:
        >>> print(save(model, "flowers.keras", flowers.class_names))
        flowers.keras
    """
    if not isinstance(model, keras.Model) or not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"Received {type(model).__name__} as the model and {type(path).__name__} as the path. Expected "
            "`save(model, path, class_names)`."
        )
    path = Path(path).expanduser()
    if path.suffix != ".keras":
        raise ValueError(f"Received the path {str(path)!r}. Expected one that ends in '.keras'.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(path.parent)!r}. Make it first.")
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder. Choose another name.")
    class_names = check_class_names(class_names, model)
    with written_whole(path) as unfinished:
        bare = keras.Model(single(model.inputs), single(model.outputs), name=model.name)  # no optimizer
        bare.save(unfinished)
        with zipfile.ZipFile(unfinished, "a") as archive:
            archive.writestr(CLASS_NAMES, json.dumps(class_names))
            if summary is not None:
                archive.writestr(SUMMARY, json.dumps(summary))
            if hasattr(model, "preprocessor"):
                archive.writestr(TOKENIZER, json.dumps(write_tokenizer(model)))
            if not takes_texts(model):
                archive.writestr(RESIZE, json.dumps(resize_of(model)))
            archive.writestr(FLAGS, json.dumps([layer.trainable for layer in all_layers(bare)]))
            archive.writestr(DIGESTS, json.dumps(make_digests(archive)))
            config = json.loads(archive.read(CONFIG))
    try:
        check_config(config)
    except ValueError as error:
        warnings.warn(
            f"The model in {str(path)!r} {error}: `kerastl.load` will refuse it. Open it with "
            "`keras.models.load_model`.",
            stacklevel=2,
        )
    return path


def load(path: str | os.PathLike) -> SavedModel:
    """Load a file that `save` wrote, or say in one line what is wrong with it.

    The file may come from anybody. Before Keras reads it, its archive, the names in its config and its weights are
    looked at: it may name only layers that compute (kerastl/vocabulary.py), and hold only numbers. So nothing in it is
    run as code, and no other file is read. (A mistake in the HDF5 library itself could not be seen.)

    Returns:
        `SavedModel(model, class_names)`. What was frozen is still frozen. The model is not compiled.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: it is a folder, no `.keras` file, or damaged; it has no class names inside; it holds something that
            `save` does not write, or layers of somebody's own; another version of Keras wrote it, and this one cannot
            read it.
        ImportError: a model of KerasHub, which is not installed.

    Warns:
        UserWarning: Keras is older than 3.12.4, or one of 3.13.0 to 3.15.0: its own loading has known holes.

    Example:
        >>> load("flowers.keras").class_names
        ['daisy', 'dandelion', 'rose', 'sunflower', 'tulip']
    """
    path = _as_file(path)
    members = read_members(path, *MEMBERS)
    if CLASS_NAMES not in members:
        raise ValueError(
            f"{str(path)!r} has no class names inside. Save models with `kerastl.save`, which puts them there."
        )
    missing = [name for name in (CONFIG, METADATA, WEIGHTS) if name not in members]
    if missing:
        raise ValueError(f"{str(path)!r} has no {' and no '.join(missing)} inside: it is damaged.")
    held = {name: read_json(path, name, members[name]) for name in members.keys() - {WEIGHTS, SUMMARY}}
    if TOKENIZER in held or b"keras_hub" in members[CONFIG]:
        import_extra("keras_hub", "text" if TOKENIZER in held else "hub")  # so that Keras knows its layers
        mend_hub()
    _warn_of_old_keras()
    model = load_checked(path, held[CONFIG], members[WEIGHTS], held[METADATA])
    check_digests(path, members)
    try:
        _set_flags(model, held.get(FLAGS))
        if TOKENIZER in held:
            model.preprocessor = read_tokenizer(held[TOKENIZER], model)
        if RESIZE in held:
            check_resize(held[RESIZE])
            model.resize = held[RESIZE]
        return SavedModel(model, check_class_names(held[CLASS_NAMES], model))
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is damaged. {error}") from None


def _warn_of_old_keras() -> None:
    """Warn where Keras's own loading has known holes: what was looked at before is then the only wall."""
    if not ((3, 12, 4) <= version() < (3, 13) or version() >= (3, 15, 1)):
        warnings.warn(
            f"Keras {keras.__version__} has known holes in how it opens model files. kerastl looks at a file first, "
            "and refuses what could use them. For files of people whom you do not know, take a newer Keras, too: "
            '`pip install "keras>=3.12.4,!=3.13.*,!=3.14.*,!=3.15.0"`.',
            stacklevel=3,
        )


def _set_flags(model: keras.Model, flags) -> None:
    """What is frozen, for each layer at any depth: Keras keeps it only of those that stand in the config."""
    if flags is None:  # an older file
        return
    layers = list(all_layers(model))
    if not (isinstance(flags, list) and len(flags) == len(layers) and all(isinstance(flag, bool) for flag in flags)):
        raise ValueError("What it says of frozen layers does not fit the model.")
    for layer, flag in zip(layers, flags, strict=True):  # a layer comes before those in it, whose flags it sets, too
        layer.trainable = flag


def load_summary(path: str | os.PathLike) -> dict | None:
    """What `save` was given as `summary`; None if nothing was. Raises as `load` does when the file is none of ours."""
    path = _as_file(path)
    members = read_members(path, SUMMARY)
    summary = read_json(path, SUMMARY, members[SUMMARY]) if members else None
    return summary if isinstance(summary, dict) else None


def _as_file(path) -> Path:
    """The path of a model's file. Raises TypeError or ValueError when it can be none."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"Received {type(path).__name__}. Expected the name of a file that `save` wrote.")
    if path == "":
        raise ValueError("Received an empty name. Expected a file that `save` wrote, such as 'model.keras'.")
    path = Path(path).expanduser()
    if path.is_dir():
        inside = sorted(path.glob("*.keras"))
        near = f"Did you mean {str(inside[0])!r}?" if inside else "Expected a file that `save` wrote."
        raise ValueError(f"{str(path)!r} is a folder. {near}")
    return path


def check_class_names(class_names, model: keras.Model) -> list[str]:
    """The class names as a list. Raises ValueError unless there is one for each output of the model."""
    shape = model.output_shape
    if not (isinstance(shape, tuple) and len(shape) == 2 and isinstance(shape[1], int)):
        raise ValueError(f"The model gives {str(shape)[:80]}. Expected (None, classes): a probability for each class.")
    outputs = max(shape[1], 2)
    some = isinstance(class_names, Iterable) and not isinstance(class_names, str | dict)
    names = list(class_names) if some else []
    if len(names) != outputs or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"Received the class names {str(class_names)[:200]}. Expected {outputs} strings, one for each output of "
            "the model, as in `data.class_names`."
        )
    return names
