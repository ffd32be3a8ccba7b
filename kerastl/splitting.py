"""Set images or texts aside for validation and test, once, each class by itself, and each group whole."""

import hashlib
from collections.abc import Hashable, Sequence
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


def find_units(*keys: Sequence[Hashable]) -> np.ndarray:
    """The number of the unit of each picture: those that share a key, directly or through others, are one unit.

    Args:
        keys: one for each picture, in one or more lists: the digests of the pixels, the groups.
    """
    above = list(range(len(keys[0])))  # for each picture another one of its unit, or itself

    def top(number: int) -> int:
        while above[number] != number:
            above[number] = number = above[above[number]]
        return number

    for one in keys:
        first = {}
        for number, key in enumerate(one):
            above[top(number)] = top(first.setdefault(key, number))
    return np.array([top(number) for number in range(len(above))], np.int64)


def draw_places(names: Sequence[str], seed: int) -> np.ndarray:
    """A place in the order for each name: like chance, but always the same for a name and a seed."""
    hashes = (hashlib.blake2b(f"{seed}/{name}".encode("utf-8", "surrogatepass"), digest_size=8) for name in names)
    return np.frombuffer(b"".join(one.digest() for one in hashes), np.uint64)


def set_parts_aside(
    rows: dict,
    labels: np.ndarray,
    places: np.ndarray,
    units: np.ndarray,
    shares: dict[str, float],
    class_names: list[str],
    noun: str = "images",
) -> None:
    """Add the parts that `rows`, {part: numbers}, lacks, from its training part. Of two parts one is for the test.

    Args:
        rows: changed in place.
        labels: (images,), the class of each.
        places: (images,), where each stands in the order from which the first ones are set aside. A new image then
            moves itself, and at most one other over each border, where no images belong together.
        units: (images,), which belong together (`find_units`).
        shares: {part: how much of each class it should get}.
        class_names, noun: for errors.
    """
    if "test" not in rows and "validation" in rows:
        rows["test"] = rows.pop("validation")
    lacking = [part for part in ("test", "validation") if part not in rows]
    for still, part in zip(range(len(lacking), 0, -1), lacking, strict=True):
        rows["train"], rows[part] = _set_aside(
            rows["train"], labels, places, units, shares[part], still, class_names, noun
        )


def _set_aside(rows, labels, places, units, share, least, class_names, noun) -> tuple[np.ndarray, np.ndarray]:
    """Split some images in two: what stays, of each class at least `least` units, and the share set aside.

    Unit after unit is set aside, in their order, as long as that brings its classes nearer to their shares.
    """
    _, unit = np.unique(units[rows], return_inverse=True)
    first = np.full(unit.max(initial=-1) + 1, np.iinfo(np.uint64).max)  # a unit stands where its first image does
    np.minimum.at(first, unit, places[rows])
    pairs, counts = np.unique(unit * len(class_names) + labels[rows], return_counts=True)
    starts = np.searchsorted(pairs, np.arange(len(first) + 1) * len(class_names)).tolist()
    classes, counts = (pairs % len(class_names)).tolist(), counts.tolist()
    left = np.bincount(classes, minlength=len(class_names)).tolist()  # units of each class
    images = np.bincount(labels[rows], minlength=len(class_names)).tolist()
    missing = [max(1, round(share * count)) for count in images]
    without, taken = set(range(len(class_names))), np.zeros(len(first), bool)

    def held(one: int) -> list[tuple[int, int]]:
        return list(zip(classes[starts[one] : starts[one + 1]], counts[starts[one] : starts[one + 1]], strict=True))

    def can_go(one: int) -> bool:
        return not taken[one] and all(left[label] > least for label, _ in held(one))

    def take(one: int) -> None:
        taken[one] = True
        for label, count in held(one):
            left[label] -= 1
            missing[label] -= count
            without.discard(label)

    order = np.argsort(first, kind="stable").tolist()
    for one in order:
        if sum(abs(missing[label] - count) - abs(missing[label]) for label, count in held(one)) < 0 and can_go(one):
            take(one)
    for label in sorted(without):  # of a class in few large groups
        if label in without:
            able = [one for one in order if label in dict(held(one)) and can_go(one)]
            if not able:
                raise ValueError(
                    f"The class {class_names[label]!r} has too few {noun} to set some aside for validation and test. "
                    f"Add {noun} (at least three a class; a hundred are better). Copies, and what `groups` keeps "
                    "together, count as one."
                )
            take(min(able, key=lambda one: sum(count for _, count in held(one))))
    return rows[~taken[unit]], rows[taken[unit]]
