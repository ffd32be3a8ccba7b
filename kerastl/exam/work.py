"""The work that is examined: what a student handed over, and what is read from it, once, when a check first asks."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import keras
import numpy as np

from kerastl.exam.missing import MissingError
from kerastl.exam.pictures import Folder, Part, read_folder, read_part
from kerastl.exam.seal import find_seal
from kerastl.exam.stages import Array, base_layers, read_arrays, read_model

PARTS = ("train", "validation", "test")
STAGES = ("start", "phase 1", "final")


@dataclass
class Work:
    """As `kerastl.course.examine` takes it, nothing checked."""

    folder: object
    parts: object
    class_names: object
    models: object
    histories: object
    test_result: object
    bar: object

    @cached_property
    def datasets(self) -> dict[str, object]:
        """{part: the dataset}; of the test part the one inside its seal."""
        given = _three(self.parts, "parts", PARTS)
        return {part: find_seal(data).dataset if find_seal(data) else data for part, data in given.items()}

    @cached_property
    def read(self) -> dict[str, Part]:
        """{part: one pass over it}"""
        return {part: read_part(dataset, part) for part, dataset in self.datasets.items()}

    @cached_property
    def pictures(self) -> Folder:
        """The pictures of the folder, in the size of those of the training part."""
        return read_folder(self.folder, self.read["train"].images.shape[1:3])

    @cached_property
    def found(self) -> dict:
        """{part: (n,) for each of its pictures the number of the file that shows it}"""
        return {part: self.pictures.find(read.prints) for part, read in self.read.items()}

    @cached_property
    def files(self) -> dict[str, Path]:
        """{stage: the file of the model}"""
        given = _three(self.models, "models", STAGES)
        for stage, file in given.items():
            if not isinstance(file, str | os.PathLike):
                raise MissingError(
                    f"The {stage} model is a {type(file).__name__}: write it with `model.save`, and hand over the "
                    "file's name."
                )
        return {stage: Path(file) for stage, file in given.items()}

    @cached_property
    def saved(self) -> dict[str, keras.Model]:
        """{stage: the model}"""
        return {stage: read_model(file) for stage, file in self.files.items()}

    @cached_property
    def arrays(self) -> dict[str, dict[str, Array]]:
        """{stage: its weight arrays}, the same ones in each stage."""
        arrays = {stage: read_arrays(model) for stage, model in self.saved.items()}
        start = {name: array.value.shape for name, array in arrays["start"].items()}
        missing = base_layers() - {name.split("/")[0] for name in start}
        if missing:
            raise MissingError(
                f"The model in {self.files['start'].name!r} has no {min(missing)!r}, a layer of MobileNetV2: build it "
                "on `keras.applications.MobileNetV2(include_top=False)`."
            )
        for stage in STAGES[1:]:
            if {name: array.value.shape for name, array in arrays[stage].items()} != start:
                raise MissingError(
                    f"{self.files[stage].name!r} holds another network than {self.files['start'].name!r}: save one "
                    "model, before phase 1, after it, and after phase 2."
                )
        return arrays

    def moved(self, before: str, after: str) -> dict[str, float]:
        """{name of each array that differs between two stages: how far it moved, relative to its length before}"""
        old, new = self.arrays[before], self.arrays[after]
        return {
            name: float(np.linalg.norm(new[name].value - array.value) / max(np.linalg.norm(array.value), 1e-12))
            for name, array in old.items()
            if not np.array_equal(array.value, new[name].value)
        }


def _three(given, name: str, keys: tuple[str, ...]) -> dict[str, object]:
    if not isinstance(given, list | tuple) or len(given) != len(keys):
        raise MissingError(f"`{name}` holds something else than three: hand over {name}=({', '.join(keys)}).")
    return dict(zip(keys, given, strict=True))
