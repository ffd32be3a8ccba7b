"""Figures that a command writes: whether there is a place for one, before the work, and the file itself."""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from kerastl.files import written_whole


def new_figure(name: str | None) -> Path | None:
    """The place of the figure that was asked for with --picture, if it was. Raises as `check_new_figure` does."""
    if name is None:
        return None
    if not name:
        raise ValueError("Received an empty --picture. Expected a file name that ends in .png.")
    path = Path(name).expanduser()
    check_new_figure(path)
    return path


def check_new_figure(path: Path, advice: str = "Choose another name, or move it away.") -> None:
    """Raise OSError or ValueError, before the work is done, when no figure can be written there or a file is there."""
    known = plt.Figure().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise ValueError(f"{str(path)!r} is no name for a picture. Expected one that ends in .png.")
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        check_folder(path.parent)
    else:
        raise FileExistsError(f"{str(path)!r} exists already. {advice}")


def check_folder(folder: Path) -> None:
    """Raise OSError when no file can be written into a folder."""
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {str(folder)!r}. Make it first, or choose another.")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"Nothing can be written into {str(folder)!r} ({error.strerror}). Choose another.") from None


def save_figure(figure, path: Path) -> None:
    """Write a figure in the format of its ending, and close it. It appears under its name when it is complete."""
    try:
        with written_whole(path) as unfinished:
            figure.savefig(unfinished, dpi=120)
    finally:
        plt.close(figure)
