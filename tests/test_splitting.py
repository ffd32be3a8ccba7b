"""Which pictures are set aside: stable, in whole groups, each class by itself, no copy in two parts."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kerastl as tl
from kerastl.data import as_arrays
from kerastl.reading import read_image
from kerastl.sources import digest
from kerastl.splitting import draw_places, find_units, set_parts_aside

pytestmark = pytest.mark.filterwarnings("ignore:.*fewer than 5 training images")
PARTS = ("train", "validation", "test")
SHARES = {"validation": 0.1, "test": 0.2}


def split(classes: dict[str, list[str]], groups: dict[str, str] | None = None, seed: int = 0) -> dict[str, str]:
    """{name of a picture: its part} of some classes with these pictures."""
    names = [name for held in classes.values() for name in held]
    labels = np.repeat(np.arange(len(classes)), [len(held) for held in classes.values()])
    keys = names if groups is None else [groups[name] for name in names]
    rows = {"train": np.arange(len(names))}
    set_parts_aside(rows, labels, draw_places(keys, seed), find_units(keys), SHARES, list(classes))
    return {names[number]: part for part in PARTS for number in rows[part].tolist()}


def pictures(label: str, count: int) -> list[str]:
    return [f"{label}/{number:03d}.jpg" for number in range(count)]


@pytest.mark.parametrize("seed", range(5))
def test_a_new_picture_moves_itself_and_at_most_one_other_over_each_border(seed):
    before = split({"red": pictures("red", 50), "blue": pictures("blue", 30)}, seed=seed)
    moved = []
    for number in range(50):
        new = f"red/new {number}.jpg"
        after = split({"red": [new, *pictures("red", 50)], "blue": pictures("blue", 30)}, seed=seed)
        changed = [name for name, part in before.items() if after[name] != part]
        assert len(changed) <= 2
        assert all(name.startswith("red") for name in changed)
        moved.append(len(changed))
    assert 0 in moved


def test_the_order_of_files_the_other_classes_and_the_size_decide_nothing(picture_folder):
    classes = {"red": pictures("red", 40), "blue": pictures("blue", 40)}
    turned = {"red": pictures("red", 40)[::-1], "blue": pictures("blue", 40)[::-1], "green": pictures("green", 90)}
    before, after = split(classes), split(turned)
    assert before == {name: after[name] for name in before}
    chosen = []
    for size in (24, 48):
        file_of = {digest(read_image(file, (size, size))): file for file in picture_folder.glob("*/*")}
        chosen.append({file_of[one] for one in held_in(tl.load_images(picture_folder, image_size=size))["test"]})
    assert chosen[0] == chosen[1]


def test_each_class_gives_its_share():
    counts = {"red": 100, "blue": 37, "green": 3}
    parts = split({label: pictures(label, count) for label, count in counts.items()})
    for label, expected in {"red": (72, 8, 20), "blue": (27, 3, 7), "green": (1, 1, 1)}.items():
        held = [part for name, part in parts.items() if name.startswith(label)]
        assert tuple(map(held.count, PARTS)) == expected


@pytest.mark.parametrize("seed", range(10))
def test_a_group_is_never_in_two_parts_and_each_class_has_about_its_share(seed):
    chance = np.random.default_rng(seed)
    classes = {label: pictures(label, 200) for label in ("red", "blue")}
    groups = {name: f"plant {chance.integers(40)}" for held in classes.values() for name in held}
    parts = split(classes, groups, seed)
    assert len({(groups[name], part) for name, part in parts.items()}) == len(set(groups.values()))
    for label in classes:
        held = [part for name, part in parts.items() if name.startswith(label)]
        assert abs(held.count("test") - 40) <= 15  # a plant has about five of each class
        assert abs(held.count("validation") - 16) <= 10


def tens(count: int) -> dict[str, str]:
    """Groups of ten pictures each."""
    return {name: name[:-5] for label in ("red", "blue") for name in pictures(label, count)}


def test_three_large_groups_give_one_to_each_part():
    parts = split({"red": pictures("red", 30), "blue": pictures("blue", 30)}, tens(30))
    for label in ("red", "blue"):
        assert sorted(parts[f"{label}/0{ten}0.jpg"] for ten in range(3)) == sorted(PARTS)


def test_too_few_groups_in_a_class_are_an_error():
    with pytest.raises(ValueError, match=r"The class 'red' has too few images .*what `groups` keeps together"):
        split({"red": pictures("red", 20), "blue": pictures("blue", 30)}, tens(30))


def test_pictures_that_share_a_key_through_others_are_one_unit():
    units = find_units(["a", "b", "b", "c", "d"], [1, 1, 2, 3, 4])
    assert len(set(units[:3].tolist())) == 1
    assert len(set(units.tolist())) == 3


# ---- copies


def held_in(data) -> dict[str, list[bytes]]:
    return {part: [digest(image) for image in as_arrays(getattr(data, part))[0]] for part in PARTS}


@pytest.mark.parametrize("seed", range(6))
def test_a_copy_of_a_picture_is_never_in_two_parts(own_folder, seed):
    for number in (0, 2, 4):
        for copy in range(4):
            shutil.copy(own_folder / "red" / f"{number:02d}.jpg", own_folder / "red" / f"copy {number} {copy}.jpg")
    held = held_in(tl.load_images(own_folder, image_size=24, seed=seed))
    assert sum(map(len, held.values())) == 42
    assert sum(len(set(some)) for some in held.values()) == 30


def test_a_copy_in_an_earlier_part_is_left_out_and_that_is_said(picture_folder, tmp_path):
    for part in PARTS:
        shutil.copytree(picture_folder, tmp_path / part)
        for label in ("blue", "green", "red"):
            for file in sorted((tmp_path / part / label).iterdir()):
                number = int(file.stem)
                if {"test": number > 2, "validation": not 2 <= number < 5, "train": number < 4}[part]:
                    file.unlink()
    with pytest.warns(UserWarning, match=r"6 pictures are left out: the same pixels are in a later part"):
        held = held_in(tl.load_images(tmp_path, image_size=24))
    assert [len(held[part]) for part in PARTS] == [15, 6, 9]  # 2 is in the test part, too; 4 in the validation part
    assert len(set(held["train"]) | set(held["validation"]) | set(held["test"])) == 30


def test_copies_with_two_labels_are_named_and_stay_together(own_folder):
    shutil.copy(own_folder / "red" / "00.jpg", own_folder / "blue" / "not red.jpg")
    with pytest.warns(UserWarning, match=r"(?s)1 picture has more than one label.*blue/not red\.jpg, red/00\.jpg"):
        held = held_in(tl.load_images(own_folder, image_size=24))
    assert sum(len(set(some)) for some in held.values()) == 30


def put_into_parts(pictures, folder):
    """Seven pictures of each class in `train`, the others in `test`."""
    for part in ("train", "test"):
        shutil.copytree(pictures, folder / part)
        for file in sorted((folder / part).glob("*/*")):
            if (int(file.stem) < 7) == (part == "test"):
                file.unlink()


def test_copies_across_parts_with_two_labels_are_named_and_strict_takes_no_copies(picture_folder, tmp_path):
    put_into_parts(picture_folder, tmp_path)
    shutil.copy(tmp_path / "test/red/08.jpg", tmp_path / "train/red/new.jpg")
    with pytest.raises(ValueError, match=r"1 picture is left out: .*With strict=True that is an error"):
        tl.load_images(tmp_path, image_size=24, strict=True)
    shutil.copy(tmp_path / "test/red/08.jpg", tmp_path / "train/blue/new.jpg")
    said = r"(?s)1 picture has more than one label.*train/blue/new\.jpg, train/red/new\.jpg, test/red/08\.jpg"
    with pytest.warns(UserWarning, match=said):
        tl.load_images(tmp_path, image_size=24)
    with pytest.raises(ValueError, match=said):
        tl.load_images(tmp_path, image_size=24, strict=True)


# ---- groups, from each source


def plant_of(path: Path) -> int:
    return int(path.stem) // 3


def plants_apart(data, folder: Path) -> bool:
    plants = {digest(read_image(file, (24, 24))): plant_of(file) for file in folder.glob("*/*")}
    held = {part: {plants[one] for one in some} for part, some in held_in(data).items()}
    return sum(map(len, held.values())) == len(set.union(*held.values())) == 4


@pytest.mark.parametrize("kind", ["folder", "zip", "csv", "arrays"])
def test_groups_stay_together_from_whatever_source(picture_folder, tmp_path, kind):
    files = sorted(picture_folder.glob("*/*"))
    plants = [plant_of(file) for file in files]
    source, groups = picture_folder, plant_of
    if kind == "zip":
        source = shutil.make_archive(tmp_path / "photos", "zip", picture_folder)
    elif kind == "csv":
        source, groups = tmp_path / "t.csv", "plant"
        lines = [f"{file},{file.parent.name},{plant}" for file, plant in zip(files, plants, strict=True)]
        source.write_text("\n".join(["file,label,Plant", *lines]))
    elif kind == "arrays":
        images = np.stack([read_image(file, (24, 24)) for file in files])
        source, groups = (images, [file.parent.name for file in files]), plants
    assert plants_apart(tl.load_images(source, image_size=24, groups=groups), picture_folder)
    without = [tl.load_images(picture_folder, image_size=24, seed=seed) for seed in range(3)]
    assert not all(plants_apart(data, picture_folder) for data in without)  # so this could fail


class Table(dict):
    """As a DataFrame of pandas or Polars, as far as it matters here."""

    columns = property(list)


def test_blanks_around_a_group_or_a_part_make_no_other_one(picture_folder):
    files = sorted(picture_folder.glob("*/*"))
    blanks = [" " * (number % 2) for number in range(len(files))]
    plants = [f"{blank}plant {plant_of(file)}{blank}" for file, blank in zip(files, blanks, strict=True)]
    table = Table({"file": files, " label ": [file.parent.name for file in files], "plant ": plants})
    assert plants_apart(tl.load_images(table, image_size=24, groups="plant"), picture_folder)
    table["split "] = [("train", "test", "test ", " test")[plant_of(file)] for file in files]
    assert len(held_in(tl.load_images(table, image_size=24))["test"]) == 21


def test_a_group_in_two_parts_of_the_source_is_an_error(picture_folder, tmp_path):
    put_into_parts(picture_folder, tmp_path)
    with pytest.raises(ValueError, match=r"groups, but 2 is in the train and in the test part of the source"):
        tl.load_images(tmp_path, image_size=24, groups=plant_of)


@pytest.mark.parametrize(
    ("source", "groups", "said"),
    [
        ("folder", "plant", r"Received groups='plant'\. Expected a function that gives the group of a file"),
        ("csv", len, r"Received groups=<built-in function len>\. Expected the name of a column"),
        ("csv", "pot", r"has the columns file, label\. Expected one named 'pot'"),
        ("folder", lambda path: [path.stem], r"Received the group \['00'\], a list\. Expected a text, a number or"),
        ("arrays", [1, 2], r"Received 2 groups\. Expected one for each of the 24 images"),
    ],
)
def test_groups_that_cannot_be_meant_are_refused(picture_folder, tmp_path, arrays, source, groups, said):
    (tmp_path / "t.csv").write_text(
        "\n".join(["file,label", *(f"{file},{file.parent.name}" for file in picture_folder.glob("*/*"))])
    )
    sources = {"folder": picture_folder, "csv": tmp_path / "t.csv", "arrays": arrays["train"]}
    with pytest.raises((TypeError, ValueError), match=said):
        tl.load_images(sources[source], image_size=24, groups=groups)


def test_a_black_class_of_copies_is_one_picture(own_folder):
    for file in (own_folder / "green").iterdir():
        Image.new("RGB", (9, 9)).save(file)
    with pytest.raises(ValueError, match=r"The class 'green' has too few images.*Copies.*count as one"):
        tl.load_images(own_folder, image_size=24)
