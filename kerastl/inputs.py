"""What a model takes: pictures, or texts as token ids. The only place where texts become token ids."""

from collections.abc import Sequence

import keras

from kerastl.checks import check_pixels, list_some
from kerastl.resizing import UNKNOWN, check_resize


def takes_texts(model: keras.Model) -> bool:
    """Whether a model takes token ids, (batch, length), and no pictures."""
    return len(model.inputs[0].shape) == 2


def noun_of(model: keras.Model) -> str:
    """What people call what the model takes."""
    return "texts" if takes_texts(model) else "images"


def holds_texts(dataset) -> bool:
    """Whether a dataset gives texts: strings, (batch,)."""
    spec = getattr(dataset, "element_spec", None)
    return isinstance(spec, tuple) and getattr(spec[0], "dtype", None) == "string"


def _rank_of(dataset) -> int | None:
    """How many axes the batches of a dataset have, as far as it is known."""
    spec = getattr(dataset, "element_spec", None)
    return getattr(getattr(spec[0], "shape", None), "rank", None) if isinstance(spec, tuple) else None


def preprocessor_of(model: keras.Model) -> keras.layers.Layer:
    """The layer that makes token ids of texts. Raises ValueError where a model has none."""
    preprocessor = getattr(model, "preprocessor", None)
    if preprocessor is None:
        raise ValueError(
            f"{model.name!r} has no `preprocessor`, so it cannot read texts. Expected a model as `build_model` makes "
            "it for texts, or as `load` gives it. To one made of its layers, hand it on: "
            "`new.preprocessor = model.preprocessor`."
        )
    return preprocessor


def resize_of(model: keras.Model) -> str:
    """How pictures come to the size of a model: what `build_model` or `load` has noted in it as `model.resize`."""
    noted = getattr(model, "resize", UNKNOWN)
    check_resize(noted)
    return noted


def as_model_takes(model: keras.Model) -> dict:
    """The arguments of `load_images` that give pictures as a model takes them."""
    return {"image_size": tuple(model.input_shape[1:3]), "resize": resize_of(model)}


def as_taken(model: keras.Model, dataset):
    """A dataset as the model takes it: texts become token ids, int32 (batch, length); all else stays as it is.

    Raises:
        ValueError: texts for a model of pictures, or pictures for a model of texts.
    """
    texts, images = holds_texts(dataset), _rank_of(dataset) == 4
    if images if takes_texts(model) else texts:
        raise ValueError(
            f"The dataset holds {'texts' if texts else 'images'}, the model takes {noun_of(model)}. Build the model "
            "with these data: `build_model(base, data)`."
        )
    if not texts:
        return dataset
    preprocessor = preprocessor_of(model)
    mapped = dataset.map(lambda texts, labels: (preprocessor(texts)["token_ids"], labels))
    mapped.rows = getattr(dataset, "rows", None)
    return mapped


def check_size(shape, model) -> None:
    """Raise ValueError when images of a shape, (height, width, 3), are not those that a model takes."""
    given, taken = tuple(shape), tuple(model.input_shape[1:])
    if len(given) == len(taken) and all(b in (None, a) for a, b in zip(given, taken, strict=True)):
        return
    if takes_texts(model):
        raise ValueError(
            f"The token ids are {'×'.join(map(str, given))}, the model takes {taken[0]}: one number for each word "
            "piece. Give texts, or build the model with these data."
        )
    size = taken[0] if taken[0] == taken[1] else taken[:2]
    if given[2:] == taken[2:]:
        given, taken = given[:2], taken[:2]
    raise ValueError(
        f"The images are {'×'.join(map(str, given))}, the model takes {'×'.join(map(str, taken))}: load them with "
        f"`image_size={size}`, or build the model with these data."
    )


def check_classes(data, class_names: Sequence[str], given: str) -> None:
    """Raise ValueError when images are not of the classes of a model. `given` is what errors call them."""
    if list(data.class_names) != list(class_names):
        raise ValueError(
            f"{given!r} holds the classes {list_some(data.class_names)}. Expected those of the model, in the same "
            f"order: {list_some(class_names)}."
        )


def check_values(values, model_input) -> None:
    """Raise ValueError when a batch cannot be what a model takes, given its symbolic input.

    Pixels have to be 0–255, token ids 0 or more.
    """
    if len(model_input.shape) == 4:
        check_pixels(values)
    elif keras.ops.convert_to_numpy(values).min(initial=0) < 0:
        raise ValueError("Some token ids are below 0. Expected numbers of pieces in the vocabulary; 0 is padding.")
