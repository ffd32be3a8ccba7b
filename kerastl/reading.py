"""One picture: from its file to pixels, upright, in three colours, in the size that the model wants."""

import importlib
import os
import threading
import warnings
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np

from kerastl.colours import RefusedError, in_colour
from kerastl.resizing import UNKNOWN, resize

# Decoded at the same time by all threads together. Measured: 0.4 GB, with transparency 0.8, as WebP 1.5. Beyond that
# glibc keeps up to 80 MB for each thread that has decoded a large picture.
MOST_MEGAPIXELS = 100  # the variable sets another limit
MEGAPIXELS_VARIABLE = "KERASTL_MOST_MEGAPIXELS"
JPEG_FACTOR = 2.5  # a JPEG may have so many times as many: it is decoded at down to an eighth of its height and width

# What Pillow may read. It knows more: some of it other programs would run (EPS, WMF), some is a wrapping that hides
# another picture, and how large that is (ICO, ICNS, IPTC).
FORMATS = (
    *("JPEG", "JPEG2000", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "AVIF", "HEIF"),
    *("PPM", "TGA", "PCX", "SGI", "MSP", "XBM", "IM", "SPIDER", "QOI"),
)

HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

# What lies beside pictures and is none. Any other file is looked into.
OTHER_ENDINGS = (
    *(".txt", ".md", ".html", ".pdf", ".log"),
    *(".csv", ".json", ".jsonl", ".xml", ".yaml", ".yml"),
    *(".keras", ".h5", ".npy", ".npz", ".py", ".ipynb", ".zip"),
    *(".db", ".ini"),  # Thumbs.db and desktop.ini of Windows
)


class UnreadableError(ValueError):
    """A file that is no picture, a damaged one, or one that is refused: why, and what was expected."""

    def __init__(self, name: str, reason: str, expected: str):
        self.said = f"Cannot read {name!r} as an image ({reason})."
        super().__init__(f"{self.said} Expected {expected}.")
        self.reason, self.expected = reason, expected


def find_pictures(folder: Path) -> list[Path]:
    """The files of a folder that should be pictures, sorted: all but hidden ones and `OTHER_ENDINGS`.

    A link that leads nowhere is one of them: it is named when it is read.
    """
    return sorted(
        entry
        for entry in folder.iterdir()
        if (entry.is_file() or (entry.is_symlink() and not entry.exists()))
        and not entry.name.startswith(".")
        and entry.suffix.lower() not in OTHER_ENDINGS
    )


def read_image(path, image_size: tuple[int, int], how: str = UNKNOWN) -> np.ndarray:
    """Read one picture as the model wants it: uint8 (height, width, 3), 0–255, turned as the camera was held.

    Of several pictures in a file it is the first. Colours are taken as they are stored, without a colour profile. What
    is see-through shows white. 16 bits a colour are scaled to 8. What has no known white is refused, not guessed:
    floating-point and 32-bit numbers, and 16 bits of which only the lower ones are used (12 bits from a microscope).
    `how` is the `resize` of `load_images`.

    Raises:
        FileNotFoundError: it is not there.
        UnreadableError (a ValueError): it is no picture that Pillow can read, is too large, or is refused as above.
    """
    from PIL import Image, ImageOps

    name = os.fspath(path)
    expected = "a whole JPEG, PNG, GIF, BMP, TIFF or WebP file, or another that Pillow can read"
    most = most_pixels()
    _here.file = name
    try:
        with open(os.path.expanduser(name), "rb") as file:
            image = _open(file)
            pixels = _pixels_to_decode(image, 2 * max(image_size), most)  # twice: resizing averages over some
            with _room(pixels, most), closing(image):  # the image is gone before its room is given to others
                layout = _layout(image)
                ImageOps.exif_transpose(image, in_place=True)
                return as_pixels(image, image_size, how, layout)
    except FileNotFoundError:
        reason = "it is a link that leads nowhere"
        if not os.path.islink(os.path.expanduser(name)):
            raise FileNotFoundError(f"There is no file {name!r}.") from None
    except Image.UnidentifiedImageError:
        reason, expected = _unknown(name, expected)
    except RefusedError as error:
        reason, expected = error.reason, error.expected
    except Exception as error:  # on damaged files Pillow's many readers raise whatever they meet
        reason = _plain(error) or type(error).__name__
    finally:
        _here.file = None
    raise UnreadableError(name, reason, expected)


def _unknown(name: str, expected: str) -> tuple[str, str]:
    """Of a file that Pillow does not know: what it seems to be, and what is expected."""
    with open(os.path.expanduser(name), "rb") as file:
        start = file.read(512)
    if not start:
        return "it is empty", expected
    if start[4:8] == b"ftyp" and start[8:12] in HEIC_BRANDS:
        return "it is a HEIC picture, for which Pillow needs a plugin", "JPEG or PNG, or `pip install 'kerastl[heic]'`"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "it is a web page, as a server sends it in the place of a picture", expected
    return "it is not a picture of a known kind", expected


def _plain(message) -> str:
    """What Pillow says, in words for users."""
    return "the file ends too early" if "truncated" in str(message).lower() else str(message)


def as_pixels(image, size: tuple[int, int], how: str = UNKNOWN, layout: str = "") -> np.ndarray:
    """A Pillow image as `read_image` returns it; `layout` says how the file stores its numbers."""
    return np.asarray(resize(in_colour(image, layout), size, how).convert("RGB"))


def _layout(image) -> str:
    """How the file stores its numbers, as "RGB;16B"; "" where Pillow does not say."""
    arguments = image.tile[0][3] if image.tile else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _open(file):
    """Read the header. Pillow's own limit is one for the whole program, and knows nothing of how JPEGs are decoded."""
    from PIL import Image

    file.peek()  # a slow disk is waited for outside the lock
    with _opening:
        kept, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=readable_formats())
        finally:
            Image.MAX_IMAGE_PIXELS = kept


@cache
def readable_formats() -> list[str]:
    """Those of `FORMATS` that Pillow reads here, with its plugins."""
    from PIL import Image

    Image.init()
    with suppress(ImportError):  # iPhones write HEIC, which Pillow alone does not read
        importlib.import_module("pillow_heif").register_heif_opener()
    return [name for name in FORMATS if name in Image.OPEN]


@cache
def picture_endings() -> set[str]:
    """The endings of what may be read, as ".jpg"; also of what only a plugin reads."""
    from PIL import Image

    known = Image.registered_extensions().items()
    return {".heic", ".heif", *(ending for ending, kind in known if kind in readable_formats())}


def most_pixels() -> float:
    """The limit on the pixels that are decoded. Raises ValueError when the environment variable holds no number."""
    wanted = os.environ.get(MEGAPIXELS_VARIABLE, MOST_MEGAPIXELS)
    try:
        megapixels = float(wanted)
    except ValueError:
        megapixels = 0.0
    if not 0 < megapixels < float("inf"):
        raise ValueError(
            f"Received {MEGAPIXELS_VARIABLE}={wanted!r}. Expected how many million pixels a picture may have, as 300."
        )
    return megapixels * 1e6


def _pixels_to_decode(image, wanted: int, most: float) -> int:
    """How many pixels have to be decoded. A JPEG is told to shrink, to no less than `wanted` pixels on a side."""
    width, height = image.size
    image.draft(None, (wanted, wanted))
    # a progressive JPEG is in memory as a whole before it shrinks
    pixels = width * height if image.info.get("progressive") else image.width * image.height
    if pixels > most or width * height > JPEG_FACTOR * most:
        raise RefusedError(
            f"it has {width:,}×{height:,} pixels, too many for the memory of a usual computer",
            f"at most {most / 1e6:g} million, in an ordinary JPEG {JPEG_FACTOR * most / 1e6:g} million. Make it "
            "smaller, or save it as JPEG; or set a higher limit, in millions, with the environment variable "
            f"{MEGAPIXELS_VARIABLE} (a pixel takes up to 15 bytes of memory)",
        )
    return pixels


class _Room:
    """Lets threads decode at the same time while what they decode is not more than the limit in all."""

    def __init__(self):
        self._taken, self._changed = 0, threading.Condition()

    @contextmanager
    def __call__(self, pixels: int, most: float):
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + pixels <= most)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()


_room, _opening, _here = _Room(), threading.Lock(), threading.local()


@contextmanager
def file_notes():
    """What Pillow warns of in this context is said at its end, with the files that it warned of. Not for threads."""
    notes = []
    with warnings.catch_warnings():
        warnings.filterwarnings("always", module="PIL")
        show = warnings.showwarning

        def keep(message, *arguments, **options) -> None:
            file = getattr(_here, "file", None)
            if file:
                notes.append(f"{file!r}: {_plain(message)}")
            else:
                show(message, *arguments, **options)

        warnings.showwarning = keep
        yield
    notes = sorted(set(notes))
    if notes:
        warn_of_files(f"Pillow read {len(notes)} file{'s' * (len(notes) != 1)} with a remark", notes)


def warn_of_files(what: str, lines: list[str], advice: list[str] = (), strict: bool = False) -> None:
    """Warn of what happened with some files, one line for each, but not of hundreds; and say what to do.

    With `strict` raise ValueError, which names all of them.
    """
    if strict:
        raise ValueError("\n  ".join([f"{what}, and strict=True:", *lines, *advice]))
    listed = "\n  ".join([*lines[:10], *[f"… and {len(lines) - 10} more"] * (len(lines) > 10), *advice])
    warnings.warn(f"{what}:\n  {listed}", stacklevel=4)
