"""Draw the bundled sets: the five flowers of the near task, the eight butterflies of the far task, and a sample of the
source task's 64 species.

    python data/make/make_sets.py

Writes data/drawn_flowers/{train,validation,test}/<class>/*.jpg, data/drawn_butterflies/ likewise,
data/drawn_species/{train,validation,test}/<species>/*.jpg and data/checksums.txt. Every pixel comes from a seed: the
same command gives the same bytes.
"""

import argparse
import hashlib
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from butterfly_kinds import BUTTERFLY_NAMES, draw_butterfly_picture, kind_of_butterfly
from kinds import CLASS_NAMES, NUM_SPECIES, SPECIES_SEED, species_flower, target_flower
from place import draw_in_place
from scene import draw_picture

FLOWERS_SEED = 20261
BUTTERFLIES_SEED = 20262
CLASSES = {
    "drawn_flowers": CLASS_NAMES,
    "drawn_butterflies": BUTTERFLY_NAMES,
    "drawn_species": tuple(f"species_{number:02d}" for number in range(NUM_SPECIES)),
}
COUNTS = {  # pictures of each class
    "drawn_flowers": {"train": 100, "validation": 40, "test": 100},
    "drawn_butterflies": {"train": 100, "validation": 40, "test": 100},
    "drawn_species": {"train": 6, "test": 6},
}
# Of the six pictures of a species to train on, the one with this number is for validation. (Chance chose them, once.)
VALIDATION_OF_SPECIES = "3435524012332325435522433334424502200041134340514321333110535401"
# The second number of a picture's seed. Pre-training uses 1 and 2 (pretrain.py): these pictures are new to the base.
# 13 was an earlier test part: it was looked at while the species were designed.
# The shifted pictures are in no bundled set (shifts.py).
PARTS = {"train": 11, "validation": 12, "test": 14, "shifted": 15}
# Of the flower in front. The species of the source task are drawn from 0.28 to 0.64: the flowers are nearer, which the
# frozen base does not quite expect, and fine-tuning can learn.
FLOWERS_RADIUS = (0.45, 1.1)
QUALITY = {"drawn_butterflies": 80}  # of the JPEG file; else 85. A butterfly has more edges than a flower.


def picture_names() -> Iterator[tuple[str, str, int, int]]:
    """(set, part, class number, picture number) of every bundled picture."""
    for set_name, parts in COUNTS.items():
        for part, count in parts.items():
            for number in range(len(CLASSES[set_name])):
                for index in range(count):
                    yield set_name, part, number, index


def picture_path(set_name: str, part: str, number: int, index: int) -> Path:
    """Where a picture lies below data/."""
    if (set_name, part) == ("drawn_species", "train") and index == int(VALIDATION_OF_SPECIES[number]):
        part = "validation"
    return Path(set_name, part, CLASSES[set_name][number], f"{index:03d}.jpg")


def draw(set_name: str, part: str, number: int, index: int, place=draw_in_place) -> tuple[np.ndarray, np.ndarray]:
    """One picture before it is compressed, uint8 (96, 96, 3), and the mask of what it shows (96, 96)."""
    if set_name == "drawn_flowers":
        rng = np.random.default_rng([FLOWERS_SEED, PARTS[part], number, index])
        return draw_picture(target_flower(CLASS_NAMES[number], rng), rng, FLOWERS_RADIUS, place)
    if set_name == "drawn_butterflies":
        rng = np.random.default_rng([BUTTERFLIES_SEED, PARTS[part], number, index])
        return draw_butterfly_picture(kind_of_butterfly(BUTTERFLY_NAMES[number], rng), rng, place)
    rng = np.random.default_rng([SPECIES_SEED, PARTS[part], number, index])
    return draw_picture(species_flower(number, rng), rng, place=place)


def as_jpeg(set_name: str, picture: np.ndarray) -> bytes:
    """The picture as the bytes of a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=QUALITY.get(set_name, 85), subsampling=0)
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent)
    out = parser.parse_args().out
    for set_name in COUNTS:
        shutil.rmtree(out / set_name, ignore_errors=True)
    sums = []
    for name in picture_names():
        path, content = picture_path(*name), as_jpeg(name[0], draw(*name)[0])
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(content)
        sums.append(f"{hashlib.sha256(content).hexdigest()}  {path.as_posix()}")
        if len(sums) % 250 == 0:
            print(f"{len(sums)} pictures", flush=True)
    (out / "checksums.txt").write_text("\n".join(sums) + "\n")
    print(f"{len(sums)} pictures in {out}")


if __name__ == "__main__":
    main()
