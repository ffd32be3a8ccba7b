"""Whatever places a command is given: no file that was there before is missing or changed."""

import contextlib
import io
import shutil
from pathlib import Path

import pytest
from PIL import Image

from kerastl.__main__ import main
from programs import QUICK
from tiers import slow

PLACES = [
    "",
    ".",
    "..",
    "~",
    "~/Documents",
    "photos",
    "photos/blue",
    "photos/blue/00.jpg",
    "photos/new/run",
    "../project/photos",
    "link",
    "link/run",
    "dangling",
    "mine.txt",
    "mine.txt/run",
    "model.keras",
    "run",
    "run/model.keras",
    "run with notes",
    "maps",
]
FILES = {"mine.txt", "mine.txt/run", "model.keras", "run/model.keras", "photos/blue/00.jpg"}  # or a place below one
NO_FOLDERS = {"", "dangling", *FILES}
HOLD_THE_RUN = {".", "..", "~"}  # the run folder, too, would lie in these
NO_BACKUP = NO_FOLDERS | HOLD_THE_RUN | {"maps"}
NO_MAPS = NO_FOLDERS | {"maps"}
NEW_PICTURES = ["new.png", "photos/layers.png", "link/layers.png", "~/Documents/layers.png"]


@pytest.fixture(scope="module")
def trained(picture_folder, tmp_path_factory):
    """A folder of a run."""
    out = tmp_path_factory.mktemp("runs") / "run"
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["train", str(picture_folder), *QUICK, "--layers", "5", "--out", str(out)]) == 0
    return out


@pytest.fixture
def home(trained, picture_folder, tmp_path, monkeypatch):
    """A home folder, with a project in it that is the current folder; a file of the user's at every level."""
    project = tmp_path / "home" / "project"
    shutil.copytree(picture_folder, project / "photos")
    for name in ("run", "run with notes"):
        shutil.copytree(trained, project / name)
    shutil.copy(trained / "model.keras", project / "model.keras")
    for folder in ("../Documents", "maps", "run with notes", "run with notes/more"):
        (project / folder).mkdir(exist_ok=True)
        (project / folder / "mine.txt").write_text(folder)
    for folder in (tmp_path, tmp_path / "home", project, project / "photos"):
        (folder / "mine.txt").write_text(str(folder))
    for name in ("001_00.png", "layers.png", "phase_1.npz"):  # what a command might like to write
        (project / "maps" / name).write_text(name)
    for name in (".unfinished-1.png", ".unfinished-0a1b2c3d-phase_1.npz"):  # what one that was killed may have left
        (project / "../Documents" / name).write_text(name)
    Image.new("RGB", (9, 9)).save(project / "layers.png")
    (project / "link").symlink_to(project / "photos")
    (project / "dangling").symlink_to(project / "nowhere")
    (project / "dangling.png").symlink_to(project / "nowhere.png")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(project)
    return tmp_path


def places(refused: set[str]) -> list:
    """PLACES. Those that are not refused take their time, since there the work is done."""
    return [*sorted(refused), *slow(*(place for place in PLACES if place not in refused))]


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_kept(before: dict[Path, bytes], folder: Path, *apart: str) -> None:
    """All files are as they were, apart from those below the folders named."""
    after = contents(folder)
    lost = [
        str(path)
        for path, content in before.items()
        if after.get(path) != content and not any(path.is_relative_to(folder / name) for name in apart)
    ]
    assert lost == []


def assert_refused_or_done(place: str, refused: set[str], status: int, before: dict, home: Path, said: str) -> None:
    """Just the places of `refused` were refused, with one line, and nothing written; at the others something new is."""
    assert_kept(before, home)
    assert status == (2 if place in refused else 0), said
    assert (contents(home) == before) == (place in refused)
    if status:
        assert said.count("\n") == 1


@pytest.mark.parametrize("place", PLACES)
def test_train_writes_over_nothing_at_all(home, place, capsys):
    before = contents(home)
    assert main(["train", "photos", *QUICK, "--out", place]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert contents(home) == before


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.slow
def test_train_with_overwrite_replaces_a_run_and_nothing_else(home, place, capsys):
    before = contents(home)
    status = main(["train", "photos", *QUICK, "--layers", "5", "--out", place, "--overwrite"])
    assert status == (0 if place == "run" else 2)
    assert_kept(before, home, *["home/project/run"] * (place == "run"))
    if status:
        assert capsys.readouterr().err.count("\n") == 1
        assert contents(home) == before


@pytest.mark.parametrize("place", places(NO_BACKUP))
def test_a_backup_changes_no_file(home, place, capsys):
    before = contents(home)
    status = main(["train", "photos", *QUICK, "--layers", "5", "--out", "new", "--backup", place])
    assert_refused_or_done(place, NO_BACKUP, status, before, home, capsys.readouterr().err)


@pytest.mark.parametrize("place", places(NO_MAPS))
def test_heat_maps_change_no_file(home, place, capsys):
    before = contents(home)
    status = main(["predict", "model.keras", "photos/blue/00.jpg", "--cam", place])
    assert_refused_or_done(place, NO_MAPS, status, before, home, capsys.readouterr().err)


@pytest.mark.parametrize("place", [*PLACES, "layers.png", "maps/layers.png", "dangling.png", *NEW_PICTURES])
def test_a_picture_of_the_layers_changes_no_file(home, place, capsys):
    before = contents(home)
    status = main(["inspect", "model.keras", "--picture", place])
    refused = {*PLACES, "layers.png", "maps/layers.png", "dangling.png"}
    assert_refused_or_done(place, refused, status, before, home, capsys.readouterr().err)
