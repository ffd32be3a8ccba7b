"""The folder of a run: whose it is, what may be replaced, and that a model is never lost. Nothing is trained here."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kerastl.commands import run_folder
from kerastl.commands.places import MARKER, MODEL
from kerastl.commands.run_folder import RunFolder

CLAIM = """
import os, signal, sys
from pathlib import Path
from kerastl.commands.run_folder import RunFolder
with RunFolder(sys.argv[1], "overwrite" in sys.argv, {{}}) as folder:
    print("claimed", flush=True)
    {then}
"""


def claim_elsewhere(out, then: str, *arguments) -> subprocess.CompletedProcess:
    program = CLAIM.format(then=then)
    command = [sys.executable, "-c", program, str(out), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def write_run(out, content: str = "new", overwrite: bool = False, others=()) -> None:
    with RunFolder(out, overwrite, {}) as folder:
        for name in ("report.html", *others):
            (folder.work / name).write_text(content)
        folder.write_model(lambda path: path.write_text(content))


def tree(folder: Path) -> dict[str, str | None]:
    """All that is below a folder: contents of files by path; None for what is no file."""
    return {str(path.relative_to(folder)): path.read_text() if path.is_file() else None for path in folder.rglob("*")}


# ---- where a run may write


def test_a_whole_run_appears_under_its_name_and_nothing_beside_it(tmp_path):
    write_run(tmp_path / "a" / "run")
    names = {MARKER: "", MODEL: "new", "report.html": "new"}
    assert tree(tmp_path) == {"a": None, "a/run": None} | {f"a/run/{name}": text for name, text in names.items()}


def test_a_run_without_a_model_leaves_nothing_not_even_the_folders_made_for_it(tmp_path):
    with pytest.raises(KeyError), RunFolder(tmp_path / "a" / "b" / "run", False, {}) as folder:
        (folder.work / "report.html").write_text("half")
        raise KeyError
    assert tree(tmp_path) == {}


def test_a_run_that_failed_after_its_model_was_written_is_kept(tmp_path, capsys):
    with pytest.raises(KeyError), RunFolder(tmp_path / "run", False, {}) as folder:
        folder.write_model(lambda path: path.write_text("new"))
        raise KeyError
    assert (tmp_path / "run" / MODEL).read_text() == "new"
    assert f"the model is kept: {tmp_path / 'run' / MODEL}" in capsys.readouterr().err


def test_a_run_that_was_broken_off_replaces_no_older_one(tmp_path, capsys):
    write_run(tmp_path / "run", "old")
    with pytest.raises(KeyError), RunFolder(tmp_path / "run", True, {}) as folder:
        folder.write_model(lambda path: path.write_text("new"))
        raise KeyError
    assert (tmp_path / "run" / MODEL).read_text() == "old"
    assert (tmp_path / "run-2" / MODEL).read_text() == "new"
    assert f"the model is kept: {tmp_path / 'run-2' / MODEL}" in capsys.readouterr().err


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder with pictures in a project, and the current folder in it."""
    for folder in ("project/photos/daisy", "project/backup", "elsewhere"):
        (tmp_path / "home" / folder).mkdir(parents=True)
        (tmp_path / "home" / folder / "mine.txt").write_text(folder)
    (tmp_path / "home" / "link").symlink_to(tmp_path / "home" / "project")
    (tmp_path / "home" / "project" / "dangling").symlink_to(tmp_path / "nowhere")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "home" / "project")
    return tmp_path / "home"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("photos", "is the pictures 'photos'"),
        ("photos/daisy", "lies in the pictures 'photos'"),
        ("photos/new/run", "the pictures 'photos'"),
        ("../link/photos/run", "the pictures 'photos'"),
        ("backup", "the backup 'backup'"),
        ("backup/run", "the backup 'backup'"),
        ("../link/../project/backup/run", "the backup 'backup'"),
        ("", "Received an empty --out"),
        (".", "is the current folder"),
        ("..", "your home folder"),
        ("../..", "your home folder"),
        ("~", "your home folder"),
        ("../../home/project", "is the current folder"),
        ("/", "your home folder"),
        ("../link", "is a symbolic link"),
        ("dangling", "is a symbolic link"),
        ("photos/daisy/mine.txt", "the pictures 'photos'"),
        ("../elsewhere/mine.txt", "is a file"),
        ("../elsewhere/mine.txt/run", "Cannot write '../elsewhere/mine.txt/run'"),
        ("../elsewhere", "exists already|holds no file '.kerastl-run'"),
    ],
)
def test_what_is_the_users_is_refused_and_stays(home, out, reason, overwrite):
    before = tree(home)
    apart_from = {"the pictures": Path("photos"), "the backup": Path("backup")}
    with pytest.raises((OSError, ValueError), match=reason), RunFolder(out, overwrite, apart_from):
        raise AssertionError("claimed")
    assert tree(home) == before


@pytest.mark.parametrize("inside", ["notes.txt", "maps/heat.png"])
def test_overwrite_keeps_a_run_that_holds_what_is_not_of_the_run(tmp_path, inside):
    write_run(tmp_path / "run", "old")
    (tmp_path / "run" / inside).parent.mkdir(exist_ok=True)
    (tmp_path / "run" / inside).write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(FileExistsError, match=f"holds what no run wrote: {inside.split('/')[0]}. Move it away"):
        write_run(tmp_path / "run", overwrite=True)
    assert tree(tmp_path) == before


def test_overwrite_replaces_an_older_run_and_what_a_system_put_there(tmp_path):
    write_run(tmp_path / "run", "old", others=["history.png"])
    (tmp_path / "run" / ".DS_Store").write_text("the finder's")
    write_run(tmp_path / "run", overwrite=True)
    assert set(tree(tmp_path)) == {"run", "run/.kerastl-run", "run/model.keras", "run/report.html"}
    assert (tmp_path / "run" / MODEL).read_text() == "new"


def test_a_folder_that_is_in_the_way_of_the_claim_is_the_users(tmp_path):
    (tmp_path / ".unfinished-run").mkdir()
    (tmp_path / ".unfinished-run" / "mine.txt").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(FileExistsError, match=r"unfinished-run' is in the way, and no run of kerastl"):
        write_run(tmp_path / "run")
    assert tree(tmp_path) == before


# ---- two runs with one place


@pytest.mark.parametrize("arguments", [[], ["overwrite"]])
def test_a_second_run_is_refused_while_the_first_lives(tmp_path, arguments):
    with RunFolder(tmp_path / "run", False, {}) as folder:
        second = claim_elsewhere(tmp_path / "run", "pass", *arguments)
        assert "Another run is writing" in second.stderr
        assert "claimed" not in second.stdout
        folder.write_model(lambda path: path.write_text("first"))
    assert (tmp_path / "run" / MODEL).read_text() == "first"


def test_of_many_runs_at_once_one_gets_the_place(tmp_path):
    command = [sys.executable, "-c", CLAIM.format(then="sys.stdin.read()"), str(tmp_path / "run")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    runs = [subprocess.Popen(command, **pipes) for _ in range(6)]
    first = [run.stdout.readline() for run in runs]  # each has claimed it, or given up
    errors = [run.communicate("")[1] for run in runs]
    assert sorted(first) == [""] * 5 + ["claimed\n"]
    assert sum("Another run is writing" in error for error in errors) == 5


def test_the_place_of_a_killed_run_can_be_claimed_again(tmp_path):
    died = claim_elsewhere(tmp_path / "run", "(folder.work / 'room').write_text('x'); os.kill(os.getpid(), 9)")
    assert died.returncode == -signal.SIGKILL
    assert (tmp_path / ".unfinished-run" / "room").exists()
    write_run(tmp_path / "run")
    assert set(tree(tmp_path)) == {"run", "run/.kerastl-run", "run/model.keras", "run/report.html"}


def test_the_model_of_a_run_that_was_killed_at_its_end_is_not_lost(tmp_path, capsys):
    then = "folder.write_model(lambda path: path.write_text('old')); os.kill(os.getpid(), 9)"
    assert claim_elsewhere(tmp_path / "run", then).returncode == -signal.SIGKILL
    write_run(tmp_path / "run")
    assert (tmp_path / "run" / MODEL).read_text() == "new"
    assert (tmp_path / "run-2" / MODEL).read_text() == "old"
    assert f"it is in '{tmp_path / 'run-2'}' now" in capsys.readouterr().out


@pytest.mark.parametrize("killed_when", ["the older run is aside", "the new run is in place"])
def test_a_run_that_was_killed_while_it_replaced_another_loses_neither(tmp_path, killed_when):
    write_run(tmp_path / "run", "old", others=["metrics.json"])
    write_run(tmp_path / "new", "new")
    (tmp_path / "run").rename(tmp_path / ".replaced-run")
    if killed_when == "the new run is in place":
        (tmp_path / "new").rename(tmp_path / "run")
    else:
        (tmp_path / "new").rename(tmp_path / ".unfinished-run")
    write_run(tmp_path / "run", "newest", overwrite=True)
    assert (tmp_path / "run" / MODEL).read_text() == "newest"
    left = {"run"} if killed_when == "the new run is in place" else {"run", "run-2"}
    assert {entry.name for entry in tmp_path.iterdir()} == left
    if "run-2" in left:
        assert tree(tmp_path / "run-2") == {MARKER: "", MODEL: "new", "report.html": "new"}


def test_a_run_that_was_killed_while_it_replaced_another_gives_it_back(tmp_path, capsys):
    write_run(tmp_path / "run", "old", others=["metrics.json"])
    before = tree(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / ".replaced-run")
    with pytest.raises(FileExistsError, match="exists already"):
        write_run(tmp_path / "run")
    assert tree(tmp_path) == {"run": None} | {f"run/{name}": text for name, text in before.items()}
    assert "which is back in its place" in capsys.readouterr().out


# ---- when the end fails


def test_a_place_that_was_taken_meanwhile_is_left_alone(tmp_path):
    with pytest.raises(OSError, match=r"The run is in '.*run-2'"), RunFolder(tmp_path / "run", False, {}) as folder:
        folder.write_model(lambda path: path.write_text("new"))
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "mine.txt").write_text("mine")
    assert tree(tmp_path / "run") == {"mine.txt": "mine"}
    assert (tmp_path / "run-2" / MODEL).read_text() == "new"


def test_what_was_put_into_an_older_run_meanwhile_is_left_alone(tmp_path):
    write_run(tmp_path / "run", "old")
    with pytest.raises(OSError, match=r"The run is in '.*run-2'"), RunFolder(tmp_path / "run", True, {}) as folder:
        folder.write_model(lambda path: path.write_text("new"))
        (tmp_path / "run" / "mine.txt").write_text("mine")
    assert (tmp_path / "run" / "mine.txt").read_text() == "mine"
    assert (tmp_path / "run" / MODEL).read_text() == "old"
    assert (tmp_path / "run-2" / MODEL).read_text() == "new"


def test_an_older_run_that_cannot_be_moved_away_stays_whole(tmp_path, monkeypatch):
    write_run(tmp_path / "run", "old")
    rename = Path.rename

    def refuse(path, target):
        if path.name == ".unfinished-run" and Path(target).name == "run":
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match=r"Permission denied.*The run is in '.*run-2'"):
        write_run(tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / MODEL).read_text() == "old"
    assert (tmp_path / "run-2" / MODEL).read_text() == "new"
    assert not list(tmp_path.glob(".*"))


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The folder for temporary files, where a model goes that cannot be written in its place."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(run_folder.tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def test_a_model_that_cannot_be_written_there_is_written_elsewhere(tmp_path, elsewhere):
    with (
        pytest.raises(OSError, match=r"could not be written .*The model is in '.*temporary"),
        RunFolder(tmp_path / "run", False, {}) as folder,
    ):
        (folder.work / MARKER).unlink()
        folder.work.rmdir()  # somebody tidied up
        folder.write_model(lambda path: path.write_text("new"))
    assert [file.read_text() for file in elsewhere.rglob(MODEL)] == ["new"]


def test_what_somebody_put_into_the_claim_of_a_dead_run_is_theirs(tmp_path):
    (tmp_path / ".unfinished-run").mkdir()
    for name in (MARKER, "room", "notes.txt"):
        (tmp_path / ".unfinished-run" / name).write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(FileExistsError, match="is in the way, and no run of kerastl"):
        write_run(tmp_path / "run")
    assert tree(tmp_path) == before


def test_the_claim_is_apart_from_the_users_folders_too(tmp_path):
    (tmp_path / ".unfinished-run").mkdir()
    with (
        pytest.raises(ValueError, match="is the backup"),
        RunFolder(tmp_path / "run", False, {"the backup": tmp_path / ".unfinished-run"}),
    ):
        raise AssertionError("claimed")


@pytest.mark.parametrize("name", ["n" * 244, "n" * 255, "名" * 82])
def test_a_name_that_is_too_long_beside_its_claim_is_found_at_the_start(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(OSError, match=r"Cannot write .*File name too long"):
        write_run(tmp_path / name, overwrite=True)
    assert tree(tmp_path) == {name: None}


@pytest.mark.parametrize("name", ["n" * 243, "名" * 81])
def test_the_longest_name_that_can_be_claimed_can_be_replaced(tmp_path, name):
    write_run(tmp_path / name, "old")
    write_run(tmp_path / name, overwrite=True)
    assert (tmp_path / name / MODEL).read_text() == "new"


@pytest.fixture
def small_disk(tmp_path):
    """A real disk of one megabyte, where this user may make one."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can be made by root on Linux only")
    yield place
    while os.path.ismount(place):  # `make_read_only` puts a second one over it
        subprocess.run(["umount", str(place)], check=True)  # noqa: S607


def make_read_only(place: Path) -> None:
    """What a system does with a disk that has errors."""
    for options in (["--bind"], ["-o", "remount,bind,ro"]):
        subprocess.run(["mount", *options, str(place), str(place)], check=True)  # noqa: S607


def test_a_disk_without_room_for_the_model_is_found_at_the_start(small_disk):
    with (
        pytest.raises(OSError, match=r"There is no room for the model, 3 MB, in .*small' \(No space left"),
        RunFolder(small_disk / "run", False, {}) as folder,
    ):
        folder.hold_room(3_000_000)
    assert list(small_disk.iterdir()) == []


def test_a_disk_as_place_is_refused_at_the_start(small_disk):
    with pytest.raises(FileExistsError, match="is a whole disk"):
        write_run(small_disk, overwrite=True)


def test_a_disk_that_can_only_be_read_by_then_costs_no_model(small_disk, elsewhere):
    with (
        pytest.raises(OSError, match=r"Read-only.*The model is in"),
        RunFolder(small_disk / "run", False, {}) as folder,
    ):
        folder.hold_room(1000)
        make_read_only(small_disk)
        folder.write_model(lambda path: path.write_text("new"))
    (kept,) = elsewhere.glob("kerastl-run-*/model.keras")
    assert kept.read_text() == "new"


def test_a_run_on_a_disk_that_can_only_be_read_by_then_is_copied(small_disk, elsewhere):
    with pytest.raises(OSError, match=r"Read-only.*The run is in"), RunFolder(small_disk / "run", False, {}) as folder:
        folder.write_model(lambda path: path.write_text("new"))
        make_read_only(small_disk)
    (kept,) = elsewhere.glob("kerastl-run-*/model.keras")
    assert kept.read_text() == "new"


def test_a_disk_that_became_full_costs_no_model(small_disk, elsewhere):
    with (
        pytest.raises(OSError, match=r"No space left .*The model is in"),
        RunFolder(small_disk / "run", False, {}) as folder,
    ):
        folder.hold_room(100_000)
        (small_disk / "other").write_bytes(b"x" * 800_000)
        folder.write_model(lambda path: path.write_bytes(b"m" * 500_000))
    (kept,) = elsewhere.glob("kerastl-run-*/model.keras")
    assert kept.stat().st_size == 500_000
    assert [file.name for file in small_disk.iterdir()] == ["other"]


def test_room_that_is_held_is_there_for_the_model(small_disk):
    with RunFolder(small_disk / "run", False, {}) as folder:
        folder.hold_room(500_000)
        with pytest.raises(OSError, match="No space left"):
            (small_disk / "other").write_bytes(b"x" * 800_000)
        (small_disk / "other").write_bytes(b"x" * 400_000)
        folder.write_model(lambda path: path.write_bytes(b"m" * 500_000))
    assert (small_disk / "run" / MODEL).stat().st_size == 500_000
