"""`predict` and `inspect`: damaged pictures, every kind of picture, and files of the user that are in the way."""

import csv
import io
import json
import os
import re
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image, features

import kerastl as tl
from kerastl.__main__ import main

NAMES = ["blue", "green", "red"]


@pytest.fixture
def model(toy, tmp_path):
    """A model's file, in a folder of its own; its classifier counts as trained."""
    toy.layers[-1].bias.assign([0.1, 0.2, 0.3])
    (tmp_path / "model").mkdir()
    return str(tl.save(toy, tmp_path / "model" / "model.keras", NAMES))


@pytest.fixture
def pictures(tmp_path, arrays):
    """A folder with three pictures, of which the second is damaged."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, pixels in zip("abc", arrays["test"][0], strict=False):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:900])
    return folder


def content(folder: Path) -> dict:
    """Every file below a folder, with its bytes."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- one damaged picture


def test_the_pictures_beside_a_damaged_one_are_named_all_the_same(model, pictures, capsys):
    assert main(["predict", model, str(pictures)]) == 1
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == [str(pictures / "a.png"), str(pictures / "c.png")]
    (line,) = printed.err.splitlines()
    assert line.startswith(f"error: Cannot read '{pictures / 'b.png'}' as an image (")


def test_json_says_of_a_damaged_picture_why_it_has_no_predictions(model, pictures, capsys):
    assert main(["predict", model, str(pictures), "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [Path(row["file"]).name for row in rows] == ["a.png", "b.png", "c.png"]
    assert [len(row["predictions"]) for row in rows] == [3, 0, 3]
    assert [row["error"] is None for row in rows] == [True, False, True]
    assert "b.png" in rows[1]["error"]


def test_csv_says_of_a_damaged_picture_why_its_row_is_empty(model, pictures, capsys):
    assert main(["predict", model, str(pictures), "--csv", "--top", "2"]) == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["class_1"] in NAMES for row in rows] == [True, False, True]
    assert [row["error"] == "" for row in rows] == [True, False, True]
    assert list(rows[1].values())[1:-1] == [""] * 4
    assert len({len(row) for row in rows}) == 1


def test_the_pictures_beside_a_damaged_one_get_their_heat_maps(model, pictures, tmp_path):
    assert main(["predict", model, str(pictures), "--cam", str(tmp_path / "maps")]) == 1
    assert sorted(file.name for file in (tmp_path / "maps").iterdir()) == ["001_a.png", "003_c.png"]


def test_when_no_picture_can_be_read_the_status_is_that_of_an_error(model, pictures, capsys):
    assert main(["predict", model, str(pictures / "b.png"), "--csv"]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: Cannot read")
    assert len(printed.out.splitlines()) == 2


def test_a_file_that_is_not_there_is_said_before_the_model_is_loaded(pictures, capsys):
    assert main(["predict", "nowhere.keras", str(pictures / "a.png"), str(pictures / "no.png")]) == 2
    assert "There is no file" in (said := capsys.readouterr().err)
    assert "no.png" in said


def test_a_folder_of_class_folders_is_an_error_that_names_them(picture_folder, capsys):
    assert main(["predict", "nowhere.keras", str(picture_folder)]) == 2
    assert capsys.readouterr().err == (
        f"error: There is no picture in the folder {str(picture_folder)!r}. It has folders inside: blue, green, red. "
        "Name one of them.\n"
    )


def test_an_empty_name_is_not_the_current_folder(model, pictures, capsys, monkeypatch):
    monkeypatch.chdir(pictures)
    assert main(["predict", model, ""]) == 2
    assert capsys.readouterr().err.startswith("error: Received an empty name. Expected a picture")


@pytest.mark.parametrize("command", ["inspect", "predict"])
def test_the_folder_of_a_model_is_an_error_that_names_the_file(model, pictures, capsys, command):
    arguments = [str(pictures / "a.png")] if command == "predict" else []
    folder = os.path.dirname(model)
    assert main([command, folder, *arguments]) == 2
    assert capsys.readouterr().err == f"error: {folder!r} is a folder. Did you mean {model!r}?\n"
    assert main([command, "", *arguments]) == 2
    assert capsys.readouterr().err.startswith("error: Received an empty name. Expected a file that `save` wrote")


@pytest.fixture
def remark(tmp_path, arrays):
    """A picture of which Pillow says something."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description that is long enough to lie outside of the entry"
    Image.fromarray(arrays["test"][0][0]).save(tmp_path / "remark.jpg", exif=exif.tobytes()[:-30])
    return str(tmp_path / "remark.jpg")


def test_a_remark_on_a_picture_is_a_note_beside_the_results(model, remark, capsys):
    assert main(["predict", model, remark, "--json"]) == 0
    printed = capsys.readouterr()
    assert len(json.loads(printed.out)) == 1
    assert printed.err == f"note: Pillow read 1 file with a remark:\n  {remark!r}: the file ends too early\n"


def test_a_note_that_nobody_can_read_ends_nothing(model, remark, capsys, monkeypatch):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    assert main(["predict", model, remark, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1


# ---- what train reads, predict reads


def test_predict_takes_of_a_folder_what_train_takes(model, picture_folder, tmp_path, arrays, capsys):
    folder, picture = tmp_path / "all", Image.fromarray(arrays["test"][0][0])
    folder.mkdir()
    kinds = ["tif", "tiff", "webp", "gif", "bmp", "ppm"] + ["avif"] * features.check("avif")
    for kind in kinds:
        picture.save(folder / f"picture.{kind}")
    (folder / "notes.txt").write_text("no picture")
    (folder / "metrics.json").write_text("{}")
    picture.save(folder / ".hidden.png")
    assert main(["predict", model, str(folder), "--json"]) == 0
    assert [Path(row["file"]).suffix[1:] for row in json.loads(capsys.readouterr().out)] == sorted(kinds)

    for name in NAMES:
        (tmp_path / "classes" / name).mkdir(parents=True)
        for file in folder.iterdir():
            (tmp_path / "classes" / name / file.name).write_bytes(file.read_bytes())
    data = tl.load_images(tmp_path / "classes", image_size=8)
    assert sum(len(labels) for part in data[:3] for _, labels in part) == 3 * len(kinds)


# ---- arguments


@pytest.mark.parametrize("top", ["0", "-2"])
def test_less_than_one_class_is_refused_before_the_model_is_loaded(pictures, capsys, top):
    assert main(["predict", "nowhere.keras", str(pictures), "--top", top]) == 2
    assert capsys.readouterr().err == (
        f"error: Received top={top}. Expected how many classes to show: a whole number, 1 or more.\n"
    )


@pytest.mark.parametrize("top", [0, -2, 1.0, True, "3"])
def test_less_than_one_class_is_refused_by_the_function(toy, arrays, top):
    with pytest.raises(ValueError, match=r"Received top=.*Expected how many classes to show"):
        tl.predict(toy, arrays["test"][0][0], class_names=NAMES, top=top)


# ---- files of the user that are in the way


def test_a_picture_of_the_layers_replaces_no_file(model, tmp_path, capsys):
    mine = tmp_path / "mine.png"
    mine.write_text("mine")
    before = content(tmp_path)
    assert main(["inspect", model, "--picture", str(mine)]) == 2
    printed = capsys.readouterr()
    assert printed.err == f"error: {str(mine)!r} exists already. Choose another name, or move it away.\n"
    assert printed.out == ""
    assert content(tmp_path) == before


def test_a_heat_map_replaces_no_file(pictures, tmp_path, capsys):
    maps = tmp_path / "maps"
    maps.mkdir()
    (maps / "003_c.png").write_text("mine")
    (maps / "other.txt").write_text("mine")
    before = content(tmp_path)
    assert main(["predict", "nowhere.keras", str(pictures), "--cam", str(maps)]) == 2
    assert capsys.readouterr().err == (
        f"error: {str(maps / '003_c.png')!r} exists already. Choose another folder for --cam.\n"
    )
    assert content(tmp_path) == before


def test_heat_maps_go_into_a_folder_that_holds_other_files(model, pictures, tmp_path):
    maps = tmp_path / "maps"
    maps.mkdir()
    (maps / "mine.txt").write_text("mine")
    assert main(["predict", model, str(pictures / "a.png"), "--cam", str(maps)]) == 0
    assert sorted(file.name for file in maps.iterdir()) == ["001_a.png", "mine.txt"]


def test_a_link_to_nowhere_is_a_file_too(model, tmp_path):
    link = tmp_path / "link.png"
    try:
        link.symlink_to(tmp_path / "mine.png")
    except OSError:
        pytest.skip("no right to make links here")
    assert main(["inspect", model, "--picture", str(link)]) == 2
    assert not (tmp_path / "mine.png").exists()


@pytest.mark.parametrize(
    ("option", "place", "said"),
    [
        ("--picture", "mine.txt/x.png", "There is no folder '.*mine.txt'"),
        ("--picture", "nowhere/x.png", "There is no folder '.*nowhere'"),
        ("--picture", ".", "is no name for a picture. Expected one that ends in .png"),
        ("--picture", "", "Received an empty --picture. Expected a file name"),
        ("--picture", "x.txt", "is no name for a picture"),
        ("--picture", "folder.png", "exists already"),
        ("--picture", f"{'x' * 300}.png", "File name too long" if os.name == "posix" else ""),
        ("--cam", "mine.txt", "Cannot make the folder '.*mine.txt'.*Choose another --cam"),
        ("--cam", "mine.txt/maps", "Cannot make the folder '.*maps'"),
        ("--cam", "", "Received an empty --cam"),
    ],
)
def test_an_impossible_place_is_found_before_the_work(
    model, pictures, tmp_path, capsys, monkeypatch, option, place, said
):
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "folder.png").mkdir()
    monkeypatch.chdir(tmp_path)
    before = content(tmp_path)
    command = ["inspect", model] if option == "--picture" else ["predict", "nowhere.keras", str(pictures)]
    assert main([*command, option, place]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith("error: ")
    assert re.search(said, printed.err), printed.err
    assert content(tmp_path) == before


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_that_cannot_be_written_is_found_before_the_work(model, pictures, tmp_path, capsys):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert main(["predict", "nowhere.keras", str(pictures), "--cam", str(closed)]) == 2
    assert "Nothing can be written into" in capsys.readouterr().err
    assert main(["inspect", model, "--picture", str(closed / "x.png")]) == 2
    assert "Nothing can be written into" in capsys.readouterr().err


def test_a_figure_that_fails_half_way_leaves_nothing(tmp_path):
    from matplotlib.figure import Figure

    from kerastl.commands.figures import save_figure

    class Broken(Figure):
        def savefig(self, path, **options):
            Path(path).write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save_figure(Broken(), tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def test_a_figure_keeps_the_format_of_its_ending(model, tmp_path):
    assert main(["inspect", model, "--picture", str(tmp_path / "layers.svg")]) == 0
    assert "<svg" in (tmp_path / "layers.svg").read_text(encoding="utf-8")
    assert main(["inspect", model, "--picture", str(tmp_path / "layers.PNG")]) == 0
    assert np.asarray(Image.open(tmp_path / "layers.PNG")).std() > 5


def test_heat_maps_of_a_model_without_a_base_are_refused_before_the_work(tmp_path, capsys):
    image = keras.Input((32, 32, 3))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax")(features))
    path = tl.save(model, tmp_path / "m.keras", ["a", "b", "c"])
    Image.new("RGB", (32, 32)).save(tmp_path / "good.png")
    assert main(["predict", str(path), str(tmp_path / "good.png"), "--cam", str(tmp_path / "maps")]) == 2
    said = capsys.readouterr()
    assert "Expected a model with one nested base network" in said.err
    assert main(["predict", str(path), str(tmp_path / "good.png")]) == 0
