"""Squash, crop, pad: what becomes of a picture of another shape, and that prediction does what training did."""

import json
import shutil
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image

import kerastl as tl
from kerastl.__main__ import main
from kerastl.data import as_arrays
from kerastl.prediction import read_pixels
from kerastl.reading import read_image
from kerastl.resizing import RESIZES

RED, WHITE, BLUE, BLACK = (255, 0, 0), (255, 255, 255), (0, 0, 255), (0, 0, 0)
WIDE = np.repeat(np.repeat(np.array([[RED, WHITE, WHITE, BLUE]], np.uint8), 20, axis=1), 40, axis=0)  # 40 high, 80 wide


@pytest.fixture
def wide(tmp_path):
    Image.fromarray(WIDE).save(tmp_path / "wide.png")
    return tmp_path / "wide.png"


def at(pixels: np.ndarray, *places) -> list[tuple]:
    return [tuple(pixels[place].tolist()) for place in places]


def test_squash_shows_all_of_it_on_the_whole_area(wide):
    pixels = read_image(wide, (40, 40), "squash")
    assert at(pixels, (0, 0), (20, 20), (39, 39)) == [RED, WHITE, BLUE]


def test_crop_shows_the_middle_in_its_proportions(wide):
    pixels = read_image(wide, (40, 40), "crop")
    assert np.array_equal(pixels, WIDE[:, 20:60])


def test_pad_shows_all_of_it_in_its_proportions_between_black(wide):
    pixels = read_image(wide, (80, 80), "pad")
    assert np.array_equal(pixels[20:60], WIDE)
    assert pixels[:20].max() == pixels[60:].max() == 0


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "CMYK", "I;16"])
def test_a_picture_of_the_wanted_shape_is_the_same_in_every_way(tmp_path, resize, mode):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (128, 1))
    image = Image.fromarray(ramp.astype("uint16") * 257) if mode == "I;16" else Image.fromarray(ramp).convert(mode)
    image.save(tmp_path / "picture.tif")
    assert np.array_equal(
        read_image(tmp_path / "picture.tif", (32, 64), resize), read_image(tmp_path / "picture.tif", (32, 64))
    )


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (1, 1), (7, 5)])
def test_pictures_of_extreme_shapes_are_brought_to_the_size(tmp_path, resize, shape):
    Image.fromarray(np.full((*shape, 3), 200, np.uint8)).save(tmp_path / "line.png")
    pixels = read_image(tmp_path / "line.png", (24, 32), resize)
    assert pixels.shape == (24, 32, 3)
    assert set(np.unique(pixels)) <= ({0, 200} if resize == "pad" else {200})
    assert pixels.max() == 200


@pytest.mark.parametrize(("resize", "theirs"), [("crop", "crop_to_aspect_ratio"), ("pad", "pad_to_aspect_ratio")])
@pytest.mark.parametrize("shape", [(100, 200), (200, 100)])
def test_crop_and_pad_are_those_of_keras(tmp_path, resize, theirs, shape):
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).resize(shape, Image.Resampling.BICUBIC)
    photo.save(tmp_path / "photo.png")
    layer = keras.layers.Resizing(64, 64, antialias=True, **{theirs: True})
    expected = keras.ops.convert_to_numpy(layer(np.asarray(photo, "float32")[None]))[0]
    error = np.abs(read_image(tmp_path / "photo.png", (64, 64), resize) - expected)
    assert np.quantile(error, 0.9) < 4  # they pad first, so that black runs into the edges


def test_a_photo_held_upright_is_cropped_as_it_is_seen(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    Image.fromarray(WIDE).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(np.rot90(WIDE, -1)).save(tmp_path / "upright.png")
    for resize in RESIZES:
        turned, upright = (read_image(tmp_path / f"{name}.png", (20, 40), resize) for name in ("turned", "upright"))
        assert np.array_equal(turned, upright)


def test_a_large_jpeg_that_shrinks_while_it_is_decoded_loses_no_sharpness(tmp_path):
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (30, 90, 3), dtype=np.uint8)).resize((3000, 1000), 3)
    photo.save(tmp_path / "photo.jpg", quality=95)
    photo.save(tmp_path / "photo.png", compress_level=1)
    for resize in RESIZES:
        shrunk, whole = (
            read_image(tmp_path / f"photo.{kind}", (96, 96), resize).astype(int) for kind in ("jpg", "png")
        )
        assert np.abs(shrunk - whole).mean() < 1


# ---- from the data through the model and its file to the prediction


@pytest.fixture(scope="module")
def wide_folder(tmp_path_factory):
    """Two classes that only the edges tell apart: the middle is white in both."""
    folder = tmp_path_factory.mktemp("wide")
    for name, colour in (("blue", BLUE), ("red", RED)):
        (folder / name).mkdir()
        for number in range(6):
            pixels = np.full((40, 80, 3), 250 - number, np.uint8)
            pixels[:, :20] = pixels[:, 60:] = colour
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.parametrize("resize", RESIZES)
def test_prediction_sees_each_file_as_training_saw_it_also_from_a_saved_model(wide_folder, tmp_path, toy, resize):
    data = tl.load_images(wide_folder, image_size=32, resize=resize)
    trained = {image.tobytes() for dataset in data[:3] for image in as_arrays(dataset)[0]}
    toy.resize = data.resize  # as `build_model` does, see below
    loaded = tl.load(tl.save(toy, tmp_path / "model.keras", ["a", "b", "c"])).model
    for model in (toy, loaded):
        assert read_pixels(model, wide_folder / "red/0.png").tobytes() in trained
    as_array = tl.predict(toy, read_image(wide_folder / "red/0.png", (32, 32), resize), class_names=["a", "b", "c"])
    assert tl.predict(tmp_path / "model.keras", wide_folder / "red/0.png") == as_array


def test_models_and_data_made_by_hand_and_older_files_are_squashed(wide_folder, tmp_path):
    photo = wide_folder / "red/0.png"
    ways = {resize: read_image(photo, (32, 32), resize) for resize in RESIZES}
    data = tl.load_images(wide_folder, image_size=32, resize="crop")
    model = tl.build_model("MobileNetV2", data, weights=None, alpha=0.35)
    assert np.array_equal(read_pixels(model, photo), ways["crop"])
    assert np.array_equal(read_pixels(keras.models.clone_model(model), photo), ways["squash"])
    assert tl.ImageData(*data[:3], data.class_names).resize == "squash"
    path = tl.save(model, tmp_path / "model.keras", data.class_names)
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "old.keras", "w") as old:
        for name in set(archive.namelist()) - {"resize.json", "digests.json"}:
            old.writestr(name, archive.read(name))
    assert np.array_equal(read_pixels(tl.load(tmp_path / "old.keras").model, photo), ways["squash"])


@pytest.mark.parametrize("noted", ["stretch", ["crop"], {"a": 1}, None, 3])
def test_a_file_that_says_another_way_is_refused(wide_folder, toy, tmp_path, noted):
    path = tl.save(toy, tmp_path / "model.keras", ["a", "b", "c"])
    changed = tmp_path / "changed.keras"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(changed, "w") as other:
        for name in set(archive.namelist()) - {"digests.json"}:
            other.writestr(name, json.dumps(noted) if name == "resize.json" else archive.read(name))
    with pytest.raises(
        ValueError, match=r"changed\.keras' is damaged\. Received resize=.*Expected one of 'squash', 'cr"
    ):
        tl.load(changed)


def test_another_way_than_the_three_is_an_error(data, wide_folder):
    with pytest.raises(ValueError, match=r"Received resize='stretch'\. Expected one of 'squash', 'crop', 'pad'"):
        tl.load_images(wide_folder, resize="stretch")
    with pytest.raises(ValueError, match="Received resize='stretch'"):
        tl.build_model("MobileNetV2", data._replace(resize="stretch"), weights=None, alpha=0.35)


@pytest.mark.slow
def test_the_model_without_augmentation_resizes_as_the_model_does(wide_folder):
    data = tl.load_images(wide_folder, image_size=32, resize="crop")
    assert tl.without_augmentation(tl.build_model("MobileNetV2", data, weights=None, alpha=0.35)).resize == "crop"


@pytest.mark.slow
def test_the_command_line_trains_and_predicts_alike(wide_folder, tmp_path, capsys):
    folder = shutil.copytree(wide_folder, tmp_path / "pictures")
    options = ["--weights", "none", "--alpha", "0.35", "--image-size", "32", "--epochs", "1", "--resize", "pad"]
    assert main(["train", str(folder), "--out", str(tmp_path / "run"), *options]) == 0
    model = str(tmp_path / "run/model.keras")
    assert tl.load(model).model.resize == "pad"
    assert main(["inspect", model]) == 0
    assert "resize: pad" in capsys.readouterr().out
