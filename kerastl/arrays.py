"""Arrays of images and labels: (images, labels), or {part: (images, labels)}."""

from collections.abc import Mapping, Sequence

import numpy as np

from kerastl.checks import check_pixels
from kerastl.reading import as_pixels
from kerastl.sources import DEFAULT_SIZE, Chain, Listing, find_part_names, number_labels


def list_arrays(parts: Mapping[str, tuple], groups: Sequence | None = None) -> Listing:
    """The pictures of arrays.

    Args:
        parts: {"train": (images, labels), …}: images (n, height, width, 3), or grey, (n, height, width) or (n, height,
            width, 1); 0–255, whole or floating-point numbers; labels (n,), whole numbers or names.
        groups: of each picture, for one part without others.

    Raises:
        ValueError: another shape, pixels that were scaled already, no part "train".
    """
    found = find_part_names(parts, "What you gave")
    if set(found.values()) != set(parts) or "train" not in found:
        raise ValueError(
            f"Received the parts {', '.join(map(repr, parts))}. Expected 'train' and, if you have them, 'validation' "
            "and 'test', each with its (images, labels)."
        )
    pairs = [_as_pair(parts[name], name) for name in found.values()]
    chain = Chain(found, [len(labels) for _, labels in pairs])
    sizes = {images.shape[1:3] for images, _ in pairs}
    if groups is not None and len(groups) != len(chain.names):
        raise ValueError(f"Received {len(groups)} groups. Expected one for each of the {len(chain.names)} images.")

    def read(number: int, size: tuple[int, int], resize: str) -> np.ndarray:
        from PIL import Image

        part, place = chain.find(number)
        pixels = np.asarray(np.rint(np.clip(pairs[part][0][place], 0, 255)), np.uint8)
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=-1)
        return pixels if pixels.shape[:2] == size else as_pixels(Image.fromarray(pixels), size, resize)

    labels, class_names = number_labels(np.concatenate([labels for _, labels in pairs]).tolist(), "What you gave")
    return Listing(
        read,
        labels,
        chain.rows,
        class_names,
        chain.names,
        groups,
        size=sizes.pop() if len(sizes) == 1 else DEFAULT_SIZE,
    )


def _as_pair(pair, part: str) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(f"The part {part!r} is a {type(pair).__name__}. Expected a pair of arrays, (images, labels).")
    if isinstance(pair[1], tuple | list) and getattr(next(iter(pair[1]), None), "ndim", 0) > 2:  # as keras.datasets
        raise ValueError(
            "Received two pairs of arrays, ((images, labels), (images, labels)). Expected "
            '{"train": (images, labels), "test": (images, labels)}.'
        )
    try:
        images, labels = map(np.asarray, pair)
    except ValueError as error:
        raise ValueError(
            f"The part {part!r} holds pictures, or labels, of different shapes. Expected one size for all. Resize "
            "the pictures, or load their files: a table with the columns `file` and `label`."
        ) from error
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if labels.ndim == 2 and labels.shape[1] == 1:  # as Keras gives those of CIFAR
        labels = labels[:, 0]
    known = images.dtype.kind in "uif" and (images.ndim == 3 or (images.ndim == 4 and images.shape[-1] == 3))
    if not known or labels.shape != (len(images),) or not images.size:
        raise ValueError(
            f"The part {part!r} has images {images.dtype} {images.shape} and labels {labels.dtype} {labels.shape}. "
            "Expected images of numbers 0 to 255, (n, height, width, 3), or grey, (n, height, width); and n labels, "
            "(n,), whole numbers or names."
        )
    check_pixels(images)
    return images, labels
