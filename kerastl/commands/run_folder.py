"""The folder of a run: claimed before training, filled beside its place, put there when it is whole."""

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from kerastl.commands.places import FILES, MARKER, MODEL, check_apart, check_run, real_path, remove_run
from kerastl.interrupts import hold_ctrl_c

ROOM = "room"


class RunFolder:
    """Where a run writes; use it in a `with` block.

    On entering, everything that could make the end fail is looked at, and the place is claimed: a folder
    `.unfinished-NAME` beside it, locked for as long as this process lives. What is written goes there, into `work`. On
    leaving, that folder is put in its place if the model was written, also when the run was broken off afterwards (but
    then an older run stays, and the new one goes beside it); else it is removed.
    """

    def __init__(self, out, overwrite: bool, users_folders: dict[str, Path | None]):
        """Args: out, the place; overwrite, whether an older run there may be replaced; users_folders, by name: the
        place may not be one of them, nor hold one, nor lie in one.
        """
        if not os.fspath(out):
            raise ValueError("Received an empty --out. Expected the name of a folder that does not exist yet.")
        self.out = Path(os.path.expanduser(out))
        self._overwrite, self._users_folders = overwrite, users_folders
        self._lock, self._made = None, []

    def __enter__(self) -> "RunFolder":
        if self.out.is_symlink():
            raise FileExistsError(f"{str(self.out)!r} is a symbolic link. Name the folder itself as --out.")
        shown, self.out = str(self.out), real_path(self.out)
        check_apart(shown, self.out, self._users_folders)
        self.work = self.out.with_name(f".unfinished-{self.out.name}")
        self._aside = self.out.with_name(f".replaced-{self.out.name}")  # where an older run waits to be deleted
        try:
            check_apart(shown, self.work, self._users_folders)
            self._check_place()
            self._claim()
            self._check_place()  # another run may have ended since
        except BaseException as error:
            self._give_up()
            if isinstance(error, OSError) and error.errno:
                raise OSError(f"Cannot write {shown!r} ({error.strerror}). Choose another --out.") from error
            raise
        return self

    def hold_room(self, size: int) -> None:
        """Take `size` bytes on the disk now, so that they are there for the model at the end."""
        block = os.urandom(2**20)  # what cannot be compressed: the room has to be real
        try:
            with open(self.work / ROOM, "wb") as file:
                for start in range(0, size, len(block)):
                    file.write(block[: size - start])
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(
                f"There is no room for the model, {size / 1e6:.3g} MB, in {str(self.out.parent)!r} ({error.strerror}). "
                "Choose another --out."
            ) from error

    def write_model(self, write: Callable[[Path], object]) -> None:
        """Call `write` with the model's path; where that fails, with one elsewhere.

        Raises:
            OSError: it failed; says where the model is now.
        """
        try:
            (self.work / ROOM).unlink(missing_ok=True)
            write(self.work / MODEL)
        except OSError as error:
            with suppress(OSError):
                (self.work / MODEL).unlink(missing_ok=True)
            place = _first_that_works(lambda folder: write(folder / MODEL))
            if place is None:
                raise
            raise OSError(
                f"{str(self.out)!r} could not be written ({error}). The model is in {str(place)!r}."
            ) from error

    def __exit__(self, error, *_) -> None:
        with hold_ctrl_c():
            if not (self.work / MODEL).is_file():
                self._give_up()
            elif error and self.out.exists():  # what was broken off replaces no older run
                print(f"the model is kept: {self._put_elsewhere() / MODEL}", file=sys.stderr)
            else:
                self._put_in_place()
                if error:
                    print(f"the model is kept: {self.out / MODEL}", file=sys.stderr)

    def _check_place(self) -> None:
        if not os.path.lexists(self.out):
            return
        if not self.out.is_dir():
            raise FileExistsError(f"{str(self.out)!r} is a file. Choose another --out.")
        if not self._overwrite:
            raise FileExistsError(
                f"{str(self.out)!r} exists already. Choose another --out, or replace an older run with --overwrite."
            )
        check_run(self.out)

    def _claim(self) -> None:
        for folder in reversed([parent for parent in self.out.parents if not parent.exists()]):
            folder.mkdir(exist_ok=True)
            self._made.append(folder)
        try:
            self.work.mkdir()
            new = True
        except FileExistsError:
            new = False
            if self.work.is_symlink() or not _is_unfinished(self.work):
                raise FileExistsError(
                    f"{str(self.work)!r} is in the way, and no run of kerastl. Move it, or choose another --out."
                ) from None
        lock = open(self.work / MARKER, "a+", encoding="utf-8")  # noqa: SIM115 (open as long as the run lives)
        if not (_lock(lock, unknown=new) and _is_still(lock, self.work / MARKER)):
            lock.close()
            raise FileExistsError(
                f"Another run is writing {str(self.out)!r}. Choose another --out. (If that run died on another "
                f"machine, delete {str(self.work)!r}.)"
            )
        self._lock = lock
        self._tidy_up()

    def _tidy_up(self) -> None:
        """Put into its place what a run had written that was killed at its very end."""
        if self._aside.is_dir():
            if self.out.exists():  # the new run is in its place already
                remove_run(self._aside)
            else:
                self._aside.rename(self.out)
                print(f"note: a run was killed while it replaced {str(self.out)!r}, which is back in its place")
        if (self.work / MODEL).exists():
            kept = _free_name(self.out)
            kept.mkdir()
            (kept / MARKER).touch()
            for name in FILES:
                if (self.work / name).exists():
                    (self.work / name).rename(kept / name)
            print(f"note: a run that was killed had left its model; it is in {str(kept)!r} now")
        for file in self.work.iterdir():
            if file.name != MARKER:
                file.unlink()

    def _put_in_place(self) -> None:
        try:
            self._check_place()
            if self.out.exists():
                self.out.rename(self._aside)
            try:
                self._rename(self.out)
            except OSError:
                if self._aside.exists():
                    self._aside.rename(self.out)
                raise
        except OSError as error:
            place = self._put_elsewhere()
            raise OSError(f"{str(self.out)!r} could not be written ({error}). The run is in {str(place)!r}.") from error
        if self._aside.exists():
            remove_run(self._aside)

    def _put_elsewhere(self) -> Path:
        try:
            place = _free_name(self.out)
            self._rename(place)
        except OSError:
            place = _first_that_works(lambda folder: shutil.copytree(self.work, folder, dirs_exist_ok=True))
        return place or self.work

    def _rename(self, place: Path) -> None:
        with suppress(OSError):  # a disk that can only be read now
            (self.work / ROOM).unlink(missing_ok=True)
        if os.name == "nt":  # Windows renames no folder with an open file in it
            self._lock.close()
        self.work.rename(place)
        self._lock.close()

    def _give_up(self) -> None:
        if self._lock:
            self._lock.close()
            shutil.rmtree(self.work, ignore_errors=True)
        for folder in reversed(self._made):
            try:
                folder.rmdir()
            except OSError:  # something else is in there by now
                break


def _is_unfinished(folder: Path) -> bool:
    """Whether a folder is what a run leaves when it is killed: nothing in it is of somebody else."""
    names = {entry.name for entry in folder.iterdir()}
    ours = {*FILES, ROOM, MARKER, *(name for name in names if name.startswith(".unfinished-"))}
    return not names or (MARKER in names and names <= ours)


def _free_name(out: Path) -> Path:
    number = 2
    while os.path.lexists(out.with_name(f"{out.name}-{number}")):
        number += 1
    return out.with_name(f"{out.name}-{number}")


def _first_that_works(write: Callable[[Path], object]) -> Path | None:
    """A new folder in which `write` succeeded: for temporary files, in the current folder, or at home."""
    for parent in (tempfile.gettempdir(), Path.cwd(), os.path.expanduser("~")):
        try:
            folder = Path(tempfile.mkdtemp(prefix="kerastl-run-", dir=parent))
        except OSError:
            continue
        try:
            write(folder)
            return folder
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
    return None


def _lock(file, unknown: bool) -> bool:
    """Lock an open file until it is closed, or the process dies. `unknown`: the answer where no file can be locked."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return unknown if error.errno in (errno.ENOSYS, errno.ENOTSUP, errno.EINVAL, errno.ENOLCK) else False
    return True


def _is_still(file, path: Path) -> bool:
    """Whether an open file still has this name: another run may have renamed its folder in between."""
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())
