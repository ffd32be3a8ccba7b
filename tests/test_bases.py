"""The table of bases, and what is bundled."""

import inspect

import keras
import numpy as np
import pytest

from kerastl.bases import BASES, BUNDLED_SETS, BUNDLED_WEIGHTS, bundled_folder, find_base, suggest


def test_the_table_has_every_keras_application():
    builders = {name for name, entry in vars(keras.applications).items() if inspect.isfunction(entry)}
    assert len(builders) > 30
    assert builders == set(BASES)


@pytest.mark.parametrize("name", BASES)
def test_every_base_has_its_builder_and_its_own_preprocessing(name):
    base = find_base(name)
    assert base.builder is getattr(keras.applications, name)
    module = getattr(keras.applications, base.family)
    assert getattr(module, name, base.builder) is base.builder  # the family that Keras files it under (V3: none)
    assert base.builder.__module__.rpartition(".")[2] in (base.family, "resnet")
    assert base.preprocess is module.preprocess_input


# One of each family: refusing takes Keras no time, since it happens before anything is built.
@pytest.mark.parametrize(
    "name", [next(n for n in BASES if BASES[n].family == f) for f in {b.family: 0 for b in BASES.values()}]
)
def test_keras_refuses_images_below_the_smallest_size(name):
    base = find_base(name)
    side = base.smallest_image - 1
    with pytest.raises(ValueError, match=r"(?i)input size must be at least|smaller|at least"):
        base.builder(include_top=False, weights=None, input_shape=(side, side, 3))


@pytest.mark.parametrize("name", ["MobileNetV2", "MobileNet", "MobileNetV3Small", "VGG16"])
def test_the_smallest_image_size_is_accepted(name):
    base = find_base(name)
    model = base.builder(include_top=False, weights=None, input_shape=(base.smallest_image,) * 2 + (3,))
    image = np.zeros((1, base.smallest_image, base.smallest_image, 3), "float32")
    assert np.asarray(model(image)).ndim == 4


@pytest.mark.parametrize(
    ("name", "near"),
    [("MobilNetV2", "MobileNetV2"), ("resnet50", "ResNet50"), ("EfficientNet", "EfficientNetB"), ("vgg", "VGG1")],
)
def test_an_unknown_base_is_an_error_with_the_near_names(name, near):
    with pytest.raises(
        ValueError, match=rf"Unknown base: '{name}'\. Expected the name of a Keras.*Did you mean.*{near}"
    ):
        find_base(name)


def test_an_unknown_base_like_no_other_lists_them_all():
    with pytest.raises(ValueError, match=r"There are: ConvNeXtBase, .*Xception\."):
        find_base("qqqqqqq")


def test_suggest_names_at_most_three():
    assert suggest("resnet", BASES).count(" or ") == 2
    assert suggest("b", ["a", "c"]) == "There are: a, c."


def test_bundled_sets_lie_in_the_bundled_folder():
    assert {name for name in BUNDLED_SETS if (bundled_folder() / name / "train").is_dir()} == set(BUNDLED_SETS)


def test_bundled_weights_name_a_base_of_the_table():
    for bundled in BUNDLED_WEIGHTS.values():
        assert bundled.base in BASES
        assert bundled.image_size >= BASES[bundled.base].smallest_image


def test_bundled_weights_lie_in_the_bundled_folder():
    assert [
        bundled.file for bundled in BUNDLED_WEIGHTS.values() if not (bundled_folder() / bundled.file).is_file()
    ] == []
