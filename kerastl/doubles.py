"""Find pictures that are the same, or nearly: copies that were saved anew, made smaller, or cut a little."""

import numpy as np

SIDE = 64  # pixels of the small pictures that are compared
MOST_BITS = 4  # of 64 in which the hashes of near-doubles differ, at most; measured in benchmarks/README.md


def difference_hash(pixels: np.ndarray) -> int:
    """64 bits that say where a small picture gets brighter from left to right, in 8 rows and 8 steps (dHash).

    Args:
        pixels: uint8 (height, width, 3).

    Source: N. Krawetz, "Kind of Like That", The Hacker Factor Blog, 2013.
    """
    from PIL import Image

    grey = np.asarray(Image.fromarray(pixels).convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    return int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes(), "big")


def near_pairs(hashes: np.ndarray, most: int = MOST_BITS) -> list[tuple[int, int, int]]:
    """(first, second, bits that differ) of all pairs of 64-bit hashes that differ in at most `most` bits, 7 or fewer.

    Two that differ in 7 bits or fewer share one of their 8 bytes. So only those that do are compared: for each byte,
    every hash with the next in sorted order, then with the next but one, until no two that share it are left. 100,000
    hashes took 9 to 15 seconds. Of n hashes drawn by chance it compares n² / 64 pairs. Of several that are the same,
    as of blank pages, each is paired with the first, and only that one with others.

    Args:
        hashes: (pictures,) uint64.

    Source: M. Norouzi, A. Punjani, D. J. Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012.
    """
    unique, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    found = {(int(first[group]), number): 0 for number, group in enumerate(inverse.tolist()) if number != first[group]}
    for shift in range(0, 64, 8):
        keys = (unique >> np.uint64(shift)).astype(np.uint8)
        order = np.argsort(keys, kind="stable")
        keys, ordered, places = keys[order], unique[order], np.arange(len(unique))
        for step in range(1, len(unique)):
            places = places[places + step < len(unique)]
            places = places[keys[places] == keys[places + step]]
            if not len(places):
                break
            bits = count_bits(ordered[places] ^ ordered[places + step])
            for place, differing in zip(places[bits <= most], bits[bits <= most], strict=True):
                pair = first[order[[place, place + step]]]
                found[int(pair.min()), int(pair.max())] = int(differing)
    return sorted(((*pair, bits) for pair, bits in found.items()), key=lambda one: (one[2], one[:2]))


def count_bits(numbers: np.ndarray) -> np.ndarray:
    """How many bits are set in each uint64: of all pairs, then of all fours, all bytes, and their sum in the top one.

    NumPy has a function for it only since version 2. Source: H. S. Warren, "Hacker's Delight", 2nd ed., section 5-1.
    """
    u = np.uint64
    numbers = numbers - ((numbers >> u(1)) & u(0x5555555555555555))
    numbers = (numbers & u(0x3333333333333333)) + ((numbers >> u(2)) & u(0x3333333333333333))
    numbers = (numbers + (numbers >> u(4))) & u(0x0F0F0F0F0F0F0F0F)
    return ((numbers * u(0x0101010101010101)) >> u(56)).astype(np.int64)
