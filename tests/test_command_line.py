"""The command line: `train`, `predict`, `inspect`, and errors without a traceback."""

import contextlib
import csv
import io
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import kerastl as tl
from kerastl.__main__ import main, make_parser
from kerastl.commands import run_record, train
from kerastl.commands.places import FILES, MARKER
from kerastl.graph import find_base_model
from programs import QUICK
from tiers import slow


@pytest.fixture(scope="module")
def trained(picture_folder, tmp_path_factory):
    """One run of `train`: (exit status, run folder, what it printed)."""
    out, printed = tmp_path_factory.mktemp("runs") / "run", io.StringIO()
    with contextlib.redirect_stdout(printed):
        # small batches: one of all images, with as many of each class, would leave the bias at 0 on torch
        more = ["--batch-size", "8", "--scratch", "--layers", "30"]
        status = main(["train", str(picture_folder), *QUICK, *more, "--out", str(out)])
    return status, out, printed.getvalue()


def test_train_ends_well_and_leaves_one_complete_run_folder(trained):
    status, out, _ = trained
    assert status == 0
    files = {entry.name: entry.stat().st_size for entry in out.iterdir()}
    assert files.pop(MARKER) == 0
    assert set(files) == set(FILES)
    assert all(size > 0 for size in files.values())
    assert [entry.name for entry in out.parent.iterdir()] == ["run"]


def test_train_prints_what_it_found_froze_and_unfroze(trained):
    text = trained[2]
    assert "21 training, 3 validation, 6 test; 32×32 pixels" in text
    assert "3: blue, green, red" in text
    base = find_base_model(tl.load(trained[1] / "model.keras").model)
    assert f"86 layers, {base.count_params():,} parameters, all frozen; the head has 771 parameters" in text
    assert f"unfrozen    {tl.unfreeze_top(tl.load(trained[1] / 'model.keras').model, 30)}" in text


def test_train_ends_with_the_held_out_results_of_all_three(trained):
    text, results = trained[2], json.loads((trained[1] / "metrics.json").read_text())["results"]
    assert [row["name"] for row in results] == ["head only", "fine-tuned", "from scratch"]
    for row in results:
        assert any(line.startswith(row["name"]) and f"{row['test_accuracy']:.3f}" in line for line in text.splitlines())


@pytest.mark.slow
def test_the_saved_model_is_the_one_that_was_measured(trained, picture_folder):
    saved = tl.load(trained[1] / "model.keras")
    data = tl.load_images(picture_folder, image_size=32, seed=0)
    metrics = json.loads((trained[1] / "metrics.json").read_text())
    tuned = next(row for row in metrics["results"] if row["name"] == "fine-tuned")
    assert tl.evaluate(saved.model, data.test).loss == pytest.approx(tuned["test_loss"], rel=1e-5)
    assert saved.class_names == metrics["class_names"] == ["blue", "green", "red"]


def test_predict_prints_one_line_for_each_picture(trained, picture_folder, capsys):
    pictures = [str(picture_folder / "red" / "00.jpg"), str(picture_folder / "blue" / "01.png")]
    assert main(["predict", str(trained[1] / "model.keras"), *pictures, "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split("  ", 1)] for line in lines]
    assert [file for file, _ in rows] == pictures
    expected = tl.predict(trained[1] / "model.keras", pictures[0], top=2)
    assert rows[0][1] == ", ".join(f"{guess.class_name} {guess.probability:.3f}" for guess in expected)


def test_the_report_tells_what_was_trained(trained):
    page, metrics = (trained[1] / "report.html").read_text(), json.loads((trained[1] / "metrics.json").read_text())
    assert "MobileNet, two phases" in page
    assert f"{metrics['unfrozen']['parameters']:,} parameters" in page
    assert "21" in page
    for row in metrics["results"]:
        assert f'<td class="number">{row["test_accuracy"]:.3f}</td>' in page


@pytest.mark.slow
def test_predict_reads_whole_folders_and_prints_json(trained, picture_folder, capsys):
    model, folder = str(trained[1] / "model.keras"), picture_folder / "red"
    assert main(["predict", model, str(folder), "--json", "--top", "2"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["file"] for row in rows] == [str(file) for file in sorted(folder.iterdir())]
    for row in rows[:2]:
        expected = tl.predict(model, row["file"], top=2)
        assert [guess["class_name"] for guess in row["predictions"]] == [name for name, _ in expected]
        assert row["predictions"][0]["probability"] == pytest.approx(expected[0].probability, abs=1e-6)


@pytest.mark.slow
def test_predict_prints_csv_that_a_program_can_read(trained, picture_folder, capsys, tmp_path):
    odd = tmp_path / 'a, "b".png'
    odd.write_bytes((picture_folder / "red" / "01.png").read_bytes())
    assert main(["predict", str(trained[1] / "model.keras"), str(odd), "--csv"]) == 0
    header, row = csv.reader(io.StringIO(capsys.readouterr().out))
    names = ["class_1", "probability_1", "class_2", "probability_2", "class_3", "probability_3"]
    assert header == ["file", *names, "error"]
    assert row[0] == str(odd)
    assert sum(map(float, row[2::2])) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_predict_writes_a_heat_map_for_each_picture_and_nothing_elsewhere(trained, picture_folder, capsys, tmp_path):
    names = ["one.png", "..one;.png", "one.jpg"]
    pictures = [tmp_path / name for name in names]
    for picture in pictures:
        picture.write_bytes((picture_folder / "red" / "01.png").read_bytes())
    out = tmp_path / "maps"
    assert main(["predict", str(trained[1] / "model.keras"), *map(str, pictures), "--cam", str(out)]) == 0
    assert sorted(file.name for file in out.iterdir()) == ["001_one.png", "002_..one_.png", "003_one.png"]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*names, "maps"])
    for file in out.iterdir():
        assert np.asarray(Image.open(file)).std() > 5  # not an empty picture


@pytest.mark.slow
def test_inspect_shows_classes_layers_and_how_it_was_trained(trained, capsys, tmp_path):
    model, picture = trained[1] / "model.keras", tmp_path / "layers.png"
    assert main(["inspect", str(model), "--picture", str(picture)]) == 0
    text = capsys.readouterr().out
    blocks = tl.list_blocks(tl.load(model).model)
    assert str(blocks) in text
    assert blocks.strip in text
    for expected in ("3: blue, green, red", "32×32 pixels", "the head, 1 epoch", "30 layers from", "test accuracy"):
        assert expected in text
    assert np.asarray(Image.open(picture)).std() > 5


def test_inspect_holds_for_a_model_without_a_summary_and_steers_no_terminal(toy, capsys, tmp_path):
    path = tl.save(toy, tmp_path / "toy.keras", ["\x1b[31mred", "b", "c"])
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    assert "nothing is noted in the file" in text
    assert "\x1b" not in text
    assert "[31mred" in text


@pytest.mark.slow
def test_ctrl_c_in_phase_2_still_ends_with_a_run_folder(picture_folder, tmp_path, monkeypatch, capsys):
    from kerastl.engine import train as engine

    begin_epoch, calls = engine.Bar.on_epoch_begin, []

    def press(*arguments):
        calls.append(arguments)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return begin_epoch(*arguments)

    monkeypatch.setattr(engine.Bar, "on_epoch_begin", press)
    assert main(["train", str(picture_folder), *QUICK, "--out", str(tmp_path / "run")]) == 0
    assert "phase 2 was stopped in epoch 1" in capsys.readouterr().out
    assert (tmp_path / "run" / "model.keras").stat().st_size > 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert len(metrics["phase1"]["loss"]) == 1
    assert metrics["phase2"] == {}


# ---- errors: status 2, one line on stderr, no traceback, no run folder


def assert_refused(capsys, arguments: list[str], *parts: str) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert next(line for line in captured.err.splitlines() if not line.startswith("note: ")).startswith("error: ")
    assert "Traceback" not in captured.err
    for part in parts:
        assert part in captured.err


def test_a_run_folder_that_exists_is_refused_and_kept(capsys, picture_folder, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    arguments = ["train", str(picture_folder), *QUICK, "--out", str(tmp_path)]
    assert_refused(capsys, arguments, "exists already", "--overwrite")
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_overwrite_replaces_an_older_run(picture_folder, trained, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(trained[1], out)
    old = (out / "model.keras").read_bytes()
    assert main(["train", str(picture_folder), *QUICK, "--out", str(out), "--overwrite"]) == 0
    assert {entry.name for entry in out.iterdir()} == {*FILES, MARKER}
    assert (out / "model.keras").read_bytes() != old
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


@pytest.mark.slow
@pytest.mark.parametrize("error", [RuntimeError("no heat today"), KeyboardInterrupt()])
def test_a_report_that_fails_costs_no_model(capsys, picture_folder, tmp_path, monkeypatch, error):
    def break_off(*_, **__):
        raise error

    monkeypatch.setattr(run_record, "make_report", break_off)
    status = main(["train", str(picture_folder), *QUICK, "--layers", "5", "--out", str(tmp_path / "run")])
    said = capsys.readouterr()
    left = {entry.name for entry in (tmp_path / "run").iterdir()} - {MARKER}
    if isinstance(error, KeyboardInterrupt):
        assert status == 130
        assert left == {"model.keras", "metrics.json"}
        assert "the model is kept: " in said.err
        assert said.err.endswith("stopped\n")
    else:
        assert status == 1
        assert left == {*FILES} - {"report.html"}
        assert "error: report.html could not be made (no heat today); the model is in the run folder" in said.err
    assert tl.load(tmp_path / "run" / "model.keras").class_names == ["blue", "green", "red"]


PRESS = """
import os, signal, sys
import keras
from kerastl.engine import train as engine
from kerastl.__main__ import main, make_parser

signal.signal(signal.SIGINT, signal.default_int_handler)
begin_epoch, calls = engine.Bar.on_epoch_begin, []

def press(*arguments):
    calls.append(arguments)
    if len(calls) == {epoch}:
        os.kill(os.getpid(), signal.SIGINT)
    return begin_epoch(*arguments)

def press_again(*_):
    os.kill(os.getpid(), signal.SIGINT)  # while the best weights are put back
    return restore(*_)

engine.Bar.on_epoch_begin = press
restore, engine.Best.restore = engine.Best.restore, press_again
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("epoch", "phase"), [(2, "phase1"), (5, "phase2")])
def test_ctrl_c_pressed_twice_keeps_the_best_weights_so_far(picture_folder, tmp_path, epoch, phase):
    arguments = ["train", str(picture_folder), *QUICK, "--epochs", "3", "--out", str(tmp_path / "run")]
    program = [sys.executable, "-c", PRESS.format(epoch=epoch), *arguments]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 130, done.stderr
    assert done.stderr.endswith("stopped\n")
    assert "Traceback" not in done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert len(metrics[phase]["loss"]) == 1
    assert tl.load(tmp_path / "run" / "model.keras").class_names == ["blue", "green", "red"]


@pytest.mark.slow
def test_ctrl_c_in_the_first_epoch_of_both_phases_still_ends_with_a_run_folder(picture_folder, tmp_path, monkeypatch):
    from kerastl.engine import train as engine

    def press(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(engine.Bar, "on_epoch_begin", press)
    assert main(["train", str(picture_folder), *QUICK, "--out", str(tmp_path / "run")]) == 0
    assert {entry.name for entry in (tmp_path / "run").iterdir()} == {*FILES, MARKER} - {"history.png"}


def test_ctrl_c_before_anything_was_learned_leaves_nothing(picture_folder, tmp_path, monkeypatch):
    def press(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train_head", press)
    assert main(["train", str(picture_folder), *QUICK, "--out", str(tmp_path / "run")]) == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_training_goes_on_when_nobody_reads_what_it_prints(picture_folder, tmp_path):
    command = [sys.executable, "-m", "kerastl", "train", str(picture_folder), *QUICK, "--out", str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline().startswith("images")
        run.stdout.close()
        assert run.stderr.read() == ""
    assert run.returncode == 0
    assert {entry.name for entry in (tmp_path / "run").iterdir()} == {*FILES, MARKER}


@pytest.mark.parametrize("closed", [1, 2])
@pytest.mark.slow
def test_a_stream_that_is_closed_is_no_error(trained, picture_folder, closed):
    model, picture = trained[1] / "model.keras", picture_folder / "red" / "00.jpg"
    program = (
        f"import os, sys; os.close({closed}); "
        "os.execv(sys.executable, [sys.executable, '-m', 'kerastl', *sys.argv[1:]])"
    )
    command = [sys.executable, "-c", program, "predict", str(model), str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert ("00.jpg" in done.stdout) == (closed != 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--image-size", "1000000"],
        ["--alpha", "inf"],
        *slow(["--out", "~nobody-of-this-name/run"]),  # trains: it is a name
        ["--backup", "~nobody-of-this-name/backup"],
        ["--weights", "~nobody-of-this-name/w.h5"],
    ],
)
def test_what_is_far_beyond_is_one_line(capsys, picture_folder, tmp_path, arguments, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status = main(["train", str(picture_folder), *QUICK, "--layers", "5", "--out", "run", *arguments])
    said = capsys.readouterr()
    assert status in (0, 2)
    errors = [line for line in said.err.splitlines() if not line.startswith("note: 3 of 3 classes have fewer than 5")]
    assert (len(errors) == 1) == (status == 2)


@pytest.mark.slow
def test_ctrl_c_between_the_phases_ends_the_program_and_keeps_the_head(picture_folder, tmp_path, monkeypatch):
    def press(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(train.Record, "measure", press)
    assert main(["train", str(picture_folder), *QUICK, "--out", str(tmp_path / "run")]) == 130
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert len(metrics["phase1"]["loss"]) == 1
    assert tl.load(tmp_path / "run" / "model.keras").class_names == ["blue", "green", "red"]


def test_ctrl_c_while_tensorflow_loads_is_one_line():
    program = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Press:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'keras':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Press())\n"
        "from kerastl.__main__ import main\n"
        "sys.exit(main(['inspect', 'x.keras']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nstopped\n")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (["--layers", "87"], ["Received layers=87", "1 to 86"]),
        (["--layers", "conv_pv_13"], ["has no layer or block 'conv_pv_13'", "conv_pw_13"]),
    ],
)
def test_an_impossible_option_is_refused_before_training(capsys, picture_folder, tmp_path, changes, parts):
    assert_refused(capsys, ["train", str(picture_folder), *QUICK, *changes, "--out", str(tmp_path / "run")], *parts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (["--base", "MobilNetV2"], ["Unknown base: 'MobilNetV2'", "MobileNetV2"]),
        (["--base", "VGG16"], ["Received alpha=0.25. VGG16 takes no alpha; it takes: name."]),
        (["--alpha", "0"], ["Received alpha=0.0. Expected a width above 0"]),
        (["--image-size", "31"], ["31×31", "at least 32×32"]),
        (["--image-size", "0"], ["image_size=0"]),
        (["--weights", "nowhere.h5"], ["no file of weights 'nowhere.h5'"]),
        (["--weights", "garden", "--alpha", "0.5"], ["'garden' belong to MobileNetV2, alpha=0.35"]),
        (["--layers", "0"], ["Received layers=0. Expected 1 or more."]),
        (["--layers", "-3"], ["Received layers=-3. Expected 1 or more."]),
        (["--epochs", "0"], ["Received epochs=0"]),
        (["--batch-size", "0"], ["batch_size=0"]),
        (["--seed", "-1"], ["Received seed=-1. Expected a whole number from 0 to 4294967295."]),
        (["--seed", str(2**32)], ["Received seed=4294967296."]),
    ],
)
def test_what_needs_no_picture_is_refused_before_one_is_read(capsys, tmp_path, changes, parts):
    (tmp_path / "photos").mkdir()  # in which there are none: that would be found first, if it were looked into
    assert_refused(
        capsys, ["train", str(tmp_path / "photos"), *QUICK, *changes, "--out", str(tmp_path / "run")], *parts
    )
    assert [entry.name for entry in tmp_path.iterdir()] == ["photos"]


def test_wrong_sources_are_refused(capsys, tmp_path):
    run = ["--out", str(tmp_path / "run")]
    (tmp_path / "empty").mkdir()
    assert_refused(capsys, ["train", str(tmp_path / "nowhere"), *QUICK, *run], "There is no folder")
    assert_refused(capsys, ["train", str(tmp_path / "empty"), *QUICK, *run], "has 0 class folders")
    assert_refused(capsys, ["train", "drawn_flower", *QUICK, *run], "Unknown images", "drawn_flowers")
    assert_refused(capsys, ["train", "mnist:9.9.9", *QUICK, *run], "mnist")


def test_wrong_files_for_predict_are_refused(capsys, trained, tmp_path):
    assert_refused(capsys, ["predict", str(tmp_path / "no.keras"), __file__], "There is no file", "no.keras")
    assert_refused(capsys, ["inspect", str(tmp_path / "no.keras")], "There is no file", "no.keras")
    model = str(trained[1] / "model.keras")
    assert_refused(capsys, ["predict", model, str(tmp_path / "no.jpg")], "There is no file", "no.jpg")


def test_options_that_do_not_exist_end_with_status_2(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", "x", "--out", "y", "--layerz", "3"])
    assert ended.value.code == 2
    assert "usage: python -m kerastl" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        *(
            [name, "--help"]
            for name in ("check-images", "compare", "train", "predict", "inspect", "export", "serve", "check")
        ),
    ],
)
def test_help_is_readable(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: python -m kerastl")
    assert max(map(len, out.splitlines())) < 121


def test_help_has_the_commands_in_the_order_of_the_work_and_of_each_its_own_examples(capsys):
    order = ["check", "check-images", "compare", "train", "predict", "inspect", "export", "serve"]
    for arguments, expected in (([], order), *(([name], [name]) for name in order)):
        with pytest.raises(SystemExit):
            main([*arguments, "--help"])
        help_, examples = capsys.readouterr().out.split("\nexamples:\n")
        examples = [line.split()[3:] for line in examples.splitlines()]
        assert list(dict.fromkeys(words[0] for words in examples)) == expected
        for words in examples:
            assert make_parser().parse_args(words).command == words[0]
        if not arguments:
            assert re.findall(r"^    (\S+)", help_, flags=re.MULTILINE) == order
