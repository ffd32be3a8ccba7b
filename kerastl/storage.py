"""Room for pictures and for what is kept of them: in memory within the budget, else in a temporary file, else none."""

import errno
import gc
import math
import mmap
import os
import shutil
import sys
import tempfile
import weakref
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

MEMORY_VARIABLE = "KERASTL_MEMORY_MB"
FREE_SHARE = 0.5  # of the free memory, where no budget is set
DISK_SHARE = 0.9  # of what is free in the temporary folder: others write there, too
ZEROS = 1 << 24  # bytes written at once, where a file cannot be made longer otherwise
# Of the budget. What is kept for the epochs leaves it free. What the next phase can use again (`kerastl.engine.frozen`)
# lies in memory only while all rooms together stay below it, since it is read once.
SHARE_FOR_MEMORIES = 0.25
SHARE_FOR_PICTURES = 0.5  # of the budget, at most: another quarter is for what is kept of them

_in_memory = weakref.WeakValueDictionary()  # {id: array} of all rooms in memory, until nobody uses them any more
_in_files = weakref.WeakSet()  # the maps of all rooms in files


class Room(NamedTuple):
    """Arrays to be filled, and where they are."""

    arrays: list[np.ndarray]
    place: str  # as "34 MB in memory"


def find_room(
    shapes: list[tuple[int, ...]], least: int, dtype=None, share: float = 1 - SHARE_FOR_MEMORIES
) -> Room | None:
    """Make arrays of these shapes.

    The file has no name: the system removes it with the last array that uses it, also after a crash.

    Args:
        shapes: of the arrays wanted.
        least: bytes that have to be in memory at once in any case.
        dtype: of the numbers; by default float32, or float64 where Keras computes in it.
        share: of the budget that may be taken when these arrays are made, all rooms together.

    Returns:
        `Room(arrays, place)`, or None where there is neither memory nor disk enough.

    Raises:
        ValueError: the budget is no number, or below `least`.
        OSError: no temporary file can be written.
    """
    dtype = dtype or ("float64" if keras.config.floatx() == "float64" else "float32")
    counts = [math.prod(shape) for shape in shapes]
    needed = np.dtype(dtype).itemsize * sum(counts)
    budget = _whole_budget()
    if budget < least:
        raise ValueError(
            f"The memory budget is {size_text(budget)}. Expected at least {size_text(least)}, what one batch needs: "
            f"use smaller batches, or set {MEMORY_VARIABLE} higher."
        )
    if needed > memory_left(share):
        gc.collect()  # models that nobody uses any more may hold rooms
    if needed <= memory_left(share):
        arrays = [np.empty(shape, dtype) for shape in shapes]
        _in_memory.update((id(array), array) for array in arrays)
        return Room(arrays, f"{size_text(needed)} in memory")
    try:
        folder = tempfile.gettempdir()
        if needed > DISK_SHARE * _free_room(folder):
            return None
        with tempfile.TemporaryFile(dir=folder) as file:
            if not _reserve(file, needed):
                return None
            ends = np.cumsum([0, *counts])
            flat = np.memmap(file, dtype, "r+", shape=(int(ends[-1]),))
            _in_files.add(_map_of(flat))
    except OSError as error:
        raise OSError(
            f"{size_text(needed)} are over the memory budget of {size_text(budget)}, and no temporary file can be "
            f"written ({error}). Set TMPDIR to a folder with room, or set {MEMORY_VARIABLE} higher."
        ) from error
    arrays = [flat[start:end].reshape(shape) for start, end, shape in zip(ends, ends[1:], shapes, strict=False)]
    where = f", which takes memory too: {folder} is no disk" if _lies_in_memory(folder) else ""
    return Room(arrays, f"{size_text(needed)} in a temporary file{where}")


def find_room_for_pictures(count: int, size: tuple[int, int]) -> np.ndarray:
    """Make an array for pictures, (count, height, width, 3) uint8. Says so where they go to a temporary file.

    Raises:
        OSError: there is neither memory nor disk enough.
    """
    shape = (count, *size, 3)
    room = find_room([shape], 0, np.uint8, SHARE_FOR_PICTURES)
    if room is None:
        folder = tempfile.gettempdir()
        raise OSError(
            f"{count:,} pictures of {size[0]}×{size[1]} pixels take {size_text(math.prod(shape))}. The memory budget "
            f"leaves {size_text(memory_left(SHARE_FOR_PICTURES))} for pictures, and in the temporary folder {folder!r} "
            f"{size_text(DISK_SHARE * _free_room(folder))} can be taken. Choose a smaller image_size, set TMPDIR to a "
            f"folder with room, or set {MEMORY_VARIABLE} higher."
        )
    if isinstance(room.arrays[0], np.memmap):
        print(f"pictures: {room.place}", flush=True)
    return room.arrays[0]


def _reserve(file, size: int) -> bool:
    """Take the room on the disk now; False if it is not there.

    Into a file with holes one can write through the map until the disk is full, and then the system kills the program.
    """
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            for start in range(0, size, ZEROS):
                file.write(bytes(min(ZEROS, size - start)))
            file.flush()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):  # no room; for this user; for one file
            return False
        raise
    return True


def _free_room(folder: str) -> int:
    """Bytes that can be written into a folder."""
    free = shutil.disk_usage(folder).free
    return min(free, _free_memory()) if _lies_in_memory(folder) else free


def _lies_in_memory(folder: str) -> bool:
    """Whether what is written into a folder takes memory, as in /tmp on some Linux systems."""
    import psutil

    if not sys.platform.startswith("linux"):
        return False
    path = Path(folder).resolve()
    mounts = [part for part in psutil.disk_partitions(all=True) if path.is_relative_to(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype in ("tmpfs", "ramfs") if mounts else False


def _free_memory() -> int:
    import psutil

    return psutil.virtual_memory().available


def release(arrays: list[np.ndarray]) -> None:
    """Take arrays that lie in a file out of memory again; the file keeps what they hold.

    Only those of a `Room`: in a map of the user's own there may be numbers that no file has (mode "c" of NumPy's).
    """
    for array in arrays:
        below = _map_of(array)
        if isinstance(below, mmap.mmap) and below in _in_files and hasattr(mmap, "MADV_DONTNEED"):
            below.madvise(mmap.MADV_DONTNEED)


def _map_of(array: np.ndarray):
    """What an array lies in, if that is none itself."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array


def memory_left(share: float = 1) -> float:
    """Bytes that are left of a share of the budget, beside what is in memory already.

    In all the budget is what KERASTL_MEMORY_MB says, else half of the memory that would be free without that.
    """
    return max(0.0, share * _whole_budget() - _taken())


def _taken() -> int:
    return sum(array.nbytes for array in list(_in_memory.values()))


def _whole_budget() -> float:
    wanted = os.environ.get(MEMORY_VARIABLE)
    if wanted is None:
        return FREE_SHARE * (_free_memory() + _taken())
    try:
        megabytes = float(wanted)
    except ValueError:
        megabytes = -1.0
    if not megabytes >= 0:
        raise ValueError(f"Received {MEMORY_VARIABLE}={wanted!r}. Expected a number of megabytes, such as 2000.")
    return megabytes * 1e6


def size_text(size: float) -> str:
    """Bytes for people: "34 MB", "2.1 GB"."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= 0.9995 * scale:  # what rounds to a thousand of the unit below
            return f"{size / scale:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"
