"""One file: the model with its class names; loading, and wrong input."""

import json
import re
import zipfile

import keras
import numpy as np
import pytest

import kerastl as tl
from kerastl.graph import find_base_model
from kerastl.saving import load_summary

NAMES = ["blue", "green", "red"]


@pytest.fixture
def saved(toy, tmp_path):
    return tl.save(toy, tmp_path / "model.keras", NAMES)


def test_predictions_after_reload_are_exactly_the_same(toy, saved, arrays):
    images = arrays["test"][0].astype("float32")
    before = toy.predict_on_batch(images)
    assert np.array_equal(tl.load(saved).model.predict_on_batch(images), before)
    assert np.ptp(before, axis=0).max() > 0.01


@pytest.mark.slow
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


@pytest.mark.slow
def test_training_goes_on_after_reload(toy, data, tmp_path, differing):
    tl.train_head(toy, data, epochs=1, verbose=0)
    model = tl.load(tl.save(toy, tmp_path / "m.keras", NAMES)).model
    before = tl.snapshot(model)
    tl.unfreeze_top(model, 3)
    tl.fine_tune(model, data, epochs=1, verbose=0)
    assert differing(before, tl.snapshot(model)) == {"conv4/kernel", "classifier/kernel", "classifier/bias"}


def said(recwarn) -> list[str]:
    """What was warned of, except that this Keras is an old one."""
    messages = [str(warning.message) for warning in recwarn if warning.category is UserWarning]
    return [message for message in messages if "known holes" not in message]


def test_a_model_saved_after_both_phases_loads_without_a_warning(toy, data, tmp_path, recwarn):
    tl.train_head(toy, data, epochs=1, verbose=0)
    tl.unfreeze_top(toy, 6)
    tl.fine_tune(toy, data, epochs=1, verbose=0)
    recwarn.clear()
    tl.load(tl.save(toy, tmp_path / "m.keras", NAMES))
    assert said(recwarn) == []


def test_the_file_holds_the_weights_once_and_no_optimizer(data, tmp_path):
    layers = keras.layers
    model = keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(64), layers.Dense(3, "softmax")])
    before = tl.save(model, tmp_path / "m.keras", NAMES).stat().st_size
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(data.train, verbose=0)
    after = tl.save(model, tmp_path / "m.keras", NAMES).stat().st_size
    model.save(tmp_path / "whole.keras")
    assert after == before == pytest.approx(4 * model.count_params(), rel=0.05)
    assert (tmp_path / "whole.keras").stat().st_size > 2.9 * after  # Adam keeps two numbers for each weight


@pytest.mark.slow
def test_the_model_in_memory_goes_on_training_as_if_it_had_not_been_saved(make_toy, ordered_data, tmp_path):
    weights = []
    for saves in (False, True):
        keras.utils.set_random_seed(0)
        model = make_toy()
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(ordered_data.train, verbose=0)
        if saves:
            tl.save(model, tmp_path / "m.keras", NAMES)
        model.fit(ordered_data.train, verbose=0)
        assert model.optimizer.iterations == 6
        weights.append(model.get_weights())
    assert all(map(np.array_equal, *weights))


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="there, those versions could not train")
def test_a_file_with_an_optimizer_inside_as_earlier_versions_wrote_it_is_read(toy, data, tmp_path, arrays, recwarn):
    toy.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    toy.fit(data.train, verbose=0)
    toy.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras", "a") as archive:
        archive.writestr("class_names.json", json.dumps(NAMES))
    recwarn.clear()
    images = arrays["test"][0].astype("float32")
    assert np.array_equal(tl.load(tmp_path / "m.keras").model.predict_on_batch(images), toy.predict_on_batch(images))
    assert said(recwarn) == []


def test_a_sequential_model_is_saved_and_its_layers_are_left_alone(tmp_path, arrays):
    layers = keras.layers
    model = keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(3, "softmax")])
    images = arrays["test"][0].astype("float32")
    expected, nodes = model.predict_on_batch(images), [len(layer._inbound_nodes) for layer in model.layers]
    assert np.array_equal(tl.load(tl.save(model, tmp_path / "m.keras", NAMES)).model.predict_on_batch(images), expected)
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes


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


# ---- wrong input


def test_another_ending_is_an_error(toy, tmp_path):
    with pytest.raises(ValueError, match=r"Received the path '.*m\.h5'\. Expected one that ends in '\.keras'"):
        tl.save(toy, tmp_path / "m.h5", NAMES)


def test_a_folder_that_is_not_there_is_an_error(toy, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no folder '.*nowhere'\. Make it first"):
        tl.save(toy, tmp_path / "nowhere" / "m.keras", NAMES)


def test_the_arguments_in_another_order_are_a_type_error(toy, tmp_path):
    expected = r"Received str as the model and .* as the path\. Expected `save\(model, path, class_names\)`"
    with pytest.raises(TypeError, match=expected):
        tl.save(str(tmp_path / "m.keras"), toy, NAMES)
    with pytest.raises(TypeError, match=r"Received Functional as the model and list as the path"):
        tl.save(toy, NAMES, tmp_path / "m.keras")


def test_a_folder_of_that_name_is_an_error(toy, tmp_path):
    (tmp_path / "m.keras").mkdir()
    with pytest.raises(IsADirectoryError, match=r"m\.keras' is a folder\. Choose another name"):
        tl.save(toy, tmp_path / "m.keras", NAMES)
    assert [entry.name for entry in tmp_path.rglob("*")] == ["m.keras"]


@pytest.mark.parametrize("names", [("blue", "green", "red"), np.array(["blue", "green", "red"])])
def test_any_sequence_of_names_is_taken(toy, tmp_path, names):
    assert tl.load(tl.save(toy, tmp_path / "m.keras", names)).class_names == NAMES


@pytest.mark.parametrize("names", [["blue"], [*NAMES, "more"], [1, 2, 3], "abc", dict.fromkeys(NAMES), None, 3])
def test_class_names_that_do_not_fit_are_an_error(toy, tmp_path, names):
    with pytest.raises(ValueError, match=r"Received the class names .*\. Expected 3 strings, one for each output"):
        tl.save(toy, tmp_path / "m.keras", names)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*m\.keras'"):
        tl.load(tmp_path / "m.keras")


@pytest.mark.parametrize("read", [tl.load, load_summary])
def test_a_folder_is_no_models_file(saved, tmp_path, read):
    with pytest.raises(ValueError, match=rf"is a folder\. Did you mean {re.escape(repr(str(saved)))}\?"):
        read(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty' is a folder\. Expected a file that `save` wrote"):
        read(str(tmp_path / "empty"))


def test_what_is_no_name_of_a_file_is_an_error():
    with pytest.raises(ValueError, match=r"Received an empty name\. Expected a file that `save` wrote"):
        tl.load("")
    with pytest.raises(TypeError, match=r"Received int\. Expected the name of a file that `save` wrote"):
        tl.load(5)


def test_a_file_that_is_no_keras_file_is_an_error(tmp_path):
    (tmp_path / "m.keras").write_text("text")
    with pytest.raises(
        ValueError, match=r"m\.keras' is not a model file, or it is damaged\. Expected a file that `ker"
    ):
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
    with pytest.warns(UserWarning, match=r"Lambda.*`kerastl\.load` will refuse it"):
        path = tl.save(model, tmp_path / "m.keras", NAMES)
    with pytest.raises(ValueError, match=r"(?i)lambda"):
        tl.load(path)


def test_a_summary_comes_back_as_it_was_given_and_does_not_disturb_keras(toy, saved, tmp_path):
    assert load_summary(saved) is None
    path = tl.save(toy, tmp_path / "noted.keras", NAMES, summary={"pictures": "チューリップ", "epochs": [10, 10]})
    assert load_summary(path) == {"pictures": "チューリップ", "epochs": [10, 10]}
    assert keras.models.load_model(path).count_params() == toy.count_params()


def test_a_member_that_would_unpack_to_something_huge_is_refused(saved):
    import zipfile

    with zipfile.ZipFile(saved, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("training.json", b" " * 2_000_000)
    with pytest.raises(ValueError, match=r"'training\.json' in .* is larger than 1,000,000 bytes"):
        load_summary(saved)


def test_a_summary_that_is_no_table_is_no_summary(toy, tmp_path):
    path = tl.save(toy, tmp_path / "odd.keras", NAMES, summary=[1, 2])
    assert load_summary(path) is None


def test_names_that_are_no_valid_text_are_saved_all_the_same(toy, tmp_path):
    names = ["caf\udce9", "薔薇", "c"]  # as Python reads the name of a folder from an old archive
    path = tl.save(toy, tmp_path / "m.keras", names, summary={"pictures": "fot\udcf3s"})
    assert tl.load(path).class_names == names
    assert load_summary(path) == {"pictures": "fot\udcf3s"}
