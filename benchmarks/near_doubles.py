"""How far may the hashes of two pictures differ before they are no near-doubles?

    python benchmarks/near_doubles.py FOLDER

Of 300 photos, changed copies are made as people make them. The table has the share of them that is found, for several
numbers of bits, and below it how many pairs of the untouched photos are found. These have to be looked at: `--picture`
draws those of the default.
"""

import argparse
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

import kerastl as tl
from common import write_results
from kerastl.doubles import SIDE, count_bits, difference_hash, near_pairs
from kerastl.reading import as_pixels, read_image

BITS, COPIES = (0, 2, 4, 7), 300
HEAD = f"| | {' | '.join(f'at most {bits} bits' for bits in BITS)} |\n|---|{'---|' * len(BITS)}"


def save_anew(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=50)
    return Image.open(buffer)


def cut(share: float) -> Callable:
    """A function that cuts so much of the width and the height off each side."""

    def change(image: Image.Image) -> Image.Image:
        aside, above = round(share * image.width), round(share * image.height)
        return image.crop((aside, above, image.width - aside, image.height - above))

    return change


CHANGES = {
    "saved anew as JPEG, quality 50": save_anew,
    "half the width and height": lambda image: image.resize((image.width // 2, image.height // 2)),
    "grey": lambda image: image.convert("L"),
    "a third brighter": lambda image: image.point(lambda value: min(255, round(value * 4 / 3))),
    "2 % cut off each side": cut(0.02),
    "5 % cut off each side": cut(0.05),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def measure(folder: str) -> dict:
    """{change: {bits: copies}}, and the pairs among the photos themselves."""
    files = sorted(Path(folder).glob("*/*/*.jpg"))
    hashes = np.array([difference_hash(read_image(file, (SIDE, SIDE))) for file in files], np.uint64)
    chosen, copies = np.random.default_rng(0).choice(len(files), COPIES, replace=False), {}
    for name, change in CHANGES.items():
        changed = [difference_hash(as_pixels(change(Image.open(files[one])), (SIDE, SIDE))) for one in chosen]
        differing = Counter(count_bits(hashes[chosen] ^ np.array(changed, np.uint64)).tolist())
        copies[name] = {str(bits): differing[bits] for bits in sorted(differing)}
    pairs = Counter(bits for *_, bits in near_pairs(hashes, max(BITS)))
    return {"photos": len(files), "copies": copies, "pairs": {str(bits): pairs[bits] for bits in sorted(pairs)}}


def table(result: dict) -> list[str]:
    def within(counts: dict, most: int) -> int:
        return sum(count for bits, count in counts.items() if int(bits) <= most)

    lines = [
        f"| {name} | {' | '.join(f'{within(counts, bits) / COPIES:.2f}' for bits in BITS)} |"
        for name, counts in result["copies"].items()
    ]
    pairs = " | ".join(str(within(result["pairs"], bits)) for bits in BITS)
    return [*lines, f"| pairs among {result['photos']:,} photos | {pairs} |"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="FOLDER")
    parser.add_argument("--picture", metavar="FILE.png")
    parser.add_argument("--out", type=Path, default=Path("near_doubles.json"))
    args = parser.parse_args()
    result = measure(args.source)
    write_results(args.out, result)
    print("\n".join([HEAD, *table(result)]))
    if args.picture:
        tl.plot_doubles(tl.check_images(args.source), count=1000).savefig(args.picture, dpi=50)


if __name__ == "__main__":
    main()
