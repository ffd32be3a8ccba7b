"""Loading images: folders, bundled sets, TensorFlow Datasets; splits, unreadable files and wrong input."""

import gc
import hashlib
import os
import re
import shutil
import socket
import sys
import tempfile
import time
import unicodedata
import weakref
from pathlib import Path

import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf
from PIL import Image

import kerastl as tl
from kerastl import storage
from kerastl.checks import check_pixels
from kerastl.data import as_arrays, few_of_each, make_dataset
from kerastl.reading import read_image
from kerastl.storage import MEMORY_VARIABLE, find_room, memory_left


def images_of(dataset) -> np.ndarray:
    return as_arrays(dataset)[0]


def labels_of(dataset) -> np.ndarray:
    return as_arrays(dataset)[1]


def hashes(dataset) -> list[str]:
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in images_of(dataset)]


def labels_fit_images(dataset) -> bool:
    """Whether each picture's brightest channel is that of its class. In one pass: the next may have another order."""
    return all(
        np.array_equal(2 - np.asarray(images).mean(axis=(1, 2)).argmax(axis=1), labels) for images, labels in dataset
    )


def write_parts(folder: Path, picture_folder: Path, **parts) -> Path:
    """Spread the pictures over folders of parts: {folder name: slice of each class's files}."""
    for part, which in parts.items():
        for class_folder in picture_folder.iterdir():
            (folder / part / class_folder.name).mkdir(parents=True)
            for file in sorted(class_folder.iterdir())[which]:
                shutil.copy(file, folder / part / class_folder.name)
    return folder


# ---- a folder


def test_a_folder_gives_raw_pixels_and_integer_labels(picture_folder):
    data = tl.load_images(picture_folder, image_size=24, batch_size=5)
    images, labels = next(iter(data.train))
    assert images.shape == (5, 24, 24, 3)
    assert np.asarray(images).dtype == np.uint8
    assert np.asarray(images).max() > 200  # not scaled to 0–1
    assert np.asarray(labels).dtype == np.int64


def test_class_names_are_the_folder_names_in_order(picture_folder):
    assert tl.load_images(picture_folder, image_size=8).class_names == ["blue", "green", "red"]


def test_labels_belong_to_their_images(picture_folder):
    data = tl.load_images(picture_folder, image_size=8)
    assert all(labels_fit_images(part) for part in data[:3])


def test_image_size_is_height_then_width(picture_folder):
    data = tl.load_images(str(picture_folder), image_size=(20, 40))
    assert images_of(data.test).shape[1:] == (20, 40, 3)


def test_splits_have_no_common_image_and_lose_none(picture_folder):
    data = tl.load_images(picture_folder, image_size=24)
    parts = [hashes(part) for part in data[:3]]
    assert [len(part) for part in parts] == [21, 3, 6]
    assert len({name for part in parts for name in part}) == 30


def test_splits_stay_the_same_from_pass_to_pass(picture_folder):
    data = tl.load_images(picture_folder, image_size=24)
    assert hashes(data.test) == hashes(data.test)
    assert hashes(data.validation) == hashes(data.validation)
    assert set(hashes(data.train)) == set(hashes(data.train))


def test_training_images_come_in_a_new_order_each_epoch(picture_folder):
    data = tl.load_images(picture_folder, image_size=24)
    assert hashes(data.train) != hashes(data.train)


def test_every_class_is_split_by_itself(picture_folder):
    data = tl.load_images(picture_folder, image_size=8, validation_split=0.2, test_split=0.3)
    train, validation, test = (np.bincount(labels_of(part)).tolist() for part in data[:3])
    assert test == [3] * 3
    assert validation in ([1] * 3, [2] * 3)  # a share of all ten images, or of the seven that the test part left
    assert train == [7 - validation[0]] * 3


def test_the_same_seed_gives_the_same_split_and_another_seed_another(picture_folder):
    test_of = [set(hashes(tl.load_images(picture_folder, image_size=24, seed=seed).test)) for seed in (0, 0, 1)]
    assert test_of[0] == test_of[1]
    assert test_of[0] != test_of[2]


@pytest.mark.parametrize("name", ["validation", "val", "valid"])
def test_folders_of_parts_are_kept_as_they_are(picture_folder, tmp_path, name):
    folder = write_parts(tmp_path, picture_folder, train=slice(0, 6), **{name: slice(6, 8)}, test=slice(8, 10))
    data = tl.load_images(folder, image_size=24)
    assert [len(labels_of(part)) for part in data[:3]] == [18, 6, 6]
    expected = {
        hashlib.sha256(read_image(file, (24, 24)).tobytes()).hexdigest() for file in (folder / name).glob("*/*")
    }
    assert set(hashes(data.validation)) == expected


def test_a_validation_folder_alone_becomes_the_test_part(picture_folder, tmp_path):
    folder = write_parts(tmp_path, picture_folder, train=slice(0, 7), val=slice(7, 10))
    data = tl.load_images(folder, image_size=24, validation_split=0.3)
    expected = {
        hashlib.sha256(read_image(file, (24, 24)).tobytes()).hexdigest() for file in (folder / "val").glob("*/*")
    }
    assert set(hashes(data.test)) == expected
    assert [len(labels_of(part)) for part in data[:3]] == [15, 6, 9]


def test_hidden_files_and_folders_are_no_images(own_folder, recwarn):
    (own_folder / ".cache").mkdir()
    (own_folder / "red" / ".DS_Store").write_bytes(b"x")
    data = tl.load_images(own_folder, image_size=8)
    assert data.class_names == ["blue", "green", "red"]
    assert not [warning for warning in recwarn if "unreadable" in str(warning.message)]


def test_parts_are_numbers_of_the_same_pictures_and_no_copies(own_folder):
    (own_folder / "red" / "00.jpg").write_bytes(b"bad")  # nor are they copied to leave one out
    with pytest.warns(UserWarning, match="1 unreadable file is left out"):
        data = tl.load_images(own_folder, image_size=24)
    assert data.train.rows.images is data.validation.rows.images is data.test.rows.images
    assert sum(len(labels_of(part)) for part in data[:3]) == 29
    assert all(labels_fit_images(part) for part in data[:3])


@pytest.mark.parametrize("name", ["Train", "TRAIN", "Training"])
def test_parts_are_found_in_capitals_too(picture_folder, tmp_path, name):
    folder = write_parts(tmp_path, picture_folder, **{name: slice(0, 6), "Val": slice(6, 8), "Test": slice(8, 10)})
    data = tl.load_images(folder, image_size=24)
    assert data.class_names == ["blue", "green", "red"]
    assert [len(labels_of(part)) for part in data[:3]] == [18, 6, 6]


def test_two_folders_for_one_part_are_an_error_that_names_both(picture_folder, tmp_path):
    folder = write_parts(tmp_path, picture_folder, train=slice(0, 6), val=slice(6, 8), validation=slice(8, 10))
    with pytest.raises(ValueError, match=r"more than one validation part: 'val', 'validation'\. Expected one\."):
        tl.load_images(folder, image_size=8)


NAMES = {form: unicodedata.normalize(form, "ros\u00e9") for form in ("NFC", "NFD")}


@pytest.mark.skipif(sys.platform == "darwin", reason="its file system takes both names for one")
def test_one_class_name_written_in_two_ways_is_one_class(own_folder, tmp_path):
    own_folder = write_parts(tmp_path / "parts", own_folder, train=slice(0, 7), test=slice(7, 10))
    (own_folder / "train" / "red").rename(own_folder / "train" / NAMES["NFD"])
    (own_folder / "test" / "red").rename(own_folder / "test" / NAMES["NFC"])
    data = tl.load_images(own_folder, image_size=24)
    assert data.class_names == ["blue", "green", NAMES["NFC"]]
    assert all(labels_fit_images(part) for part in data[:3])
    (own_folder / "train" / NAMES["NFC"]).mkdir()
    with pytest.raises(ValueError, match=f"has two folders named '{NAMES['NFC']}'.*Expected one: put their pictures"):
        tl.load_images(own_folder, image_size=8)


# ---- where the pictures are


@pytest.fixture
def budget(monkeypatch):
    """A function that sets the memory budget, in bytes. What other tests hold in memory does not count."""
    monkeypatch.setattr(storage, "_in_memory", weakref.WeakValueDictionary())
    return lambda size: monkeypatch.setenv(MEMORY_VARIABLE, str(size / 1e6))


def test_pictures_over_the_budget_go_to_a_file_and_nothing_else_changes(
    picture_folder, tmp_path, budget, monkeypatch, capsys
):
    def batches():
        keras.utils.set_random_seed(4)
        data = tl.load_images(picture_folder, image_size=24, batch_size=4)
        return data, [tuple(map(np.asarray, batch)) for _ in range(2) for part in data[:3] for batch in part]

    _, in_memory = batches()
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    budget(100_000)  # half of it: 50 kB
    data, in_file = batches()
    assert isinstance(data.train.rows.images, np.memmap)
    assert capsys.readouterr().out == "pictures: 51.8 kB in a temporary file\n"
    assert list(tmp_path.iterdir()) == []  # it has no name
    for one, other in zip(in_memory, in_file, strict=True):
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[1], other[1])


def test_pictures_without_room_in_memory_or_on_disk_are_an_error_that_says_how_much_is_needed(
    picture_folder, budget, monkeypatch
):
    usage = shutil.disk_usage(tempfile.gettempdir())._replace(free=10_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    budget(100_000)
    with pytest.raises(
        OSError,
        match=r"30 pictures of 24×24 pixels take 51\.8 kB\. The memory budget leaves 50 kB .* folder '.*' 9 kB can be "
        rf"taken\. Choose a smaller image_size, set TMPDIR .*, or set {MEMORY_VARIABLE} higher",
    ):
        tl.load_images(picture_folder, image_size=24)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system decides when pages leave memory")
def test_pictures_in_a_file_leave_memory_after_each_batch(budget):
    budget(0)
    images = find_room([(100, 1000, 1000, 3)], 0, np.uint8).arrays[0]  # 300 MB
    dataset, process, most = make_dataset(images, np.arange(100), 2, shuffle=True), psutil.Process(), 0
    before = process.memory_info().rss
    for _ in dataset:
        most = max(most, process.memory_info().rss - before)
    assert most < 100e6


def test_the_memory_of_pictures_is_counted_until_the_last_part_is_gone(picture_folder, budget):
    budget(1e6)
    data = tl.load_images(picture_folder, image_size=24)
    assert memory_left() == 1e6 - 30 * 24 * 24 * 3
    test = data.test.map(lambda images, labels: (images, labels))
    del data
    assert memory_left() == 1e6 - 30 * 24 * 24 * 3
    del test
    assert memory_left() == 1e6


def test_pictures_leave_half_of_the_budget_to_what_is_kept_of_them(picture_folder, budget):
    budget(3 * 30 * 24 * 24 * 3)
    one, other = (tl.load_images(picture_folder, image_size=24) for _ in range(2))
    assert not isinstance(one.train.rows.images, np.memmap)
    assert isinstance(other.train.rows.images, np.memmap)  # it would fit if the first were not there


# ---- one picture


def test_a_picture_is_turned_as_the_camera_was_held(tmp_path):
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, :20] = 255  # stored: the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me clockwise by a quarter": what is on the left belongs at the top
    Image.fromarray(picture).save(tmp_path / "turned.png", exif=exif)
    pixels = read_image(tmp_path / "turned.png", (40, 20))
    assert pixels[:15].min() > 200
    assert pixels[25:].max() < 50


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "CMYK"])
def test_pictures_of_any_colour_mode_become_rgb(tmp_path, mode):
    path = tmp_path / ("picture.jpg" if mode == "CMYK" else "picture.png")
    Image.new("RGB", (9, 7), "white").convert(mode).save(path)
    pixels = read_image(path, (5, 6))
    assert pixels.shape == (5, 6, 3)
    assert pixels.dtype == np.uint8
    assert pixels.min() > 250


def test_reading_a_picture_that_is_not_there_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*nowhere\.jpg'"):
        read_image(tmp_path / "nowhere.jpg", (8, 8))


# ---- unreadable files


def test_unreadable_files_are_listed_left_out_and_kept_on_disk(own_folder):
    whole = (own_folder / "red" / "00.jpg").read_bytes()
    bad = {
        own_folder / "red" / "text.jpg": b"I am not a picture.",
        own_folder / "red" / "empty.png": b"",
        own_folder / "blue" / "cut.jpg": whole[: len(whole) // 2],
    }
    for path, content in bad.items():
        path.write_bytes(content)
    with pytest.warns(UserWarning, match="3 unreadable files are left out") as caught:
        data = tl.load_images(own_folder, image_size=24)
    message = "".join(str(warning.message) for warning in caught)
    for path, content in bad.items():
        assert str(path) in message
        assert path.read_bytes() == content
    assert "cut.jpg' as an image (the file ends too early)" in message
    assert "text.jpg' as an image (it is not a picture of a known kind)" in message
    assert message.count("Expected a whole JPEG, PNG") == 1  # once for all of them
    assert sum(len(labels_of(part)) for part in data[:3]) == 30
    assert all(labels_fit_images(part) for part in data[:3])


@pytest.mark.skipif(os.name == "nt", reason="Windows lets few people make links")
def test_a_link_to_a_picture_that_is_gone_is_named(own_folder):
    class_folder = next(path for path in sorted(own_folder.rglob("*")) if path.is_dir() and list(path.glob("*.*")))
    (class_folder / "gone.jpg").symlink_to(own_folder / "disk that is not there.jpg")
    with pytest.warns(UserWarning, match=r"gone\.jpg"):
        tl.load_images(own_folder, image_size=32)


def test_a_long_list_of_unreadable_files_is_cut_short(own_folder):
    for number in range(14):
        (own_folder / "red" / f"bad{number:02d}.jpg").write_bytes(b"bad")
    with pytest.warns(UserWarning, match=r"(?s)14 unreadable files.*bad09.*… and 4 more"):
        tl.load_images(own_folder, image_size=8)


def test_a_class_without_a_readable_image_is_an_error(own_folder):
    for file in (own_folder / "green").iterdir():
        file.write_bytes(b"bad")
    with pytest.raises(ValueError, match=r"class 'green' holds no readable image to learn from, or only copies"):
        tl.load_images(own_folder, image_size=8)


# ---- wrong input


@pytest.mark.parametrize("source", ["./nowhere/photos", "~/nowhere/photos", Path("nowhere")])
def test_a_path_that_is_not_there_is_an_error(source):
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*nowhere.*Expected a folder.* holds: "):
        tl.load_images(source)


def test_the_error_for_a_wrong_path_shows_what_is_beside_it(picture_folder):
    with pytest.raises(FileNotFoundError, match="holds: blue, green, red"):
        tl.load_images(picture_folder / "reds")


def test_a_folder_without_class_folders_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"has 0 class folders\. Expected at least two: one folder of images for each"):
        tl.load_images(tmp_path)


def test_a_single_class_is_an_error(tmp_path):
    (tmp_path / "only").mkdir()
    with pytest.raises(ValueError, match=r"has 1 class folder: only\. Expected at least two.*for each class\.$"):
        tl.load_images(tmp_path)


def test_a_folder_around_the_class_folders_is_an_error_that_names_them(picture_folder, tmp_path):
    inside = shutil.copytree(picture_folder, tmp_path / "photos")
    (tmp_path / "__MACOSX" / "photos").mkdir(parents=True)
    with pytest.raises(
        ValueError, match=rf"has 1 class folder: photos\. .*Did you mean {re.escape(repr(str(inside)))}\?"
    ):
        tl.load_images(tmp_path)


def test_what_a_mac_puts_into_archives_is_no_class(own_folder):
    (own_folder / "__MACOSX" / "red").mkdir(parents=True)
    (own_folder / "__MACOSX" / "red" / "._00.jpg").write_bytes(b"x")
    assert tl.load_images(own_folder, image_size=8).class_names == ["blue", "green", "red"]


def test_one_class_folder_is_an_error_that_names_the_folder_above(picture_folder):
    above = re.escape(repr(str(picture_folder)))
    with pytest.raises(
        ValueError, match=rf"has 0 class folders, but 10 pictures\. .*Did you mean the folder above, {above}\?"
    ):
        tl.load_images(picture_folder / "red")


def test_parts_with_different_classes_are_an_error(picture_folder, tmp_path):
    folder = write_parts(tmp_path, picture_folder, train=slice(0, 7), test=slice(7, 10))
    (folder / "test" / "red").rename(folder / "test" / "rot")
    with pytest.raises(ValueError, match=r"are not those in .*they differ in red, rot"):
        tl.load_images(folder)


def test_too_few_images_in_a_class_is_an_error(own_folder):
    for file in sorted((own_folder / "green").iterdir())[2:]:
        file.unlink()
    with pytest.raises(ValueError, match=r"The class 'green' has too few images.*at least three a class"):
        tl.load_images(own_folder, image_size=8)


@pytest.mark.parametrize(
    ("name", "near"), [("drawn_flower", "drawn_flowers"), ("tf_flower", "tf_flowers"), ("cifar", "cifar10")]
)
def test_an_unknown_name_is_an_error_with_the_near_names(name, near):
    with pytest.raises(ValueError, match=rf"Unknown images: '{name}'\..* Expected a folder.*Did you mean.*{near}"):
        tl.load_images(name)


def test_a_mistyped_folder_is_an_error_that_shows_what_is_there(picture_folder, monkeypatch):
    monkeypatch.chdir(picture_folder)
    here = re.escape(repr(str(picture_folder)))
    with pytest.raises(
        ValueError,
        match=rf"'photoz'\. There is no folder 'photoz' here; {here} holds: blue, green, red\. .* Datasets set\.$",
    ):
        tl.load_images("photoz")  # near "toto", which is a set that nobody meant


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1", True, None])
def test_an_impossible_seed_is_an_error(picture_folder, seed):
    with pytest.raises(ValueError, match=r"Received seed=.*Expected a whole number from 0 to 4294967295"):
        tl.load_images(picture_folder, image_size=8, seed=seed)


@pytest.mark.parametrize("size", [-1, (32,), (32, 32, 3), (32, 0), "32", (32.5, 32)])
def test_an_impossible_image_size_is_an_error(picture_folder, size):
    with pytest.raises(ValueError, match=r"Received image_size=.*Expected pixels, as in 224 or \(224, 224\)"):
        tl.load_images(picture_folder, image_size=size)


@pytest.mark.parametrize(("validation", "test"), [(0, 0.2), (0.1, 0), (0.6, 0.5), (-0.1, 0.2), (0.1, 1.0)])
def test_impossible_shares_are_an_error(picture_folder, validation, test):
    with pytest.raises(ValueError, match=r"Received validation_split=.*Expected two shares above 0"):
        tl.load_images(picture_folder, image_size=8, validation_split=validation, test_split=test)


def test_something_else_than_image_data_is_a_type_error(toy, data):
    with pytest.raises(TypeError, match=r"Received tuple\. Expected ImageData"):
        tl.train_head(toy, tuple(data))


def test_one_hot_labels_are_an_error(toy, data, arrays):
    images, labels = arrays["train"]
    one_hot = tf.data.Dataset.from_tensor_slices((images, np.eye(3, dtype=np.int64)[labels])).batch(9)
    with pytest.raises(ValueError, match=r"The train dataset has elements .*integer labels of shape \(batch,\)"):
        tl.train_head(toy, data._replace(train=one_hot))


def test_image_data_of_one_class_are_an_error(data):
    with pytest.raises(ValueError, match=r"Received 1 class \(blue\)\. Expected two or more"):
        tl.build_model("MobileNetV2", data._replace(class_names=["blue"]), weights=None)


def test_pixels_that_were_scaled_already_are_an_error():
    pixels = np.random.default_rng(0).random((2, 4, 4, 3), np.float32)
    for scaled in (pixels, pixels * 2 - 1, pixels * 255 - 110):
        with pytest.raises(ValueError, match=r"Pixels run from .* to .*\. Expected 0 to 255.*do not divide by 255"):
            check_pixels(scaled)
    check_pixels(pixels * 255)
    check_pixels(np.zeros((2, 4, 4, 3), np.uint8))  # a black photo is no mistake


# ---- datasets from arrays


def test_make_dataset_gives_the_images_with_these_numbers_in_their_order(arrays):
    images, labels = arrays["train"]
    numbers = np.array([20, 3, 3, 11])
    some, their_labels = as_arrays(make_dataset(images, labels, batch_size=3, rows=numbers))
    assert np.array_equal(some, images[numbers])
    assert np.array_equal(their_labels, labels[numbers])


def test_make_dataset_keeps_the_order_and_the_last_smaller_batch(arrays):
    images, labels = arrays["validation"]
    batches = list(make_dataset(images, labels, batch_size=4))
    assert [len(batch_labels) for _, batch_labels in batches] == [4, 4, 1]
    assert np.array_equal(np.concatenate([batch for batch, _ in batches]), images)
    assert np.array_equal(np.concatenate([batch for _, batch in batches]), labels)


def test_as_arrays_gives_back_what_make_dataset_got(arrays):
    images, labels = arrays["train"]
    back = as_arrays(make_dataset(images, labels, batch_size=7))
    assert np.array_equal(back[0], images)
    assert np.array_equal(back[1], labels)
    assert [array.dtype for array in back] == [images.dtype, labels.dtype]


def test_as_arrays_keeps_labels_with_images_that_are_shuffled(arrays):
    images, labels = arrays["train"]
    label_of = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    mixed, mixed_labels = as_arrays(make_dataset(images, labels, batch_size=7, shuffle=True))
    assert not np.array_equal(mixed, images)
    assert [label_of[image.tobytes()] for image in mixed] == mixed_labels.tolist()


def test_few_of_each_takes_as_many_of_each_class_none_twice():
    labels = np.array([2, 0, 2, 0, 0, 2, 7, 7])
    assert few_of_each(labels, 2).tolist() == [1, 3, 0, 2, 6, 7]
    drawn = [few_of_each(labels, 2, seed) for seed in range(20)]
    assert all(labels[rows].tolist() == [0, 0, 2, 2, 7, 7] and len(set(rows)) == 6 for rows in drawn)
    assert len({tuple(rows) for rows in drawn}) > 5
    assert np.array_equal(few_of_each(labels, 2, 4), drawn[4])


def test_few_of_each_of_a_small_class_is_an_error():
    with pytest.raises(ValueError, match=r"Received count=3\. Expected at most 2: class 7 has no more images\."):
        few_of_each(np.array([0, 0, 0, 7, 7]), 3)


def test_make_dataset_shuffled_keeps_labels_with_their_images(arrays):
    images, labels = arrays["train"]
    place = {image.tobytes(): number for number, image in enumerate(images)}
    dataset = make_dataset(images, labels, batch_size=7, shuffle=True)
    order = [place[image.tobytes()] for image in images_of(dataset)]
    again = [place[image.tobytes()] for image in images_of(dataset)]
    assert sorted(order) == list(range(24))
    assert order != list(range(24)) != again != order
    pairs = [
        (place[image.numpy().tobytes()], int(label)) for batch in dataset for image, label in zip(*batch, strict=True)
    ]
    assert all(labels[number] == label for number, label in pairs)


def test_make_dataset_knows_its_number_of_batches(arrays):
    assert int(make_dataset(*arrays["train"], batch_size=7).cardinality()) == 4


# ---- bundled sets


def test_the_bundled_flowers_have_five_classes_and_enough_pictures():
    data = tl.load_images("drawn_flowers")
    assert data.class_names == ["daisy", "dandelion", "rose", "sunflower", "tulip"]
    assert images_of(data.test).shape[1:] == (96, 96, 3)
    for part, least in zip(data[:3], (100, 40, 100), strict=True):
        assert np.bincount(labels_of(part), minlength=5).min() >= least


def test_the_bundled_flowers_have_no_common_picture_in_two_parts():
    data = tl.load_images("drawn_flowers")
    parts = [set(hashes(part)) for part in data[:3]]
    assert sum(map(len, parts)) == len(set.union(*parts)) == sum(len(labels_of(part)) for part in data[:3])


def test_the_bundled_species_have_a_test_part_for_each_species():
    data = tl.load_images("drawn_species")
    assert len(data.class_names) == 64
    assert np.bincount(labels_of(data.test), minlength=64).min() >= 1


# ---- TensorFlow Datasets


@pytest.fixture
def tfds(monkeypatch, no_network):
    import tensorflow_datasets

    monkeypatch.setattr(tensorflow_datasets.core.utils.gcs_utils, "_is_gcs_disabled", True)
    return tensorflow_datasets


def write_metadata(tfds, name: str, data_dir, **examples) -> None:
    """What TFDS knows of a prepared set, without its images: `mock_data` makes those up."""
    builder = tfds.builder(name, data_dir=data_dir)
    folder = Path(builder.data_dir)
    folder.mkdir(parents=True)
    splits = [
        tfds.core.SplitInfo(
            name=part,
            shard_lengths=[count],
            num_bytes=1,
            filename_template=tfds.core.ShardedFileTemplate(
                dataset_name=name, data_dir=folder, split=part, filetype_suffix="tfrecord"
            ),
        )
        for part, count in examples.items()
    ]
    builder.info.set_splits(tfds.core.SplitDict(splits))
    builder.info.write_to_directory(folder)


def test_a_tensorflow_datasets_name_with_one_part_is_split(tfds, tmp_path):
    write_metadata(tfds, "tf_flowers", tmp_path, train=60)
    with tfds.testing.mock_data(num_examples=60, data_dir=tmp_path):
        data = tl.load_images("tf_flowers", image_size=16)
    assert sorted(data.class_names) == ["daisy", "dandelion", "roses", "sunflowers", "tulips"]
    assert sum(len(labels_of(part)) for part in data[:3]) == 60
    assert len({name for part in data[:3] for name in hashes(part)}) == 60
    assert images_of(data.test).shape[1:] == (16, 16, 3)
    assert images_of(data.test).dtype == np.uint8


def test_grey_images_of_tensorflow_datasets_become_rgb(tfds, tmp_path, monkeypatch):
    monkeypatch.setattr("kerastl.images.leave_copies_out", lambda *_: None)  # `mock_data` makes both parts alike
    write_metadata(tfds, "mnist", tmp_path, train=100, test=100)
    with tfds.testing.mock_data(num_examples=100, data_dir=tmp_path):
        data = tl.load_images("mnist", image_size=12)
    images = images_of(data.test)
    assert images.shape == (100, 12, 12, 3)  # the part of that name, whole
    assert np.array_equal(images[..., 0], images[..., 2])


@pytest.fixture
def real_set(tfds, picture_folder, tmp_path, monkeypatch):
    """The picture folder as a real TFDS set, prepared on disk where TFDS looks for it; its name."""

    class TinyPictures(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(
                    {
                        "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
                        "label": tfds.features.ClassLabel(names=["blue", "green", "red"]),
                    }
                ),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(slice(0, 7)), "test": self._generate_examples(slice(7, 10))}

        def _generate_examples(self, which):
            for class_folder in sorted(picture_folder.iterdir()):
                for file in sorted(class_folder.iterdir())[which]:
                    pixels = np.asarray(Image.open(file).convert("RGB"))
                    yield f"{class_folder.name}/{file.name}", {"image": pixels, "label": class_folder.name}

    TinyPictures(data_dir=tmp_path).download_and_prepare()
    monkeypatch.setattr(tfds.core.utils.file_utils, "_REGISTERED_DATA_DIRS", set())
    tfds.core.add_data_dir(tmp_path)
    yield "tiny_pictures"
    tfds.core.registered._DATASET_REGISTRY.pop("tiny_pictures")


def test_a_real_tensorflow_datasets_set_loads_by_its_name(real_set, picture_folder):
    data = tl.load_images(real_set, image_size=24)
    assert data.class_names == ["blue", "green", "red"]
    assert [len(labels_of(part)) for part in data[:3]] == [18, 3, 9]
    files = [file for folder in picture_folder.iterdir() for file in sorted(folder.iterdir())[7:]]
    from_files = {hashlib.sha256(read_image(file, (24, 24)).tobytes()).hexdigest() for file in files}
    assert set(hashes(data.test)) == from_files  # the very pixels that the folder gives
    assert all(labels_fit_images(part) for part in data[:3])


def test_a_tensorflow_datasets_set_is_read_into_its_place_also_in_a_file(real_set, budget, monkeypatch):
    in_memory = tl.load_images(real_set, image_size=24)
    budget(0)
    monkeypatch.delattr(np, "stack")  # a list of all pictures, and a copy of it, would be twice their memory
    in_file = tl.load_images(real_set, image_size=24)
    assert isinstance(in_file.test.rows.images, np.memmap)
    for one, other in zip(in_memory[1:3], in_file[1:3], strict=True):
        assert np.array_equal(images_of(one), images_of(other))
        assert np.array_equal(labels_of(one), labels_of(other))


def test_a_download_without_a_network_is_a_connection_error_within_seconds(tfds, monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    start = time.monotonic()
    with pytest.raises(
        ConnectionError,
        match=r"Could not download 'tf_flowers'.*no answer from download\.tensorflow\.org.*Check the.*drawn_flowers",
    ):
        tl.load_images("tf_flowers")
    assert time.monotonic() - start < 10  # TFDS alone tries for 205 s


@pytest.fixture
def asked(tfds, monkeypatch):
    """Whom TFDS or we tried to reach, in that order; nobody answers."""
    hosts = []

    def note(address, *_, **__):
        hosts.append(tuple(address))
        raise OSError("no network here")

    def look_up(host, port, *_, **__):
        note((host, port))

    monkeypatch.setattr(socket, "create_connection", note)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return hosts


def test_behind_a_proxy_only_the_proxy_is_asked(asked, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    with pytest.raises(ConnectionError):
        tl.load_images("tf_flowers")
    assert set(asked) == {("proxy.example", 3128)}


def test_what_was_downloaded_before_is_used_without_asking_anybody_first(tfds, asked, monkeypatch, tmp_path):
    noted = tmp_path / "downloads" / "tf_flowers"
    noted.mkdir(parents=True)
    (noted / "flower_photos.tgz.INFO").write_text("{}")
    builder = tfds.builder("tf_flowers", data_dir=tmp_path)
    monkeypatch.setattr(tfds, "builder", lambda name: builder)
    monkeypatch.setattr(builder, "download_and_prepare", lambda: (_ for _ in ()).throw(OSError("TFDS was asked")))
    with pytest.raises(ConnectionError, match="TFDS was asked"):
        tl.load_images("tf_flowers")
    assert asked == []


def test_a_set_that_is_no_image_classification_is_an_error(tfds):
    with pytest.raises(ValueError, match="TensorFlow Datasets' 'imdb_reviews' is not an image classification set"):
        tl.load_images("imdb_reviews")


def test_loading_does_not_touch_keras_random_state(picture_folder):
    keras.utils.set_random_seed(5)
    expected = np.random.random()
    keras.utils.set_random_seed(5)
    tl.load_images(picture_folder, image_size=8)
    assert np.random.random() == expected


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
def test_a_class_folder_whose_name_is_no_valid_text_is_found_before_anything_is_read(tmp_path):
    (tmp_path / "a").mkdir()
    os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")
    with pytest.raises(ValueError, match=r"class folder 'caf\\udce9' is no valid text.*Rename the folder"):
        tl.load_images(tmp_path)


def test_a_dataset_whose_images_are_gone_says_so(arrays):
    made_inside = tf.data.Dataset.range(2).flat_map(lambda _: make_dataset(*arrays["train"]))
    gc.collect()
    with pytest.raises(tf.errors.OpError, match="Keep it in a variable"):
        list(made_inside)
