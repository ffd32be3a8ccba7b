"""Unpack the pictures of a zip file that may come from anybody, for as long as they are read."""

import errno
import lzma
import re
import shutil
import stat
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from kerastl.folders import folders_in
from kerastl.reading import OTHER_ENDINGS
from kerastl.storage import DISK_SHARE, size_text

MOST_EXPANSION = 100  # pictures are compressed already; drawn ones as BMP become up to some tens of times smaller
ALWAYS = 100_000_000  # bytes that any archive may become


@contextmanager
def unpacked(file: Path) -> Iterator[Path]:
    """The folder of what a zip file holds; it is gone at the end of the block. Only what may be a picture is in it.

    A file of the archive that is damaged is empty in the folder: so it is named with the others that cannot be read.

    Raises:
        ValueError: no zip file; a password; names that lead out of the folder; links; too much to be pictures.
        OSError: no room in the temporary folder.
    """
    with tempfile.TemporaryDirectory() as place, _open(file) as archive:
        folder = Path(place) / file.name  # so that what is said of a picture names the archive
        folder.mkdir()
        members = [member for member in archive.infolist() if _may_be_picture(_mend_name(member))]
        _check_members(file, members, place)
        for member in members:
            _extract(archive, member, folder)
        inside = folders_in(folder)
        with _said_of(file, folder):
            yield inside[0] if len(inside) == 1 else folder


@contextmanager
def _said_of(file: Path, folder: Path) -> Iterator[None]:
    """What is said in the block of the temporary folder, which is soon gone, is said of the archive."""

    def mend(said: Exception) -> Exception:
        said.args = tuple(one.replace(str(folder), str(file)) if isinstance(one, str) else one for one in said.args)
        return said

    show = warnings.showwarning
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *where, **more: show(mend(message), *where, **more)
        try:
            yield
        except ValueError as error:
            mend(error)
            raise


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    try:
        archive.extract(member, folder)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError):
        (folder / member.filename).write_bytes(b"")
    except OSError as error:
        if error.errno is None:  # what bz2 raises of damaged data
            (folder / member.filename).write_bytes(b"")
        elif error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EINVAL):
            raise ValueError(
                f"{archive.filename!r} holds {member.filename[:80]!r}, a name that this system cannot give to a file "
                f"({error.strerror}). Pack it again."
            ) from error
        else:
            raise


def _open(file: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ValueError(f"{str(file)!r} is no whole zip file ({error}). Download it, or pack it, again.") from None


def _mend_name(member: zipfile.ZipInfo) -> PurePosixPath:
    """The path of a member. Macs write UTF-8 without saying so; then the name was read as letters of old PCs."""
    try:
        if not member.flag_bits & 0x800:
            member.filename = member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        pass
    member.filename = member.filename.replace("\\", "/")  # old programs of Windows
    return PurePosixPath(member.filename)


def _may_be_picture(path: PurePosixPath) -> bool:
    return (
        not any(name == "__MACOSX" or (name.startswith(".") and name != "..") for name in path.parts)
        and path.suffix.lower() not in OTHER_ENDINGS
    )


def _check_members(file: Path, members: list[zipfile.ZipInfo], place: str) -> None:
    """Look at what the archive says of its members, before one is unpacked. Python unpacks no more of each."""
    advice = "Unpack it with a program that you trust, look at it, and load the folder."
    for member in members:
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", member.filename):
            raise ValueError(f"{str(file)!r} holds {str(path)[:80]!r}, which leads out of its folder. {advice}")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(f"{str(file)!r} holds a link, {str(path)[:80]!r}. Expected files. {advice}")
        if member.flag_bits & 1:
            raise ValueError(f"{str(file)!r} has a password. Expected an archive without. {advice}")
    size, packed = sum(member.file_size for member in members), file.stat().st_size
    if size > max(ALWAYS, MOST_EXPANSION * packed):
        raise ValueError(
            f"{str(file)!r} takes {size_text(packed)}, and would become {size_text(size)}. Expected pictures, which "
            f"become at most {MOST_EXPANSION} times larger. {advice}"
        )
    room = DISK_SHARE * shutil.disk_usage(place).free
    if size > room:
        raise OSError(
            f"The pictures in {str(file)!r} take {size_text(size)}, and in {tempfile.gettempdir()!r} {size_text(room)} "
            "can be taken. Set TMPDIR to a folder with room, or unpack it yourself."
        )
