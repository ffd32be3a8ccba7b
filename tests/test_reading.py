"""One picture from its file: every mode and format, what is refused, memory, Pillow's remarks."""

import importlib.util
import io
import os
import shutil
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

import kerastl as tl
from kerastl.reading import UnreadableError, find_pictures, read_image, readable_formats

RAMP = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
COLOURS = np.stack([RAMP, RAMP[:, ::-1], np.full_like(RAMP, 128)], axis=-1)
FORMATS = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}, "BMP": {}, "GIF": {}, "JPEG": {"quality": 95}}


def deep(dtype="uint16") -> Image.Image:
    return Image.fromarray(RAMP.astype(dtype) * np.array(257, dtype))


def with_bytes(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def palette_with_holes() -> Image.Image:
    image = Image.fromarray(np.where(RAMP > 127, RAMP, 0).astype(np.uint8)).convert("P")
    image.info["transparency"] = 0  # black, the left half, is see-through
    return image


def alpha_ramp(mode: str) -> Image.Image:
    """Black that lets white through, ever less: on white, a ramp from white to black."""
    black = Image.new("L" if mode == "LA" else "RGB", (256, 64))
    black.putalpha(Image.fromarray(RAMP))
    return black


GREY, COLOUR = Image.fromarray(RAMP), Image.fromarray(COLOURS)
HALVES = np.where(RAMP > 127, 255, 0)
PICTURES = {  # mode: (a picture in it, what it shows)
    "1": (GREY.convert("1", dither=Image.Dither.NONE), HALVES),
    "L": (GREY, RAMP),
    "LA": (GREY.convert("LA"), RAMP),
    "LA, see-through": (alpha_ramp("LA"), 255 - RAMP),
    "P": (GREY.convert("P"), RAMP),
    "P, see-through": (palette_with_holes(), np.where(RAMP > 127, RAMP, 255)),
    "PA": (GREY.convert("P").convert("PA"), RAMP),
    "RGB": (COLOUR, COLOURS),
    "RGBA": (COLOUR.convert("RGBA"), COLOURS),
    "RGBA, see-through": (alpha_ramp("RGBA"), 255 - RAMP),
    "CMYK": (COLOUR.convert("CMYK"), COLOURS),
    "YCbCr": (COLOUR.convert("YCbCr"), COLOURS),
    "LAB": (COLOUR.convert("LAB"), COLOURS),
    "HSV": (COLOUR.convert("HSV"), COLOURS),
    "I;16": (deep(), RAMP),
    "I;16B": (deep(">u2"), RAMP),
    "I": (deep("int32"), RAMP),
    "F": (deep("float32"), RAMP),
}
REFUSED = dict.fromkeys([("I", "TIFF"), ("F", "TIFF")], "no known highest value, so white is not known")
LOST = {  # what Pillow throws away when it writes these, so that no reader can know it
    **dict.fromkeys(("I;16", "I;16B", "I", "F"), ("WEBP", "GIF")),
    **dict.fromkeys(("LA, see-through", "RGBA, see-through"), ("BMP", "GIF", "JPEG")),
    "P, see-through": ("TIFF", "BMP"),
}


def writable() -> list[tuple[str, str]]:
    """The modes that Pillow writes in each format."""
    found = []
    for mode, (image, _) in PICTURES.items():
        for kind, options in FORMATS.items():
            if kind in LOST.get(mode, ()):
                continue
            try:
                with_bytes(image, kind, **options)
            except (OSError, ValueError, KeyError):
                continue
            found.append((mode, kind))
    return found


@pytest.mark.parametrize(("mode", "kind"), writable())
def test_a_ramp_comes_out_as_that_ramp_or_is_refused_by_name(tmp_path, mode, kind):
    image, shown = PICTURES[mode]
    path = tmp_path / "ramp"
    path.write_bytes(with_bytes(image, kind, **FORMATS[kind]))
    if (mode, kind) in REFUSED:
        with pytest.raises(UnreadableError, match=f"ramp' as an image .*{REFUSED[mode, kind]}.*Expected 8 bits a col"):
            read_image(path, (64, 256))
        return
    if shown.ndim == 2:
        shown = np.repeat(shown[..., None], 3, axis=-1)
    pixels = read_image(path, (64, 256))
    assert pixels.dtype == np.uint8
    error = np.abs(pixels.astype(int) - shown)
    assert np.median(error) <= 3  # GIF has 256 colours, JPEG is lossy
    assert np.quantile(error, 0.98) <= 16


def test_every_mode_but_hsv_is_written_by_some_format():
    assert {mode for mode, _ in writable()} >= set(PICTURES) - {"HSV"}


# ---- 16 bits


def png_of_16_bits(numbers: np.ndarray, see_through: int | None = None) -> bytes:
    """A grey or a colour PNG with 16 bits for each number: old Pillow cannot write all of that."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width, colours = (*numbers.shape, 1)[:3]
    header = struct.pack(">IIBBBBB", width, height, 16, 2 if colours == 3 else 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in numbers)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    if see_through is not None:
        parts.insert(1, (b"tRNS", struct.pack(">H", see_through)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "colour"])
def test_fewer_bits_in_16_are_refused_and_not_shown_almost_black(tmp_path, bits, kind):
    highest = 2**bits - 1
    numbers = np.tile(np.linspace(0, highest, 256).astype(np.uint16), (64, 1))
    colours = np.repeat(numbers[..., None], 3, axis=-1)
    content = png_of_16_bits(colours) if kind == "colour" else with_bytes(Image.fromarray(numbers), kind)
    (tmp_path / "dark").write_bytes(content)
    said = f"its numbers go only to {highest:,} of 65,535: the picture would look black"
    with pytest.raises(UnreadableError, match=rf"{said}.*Expected 8 bits a colour: convert"):
        read_image(tmp_path / "dark", (8, 8))


def test_16_bits_for_each_colour_are_scaled_to_8(tmp_path):
    (tmp_path / "deep.png").write_bytes(png_of_16_bits(COLOURS * np.uint16(257)))
    assert np.array_equal(read_image(tmp_path / "deep.png", (64, 256)), COLOURS)


def test_a_grey_tiff_of_16_bits_in_which_0_is_white_is_turned(tmp_path):
    stored = with_bytes(deep(), "TIFF")
    turned = stored.replace(b"\x06\x01\x03\x00\x01\x00\x00\x00\x01", b"\x06\x01\x03\x00\x01\x00\x00\x00\x00")
    assert turned != stored
    (tmp_path / "negative.tif").write_bytes(turned)
    pixels = read_image(tmp_path / "negative.tif", (64, 256))
    assert np.array_equal(pixels[..., 0], 255 - RAMP)


def test_what_is_see_through_in_16_bits_shows_white(tmp_path):
    (tmp_path / "holes.png").write_bytes(png_of_16_bits(RAMP * np.uint16(257), see_through=0))
    pixels = read_image(tmp_path / "holes.png", (64, 256))
    assert pixels[:, 0].min() == 255
    assert pixels[:, 1].max() < 10


# ---- size and memory

PROGRAM = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
from kerastl.reading import UnreadableError, read_image
from PIL import Image
Image.init()
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
def read(path):
    try:
        return str(read_image(path, (64, 64)).mean())
    except UnreadableError as error:
        return str(error)
before = peak()
with ThreadPoolExecutor(8) as pool:
    said = list(pool.map(read, sys.argv[1:]))
print(peak() - before, said[0], sep="\\n")
"""


START = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]], check=True)"


def peak_memory(*paths) -> tuple[float, str]:
    """MiB that eight threads take to read these files, measured in a process of its own; and the first answer.

    A process begins with the peak of the one that started it, so a small one stands between.
    """
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", START, PROGRAM, *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
        cwd=os.path.dirname(os.path.dirname(tl.__file__)),
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},  # glibc keeps freed memory for each thread, as it happens
    )
    mebibytes, said = done.stdout.splitlines()
    return float(mebibytes), said


def test_a_small_file_of_many_pixels_is_refused_before_it_takes_memory(tmp_path):
    Image.new("1", (13_300, 13_300), 1).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 50_000
    mebibytes, said = peak_memory(tmp_path / "bomb.png")
    assert "13,300×13,300 pixels" in said
    assert "Expected at most 100 million, in an ordinary JPEG 250 million. Make it smaller, or save it as JPEG" in said
    assert "set a higher limit, in millions, with the environment variable KERASTL_MOST_MEGAPIXELS" in said
    assert mebibytes < 50  # it was 1,014


def test_a_jpeg_of_200_megapixels_is_read_in_little_memory(tmp_path):
    Image.new("L", (16_320, 12_240), 77).save(tmp_path / "phone.jpg")
    mebibytes, said = peak_memory(tmp_path / "phone.jpg")
    assert said == "77.0"
    assert mebibytes < 50


def test_the_limit_on_pixels_can_be_set(tmp_path, monkeypatch):
    Image.new("L", (300, 200)).save(tmp_path / "picture.png")
    Image.new("L", (300, 200)).save(tmp_path / "picture.jpg")
    monkeypatch.setenv("KERASTL_MOST_MEGAPIXELS", "0.06")
    for kind in ("png", "jpg"):
        assert read_image(tmp_path / f"picture.{kind}", (8, 8)).shape == (8, 8, 3)
    monkeypatch.setenv("KERASTL_MOST_MEGAPIXELS", "0.05")
    assert read_image(tmp_path / "picture.jpg", (8, 8)).shape == (8, 8, 3)
    with pytest.raises(
        UnreadableError, match=r"300×200 pixels, .*at most 0\.05 million, in an ordinary JPEG 0\.125 mi"
    ):
        read_image(tmp_path / "picture.png", (8, 8))


@pytest.mark.parametrize("limit", ["", "many", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_no_number_is_an_error_and_no_damaged_picture(tmp_path, monkeypatch, limit):
    Image.new("L", (8, 8)).save(tmp_path / "picture.png")
    monkeypatch.setenv("KERASTL_MOST_MEGAPIXELS", limit)
    with pytest.raises(ValueError, match=rf"^Received KERASTL_MOST_MEGAPIXELS='{limit}'\. Expected how many million"):
        read_image(tmp_path / "picture.png", (8, 8))


@pytest.mark.slow
def test_eight_threads_with_large_pictures_take_no_more_than_a_few_do(tmp_path):
    Image.new("RGB", (6_500, 6_500), (77, 77, 77)).save(tmp_path / "large.png", compress_level=1)  # 169 MB each
    mebibytes, said = peak_memory(*[tmp_path / "large.png"] * 8)
    assert said == "77.0"
    assert mebibytes < 450  # 330 for two at a time; all eight took 1,287


def test_a_jpeg_that_cannot_shrink_while_it_is_decoded_has_the_lower_limit(tmp_path):
    Image.new("L", (11_000, 10_000)).save(tmp_path / "progressive.jpg", progressive=True)
    with pytest.raises(UnreadableError, match="11,000×10,000 pixels, too many"):
        read_image(tmp_path / "progressive.jpg", (8, 8))


def test_pillows_own_limit_is_as_it_was_and_is_not_spoken_of(tmp_path, recwarn):
    Image.new("L", (10_000, 9_500)).save(tmp_path / "large.jpg")  # above the size of which Pillow warns
    kept = Image.MAX_IMAGE_PIXELS
    read_image(tmp_path / "large.jpg", (8, 8))
    assert kept == Image.MAX_IMAGE_PIXELS
    assert list(recwarn) == []


def test_a_jpeg_that_was_shrunk_while_decoding_looks_as_one_that_was_not(tmp_path):
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).resize((2000, 1500), 3)
    photo.save(tmp_path / "photo.jpg", quality=95)
    photo.save(tmp_path / "photo.png", compress_level=1)
    shrunk, whole = (read_image(tmp_path / f"photo.{kind}", (96, 128)).astype(int) for kind in ("jpg", "png"))
    assert np.abs(shrunk - whole).mean() < 1
    assert np.abs(shrunk - whole).max() < 12


def test_a_small_jpeg_is_decoded_as_pillow_does_it(tmp_path):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8))
    photo.save(tmp_path / "photo.jpg")
    plain = Image.open(tmp_path / "photo.jpg").resize((224, 224), Image.Resampling.BILINEAR, reducing_gap=2.0)
    assert np.array_equal(read_image(tmp_path / "photo.jpg", (224, 224)), plain)


# ---- damaged files, and files that are no pictures


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", FORMATS)
def test_whatever_is_damaged_ends_in_the_one_error_that_names_the_file(tmp_path, kind):
    whole, rng, refused = with_bytes(COLOUR, kind), np.random.default_rng(0), 0
    for number in range(60):
        damaged = bytearray(whole[: rng.integers(10, len(whole))] if number % 2 else whole)
        for place in rng.integers(0, min(len(damaged), 400), 4):
            damaged[place] = rng.integers(256)
        (tmp_path / "damaged").write_bytes(damaged)
        try:
            read_image(tmp_path / "damaged", (8, 8))
        except UnreadableError as error:
            refused += "damaged' as an image" in str(error)
    assert refused > 10


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "it is a web page, as a server sends it"),
        (b"<html>", "it is a web page"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", r"it is a HEIC picture.*pip install 'kerastl\[heic\]'"),
        (b"hello", "it is not a picture of a known kind"),
    ],
)
def test_what_is_no_picture_is_called_what_it_is(tmp_path, content, said):
    (tmp_path / "photo.jpg").write_bytes(content)
    if b"heic" in content and importlib.util.find_spec("pillow_heif"):
        said = "photo.jpg"  # then it is only damaged
    with pytest.raises(UnreadableError, match=said):
        read_image(tmp_path / "photo.jpg", (8, 8))


KINDS = {"heic": "HEIF", "avif": "AVIF", "jp2": "JPEG2000"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_kinds_that_phones_and_browsers_write_are_read(tmp_path, kind):
    if kind == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    elif kind == "avif" and "AVIF" not in readable_formats():
        pytest.skip("This Pillow reads no AVIF.")
    (tmp_path / f"photo.{kind}").write_bytes(with_bytes(COLOUR, KINDS[kind], quality=95))
    error = np.abs(read_image(tmp_path / f"photo.{kind}", COLOURS.shape[:2]).astype(int) - COLOURS)
    assert np.quantile(error, 0.98) < 16


def test_every_file_but_hidden_ones_and_texts_is_taken_for_a_picture(tmp_path):
    taken = ["a.jpg", "b.TIF", "c.avif", "d", "e.heic"]
    for name in [*taken, ".hidden.png", "notes.txt", "labels.CSV", "metrics.json", "model.keras", "Thumbs.db"]:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in find_pictures(tmp_path)] == taken


def test_texts_beside_the_pictures_of_a_class_are_no_damaged_pictures(picture_folder, tmp_path, recwarn):
    folder = shutil.copytree(picture_folder, tmp_path / "own")
    (folder / "red" / "00.txt").write_text("0 0.5 0.5 1 1")
    tl.load_images(folder, image_size=8)
    assert [warning for warning in recwarn if "unreadable" in str(warning.message)] == []


def test_what_to_do_is_said_once_for_all_pictures_of_a_kind(picture_folder, tmp_path):
    folder = shutil.copytree(picture_folder, tmp_path / "own")
    for number in range(2):
        deep("float32").save(folder / "red" / f"{number}.tif")
    with pytest.warns(
        UserWarning, match=r"(?s)2 unreadable files.*0\.tif.*1\.tif.*\n  Expected 8 bits a colour"
    ) as caught:
        tl.load_images(folder, image_size=8)
    assert str(caught[0].message).count("Expected") == 1


# ---- Pillow's remarks


def test_a_remark_of_pillow_is_said_with_the_name_of_the_file(picture_folder, tmp_path):
    folder = shutil.copytree(picture_folder, tmp_path / "own")
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description that is long enough to lie outside of the entry"
    Image.fromarray(RAMP).save(folder / "red" / "remark.jpg", exif=exif.tobytes()[:-30])
    with pytest.warns(
        UserWarning, match=r"Pillow read 1 file with a remark:\n  '.*remark\.jpg': the file ends too early"
    ):
        tl.load_images(folder, image_size=8)
    with warnings.catch_warnings(record=True) as others:
        warnings.simplefilter("always")
        tl.load_images(picture_folder, image_size=8)
    assert [str(other.message) for other in others if "remark" in str(other.message)] == []


def iptc_around(content: bytes) -> bytes:
    """An IPTC file with another picture in it; Pillow would hand that one to whatever reads it."""

    def tag(record: int, number: int, value: bytes) -> bytes:
        return bytes([0x1C, record, number]) + len(value).to_bytes(2, "big") + value

    side = (20).to_bytes(2, "big")
    head = tag(3, 60, b"\x01\x00") + tag(3, 20, side) + tag(3, 30, side) + tag(3, 120, b"\x05")
    return head + tag(8, 10, content) + tag(8, 0, b"")


@pytest.mark.parametrize("kind", ["eps", "ico", "iptc around eps", "iptc around png"])
def test_a_picture_that_another_program_would_run_or_that_hides_another_is_refused(tmp_path, monkeypatch, kind):
    gs = tmp_path / "gs"  # stands for Ghostscript
    gs.write_text(f"#!/bin/sh\ntouch {tmp_path / 'it-ran'}\n")
    gs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    picture, inner = tmp_path / "picture.jpg", io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(inner, kind.split()[-1])
    picture.write_bytes(iptc_around(inner.getvalue()) if kind.startswith("iptc") else inner.getvalue())
    with pytest.raises(ValueError, match=r"Cannot read .*picture\.jpg"):
        read_image(picture, (32, 32))
    assert not (tmp_path / "it-ran").exists()
