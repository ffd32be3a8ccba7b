"""Where pictures come from: folders, tables, arrays, zip files, Hugging Face sets."""

import csv
import io
import os
import re
import shutil
import tempfile
import unicodedata
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

import kerastl as tl
from kerastl import archives
from kerastl.bases import BUNDLED_SETS, bundled_folder
from kerastl.data import as_arrays
from kerastl.folders import find_files, find_places
from kerastl.reading import read_image
from kerastl.sources import digest

pytestmark = pytest.mark.filterwarnings("ignore:.*fewer than 5 training images")
links = pytest.mark.skipif(os.name == "nt", reason="Windows lets few people make links")


class Table(dict):
    """As a DataFrame of pandas or Polars, as far as it matters here."""

    @property
    def columns(self):
        return list(self)


def contents(data, part=None) -> list:
    """(class name, pixels) of each picture of one part, or of all, in an order that does not depend on the source."""
    held = [as_arrays(dataset) for dataset in ([getattr(data, part)] if part else data[:3])]
    pairs = [pair for images, labels in held for pair in zip(images, labels, strict=True)]
    return sorted((data.class_names[label], digest(image)) for image, label in pairs)


def rows_of(folder: Path) -> list[tuple[Path, str]]:
    return [(file, file.parent.name) for file in sorted(folder.glob("*/*"))]


def write_table(path: Path, rows, columns=("file", "label"), delimiter=",") -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([columns, *rows])
    return path


def write_zip(path: Path, members: dict) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def as_deeper_folder(folder, tmp_path):
    deep = Path(shutil.copytree(folder, tmp_path / "deep"))
    for file in sorted(deep.glob("*/*"))[::3]:
        (file.parent / "close" / "closer").mkdir(parents=True, exist_ok=True)
        file.rename(file.parent / "close" / "closer" / file.name)
    return deep


def as_zip(folder, tmp_path):
    return shutil.make_archive(tmp_path / "photos", "zip", folder)


def as_zip_with_a_folder_around(folder, tmp_path):
    return shutil.make_archive(tmp_path / "photos", "zip", folder.parent, folder.name)


def as_csv(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "pictures")
    rows = [(file.relative_to(tmp_path), label) for file, label in rows_of(tmp_path / "pictures")]
    return write_table(tmp_path / "labels.csv", rows)


def as_tsv_with_other_names(folder, tmp_path):
    return write_table(tmp_path / "labels.TSV", rows_of(folder), ("Path", "CLASS"), "\t")


def as_data_frame(folder, tmp_path):
    return Table(filename=[file for file, _ in rows_of(folder)], label=[label for _, label in rows_of(folder)])


def as_arrays_of(folder, tmp_path):
    images = np.stack([read_image(file, (24, 24)) for file, _ in rows_of(folder)])
    return images.astype("float32"), np.array([label for _, label in rows_of(folder)])


@pytest.mark.parametrize(
    "source",
    [
        as_deeper_folder,
        as_zip,
        as_zip_with_a_folder_around,
        as_csv,
        as_tsv_with_other_names,
        as_data_frame,
        as_arrays_of,
    ],
)
def test_the_same_pictures_are_the_same_data_from_whatever_source(picture_folder, tmp_path, source):
    expected = tl.load_images(picture_folder, image_size=24)
    data = tl.load_images(source(picture_folder, tmp_path), image_size=24)
    assert data.class_names == expected.class_names
    assert contents(data) == contents(expected)
    assert [len(contents(data, part)) for part in ("train", "validation", "test")] == [21, 3, 6]


# ---- folders


def test_what_is_hidden_or_a_macs_is_no_picture_at_any_depth(own_folder, recwarn):
    for name in (".hidden", "__MACOSX", "close/__MACOSX", "close/.hidden"):
        (own_folder / "red" / name).mkdir(parents=True)
        (own_folder / "red" / name / "00.jpg").write_bytes(b"no picture")
    assert len(contents(tl.load_images(own_folder, image_size=24))) == 30
    assert not [warning for warning in recwarn if "left out" in str(warning.message)]


@links
def test_links_lead_inside_the_folder_and_not_out_of_it(own_folder, tmp_path):
    shutil.move(own_folder / "red", own_folder / ".red")  # where only links find it
    (own_folder / "red").symlink_to(own_folder / ".red", target_is_directory=True)
    assert len(contents(tl.load_images(own_folder, image_size=24))) == 30
    outside = tmp_path / "outside"
    outside.mkdir()
    Image.new("RGB", (9, 9)).save(outside / "secret.png")
    (own_folder / "blue" / "album").symlink_to(outside, target_is_directory=True)
    (own_folder / "blue" / "photo.png").symlink_to(outside / "secret.png")
    with pytest.warns(UserWarning, match=r"(?s)Not read:.*photo.png' leads out of .*album' leads out of .*copy it"):
        data = tl.load_images(own_folder, image_size=24)
    assert len(contents(data)) == 30
    with pytest.raises(ValueError, match=r"(?s)strict=True:.*album' leads out"):
        tl.load_images(own_folder, image_size=24, strict=True)


@links
def test_links_in_a_circle_are_walked_once(own_folder):
    (own_folder / "red" / "again").symlink_to(own_folder / "red", target_is_directory=True)
    (own_folder / "red" / "deep").mkdir()
    (own_folder / "red" / "deep" / "up").symlink_to(own_folder / "red", target_is_directory=True)
    assert len(contents(tl.load_images(own_folder, image_size=24))) == 30
    (own_folder / "red" / "itself.jpg").symlink_to(own_folder / "red" / "itself.jpg")
    with pytest.warns(UserWarning, match=r"1 unreadable file is left out"):
        assert len(contents(tl.load_images(own_folder, image_size=24))) == 30


@links
def test_links_back_to_a_folder_around_the_class_bring_no_pictures_of_other_classes(own_folder, tmp_path):
    (own_folder / "red" / "up").symlink_to("..", target_is_directory=True)
    (tmp_path / "set").mkdir()
    shutil.move(own_folder, tmp_path / "set" / "train")
    (tmp_path / "set" / "train" / "blue" / "all").symlink_to(tmp_path / "set", target_is_directory=True)
    assert len(contents(tl.load_images(tmp_path / "set", image_size=24))) == 30
    assert tl.check_images(tmp_path / "set").counts["train"] == {"blue": 10, "green": 10, "red": 10}


def test_class_folders_that_are_numbers_are_in_the_order_of_numbers(picture_folder, tmp_path):
    for number in range(11):
        shutil.copytree(picture_folder / "red", tmp_path / str(number))
        for file in (tmp_path / str(number)).iterdir():
            Image.fromarray(read_image(file, (24, 24)) // 11 * np.uint8(number + 1)).save(file)
    assert tl.load_images(tmp_path, image_size=24).class_names == [str(number) for number in range(11)]


def test_class_folders_that_look_like_parts_are_asked_about(own_folder, tmp_path):
    for part in ("training_set", "test_set"):
        shutil.copytree(own_folder, tmp_path / "sets" / part)
    with pytest.warns(UserWarning, match=r"(?s)classes: test_set, training_set\?.*blue, green, red.*train, validation"):
        tl.load_images(tmp_path / "sets", image_size=24)


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ("dev/red/00.jpg", r"dev' is not one of train, validation, test\. Name it so"),
        ("extra/deep/er/00.JPG", r"extra' is not one of"),
        ("test/00.jpg", r"test' holds no class folders\. Put"),
        ("train/00.jpg", r"train' holds 1 picture outside its folders, first '00\.jpg'\. Put"),
        ("00.jpg", r"set' holds 1 picture outside its folders"),
        ("._00.jpg", None),
        ("LICENSE", None),
        ("notes/list.txt", None),
        ("labels/weights.mat", None),
        (".cache/00.jpg", None),
        ("extra/__MACOSX/00.jpg", None),
        ("train/notes.rst", None),
    ],
)
def test_what_lies_beside_parts_is_named_if_it_may_be_a_picture(own_folder, tmp_path, recwarn, beside, said):
    (tmp_path / "set").mkdir()
    shutil.move(own_folder, tmp_path / "set" / "train")
    (tmp_path / "set" / beside).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(tmp_path / "set/train/red/00.jpg", tmp_path / "set" / beside)
    assert len(contents(tl.load_images(tmp_path / "set", image_size=24))) == 30
    warned = [str(one.message) for one in recwarn if "Not read" in str(one.message)]
    assert len(warned) == (said is not None)
    if said:
        assert re.search(said, warned[0])
        with pytest.raises(ValueError, match=rf"(?s)Not read, and strict=True:.*{said}"):
            tl.load_images(tmp_path / "set", image_size=24, strict=True)


@pytest.mark.parametrize("name", BUNDLED_SETS)
def test_of_a_bundled_set_everything_is_read(name):
    folder = bundled_folder() / name
    assert find_files(folder, find_places(folder))[1] == []


def test_classes_that_a_part_lacks_and_names_that_are_alike_are_named(own_folder, tmp_path):
    (own_folder / "green").rename(own_folder / "Re D")
    with pytest.warns(UserWarning, match=r"(?s)differ only in capitals or blanks:\s+'Re D', 'red'\s+If they are one"):
        tl.load_images(own_folder, image_size=24)
    rows = [
        (file, label, "test" if label == "red" and file.stem < "03" else "train") for file, label in rows_of(own_folder)
    ]
    with pytest.warns(UserWarning, match=r"The test part has no image of 2 of 3 classes: 'Re D', 'blue'\. It says"):
        tl.load_images(write_table(tmp_path / "t.csv", rows, ("file", "label", "split")), image_size=24)


SCRIPTS = ("花", "गुलाब", "وردة", "Ελιά", "a b, 'c'")


def test_names_in_any_script_come_through_every_source(picture_folder, tmp_path):
    folder = tmp_path / "folder"
    for number, name in enumerate(SCRIPTS):
        (folder / name).mkdir(parents=True)
        for file in (picture_folder / "red").iterdir():
            pixels = read_image(file, (24, 24)) // 5 * np.uint8(number + 1)
            Image.fromarray(pixels).save(folder / name / f"{name}{file.stem}.png")
    names = sorted(unicodedata.normalize("NFC", name) for name in SCRIPTS)
    expected = contents(tl.load_images(folder, image_size=24))
    for source in (as_zip, as_tsv_with_other_names, as_data_frame):
        data = tl.load_images(source(folder, tmp_path), image_size=24)
        assert data.class_names == names
        assert contents(data) == expected


# ---- damaged files


def test_strict_raises_where_a_file_cannot_be_read_and_deletes_nothing(own_folder):
    (own_folder / "red" / "00.jpg").write_bytes(b"bad")
    with pytest.raises(ValueError, match=r"(?s)1 unreadable file is left out, and strict=True:.*00\.jpg.*Expected a w"):
        tl.load_images(own_folder, image_size=24, strict=True)
    assert (own_folder / "red" / "00.jpg").read_bytes() == b"bad"


def test_a_class_with_few_training_pictures_is_named(own_folder):
    for file in own_folder.glob("*/0[5-9].*"):
        file.unlink()
    with pytest.warns(
        UserWarning, match=r"3 of 3 classes have fewer than 5 .*'blue' \(3\), 'green' \(3\), 'red' \(3\)"
    ):
        tl.load_images(own_folder, image_size=24)


# ---- tables


def test_a_table_keeps_its_own_parts(picture_folder, tmp_path):
    rows = [
        (file, label, "VAL" if file.stem in ("00", "01") else "test" if file.stem == "02" else "train")
        for file, label in rows_of(picture_folder)
    ]
    data = tl.load_images(write_table(tmp_path / "t.csv", rows, ("file", "label", "split")), image_size=24)
    assert [len(contents(data, part)) for part in ("train", "validation", "test")] == [21, 6, 3]
    tests = [(label, digest(read_image(file, (24, 24)))) for file, label, part in rows if part == "test"]
    assert contents(data, "test") == sorted(tests)


def test_labels_that_are_numbers_are_in_the_order_of_numbers(picture_folder):
    files = [file for file, _ in rows_of(picture_folder)]
    for labels in ([10, 9, 2], [10.0, 9.0, 2.0], ["10", "9", "2"], np.array([10, 9, 2], np.uint8)):
        table = Table(file=files, label=[label for label in labels for _ in range(10)])
        data = tl.load_images(table, image_size=24)
        assert data.class_names == ["2", "9", "10"]
        assert contents(data, "test")[0][0] == "10"


def test_a_file_of_a_table_that_is_not_there_is_left_out_and_named(picture_folder, tmp_path):
    table = write_table(tmp_path / "t.csv", [*rows_of(picture_folder), ("gone.jpg", "red")])
    with pytest.warns(UserWarning, match=r"(?s)1 unreadable file is left out.*There is no file '.*gone.jpg'"):
        data = tl.load_images(table, image_size=24)
    assert len(contents(data)) == 30


@pytest.mark.parametrize(
    ("rows", "columns", "said"),
    [
        (
            [("a", "b")],
            ("picture", "label"),
            r"has the columns picture, label\. Expected one named 'file' \(or filename",
        ),
        ([("a", "b")], ("file", "kind"), r"has the columns file, kind\. Expected one named 'label' \(or class\)"),
        ([("a", "b"), ("b", "")], ("file", "label"), r"1 of 2 rows in .* have no label \(row 2,"),
        ([("a", "b", "c")], ("file", "label"), r"have more values than there are columns \(row 1,"),
        ([("a", "b")], ("file", "label"), r"has 1 class \(b\)\. Expected two or more"),
        ([("a", "0.5"), ("b", "1")], ("file", "file"), r"has the columns file, file\. Expected each name once"),
        (
            [("a", "b", "c")],
            ("file", "label", " Label"),
            r"columns file, label, Label\. Expected each name once",
        ),
        ([], (), r"has the columns none"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path, rows, columns, said):
    with pytest.raises(ValueError, match=said):
        tl.load_images(write_table(tmp_path / "table.csv", rows, columns))


def test_a_table_with_other_parts_missing_labels_or_no_file_that_is_there_is_refused(picture_folder, tmp_path):
    files = [file for file, _ in rows_of(picture_folder)]
    labels = [label for _, label in rows_of(picture_folder)]
    with pytest.raises(ValueError, match=r"has the parts holdout, train\. Expected train, validation and test"):
        tl.load_images(Table(file=files, label=labels, split=["train"] * 29 + ["holdout"]))
    for missing in (None, float("nan")):
        with pytest.raises(ValueError, match=r"1 of 30 rows in The table have no label \(row 30"):
            tl.load_images(Table(file=files, label=[*labels[:29], missing]))
    twice = Table(file=files, label=labels)
    with (
        mock.patch.object(Table, "columns", ["file", "label", "label"]),
        pytest.raises(ValueError, match=r"The table has the columns file, label, label\. Expected each name once"),
    ):
        tl.load_images(twice)
    with pytest.raises(ValueError, match=r"has the label 0\.5\. Expected names or whole numbers"):
        tl.load_images(Table(file=files, label=[0.5] * 15 + [1.0] * 15))
    with pytest.raises(
        FileNotFoundError, match=r"Of the 31 files in .* none is there .*Expected paths that count from"
    ):
        tl.load_images(
            write_table(tmp_path / "t.csv", [(f"gone/{file.name}", "red") for file in files] + [("gone", "blue")])
        )


def test_a_column_that_seems_to_hold_the_parts_is_named(picture_folder, recwarn):
    files, labels = map(list, zip(*rows_of(picture_folder), strict=True))
    for column, parts in (("Subset", ["val", "train", "Test"]), ("fold", ["1", "2", "3"]), ("split", ["train"] * 3)):
        table = Table(file=files, label=labels, **{column: parts * 10}, set=parts * 10 if column == "split" else labels)
        assert len(contents(tl.load_images(table, image_size=24))) == 30
    warned = [str(one.message) for one in recwarn if "Not read" in str(one.message)]
    assert len(warned) == 1
    assert "The column 'Subset' seems to hold the parts. Name it 'split' to use it" in warned[0]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_real_data_frame_is_a_table(picture_folder, library):
    frames = pytest.importorskip(library)
    rows = rows_of(picture_folder)
    frame = frames.DataFrame({"file": [str(file) for file, _ in rows], "label": [label for _, label in rows]})
    assert contents(tl.load_images(frame, image_size=24)) == contents(tl.load_images(picture_folder, image_size=24))


# ---- arrays


def test_arrays_keep_their_size_their_pixels_and_their_parts(arrays):
    data = tl.load_images({name: arrays[name] for name in ("train", "test")})
    assert data.class_names == ["0", "1", "2"]
    for name in ("train", "test"):
        images, labels = arrays[name]
        whole = [(str(label), digest(image)) for image, label in zip(images, labels, strict=True)]
        held = contents(data, name) + (contents(data, "validation") if name == "train" else [])
        assert sorted(held) == sorted(whole)


def test_grey_arrays_and_columns_of_labels_are_taken(arrays):
    images, labels = arrays["train"]
    for grey in (images[..., 0], images[..., :1]):
        data = tl.load_images((grey, labels[:, None]), image_size=16)
        pixels = as_arrays(data.test)[0]
        assert pixels.shape[1:] == (16, 16, 3)
        assert np.array_equal(pixels[..., 0], pixels[..., 2])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x, y: (x / 255, y), r"Pixels run from .*Expected 0 to 255"),
        (lambda x, y: (x, y[:-1]), r"Expected images of numbers 0 to 255, .*and n labels"),
        (lambda x, y: (x, np.eye(3)[y]), r"labels float64 \(24, 3\)"),
        (lambda x, y: (x[..., :2], y), r"has images uint8 \(24, 32, 32, 2\)"),
        (lambda x, y: (x, y / 2), r"has the label 0\.5"),
        (lambda x, y: (x, y * 0), r"has 1 class \(0\)"),
        (lambda x, y: {"test": (x, y)}, r"Received the parts 'test'\. Expected 'train'"),
        (lambda x, y: {"train": (x, y), "rest": (x, y)}, r"Received the parts 'train', 'rest'"),
        (lambda x, y: {"train": x}, r"The part 'train' is a ndarray\. Expected a pair"),
        (lambda x, y: {}, r"Expected 'train'"),
        (lambda x, y: ((x, y), (x, y)), r'two pairs of arrays.*Expected \{"train": \(images, labels\), "test": '),
        (
            lambda x, y: ([x[0], x[1, 1:]], y[:2]),
            r"'train' holds pictures, or labels, of different shapes\. ",
        ),
    ],
)
def test_arrays_that_cannot_be_meant_are_refused(arrays, change, said):
    with pytest.raises(ValueError, match=said):
        tl.load_images(change(*arrays["train"]))


# ---- zip files


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The temporary folder: what is in it at the end was left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def members(picture_folder):
    return {f"{label}/{file.name}": file.read_bytes() for file, label in rows_of(picture_folder)}


def test_a_zip_file_leaves_nothing_behind_and_only_pictures_are_unpacked(members, tmp_path, temporary, monkeypatch):
    seen = []
    extract = zipfile.ZipFile.extract
    monkeypatch.setattr(
        zipfile.ZipFile, "extract", lambda archive, one, to: seen.append(one.filename) or extract(archive, one, to)
    )
    others = {"run.py": b"x", "red/notes.txt": b"x", "__MACOSX/red/._00.jpg": b"x", "red/.hidden.jpg": b"x"}
    data = tl.load_images(write_zip(tmp_path / "p.zip", {**members, **others}), image_size=24)
    assert sorted(seen) == sorted(members)
    assert len(contents(data)) == 30


def test_a_damaged_file_in_a_zip_file_is_named_and_left_out(members, tmp_path, temporary):
    path = write_zip(tmp_path / "photos.zip", members)
    content = bytearray(path.read_bytes())
    content[content.index(members["red/00.jpg"]) + 300] ^= 255  # its checksum is wrong now
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=r"(?s)1 unreadable file is left out.*photos\.zip/red/00\.jpg"):
        data = tl.load_images(path, image_size=24)
    assert len(contents(data)) == 29


def test_what_is_said_of_a_zip_file_names_no_temporary_folder(members, tmp_path, temporary):
    deep = write_zip(tmp_path / "deep.zip", {f"x/y/{name}": content for name, content in members.items()})
    with pytest.raises(ValueError, match=r"Did you mean '.*/deep\.zip/x/y'\?") as caught:
        tl.load_images(deep)
    bad = {"red/bad.jpg": b"bad", "stray.jpg": members["red/00.jpg"]}
    with pytest.warns(UserWarning, match=r"red/bad\.jpg|holds 1 picture") as warned:
        tl.load_images(write_zip(tmp_path / "bad.zip", {**members, **bad}), image_size=24)
    said = [str(caught.value), *(str(one.message) for one in warned)]
    assert not [one for one in said if str(temporary) in one]
    assert sum(f"'{tmp_path / 'bad.zip'}" in one for one in said) == 2


@pytest.mark.parametrize("name", ["no.csv", "no.TSV", "./no.zip", "/no.zip"])
def test_a_file_that_is_not_there_is_an_error(name):
    with pytest.raises(FileNotFoundError, match=rf"There is no file '{name}'\. Expected a path that counts from"):
        tl.load_images(name)


def test_a_name_that_a_mac_wrote_is_read_as_it_was_written(members, tmp_path, temporary):
    path = write_zip(tmp_path / "photos.zip", {name.replace("red", "rosé"): data for name, data in members.items()})
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        starts = [member.header_offset + 6 for member in archive.infolist()]
    starts += [match.start() + 8 for match in re.finditer(rb"PK\x01\x02", content)]
    for start in starts:  # clear the flag that says "this name is UTF-8", in both kinds of headers
        content[start + 1] &= ~8
    path.write_bytes(content)
    assert tl.load_images(path, image_size=24).class_names == ["blue", "green", "rosé"]


@pytest.mark.parametrize("name", ["../out.jpg", "red/../../out.jpg", "/out.jpg", "C:/out.jpg", "..\\out.jpg"])
def test_a_zip_file_that_leads_out_of_its_folder_is_refused(members, tmp_path, temporary, name):
    with pytest.raises(ValueError, match=r"which leads out of its folder\. Unpack it with a program that you trust"):
        tl.load_images(write_zip(tmp_path / "p.zip", {**members, name: b"x"}))
    assert not list(tmp_path.rglob("out.jpg"))


def test_a_zip_file_with_a_link_is_refused(members, tmp_path, temporary):
    link = zipfile.ZipInfo("red/link.jpg")
    link.external_attr = 0o120777 << 16
    with pytest.raises(ValueError, match=r"holds a link, 'red/link\.jpg'\. Expected files"):
        tl.load_images(write_zip(tmp_path / "p.zip", {**members, link: "/etc/passwd"}))


def test_a_zip_file_with_a_password_is_refused(members, tmp_path, temporary):
    path = write_zip(tmp_path / "p.zip", members)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"has a password\. Expected an archive without"):
        tl.load_images(path)


def test_a_zip_file_that_becomes_too_large_is_refused_before_it_is_unpacked(members, tmp_path, temporary, monkeypatch):
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("red/bomb.bmp", bytes(10_000_000))
    monkeypatch.setattr(archives, "ALWAYS", 1_000_000)
    with pytest.raises(ValueError, match=r"would become 10 MB\. Expected pictures, which become at most 100 times"):
        tl.load_images(path)
    monkeypatch.setattr(archives, "ALWAYS", 100_000_000)
    usage = shutil.disk_usage(temporary)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match=r"take 10 MB, and in .* 900 kB can be taken\. Set TMPDIR"):
        tl.load_images(path)


def test_what_is_no_zip_file_is_an_error(tmp_path, temporary):
    (tmp_path / "p.zip").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"is no whole zip file .*Download it, or pack it, again"):
        tl.load_images(tmp_path / "p.zip")


# ---- Hugging Face


class ClassLabel:
    names = ("blue", "green", "red")


Feature = type("Image", (), {})


class Dataset(list):
    """As one of `datasets`, as far as it matters here."""

    features = {"image": Feature(), "label": ClassLabel(), "plant": object()}  # noqa: RUF012
    column_names = ("image", "label", "plant")

    def __getitem__(self, key):
        return [row[key] for row in self] if isinstance(key, str) else super().__getitem__(key)


def hub_rows(folder: Path) -> list[dict]:
    return [
        {"image": Image.open(io.BytesIO(file.read_bytes())), "label": ClassLabel.names.index(label), "plant": file.stem}
        for file, label in rows_of(folder)
    ]


def test_a_hub_set_is_read_with_its_splits(picture_folder):
    rows = hub_rows(picture_folder)
    whole = contents(tl.load_images(Dataset(rows), image_size=24))
    assert whole == contents(tl.load_images(picture_folder, image_size=24))
    parts = {"train": Dataset(rows[3:]), "valid": Dataset(rows[:1]), "test": Dataset(rows[1:3])}
    data = tl.load_images(parts, image_size=24)
    assert [len(contents(data, part)) for part in ("train", "validation", "test")] == [27, 1, 2]


def test_a_hub_set_without_its_columns_or_a_training_part_is_refused(picture_folder):
    rows = Dataset(hub_rows(picture_folder))
    with pytest.raises(ValueError, match=r"no part named 'train'; it has \['test'\]"):
        tl.load_images({"test": rows})
    rows.features = {"image": Feature(), "label": object()}
    with pytest.raises(ValueError, match=r"0 columns of the kind ClassLabel.*class_encode_column"):
        tl.load_images(rows)


def test_a_real_hub_set_gives_what_its_folder_gives(picture_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    rows = rows_of(picture_folder)
    features = datasets.Features(
        {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["blue", "green", "red"])}
    )
    columns = {"picture": [str(file) for file, _ in rows], "kind": [label for _, label in rows]}
    whole = datasets.Dataset.from_dict(columns, features=features)
    expected = contents(tl.load_images(picture_folder, image_size=24))
    assert contents(tl.load_images(whole, image_size=24)) == expected
    split = whole.train_test_split(test_size=9, seed=0, stratify_by_column="kind")
    data = tl.load_images(split, image_size=24)
    assert len(contents(data, "test")) == 9
    assert contents(data) == expected
    bad = [{"path": None, "bytes": b"bad"}, *whole.cast_column("picture", datasets.Image(decode=False))["picture"]]
    damaged = datasets.Dataset.from_dict({"picture": bad, "kind": ["red", *columns["kind"]]}, features=features)
    with pytest.warns(UserWarning, match=r"(?s)1 unreadable file is left out.*Cannot read row 0 of 'train'"):
        assert contents(tl.load_images(damaged, image_size=24)) == expected


def test_a_class_name_is_one_in_whatever_way_it_is_written():
    images = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 3), np.uint8)
    labels = ["cafe\u0301", "caf\u00e9", " caf\u00e9", "x", "x", "x"] * 15
    assert tl.load_images((images, np.array(labels))).class_names == ["caf\u00e9", "x"]


def test_groups_of_a_zip_file_give_the_same_parts_each_time(own_folder, tmp_path):
    file = shutil.make_archive(str(tmp_path / "packed"), "zip", own_folder)
    loaded = [tl.load_images(file, image_size=16, groups=lambda path: path.parent / path.stem[-1]) for _ in range(2)]
    parts = [[sorted(labels_and_digests(part)) for part in data[:3]] for data in loaded]
    assert parts[0] == parts[1]


def labels_and_digests(part) -> list:
    images, labels = as_arrays(part)
    return [(int(label), digest(image)) for image, label in zip(images, labels, strict=True)]


def test_classes_whose_training_images_are_all_in_the_test_part_are_an_error():
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), np.uint8)
    labels = np.arange(60) % 2
    with pytest.raises(ValueError, match="The class '1' holds no readable image to learn from, or only copies"):
        tl.load_images({"train": (images, labels), "test": (images[labels == 1], labels[labels == 1])})
