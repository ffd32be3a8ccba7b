"""One file: the model with its class names; loading, predicting, and wrong input."""

import json
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image

import kerastl as tl
from kerastl.graph import find_base_model

NAMES = ["blue", "green", "red"]


@pytest.fixture
def saved(toy, tmp_path):
    return tl.save(toy, tmp_path / "model.keras", NAMES)


def test_predictions_after_reload_are_exactly_the_same(toy, saved, arrays):
    images = arrays["test"][0].astype("float32")
    before = toy.predict_on_batch(images)
    assert np.array_equal(tl.load(saved).model.predict_on_batch(images), before)
    assert np.ptp(before, axis=0).max() > 0.01


def test_predictions_of_a_trained_mobilenet_after_reload_are_exactly_the_same(
    make_model, settle, data, arrays, tmp_path
):
    model = settle(make_model(), arrays["train"][0])
    tl.train_head(model, data, epochs=1, learning_rate=0.01, verbose=0)
    images = arrays["test"][0].astype("float32")
    path = tl.save(model, tmp_path / "model.keras", NAMES)
    assert np.array_equal(tl.load(path).model.predict_on_batch(images), model.predict_on_batch(images))


def test_every_weight_after_reload_is_bit_identical(toy, saved):
    for before, after in zip(toy.weights, tl.load(saved).model.weights, strict=True):
        assert before.path == after.path
        assert np.array_equal(before, after)


def test_class_names_are_inside_the_file(toy, tmp_path):
    names = ["薔薇", "tulipán", "daisy"]
    assert tl.load(tl.save(toy, tmp_path / "m.keras", names)).class_names == names


def test_keras_alone_opens_the_file(toy, saved, arrays):
    images = arrays["test"][0].astype("float32")
    assert np.array_equal(keras.models.load_model(saved).predict_on_batch(images), toy.predict_on_batch(images))


@pytest.mark.parametrize("layers", [None, 3, 6, 13])
def test_what_was_frozen_is_frozen_after_reload(toy, arrays, tmp_path, differing, layers):
    if layers:
        tl.unfreeze_top(toy, layers)
    loaded = tl.load(tl.save(toy, tmp_path / "m.keras", NAMES)).model
    moved = []
    for model in (toy, loaded):
        before = tl.snapshot(model)
        model.compile(keras.optimizers.SGD(0.5), loss="sparse_categorical_crossentropy")
        model.train_on_batch(*arrays["train"])
        moved.append(differing(before, tl.snapshot(model)))
    assert moved[0] == moved[1]
    assert len(moved[0]) == {None: 2, 3: 3, 6: 4, 13: 6}[layers]


def test_training_goes_on_after_reload(toy, data, tmp_path, differing):
    tl.train_head(toy, data, epochs=1, verbose=0)
    model = tl.load(tl.save(toy, tmp_path / "m.keras", NAMES)).model
    before = tl.snapshot(model)
    tl.unfreeze_top(model, 3)
    tl.fine_tune(model, data, epochs=1, verbose=0)
    assert differing(before, tl.snapshot(model)) == {"conv4/kernel", "classifier/kernel", "classifier/bias"}


def test_a_model_saved_after_both_phases_loads_without_a_warning(toy, data, tmp_path, recwarn):
    tl.train_head(toy, data, epochs=1, verbose=0)
    tl.unfreeze_top(toy, 6)
    tl.fine_tune(toy, data, epochs=1, verbose=0)
    recwarn.clear()
    tl.load(tl.save(toy, tmp_path / "m.keras", NAMES))
    assert [str(warning.message) for warning in recwarn if warning.category is UserWarning] == []


def test_an_older_file_of_that_name_is_replaced_and_nothing_else_is_left(toy, tmp_path):
    (tmp_path / "m.keras").write_text("old")
    tl.save(toy, tmp_path / "m.keras", NAMES)
    assert tl.load(tmp_path / "m.keras").class_names == NAMES
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.keras"]


def test_a_save_that_fails_leaves_the_older_file_alone(toy, tmp_path, monkeypatch):
    tl.save(toy, tmp_path / "m.keras", NAMES)
    content = (tmp_path / "m.keras").read_bytes()

    def break_off(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", break_off)
    with pytest.raises(OSError, match="disk full"):
        tl.save(toy, tmp_path / "m.keras", NAMES)
    assert (tmp_path / "m.keras").read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.keras"]


# ---- predict


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


def test_another_ending_is_an_error(toy, tmp_path):
    with pytest.raises(ValueError, match=r"Received the path '.*m\.h5'\. Expected one that ends in '\.keras'"):
        tl.save(toy, tmp_path / "m.h5", NAMES)


def test_a_folder_that_is_not_there_is_an_error(toy, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no folder '.*nowhere'\. Make it first"):
        tl.save(toy, tmp_path / "nowhere" / "m.keras", NAMES)


@pytest.mark.parametrize("names", [["blue"], [*NAMES, "more"], [1, 2, 3]])
def test_class_names_that_do_not_fit_are_an_error(toy, tmp_path, names):
    with pytest.raises(ValueError, match=r"Received the class names .*\. Expected 3 strings, one for each output"):
        tl.save(toy, tmp_path / "m.keras", names)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*m\.keras'"):
        tl.load(tmp_path / "m.keras")


def test_a_file_that_is_no_keras_file_is_an_error(tmp_path):
    (tmp_path / "m.keras").write_text("text")
    with pytest.raises(ValueError, match=r"m\.keras' is not a \.keras file"):
        tl.load(tmp_path / "m.keras")


def test_a_file_without_class_names_is_an_error(toy, tmp_path):
    toy.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"has no class names inside\. Save models with `kerastl\.save`"):
        tl.load(tmp_path / "m.keras")


def test_a_file_with_too_few_class_names_is_an_error(toy, tmp_path):
    toy.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras", "a") as archive:
        archive.writestr("class_names.json", json.dumps(["blue"]))
    with pytest.raises(ValueError, match=r"Received the class names \['blue'\]\. Expected 3 strings"):
        tl.load(tmp_path / "m.keras")


def test_a_file_with_code_inside_is_refused(toy, tmp_path):
    image = keras.Input((32, 32, 3))
    x = keras.layers.Lambda(lambda pixels: pixels / 255)(image)
    x = keras.layers.GlobalAveragePooling2D()(find_base_model(toy)(x))
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax")(x))
    with pytest.raises(ValueError, match=r"(?i)lambda"):
        tl.load(tl.save(model, tmp_path / "m.keras", NAMES))


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
