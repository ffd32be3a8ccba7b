"""Does any damaged file crash the reading of pictures, hang it, take its memory, or get another file's label?

    python benchmarks/fuzz_pictures.py

Small pictures of every format and mode that Pillow writes here are damaged by chance: cut, with other bytes, blocks or
sizes, with text after their end, with the beginning of another format, under another ending. A process of its own reads
each, with limits on time and memory. Then `load_images` reads all of them as three classes, and each picture that it
gives has to have the label of a file that shows just that. The program ends with an error if one of this fails.
"""

import argparse
import collections
import io
import os
import resource
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from fuzzing import count_failures, finish, in_another_process, peak_mib, rows
from kerastl.reading import UnreadableError, read_image, readable_formats

SECONDS = 20  # that one file may take
RESERVED = 8 << 30  # bytes: for a damaged PNG, Pillow reserves the 2 GB that the file speaks of, and does not use them
MOST_MIB = 2_000  # in use at the peak: what the largest allowed picture needs is 1,500
SIZE = (16, 16)
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F")
OPTIONS = {  # more than one way to write a format
    "JPEG": [{"quality": 90}, {"progressive": True}],
    "TIFF": [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}, {"compression": "jpeg"}],
    "WEBP": [{}, {"lossless": True}],
}
ENDINGS = ("jpg", "png", "gif", "bmp", "tif", "webp", "heic", "avif", "tga", "")
GOOD = ("read", "unreadable")
HEAD = "| damage | files | read | refused as unreadable |\n|---|---|---|---|"


def write_samples(rng) -> dict[str, bytes]:
    """{format, mode, way: a small file}, all that Pillow writes here of what is read."""
    known, found, side = readable_formats(), {}, 24
    for mode in MODES:
        pixels = rng.integers(0, 256, (side, side + 8, 3), dtype=np.uint8)
        if mode in ("I;16", "F"):
            image = Image.fromarray((pixels[..., 0] * np.uint16(257)).astype("uint16" if mode == "I;16" else "float32"))
        else:
            image = Image.fromarray(pixels).convert(mode)
        for kind in known:
            for way, options in enumerate(OPTIONS.get(kind, [{}])):
                if options.get("compression") == "jpeg" and mode not in ("L", "RGB"):
                    continue  # of the others libtiff complains
                buffer = io.BytesIO()
                try:
                    image.save(buffer, kind, **options)
                except (OSError, ValueError, KeyError):
                    continue  # Pillow does not write it
                found[f"{kind} {mode} {way}"] = buffer.getvalue()
    return found


def flip(rng, content: bytearray, _) -> bytes:
    for place in rng.integers(0, len(content), rng.integers(1, 20)):
        content[place] = rng.integers(256)
    return content


def swap(rng, content: bytearray, _) -> bytes:
    size = max(len(content) // 8, 1)
    one, two = rng.integers(0, max(len(content) - size, 1), 2)
    content[one : one + size], content[two : two + size] = content[two : two + size], content[one : one + size]
    return content


def change_size(rng, content: bytearray, _) -> bytes:
    """Some number near the beginning, where sizes stand, becomes a large or an impossible one."""
    place, width = rng.integers(0, min(len(content), 200)), int(rng.choice([2, 4]))
    number = int(rng.choice([0, 1, 255, 9_000, 32_767, 65_535, 2**31 - 1, 2**32 - 1])) % 256**width
    content[place : place + width] = number.to_bytes(width, str(rng.choice(["big", "little"])))
    return content


def put_on_another(rng, content: bytearray, others: list[bytes]) -> bytes:
    other = others[rng.integers(len(others))]
    return other[: rng.integers(4, 64)] + content[rng.integers(0, len(content)) :]


DAMAGE = {
    "cut": lambda rng, content, _: content[: rng.integers(0, len(content))],
    "other bytes": flip,
    "swapped blocks": swap,
    "other numbers in the header": change_size,
    "zeros": lambda rng, content, _: content[: (place := rng.integers(0, len(content)))] + bytes(len(content) - place),
    "a part twice": lambda rng, content, _: content[: rng.integers(1, len(content))] + content,
    "text at the end": lambda rng, content, _: content + b"<html>not found</html>" * rng.integers(1, 50),
    "the beginning of another file": put_on_another,
    "another ending": lambda rng, content, _: content,
}


def write_files(folder: Path, count: int, seed: int) -> dict[Path, str]:
    """Damaged files in three class folders: {file: what was done to it}. Each sample is drawn anew."""
    rng, made, samples = np.random.default_rng(seed), {}, {}
    for name in "abc":
        (folder / name).mkdir(parents=True)
    for number in range(count):
        if number % 500 == 0:
            samples = write_samples(rng)
        kinds = list(samples)
        damage, sample = list(DAMAGE)[number % len(DAMAGE)], samples[kinds[rng.integers(len(kinds))]]
        content = DAMAGE[damage](rng, bytearray(sample), list(samples.values()))
        file = folder / "abc"[number % 3] / f"{number:06d}.{ENDINGS[rng.integers(len(ENDINGS))]}"
        file.write_bytes(content)
        made[file] = damage
    return made


def serve(connection) -> None:
    """In a process of its own: read each file that is named, and say what came of it."""
    resource.setrlimit(resource.RLIMIT_AS, (RESERVED, RESERVED))
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff says there what it thinks of each file
    while True:
        file = connection.recv()
        try:
            pixels = read_image(file, SIZE)
            said = "read" if pixels.shape == (*SIZE, 3) and pixels.dtype == np.uint8 else f"gave {pixels.shape}"
        except UnreadableError as error:
            said = "memory" if "MemoryError" in error.reason else "unreadable"
        except BaseException as error:
            said = f"raised {type(error).__name__}"
        connection.send((said, peak_mib()))


def read_all(files) -> tuple[dict[Path, str], float]:
    """{file: "read", "unreadable", or what must not be}, and the peak of memory in MiB."""
    return in_another_process(files, serve, SECONDS)


def wrong_labels(folder: Path, outcomes: dict[Path, str]) -> int:
    """How many pictures `load_images` gives without a file that shows it under that label, or leaves out."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from kerastl.data import as_arrays
    from kerastl.images import load_images

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = load_images(folder, image_size=SIZE)
        expected = collections.Counter(
            (data.class_names.index(file.parent.name), read_image(file, SIZE).tobytes())
            for file, said in outcomes.items()
            if said == "read"
        )
    given = collections.Counter(
        (int(label), image.tobytes()) for part in data[:3] for image, label in zip(*as_arrays(part), strict=True)
    )
    return ((given - expected) + (expected - given)).total()


def run(folder: Path, count: int, seed: int) -> dict:
    """What came of so many files: {damage: {outcome: files}}, wrong labels, time and memory."""
    made, began = write_files(folder, count, seed), time.perf_counter()
    outcomes, peak = read_all(made)
    seconds, table = time.perf_counter() - began, {damage: collections.Counter() for damage in DAMAGE}
    for file, said in outcomes.items():
        table[made[file]][said] += 1
        if said not in GOOD:
            print(f"{said}: {file.name}, {made[file]}, begins with {file.read_bytes()[:16]!r}", flush=True)
    return {
        "files": count,
        "samples": len(write_samples(np.random.default_rng(seed))),
        "seconds": round(seconds, 1),
        "peak_mib": round(peak),
        "wrong_labels": wrong_labels(folder, outcomes),
        "outcomes": {damage: dict(sorted(counts.items())) for damage, counts in table.items()},
    }


def failures(result: dict) -> dict[str, int]:
    """{what must not be: how many files}; empty when all is well."""
    others = {"wrong label": result["wrong_labels"], "memory": result["peak_mib"] > MOST_MIB}
    return count_failures(result, GOOD, others)


def table(result: dict) -> list[str]:
    return rows(result, GOOD)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz_pictures.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder) / "pictures", args.files, args.seed)
    finish(args.out, result, [HEAD, *table(result)], failures(result))


if __name__ == "__main__":
    main()
