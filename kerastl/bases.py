"""One table of every Keras Application: its builder, sizes and preprocessing; and what is bundled with the package."""

import difflib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple


class Base(NamedTuple):
    """What has to be known of one architecture, beyond what Keras knows itself."""

    name: str  # the builder in keras.applications
    family: str  # the module of keras.applications that holds preprocess_input
    image_size: int  # pixels on a side that the ImageNet weights were trained on
    smallest_image: int  # fewest pixels on a side that the architecture accepts

    @property
    def builder(self) -> Callable:
        """The function of Keras that builds the network."""
        import keras

        return getattr(keras.applications, self.name)

    @property
    def preprocess(self) -> Callable:
        """Keras's own map from pixels 0–255 to what this base was trained on (fact 4 in tests/test_traps.py)."""
        import keras

        return getattr(keras.applications, self.family).preprocess_input


# family: (smallest image, {name: native image size}), from the docstrings of keras.applications
_FAMILIES = {
    "convnext": (
        32,
        dict.fromkeys(("ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge"), 224),
    ),
    "densenet": (32, dict.fromkeys(("DenseNet121", "DenseNet169", "DenseNet201"), 224)),
    "efficientnet": (
        32,
        {
            "EfficientNetB0": 224,
            "EfficientNetB1": 240,
            "EfficientNetB2": 260,
            "EfficientNetB3": 300,
            "EfficientNetB4": 380,
            "EfficientNetB5": 456,
            "EfficientNetB6": 528,
            "EfficientNetB7": 600,
        },
    ),
    "efficientnet_v2": (
        32,
        {
            "EfficientNetV2B0": 224,
            "EfficientNetV2B1": 240,
            "EfficientNetV2B2": 260,
            "EfficientNetV2B3": 300,
            "EfficientNetV2S": 384,
            "EfficientNetV2M": 480,
            "EfficientNetV2L": 480,
        },
    ),
    "inception_resnet_v2": (75, {"InceptionResNetV2": 299}),
    "inception_v3": (75, {"InceptionV3": 299}),
    "mobilenet": (32, {"MobileNet": 224}),
    "mobilenet_v2": (32, {"MobileNetV2": 224}),
    "mobilenet_v3": (32, {"MobileNetV3Small": 224, "MobileNetV3Large": 224}),
    "nasnet": (32, {"NASNetMobile": 224, "NASNetLarge": 331}),
    "resnet": (32, {"ResNet50": 224, "ResNet101": 224, "ResNet152": 224}),
    "resnet_v2": (32, {"ResNet50V2": 224, "ResNet101V2": 224, "ResNet152V2": 224}),
    "vgg16": (32, {"VGG16": 224}),
    "vgg19": (32, {"VGG19": 224}),
    "xception": (71, {"Xception": 299}),
}

BASES: dict[str, Base] = {
    name: Base(name, family, image_size, smallest_image)
    for family, (smallest_image, names) in _FAMILIES.items()
    for name, image_size in names.items()
}
# Of the small ones those that read 50 pictures or more in a second of one core: docs/bases.md
SMALL_BASES = ("MobileNetV3Small", "MobileNetV3Large", "MobileNetV2", "EfficientNetV2B0", "EfficientNetB0")


class BundledWeights(NamedTuple):
    """Weights that come with the package, and the only base that they fit."""

    base: str
    builder_arguments: dict
    image_size: int  # pixels on a side that they were trained on
    file: str  # below the folder of bundled data


BUNDLED_SETS = {
    "drawn_flowers": 96,
    "drawn_butterflies": 96,
    "drawn_species": 96,
}  # name of the folder of bundled data: image size
BUNDLED_WEIGHTS = {
    "garden": BundledWeights("MobileNetV2", {"alpha": 0.35}, 96, "garden/mobilenetv2_0.35_96.weights.h5"),
}


def find_base(name: str) -> Base:
    """The entry of the table for a base. Raises ValueError with the near names when there is none."""
    if not isinstance(name, str):
        raise TypeError(
            f'Received {type(name).__name__} as the base. Expected its name first: `build_model("MobileNet", data)`.'
        )
    if name not in BASES:
        near = "It may be one for texts: see `load_texts`." if "bert" in name.lower() else suggest(name, BASES)
        raise ValueError(f"Unknown base: {name!r}. Expected the name of a Keras Application. {near}")
    return BASES[name]


def bundled_folder() -> Path:
    """The folder of the bundled data: inside an installed package, or beside the package in a clone."""
    package = Path(__file__).parent
    installed = package / "bundled"
    return installed if installed.is_dir() else package.parent / "data"


def folder_of(source: str | os.PathLike) -> Path:
    """The folder that a source names: itself, or that of a bundled set where there is none of its name."""
    folder, name = Path(source).expanduser(), os.fspath(source)
    return bundled_folder() / name if name in BUNDLED_SETS and not folder.is_dir() else folder


def suggest(name: str, known: Iterable[str]) -> str:
    """A sentence that names what the user may have meant, or everything there is."""
    known = sorted(known)
    lower = {entry.lower(): entry for entry in known}
    near = [lower[match] for match in difflib.get_close_matches(str(name).lower(), lower, n=3, cutoff=0.5)]
    return f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(known)}."
