"""Draw one flower: petals, disc, bell or seed head, as distance fields on a grid of pixels.

A shape is a function that is positive inside and falls through zero at the edge; `coverage` turns it into the share of
each pixel that the shape covers, so that every edge is smooth. Lengths are in units of the flower's own radius, colours
are (hue, saturation, value), each 0 to 1. All arithmetic is float64 and all chance comes from the generator handed in,
so that the same seed gives the same picture.
"""

import colorsys
from typing import NamedTuple

import numpy as np

HSV = tuple[float, float, float]


class Flower(NamedTuple):
    """What a species looks like. `form` decides which of the fields are read."""

    form: str  # "open": petals around a disc; "cup": a bell from the side; "puff": a seed head
    petals: int = 8  # petals in a ring (open), rays in a ring (puff)
    rings: int = 1  # rings of petals, the outermost drawn first
    shrink: float = 0.75  # radius of a ring, as a share of the ring around it
    width: float = 1.0  # widest half-width of a petal; 1 means that neighbours touch there
    widest: float = 0.55  # where along the petal it is widest, 0 = centre, 1 = tip
    tip: float = 0.6  # how the petal ends: 0.2 blunt, 0.6 round, 1.2 pointed
    colour: HSV = (0.15, 0.8, 0.9)
    tip_colour: HSV = (0.15, 0.8, 0.9)
    pattern: str = "none"  # "none", "stripes", "spots", "band", "edge"
    pattern_colour: HSV = (0.0, 0.8, 0.6)
    disc: float = 0.25  # radius of the disc in the middle; 0 for none
    disc_colour: HSV = (0.13, 0.9, 0.8)
    disc_texture: str = "plain"  # "plain", "seeds", "ring"
    shade: float = (
        0.35  # how much darker the inner rings are; from 0.45 on the petals curl over each other, as in a rose
    )


def rgb(colour: HSV) -> np.ndarray:
    """The colour as three floats, 0 to 1. The hue wraps around; saturation and value are clipped."""
    hue, saturation, value = colour
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0), 1), min(max(value, 0), 1)))


def coverage(inside: np.ndarray, pixel: float) -> np.ndarray:
    """Share of each pixel covered by a shape, given the distance inside its edge and the size of a pixel."""
    return np.clip(inside / pixel + 0.5, 0.0, 1.0)


def paint(canvas: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> None:
    """Lay a colour (three floats, or an image) over the canvas, in place, where alpha says so."""
    canvas += (colour - canvas) * alpha[..., None]


def petal_profile(along: np.ndarray, widest: float, tip: float) -> np.ndarray:
    """Half-width along a petal, 1 at the widest place and 0 at both ends and beyond."""
    along = np.clip(along, 0.0, 1.0)
    root = tip * widest / (1.0 - widest)
    return (along / widest) ** root * ((1.0 - along) / (1.0 - widest)) ** tip


def _inside(along: np.ndarray, half: np.ndarray, sideways: np.ndarray) -> np.ndarray:
    """Distance inside a petal's edge, negative outside, given its half-width at each place along it."""
    return half - np.abs(sideways) - np.abs(along - np.clip(along, 0.0, 1.0)) - 1e-3


def draw_flower(
    flower: Flower,
    canvas: np.ndarray,
    mask: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    pixel: float,
    rng: np.random.Generator,
) -> None:
    """Draw the flower in place.

    Args:
        flower: the species.
        canvas: float64 (height, width, 3), 0 to 1.
        mask: float64 (height, width); raised to the share of each pixel that the flower covers.
        x, y: coordinates of each pixel in the flower's own frame: 0 is its centre, 1 its radius, y points down.
        pixel: size of a pixel in that frame.
        rng: where all chance comes from.
    """
    draw = {"open": _draw_open, "cup": _draw_cup, "puff": _draw_puff}[flower.form]
    draw(flower, canvas, mask, x, y, pixel, rng)


def _pattern(flower: Flower, along: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Where the pattern's colour lies on a petal: along 0 to 1 from the centre, across -1 to 1 from edge to edge."""
    if flower.pattern == "stripes":
        return np.clip(2.0 * np.cos(across * 9.0), 0.0, 1.0)
    if flower.pattern == "spots":
        return np.clip(4.0 * np.sin(along * 22.0) * np.cos(across * 5.0) - 1.6, 0.0, 1.0)
    if flower.pattern == "band":
        return np.clip(6.0 - np.abs(along - 0.45) * 40.0, 0.0, 1.0)
    if flower.pattern == "edge":
        return np.clip((np.maximum(np.abs(across), along * 1.05) - 0.78) * 9.0, 0.0, 1.0)
    return np.zeros_like(along)


def _petal_colour(flower: Flower, along: np.ndarray, across: np.ndarray) -> np.ndarray:
    """The petal's own colour before light: from the root's to the tip's, with the pattern over it."""
    blend = np.clip(along, 0.0, 1.0)[..., None]
    colour = rgb(flower.colour) * (1.0 - blend) + rgb(flower.tip_colour) * blend
    paint(colour, rgb(flower.pattern_colour), _pattern(flower, along, across))
    veins = 1.0 - 0.07 * (np.cos(across * 16.0) > 0.6)
    return colour * veins[..., None]


def _draw_open(flower, canvas, mask, x, y, pixel, rng):
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    turn, light = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)
    gap = 2 * np.pi / flower.petals
    curled = flower.shade >= 0.45
    for ring in range(flower.rings):
        length = flower.shrink**ring
        turned = angle - turn - ring * (2.4 if curled else gap / 2)
        number = np.floor(turned / gap + 0.5).astype(int) % flower.petals
        sector = (turned / gap + 0.5) % 1.0 - 0.5
        own_length = (length * rng.uniform(0.88, 1.06, flower.petals))[number]
        own_light = rng.uniform(0.92, 1.06, flower.petals)[number]
        if curled:  # broad petals: scallops around a disc, each over its neighbour, the rim in the light
            along, across = radius * (1.0 + 1.1 * sector**2) / own_length, 2.0 * sector
            inside = (1.0 - along) * own_length
            fold = 0.7 + 0.42 * (sector + 0.5) + 0.3 * np.clip(along - 0.8, 0.0, 0.2) / 0.2
        else:
            along, sideways = radius * np.cos(sector * gap) / own_length, radius * np.sin(sector * gap)
            half = flower.width * length * flower.widest * np.tan(np.pi / max(flower.petals, 5))
            half = half * petal_profile(along, flower.widest, flower.tip)
            inside, across = _inside(along, half, sideways), sideways / (half + 1e-9)
            fold = 1.0 - 0.4 * np.clip(np.maximum(np.abs(across), 2.0 * np.abs(sector)) - 0.55, 0.0, 0.45) ** 1.5 / 0.3
        if ring:  # the ring above throws a soft shadow on the ring below
            canvas *= 1.0 - (0.2 + 0.45 * flower.shade) * np.clip(inside / 0.12 + 0.7, 0.0, 1.0)[..., None]
        depth = 1.0 - flower.shade * ring / flower.rings
        glow = depth * own_light * fold * (1.0 + 0.14 * np.cos(angle - light)) * (0.8 + 0.2 * np.clip(along, 0, 1))
        alpha = coverage(inside, pixel)
        paint(canvas, np.clip(_petal_colour(flower, along, across) * glow[..., None], 0, 1), alpha)
        np.maximum(mask, alpha, out=mask)
    if flower.disc:
        _draw_disc(flower, canvas, mask, x, y, pixel, light)


def _draw_disc(flower, canvas, mask, x, y, pixel, light):
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    share = radius / flower.disc
    canvas *= 1.0 - 0.45 * np.clip((flower.disc * 1.35 - radius) / (flower.disc * 0.5), 0.0, 1.0)[..., None]
    dome = 1.06 - 0.4 * share**2 + 0.12 * np.cos(angle - light) * share
    if flower.disc_texture == "seeds":  # two families of spirals that cross, as in a sunflower
        dome = dome * (0.78 + 0.34 * (np.sin(13 * angle + 11 * share) * np.sin(13 * angle - 11 * share) > 0))
    elif flower.disc_texture == "ring":
        dome = dome * np.where(np.abs(share - 0.62) < 0.2, 0.55, 1.1)
    alpha = coverage(flower.disc - radius, pixel)
    paint(canvas, np.clip(rgb(flower.disc_colour) * dome[..., None], 0, 1), alpha)
    np.maximum(mask, alpha, out=mask)


def _draw_cup(flower, canvas, mask, x, y, pixel, rng):
    """A bell from the side, the stem below it: two petals behind, one or two pairs beside, one in front."""
    light = rng.uniform(-0.25, 0.25)
    spread = rng.uniform(0.75, 1.15)
    behind = [(-0.2, 0.95, 0.7), (0.2, 0.95, 0.72)]
    beside = [(-0.42 * spread, 1.0, 0.86), (0.42 * spread, 0.98, 0.9)]
    for lean, height, depth in behind + (beside if flower.rings > 1 else []) + [(0.0, 0.93, 1.0)]:
        lean, height = lean + rng.uniform(-0.06, 0.06), height * rng.uniform(0.94, 1.05)
        up, side = (0.95 - y) / 1.9, x - lean * (0.95 - y) * 0.55
        along = up / height
        half = 0.62 * flower.width * petal_profile(along, flower.widest * 0.75, flower.tip)
        inside = _inside(along, half, side)
        across = side / (half + 1e-9)
        canvas *= 1.0 - 0.3 * np.clip(inside / 0.12 + 0.5, 0.0, 1.0)[..., None] * (depth > 0.8)
        glow = depth * (1.05 - 0.3 * across**2 + light * across) * (0.82 + 0.2 * np.clip(along, 0, 1))
        alpha = coverage(inside, pixel)
        paint(canvas, np.clip(_petal_colour(flower, along, across) * glow[..., None], 0, 1), alpha)
        np.maximum(mask, alpha, out=mask)


def _draw_puff(flower, canvas, mask, x, y, pixel, rng):
    """Thin rays with a tuft at each end, in rings, around a small dark middle."""
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    gap = 2 * np.pi / flower.petals
    veil = 0.22 * np.clip((1.0 - radius) * 3.0, 0.0, 1.0)
    paint(canvas, rgb(flower.colour), veil)
    np.maximum(mask, coverage(1.0 - radius, pixel), out=mask)
    for ring in range(flower.rings):
        length = flower.shrink**ring * 0.92
        turned = (angle - rng.uniform(0, 2 * np.pi)) / gap + 0.5
        number, sector = np.floor(turned).astype(int) % flower.petals, turned % 1.0 - 0.5
        own_length = (length * rng.uniform(0.85, 1.05, flower.petals))[number]
        along, sideways = radius * np.cos(sector * gap), radius * np.sin(sector * gap)
        ray = coverage(0.010 - np.abs(sideways), pixel) * (along < own_length)
        tuft = coverage(0.035 * (1 + flower.width) - np.hypot(along - own_length, sideways), pixel * 1.5)
        paint(canvas, rgb(flower.colour) * 0.9, 0.75 * ray)
        paint(canvas, rgb(flower.tip_colour), 0.85 * tuft)
    if flower.disc:
        paint(canvas, rgb(flower.disc_colour), coverage(flower.disc * 0.6 - radius, pixel))
