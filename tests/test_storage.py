"""Where kept activations go: memory, a temporary file without a name, or nowhere; and that it changes no weight."""

import mmap
import os
import shutil
import subprocess
import sys
import tempfile
import weakref

import keras
import numpy as np
import psutil
import pytest

import kerastl as tl
from kerastl import storage
from kerastl.data import make_dataset
from kerastl.storage import FREE_SHARE, MEMORY_VARIABLE, _reserve, find_room, memory_left, release, size_text


@pytest.fixture
def budget(monkeypatch):
    """A function that sets the memory budget, in bytes. Rooms of other tests do not count."""
    monkeypatch.setattr(storage, "_in_memory", weakref.WeakValueDictionary())
    return lambda size: monkeypatch.setenv(MEMORY_VARIABLE, str(size / 1e6))


@pytest.fixture
def full_disk(monkeypatch):
    usage = shutil.disk_usage(tempfile.gettempdir())._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


def test_what_fits_the_budget_lies_in_memory(budget):
    budget(60)  # three quarters of it: 45 bytes, for 44
    room = find_room([(2, 3), (5,)], least=0)
    assert [array.shape for array in room.arrays] == [(2, 3), (5,)]
    assert not any(isinstance(array, np.memmap) for array in room.arrays)
    assert room.place == "0.044 kB in memory"


def test_what_does_not_fit_lies_in_a_file_without_a_name(budget, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    budget(58)  # three quarters of it: 43.5 bytes
    room = find_room([(2, 3), (5,)], least=0)
    assert all(isinstance(array, np.memmap) for array in room.arrays)
    room.arrays[0][:], room.arrays[1][:] = 1.5, 2.5
    assert room.arrays[0].tolist() == [[1.5] * 3] * 2
    assert room.arrays[1].tolist() == [2.5] * 5
    assert list(tmp_path.iterdir()) == []  # nothing to be left behind


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="Windows takes such pages out of memory by itself")
def test_what_lies_in_a_file_can_leave_memory_and_is_not_lost(budget):
    budget(0)
    array = find_room([(20, 1000, 1000)], least=0).arrays[0]
    array[:] = np.arange(20)[:, None, None]
    full = psutil.Process().memory_info().rss
    release([array])
    assert full - psutil.Process().memory_info().rss > 0.9 * array.nbytes
    assert np.array_equal(array[:, 0, 0], np.arange(20))


@pytest.mark.parametrize("mode", ["c", "r+"])
def test_a_map_of_the_users_own_is_left_as_it_is(tmp_path, mode):
    np.save(tmp_path / "mine.npy", np.zeros((6, 4, 4, 3), np.uint8))
    mine = np.load(tmp_path / "mine.npy", mmap_mode=mode)
    mine[:] = 7  # with "c" in memory only
    for images, _ in make_dataset(mine, np.zeros(6, np.int64), batch_size=3):
        assert (np.asarray(images) == 7).all()
    assert (mine == 7).all()


def test_rooms_share_the_budget_while_they_are_used(budget):
    budget(100)
    first = find_room([(10,)], least=0)
    assert memory_left() == 60
    assert "file" in find_room([(10,)], least=0).place  # 40 of the 75 bytes are taken
    part = first.arrays[0][2:]
    del first
    assert memory_left() == 60  # of an array all is in memory as long as some of it is
    del part
    assert memory_left() == 100
    assert "memory" in find_room([(10,)], least=0).place


def test_a_room_in_memory_counts_as_free_before_the_free_memory_is_shared(budget, monkeypatch):
    monkeypatch.delenv(MEMORY_VARIABLE, raising=False)
    free = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free._replace(available=1000))
    room = find_room([(50,)], least=0)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free._replace(available=800))  # the room took 200
    assert memory_left() == FREE_SHARE * 1000 - 200
    assert len(room.arrays) == 1


def test_a_budget_that_others_have_taken_is_no_error(budget):
    budget(100)
    taken = find_room([(18,)], least=0)
    assert memory_left() == 28
    assert "file" in find_room([(10,)], least=40).place  # one batch: without the first room it would have been enough
    assert "memory" in taken.place


def test_without_room_on_disk_there_is_none(budget, full_disk):
    budget(0)
    assert find_room([(2, 3)], least=0) is None


SMALL_DISK = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
SMALL_DISK += ['mount -t tmpfs -o size=1m tmpfs "$TMPDIR" && exec "$0" "$@"']
SHORT_FILES = ["sh", "-c", 'ulimit -f 100 && exec "$0" "$@"']  # blocks of 512 or 1024 bytes


def run_in(scene: list[str], program: str, folder) -> subprocess.CompletedProcess:
    """A program of its own, in which everything that is kept goes to temporary files in `folder`."""
    environment = os.environ | {MEMORY_VARIABLE: "0", "TMPDIR": str(folder)}
    command = [*scene, sys.executable, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


TWO_ROOMS = """
from kerastl.storage import find_room
rooms = [find_room([(150_000,)], least=0) for _ in range(2)]
print([room is not None for room in rooms], flush=True)
for room in filter(None, rooms):
    room.arrays[0][:] = 1
print("filled")
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="makes a small disk of its own, on Linux")
@pytest.mark.slow
def test_what_has_room_on_a_small_disk_can_be_filled_and_what_has_none_gets_none(tmp_path):
    if run_in(SMALL_DISK, "pass", tmp_path).returncode:
        pytest.skip("this system lets nobody make a disk")
    run = run_in(SMALL_DISK, TWO_ROOMS, tmp_path)
    assert run.stdout == "[True, False]\nfilled\n"  # a file with holes: [True, True], and a bus error
    assert run.returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
@pytest.mark.slow
def test_a_file_that_may_not_become_so_long_is_no_room_either(tmp_path):
    run = run_in(SHORT_FILES, TWO_ROOMS, tmp_path)
    assert run.stdout == "[False, False]\nfilled\n", run.stderr


@pytest.mark.skipif(not hasattr(os.stat_result, "st_blocks"), reason="Windows makes no files with holes unasked")
@pytest.mark.parametrize("way", ["the system's", "zeros"])
def test_room_on_disk_is_taken_at_once(tmp_path, monkeypatch, way):
    if way == "zeros":
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    with open(tmp_path / "file", "w+b") as file:
        file.truncate(40_000_000)
        assert os.fstat(file.fileno()).st_blocks == 0
        assert _reserve(file, 40_000_000)
        assert os.fstat(file.fileno()).st_size == 40_000_000
        assert os.fstat(file.fileno()).st_blocks * 512 >= 40_000_000


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="needs a folder that lies in memory")  # noqa: S108
@pytest.mark.slow
def test_a_temporary_folder_that_lies_in_memory_is_said_and_takes_no_more_than_there_is(budget, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/dev/shm")  # noqa: S108
    budget(0)
    assert find_room([(2, 3)], least=0).place.endswith(
        "in a temporary file, which takes memory too: /dev/shm is no disk"
    )
    little = psutil.virtual_memory()._replace(available=20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: little)
    assert find_room([(2, 3)], least=0) is None


def test_the_budget_is_a_share_of_the_free_memory_unless_set(monkeypatch):
    monkeypatch.delenv(MEMORY_VARIABLE, raising=False)
    monkeypatch.setattr(storage, "_in_memory", {})  # other tests may hold some
    assert memory_left() == pytest.approx(FREE_SHARE * psutil.virtual_memory().available, rel=0.2)
    monkeypatch.setenv(MEMORY_VARIABLE, "12.5")
    assert memory_left() == 12.5e6


@pytest.mark.parametrize("wanted", ["-1", "much", "nan", ""])
def test_an_impossible_budget_is_an_error(monkeypatch, wanted):
    monkeypatch.setenv(MEMORY_VARIABLE, wanted)
    with pytest.raises(ValueError, match=f"Received {MEMORY_VARIABLE}={wanted!r}. Expected a number of megabytes"):
        memory_left()


def test_a_budget_below_one_batch_is_an_error(budget, toy, data):
    budget(100)
    with pytest.raises(ValueError, match=r"budget is 0\.1 kB. Expected at least 0\.576 kB, what one batch needs"):
        tl.train_head(toy, data, epochs=1, verbose=0)


def test_an_unwritable_temporary_folder_is_an_error(budget, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    budget(0)
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(OSError, match=r"no temporary file can be written .*Permission denied.*Set TMPDIR"):
        find_room([(2, 3)], least=0)


@pytest.mark.parametrize(
    ("size", "text"), [(500, "0.5 kB"), (34.4e6, "34.4 MB"), (999.6e6, "1 GB"), (2.1e9, "2.1 GB"), (15.1e12, "15.1 TB")]
)
def test_sizes_are_written_for_people(size, text):
    assert size_text(size) == text


@pytest.mark.slow
def test_memory_file_and_stream_train_to_the_same_weights(make_toy, settle, ordered_data, arrays, budget, request):
    def train(verbose=0):
        keras.utils.set_random_seed(3)
        np.random.seed(3)
        model = settle(make_toy(), arrays["train"][0])
        tl.unfreeze_top(model, "conv4")
        tl.fine_tune(model, ordered_data, epochs=1, learning_rate=0.01, verbose=verbose)
        return model.get_weights()

    in_memory = train()
    budget(9 * 8 * 8 * 12 * 4)  # one batch, no more
    in_file = train()
    request.getfixturevalue("full_disk")
    shuffle = np.random.permutation
    np.random.permutation = np.arange  # the stream keeps the dataset's order; so must the others, to be compared
    try:
        streamed = train()
        budget(1e9)
        in_order = train()
    finally:
        np.random.permutation = shuffle
    for one, other in zip(in_memory, in_file, strict=True):
        assert np.array_equal(one, other)
    for one, other in zip(in_order, streamed, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.slow
def test_the_place_and_the_stream_are_said(make_toy, data, budget, capsys, request):
    # 24 images, 16 numbers of 4 bytes for each: the images are counted, not the places in three batches of 9
    tl.train_head(make_toy(), data, epochs=1)
    assert "1.54 kB in memory" in capsys.readouterr().out
    budget(800)  # three quarters of it hold the validation images, not the training images
    tl.train_head(make_toy(), data, epochs=1)
    assert "1.54 kB in a temporary file" in capsys.readouterr().out
    request.getfixturevalue("full_disk")
    tl.train_head(make_toy(), data, epochs=1)
    assert capsys.readouterr().out.count("no room to keep the frozen part's outputs, so the frozen part runs") == 1


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="looks into /proc")
@pytest.mark.slow
def test_a_killed_program_leaves_no_file(tmp_path):
    program = (
        "import os, signal\n"
        "from kerastl.storage import find_room\n"
        "room = find_room([(1000, 1000)], least=0)\n"
        "room.arrays[0][:] = 1\n"
        "print('temporary file' in room.place, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = os.environ | {MEMORY_VARIABLE: "0", "TMPDIR": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert run.stdout == "True\n"
    assert run.returncode == -9
    assert list(tmp_path.iterdir()) == []
