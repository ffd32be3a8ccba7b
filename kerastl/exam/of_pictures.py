"""The checks of the pictures: the parts, the names of their classes, leaks, and the pixels that the base gets."""

from collections import Counter

import keras
import numpy as np

from kerastl.exam.missing import MissingError, in_short
from kerastl.exam.pictures import read_part
from kerastl.exam.stages import what_base_gets
from kerastl.exam.work import PARTS, Work

FEWEST = 5  # pictures of each class in each part
USED = 0.9  # of the different pictures in the folder are in some part, or more
OFF = 0.1  # how far pixels between -1 and 1 may be from the right ones, on average: another way to resize does that
FLATTER = 0.3  # and the share by which their contrast may differ: nearly white pictures are near whatever their scale


def check_parts(work: Work) -> str:
    """Each part shows pictures of the folder, of all classes, and together they use it."""
    for part, found in work.found.items():
        if (found < 0).any():
            raise MissingError(
                f"{(found < 0).sum()} of {len(found)} pictures of the {part} part are not in the folder: hand over the "
                "datasets as `image_dataset_from_directory` makes them, without augmentation or cropping."
            )
        for name, count in zip(work.pictures.class_names, _count_different(work, part), strict=True):
            if count < FEWEST:
                raise MissingError(
                    f"In the {part} part {count} pictures of {name!r} differ, and {FEWEST} are needed: split the "
                    "pictures of each class by the same shares."
                )
    for part in ("validation", "test"):
        again = len(work.found[part]) - len({*work.found[part]})
        if again:
            raise MissingError(
                f"The {part} part shows {again} pictures again that it has shown before, and what is measured would "
                "count them twice: keep one of each."
            )
    used, there = sum(len({*found}) for found in work.found.values()), len({*work.pictures.first})
    if used < USED * there:
        raise MissingError(
            f"Only {used} of the {there} different pictures of the folder are in a part: leave out doubles and nothing "
            "else."
        )
    return ", ".join(f"{len(work.found[part])} pictures for {part}" for part in PARTS)


def check_classes(work: Work) -> str:
    """The names of the classes are in the order of the labels."""
    names, known = work.class_names, work.pictures.class_names
    if not isinstance(names, list | tuple) or sorted(map(str, names)) != known:
        said = ", ".join(map(str, names))[:80] if isinstance(names, list | tuple) else f"a {type(names).__name__}"
        raise MissingError(
            f"`class_names` is {said or 'empty'}: hand over a list with the names of the folders, {', '.join(known)}."
        )
    for part, found in work.found.items():
        for picture, label in zip(found, work.read[part].labels, strict=True):
            said = names[label] if 0 <= label < len(names) else "no class"
            classes = {known[number] for number in work.pictures.classes_of(picture)}
            if said not in classes:
                raise MissingError(
                    f"In the {part} part label {label} stands for a {min(classes)}, and in `class_names` for {said!r}: "
                    "keep the order that `image_dataset_from_directory` gave, the same in all parts."
                )
    return ", ".join(names)


def check_leaks(work: Work) -> str:
    """No picture is in two parts, in no pass."""
    for part, found in work.found.items():
        again = work.pictures.find(read_part(work.datasets[part], part).prints)
        if Counter(again) != Counter(found):
            raise MissingError(
                f"The {part} part gives other pictures in its second pass than in its first: split the files once, "
                "before anything is shuffled, and not with `shuffle`, `take` and `skip`."
            )
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        both = np.intersect1d(work.found[one], work.found[other])
        if len(both):
            files = [
                file for file, first in zip(work.pictures.files, work.pictures.first, strict=True) if first == both[0]
            ]
            shown = " and ".join(f"{file.parent.name}/{file.name}" for file in files[:2])
            raise MissingError(
                f"{len(both)} of the pictures in {one} are in {other}, too, such as {shown}: since files can differ "
                "and show the same, look at both, put such pictures into one part or keep one of them, and then split."
            )
    return "no picture is in two parts"


def check_pixels(work: Work) -> str:
    """What reaches the first layer of the base is what `preprocess_input` makes of the pictures."""
    for part, read in work.read.items():
        raw = work.pictures.images[work.found[part][: len(read.images)]]
        try:
            got = what_base_gets(work.saved["final"], read.images)
        except MissingError:
            raise
        except Exception as error:
            raise MissingError(
                f"{work.files['final'].name!r} cannot look at the pictures of the {part} part, so hand over the "
                f"datasets that you gave to `fit` ({in_short(error)})."
            ) from error
        wanted = keras.applications.mobilenet_v2.preprocess_input(np.array(raw))
        wanted = np.array(keras.ops.image.resize(wanted, got.shape[1:3]))
        off = np.abs(got - wanted).mean()
        contrast = got.std() / max(wanted.std(), 1e-6)
        if not (off <= OFF and abs(contrast - 1) <= FLATTER):
            raise MissingError(
                f"From the {part} part the base gets pixels from {got.min():.3g} to {got.max():.3g}, off by {off:.2g} "
                "on average from what MobileNetV2 wants (-1 to 1): scale exactly once, with `preprocess_input` or "
                "`Rescaling(1 / 127.5, offset=-1)`, in the model or in every dataset."
            )
    return "-1 to 1, as MobileNetV2 wants them"


def _count_different(work: Work, part: str) -> np.ndarray:
    """How many pictures of each class a part has, doubles not counted."""
    return np.bincount(work.pictures.labels[np.unique(work.found[part])], minlength=len(work.pictures.class_names))
