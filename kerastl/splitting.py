"""Set images or texts aside for validation and test, once, each class by itself."""

from numbers import Real

import numpy as np

from kerastl.checks import check_seed, is_whole


def check_splitting(batch_size, validation_split, test_split, seed) -> None:
    """Raise ValueError when one of the arguments that the loading functions share cannot be meant."""
    if not is_whole(batch_size, least=1):
        raise ValueError(f"Received batch_size={batch_size!r}. Expected a whole number, 1 or more.")
    check_seed(seed)
    shares = isinstance(validation_split, Real) and isinstance(test_split, Real)
    if not (shares and 0 < validation_split < 1 and 0 < test_split < 1 and validation_split + test_split < 1):
        raise ValueError(
            f"Received validation_split={validation_split!r} and test_split={test_split!r}. Expected two shares "
            "above 0 that leave something for training, such as 0.1 and 0.2."
        )


def set_aside(rows, labels, share: float, seed: int, class_names, noun: str) -> tuple[np.ndarray, np.ndarray]:
    """Split the numbers of some images in two, each class by itself: what stays, and the share set aside."""
    rng = np.random.default_rng(seed)
    aside = np.zeros(len(rows), bool)
    for label, name in enumerate(class_names):
        places = rng.permutation(np.flatnonzero(labels[rows] == label))
        count = max(1, round(share * len(places)))
        if len(places) - count < 1:
            raise ValueError(
                f"The class {name!r} has too few {noun} to set some aside for validation and test. Add {noun} (at "
                "least three a class; a hundred are better)."
            )
        aside[places[:count]] = True
    return rows[~aside], rows[aside]


def set_parts_aside(
    rows: dict, labels, validation_split, test_split, seed: int, class_names: list[str], noun: str = "images"
) -> None:
    """Add the parts that `rows`, {part: numbers}, lacks, from its training part. Of two parts one is for the test."""
    if "test" not in rows and "validation" in rows:
        rows["test"] = rows.pop("validation")
    for part, share in (("test", test_split), ("validation", validation_split)):
        if part not in rows:
            rows["train"], rows[part] = set_aside(rows["train"], labels, share, seed, class_names, noun)
