"""Sets of Hugging Face's `datasets`, as they are in memory: a Dataset, or a DatasetDict with its splits."""

from collections.abc import Mapping

import numpy as np

from kerastl.colours import RefusedError
from kerastl.reading import UnreadableError, as_pixels
from kerastl.sources import Chain, Listing, find_part_names


def is_hugging_face(source) -> bool:
    """Whether something looks like a Dataset or a DatasetDict."""
    sets = list(source.values()) if isinstance(source, Mapping) else [source]
    return bool(sets) and all(hasattr(one, "features") and hasattr(one, "column_names") for one in sets)


def list_hugging_face(source, groups: str | None = None) -> Listing:
    """The pictures of a Dataset with a column of images and one of class labels, or of such splits.

    Args:
        source: a `datasets.Dataset`, or a `DatasetDict`; its splits are known by their names.
        groups: a column; the pictures with one value there are one group.

    Raises:
        ValueError: no such columns, or more than one of a kind; no split "train"; a set without a length.
    """
    splits = dict(source) if isinstance(source, Mapping) else {"train": source}
    names = find_part_names(splits, "The set")
    if "train" not in names:
        raise ValueError(f"The set has no part named 'train'; it has {list(splits)}. Load one of them: `source[name]`.")
    first = splits[names["train"]]
    image, label = (_find_column(first, kind) for kind in ("Image", "ClassLabel"))
    sets = [splits[name] for name in names.values()]
    if not all(hasattr(one, "__len__") for one in sets):
        raise ValueError("The set is a stream. Expected one with a length: load it with `streaming=False`.")
    if groups is not None and groups not in first.column_names:
        raise ValueError(f"Received groups={groups!r}. Expected a column: {', '.join(first.column_names)}.")
    chain = Chain(names, [len(one) for one in sets])

    def read(number: int, size: tuple[int, int], resize: str) -> np.ndarray:
        part, place = chain.find(number)
        try:
            return as_pixels(sets[part][place][image], size, resize)
        except RefusedError as error:
            reason, expected = error.reason, error.expected
        except Exception as error:  # `datasets` raises whatever Pillow and its own readers do
            reason, expected = str(error) or type(error).__name__, "a whole picture in each row"
        raise UnreadableError(f"row {place} of {list(names.values())[part]}", reason, expected)

    return Listing(
        read,
        np.concatenate([np.asarray(one[label], np.int64) for one in sets]),
        chain.rows,
        list(first.features[label].names),
        chain.names,
        None if groups is None else [group for one in sets for group in one[groups]],
    )


def _find_column(dataset, kind: str) -> str:
    found = [name for name, feature in dataset.features.items() if type(feature).__name__ == kind]
    if len(found) != 1:
        advice = ' Of names: `source = source.class_encode_column("label")`.' if kind == "ClassLabel" else ""
        raise ValueError(
            f"The set has {len(found)} columns of the kind {kind}; its columns are {', '.join(dataset.column_names)}. "
            f"Expected one Image and one ClassLabel.{advice} Take others out: `source.remove_columns(names)`."
        )
    return found[0]
