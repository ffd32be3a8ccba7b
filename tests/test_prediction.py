"""Naming what is in one picture, and wrong input."""

import keras
import numpy as np
import pytest
from PIL import Image

import kerastl as tl

NAMES = ["blue", "green", "red"]


@pytest.fixture
def saved(toy, tmp_path):
    return tl.save(toy, tmp_path / "model.keras", NAMES)


def test_predict_names_the_most_probable_classes_first(toy, saved, arrays):
    image = arrays["test"][0][0]
    said = tl.predict(saved, image)
    probabilities = toy.predict_on_batch(image[None].astype("float32"))[0]
    assert [guess.class_name for guess in said] == [NAMES[number] for number in np.argsort(-probabilities)]
    assert [guess.probability for guess in said] == sorted(map(float, probabilities), reverse=True)


def test_predict_gives_the_same_from_a_file_a_loaded_and_a_bare_model(toy, saved, arrays):
    image = arrays["test"][0][0]
    expected = tl.predict(saved, image)
    assert tl.predict(str(saved), image) == expected
    assert tl.predict(tl.load(saved), image) == expected
    assert tl.predict(toy, image, class_names=NAMES) == expected


def test_predict_resizes_a_file_and_turns_it_as_the_camera_was_held(toy, arrays, tmp_path):
    image = arrays["test"][0][0]
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(image[::-1, ::-1]).save(tmp_path / "turned.png", exif=exif)
    assert tl.predict(toy, tmp_path / "turned.png", class_names=NAMES) == tl.predict(toy, image, class_names=NAMES)
    Image.fromarray(image).resize((100, 70)).save(tmp_path / "large.jpg")
    assert len(tl.predict(toy, str(tmp_path / "large.jpg"), class_names=NAMES)) == 3


def test_predict_returns_as_many_as_asked(toy, arrays):
    image = arrays["test"][0][0]
    assert len(tl.predict(toy, image, class_names=NAMES, top=1)) == 1
    assert len(tl.predict(toy, image, class_names=NAMES, top=9)) == 3


def test_predict_with_one_output_names_both_classes(make_toy, arrays):
    said = tl.predict(make_toy(classes=1), arrays["test"][0][0], class_names=["no", "yes"])
    assert {guess.class_name for guess in said} == {"no", "yes"}
    assert sum(guess.probability for guess in said) == pytest.approx(1)


# ---- wrong input


def test_a_string_is_no_list_of_names(toy, arrays):
    with pytest.raises(ValueError, match=r"Received the class names abc\. Expected 3 strings"):
        tl.predict(toy, arrays["test"][0][0], class_names="abc")


def test_a_bare_model_without_class_names_is_an_error(toy, arrays):
    with pytest.raises(ValueError, match=r"Received a bare model\. Expected `class_names` with it"):
        tl.predict(toy, arrays["test"][0][0])


@pytest.mark.parametrize("shape", [(16, 32, 3), (32, 32), (32, 32, 4), (1, 32, 32, 3)])
def test_an_array_of_another_shape_is_an_error(toy, shape):
    with pytest.raises(ValueError, match=r"Received an array of shape .*\. Expected \(32, 32, 3\)"):
        tl.predict(toy, np.zeros(shape, np.uint8), class_names=NAMES)


def test_an_array_that_was_scaled_already_is_an_error(toy, arrays):
    with pytest.raises(ValueError, match="Expected 0 to 255"):
        tl.predict(toy, (arrays["test"][0][0] / 255).astype("float32"), class_names=NAMES)


def test_a_picture_that_cannot_be_read_is_an_error(toy, tmp_path):
    (tmp_path / "text.jpg").write_text("text")
    with pytest.raises(ValueError, match=r"Cannot read '.*text\.jpg' as an image"):
        tl.predict(toy, tmp_path / "text.jpg", class_names=NAMES)
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*nowhere\.jpg'"):
        tl.predict(toy, tmp_path / "nowhere.jpg", class_names=NAMES)


@pytest.mark.parametrize("image", [np.full((32, 32, 3), "a"), np.zeros((32, 32, 3), bool), None])
def test_what_is_no_picture_is_an_error(toy, image):
    with pytest.raises(ValueError, match="with pixels from 0 to 255; or give the file of the picture"):
        tl.predict(toy, image, class_names=NAMES)


@pytest.mark.parametrize("shape", [(32, 32, 1), (None, None, 3)])
def test_a_model_of_other_pictures_is_an_error_that_blames_no_picture(shape, tmp_path):
    image = keras.Input(shape)
    features = keras.layers.GlobalAveragePooling2D()(image)
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax")(features))
    Image.new("RGB", (32, 32)).save(tmp_path / "good.png")
    with pytest.raises(ValueError, match=r"The model takes .*\. Expected \(None, height, width, 3\)"):
        tl.predict(model, tmp_path / "good.png", class_names=NAMES)
