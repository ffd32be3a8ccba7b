"""What people give instead of a folder, a dataset, labels: each is told what to do, in a line that runs."""

import os
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

import kerastl as tl
from kerastl import checks
from kerastl.data import make_dataset


def lines_in(error) -> list[str]:
    return re.findall("`(.*?)`", str(error.value))


# ---- instead of a folder


def test_an_empty_name_is_not_the_current_folder(picture_folder, monkeypatch):
    monkeypatch.chdir(picture_folder)
    with pytest.raises(ValueError, match=r"Received an empty name\. Expected a folder .*The folder in which you are"):
        tl.load_images("")
    assert tl.load_images(".", image_size=8).class_names == ["blue", "green", "red"]


def test_an_archive_is_unpacked_by_the_line_in_the_error(picture_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = os.path.basename(shutil.make_archive("photos", "gztar", picture_folder))
    with pytest.raises(ValueError, match=rf"'{name}' is a file\. Expected a folder.*then load_images") as error:
        tl.load_images(name)
    exec(lines_in(error)[0], {"shutil": shutil})  # noqa: S102
    assert tl.load_images("photos", image_size=8).class_names == ["blue", "green", "red"]


def test_unpacking_by_the_line_in_the_error_writes_over_nothing(picture_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.make_archive("photos", "gztar", picture_folder)
    for name in ("photos", "photos_2"):
        (tmp_path / name / "red").mkdir(parents=True)
        (tmp_path / name / "red" / "00.jpg").write_text("mine")
    with pytest.raises(ValueError, match=r"then load_images\('photos_3'\)") as error:
        tl.load_images("photos.tar.gz")
    exec(lines_in(error)[0], {"shutil": shutil})  # noqa: S102
    assert tl.load_images("photos_3", image_size=8).class_names == ["blue", "green", "red"]
    assert [(tmp_path / name / "red" / "00.jpg").read_text() for name in ("photos", "photos_2")] == ["mine"] * 2


@pytest.mark.parametrize("given", ["array", None, 3, b"photos"])
def test_images_without_labels_and_other_things_are_a_type_error(arrays, given):
    source = arrays["train"][0] if given == "array" else given
    with pytest.raises(TypeError, match=rf"Received {type(source).__name__}\. Expected a folder.*kerastl\.ImageData\("):
        tl.load_images(source)


def test_a_single_picture_is_an_error_that_names_the_folder_above(picture_folder):
    with pytest.raises(ValueError, match=rf"00\.jpg' is a file\. .*Did you mean '{re.escape(str(picture_folder))}'\?"):
        tl.load_images(picture_folder / "red" / "00.jpg")


# ---- instead of datasets


def test_arrays_in_image_data_become_datasets_by_the_line_in_the_error(data, arrays, toy):
    with pytest.raises(TypeError, match=r"The train part is a tuple\. Expected a tf\.data\.Dataset") as error:
        tl.train_head(toy, data._replace(train=arrays["train"]))
    images, labels = arrays["train"]
    made = eval(lines_in(error)[0], {"tf": tf, "images": images, "labels": labels})  # noqa: S307
    tl.train_head(toy, data._replace(train=made), epochs=1, verbose=0)


DATASETS = {  # what is wrong with it: the dataset, and whether the line in the error mends it
    "unbatched": lambda images, labels: tf.data.Dataset.from_tensor_slices((images, labels)),
    "one-hot": lambda images, labels: make(images, np.eye(3, dtype="int64")[labels]),
    "column": lambda images, labels: make(images, labels[:, None]),
    "grey": lambda images, labels: make(images[..., :1], labels),
}


def make(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays).batch(9)


@pytest.mark.parametrize("fault", DATASETS)
def test_a_dataset_of_another_form_is_mended_by_the_line_in_the_error(data, arrays, toy, fault):
    dataset = DATASETS[fault](*arrays["train"])
    with pytest.raises(ValueError, match=r"The train dataset has elements .* Expected batches \(images, la") as error:
        tl.train_head(toy, data._replace(train=dataset))
    mended = eval(lines_in(error)[0], {"tf": tf, "dataset": dataset})  # noqa: S307
    tl.train_head(toy, data._replace(train=mended), epochs=1, verbose=0)


@pytest.mark.parametrize("call", [tl.evaluate, tl.extract_features])
def test_a_dataset_without_labels_is_an_error(toy, data, arrays, call):
    images = tf.data.Dataset.from_tensor_slices(arrays["test"][0]).batch(2)  # two: it could be taken for a pair
    with pytest.raises(ValueError, match=r"Expected batches \(images, labels\)\. It has no labels: from arrays, `tf"):
        call(toy, images)
    with pytest.raises(ValueError, match=r"The test dataset has elements .* It has no labels"):
        tl.train_head(toy, data._replace(test=images))


@pytest.mark.parametrize("call", [tl.evaluate, tl.extract_features])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("data", r"Received ImageData\. Expected one part of it, such as `data\.test`"),
        ("images", r"Received ndarray\. Expected a tf\.data\.Dataset of batches \(images, labels\); from arrays: `tf"),
        ("both", r"Received tuple\. Expected a tf\.data\.Dataset"),
        ("nothing", r"Received NoneType\. Expected a tf\.data\.Dataset"),
    ],
)
def test_something_else_than_one_dataset_is_a_type_error(toy, data, arrays, call, given, said):
    things = {"data": data, "images": arrays["test"][0], "both": arrays["test"], "nothing": None}
    with pytest.raises(TypeError, match=said):
        call(toy, things[given])


@pytest.mark.parametrize("call", [tl.evaluate, tl.extract_features])
@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((48, 48, 3), "The images are 48×48, the model takes 32×32: load them with `image_size=32`"),
        ((32, 40, 3), "The images are 32×40, the model takes 32×32: load"),
        ((32, 32, 1), "The images are 32×32×1, the model takes 32×32×3"),
    ],
)
def test_images_that_the_model_does_not_take_are_an_error(toy, call, shape, said):
    with pytest.raises(ValueError, match=said):
        call(toy, make_dataset(np.zeros((3, *shape), np.uint8), np.arange(3)))


@pytest.mark.parametrize("call", [tl.evaluate, tl.extract_features])
@pytest.mark.parametrize("fault", ["unbatched", "one-hot", "column"])
def test_a_dataset_of_other_labels_is_mended_by_the_line_in_the_error(toy, arrays, call, fault):
    dataset = DATASETS[fault](*arrays["test"])
    with pytest.raises(ValueError, match=r"The dataset has elements .* Expected batches \(images, labels\)\.") as error:
        call(toy, dataset)
    call(toy, eval(lines_in(error)[0], {"tf": tf, "dataset": dataset}))  # noqa: S307


def test_one_hot_labels_of_no_tensorflow_dataset_are_an_error_with_the_same_advice(toy, arrays):
    images, labels = arrays["test"]
    with pytest.raises(ValueError, match=r"The labels have the shape \(9, 3\)\. Expected one .* Of one-hot labels"):
        tl.evaluate(toy, [(images, np.eye(3, dtype="int64")[labels])])


@pytest.mark.parametrize("call", [tl.evaluate, tl.extract_features])
def test_a_dataset_that_is_known_to_have_no_end_is_an_error(toy, data, call):
    with pytest.raises(ValueError, match=r"The dataset repeats without end\. Expected one that .*out `\.repeat\(\)`"):
        call(toy, data.test.repeat())


def test_counting_the_batches_of_a_dataset_that_may_have_no_end_is_said(monkeypatch):
    monkeypatch.setattr(checks, "PATIENCE", -1)
    unknown = tf.data.Dataset.range(5).repeat(3).filter(lambda number: True)
    with pytest.warns(UserWarning, match=r"They are counted: 1 in .*If it repeats without end.*take\(b") as said:
        assert checks.count_by_walking(unknown) == 15
    assert len(said) == 1


@pytest.mark.parametrize("train", [tl.train_head, tl.train_from_scratch])
def test_a_dataset_that_turns_out_to_be_empty_is_an_error(toy, data, train):
    nothing = data.train.filter(lambda images, labels: False)
    with pytest.raises(ValueError, match=r"gave no batch\. Expected"):
        train(toy, data._replace(train=nothing), epochs=1, verbose=0)


# ---- labels


@pytest.mark.parametrize("views", [0, "fresh"])
@pytest.mark.parametrize(("shift", "least", "most"), [(1, 1, 3), (-1, -1, 1)])
def test_labels_that_name_no_class_are_found_before_anything_is_trained(
    make_model, data, arrays, views, shift, least, most
):
    model = make_model()
    shifted = {part: make_dataset(images, labels + shift, 24) for part, (images, labels) in arrays.items()}
    before = tl.snapshot(model)
    with pytest.raises(
        ValueError, match=rf"The labels run from {least} to {most}; the model knows 3 classes, 0 to 2.*labels - 1"
    ):
        tl.train_head(model, data._replace(**shifted), views=views, verbose=0)
    after = tl.snapshot(model)
    assert all(np.array_equal(before[path], after[path]) for path in before)


def test_one_output_stands_for_two_classes(make_toy, data, arrays):
    two = {part: make_dataset(images, labels % 2, 9) for part, (images, labels) in arrays.items()}
    pair = tl.ImageData(**two, class_names=["no", "yes"])
    tl.train_head(make_toy(classes=1), pair, epochs=1, verbose=0)
    wrong = pair._replace(validation=make_dataset(*arrays["validation"], 9))
    with pytest.raises(ValueError, match="The labels run from 0 to 2; the model knows 2 classes"):
        tl.train_head(make_toy(classes=1), wrong, epochs=1, verbose=0)


# ---- the width of a base


@pytest.mark.parametrize("alpha", [0, -1, 0.0, "x"])
def test_a_width_that_is_not_above_0_is_an_error(data, alpha):
    with pytest.raises(ValueError, match=rf"Received alpha={alpha!r}\. Expected a width above 0, such as 0\.35"):
        tl.build_model("MobileNetV2", data, weights=None, alpha=alpha)


def test_a_width_without_imagenet_weights_is_an_error_without_a_download(data, no_network):
    for base in ("MobileNet", "MobileNetV2", "MobileNetV3Small"):
        with pytest.raises(ValueError, match="alpha"):
            tl.build_model(base, data, weights="imagenet", alpha=0.33)


@pytest.mark.parametrize(
    "change",
    [
        lambda images, labels: {"image": images, "label": labels},
        lambda images, labels: (images, labels, labels),
        lambda images, labels: (images, tf.cast(labels, tf.float32)),
        lambda images, labels: (images, tf.as_string(labels)),
    ],
)
def test_what_is_no_pair_of_images_and_whole_numbers_is_refused_in_words(toy, data, change):
    with pytest.raises(ValueError, match=r"Expected batches \(images, labels\)\. The labels are whole numbers"):
        tl.evaluate(toy, data.test.map(change))
