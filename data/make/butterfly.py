"""Draw one butterfly: four wings with their marks, a body, two feelers, as distance fields on a grid of pixels.

The butterfly's own frame: the body lies along y with the head up (y points down), and a wing's tip is about 1 away.
Left and right are mirror images, so a wing is drawn once, over |x|. Colours are (hue, saturation, value), as in
`flower.py`. All arithmetic is float64 and all chance comes from the generator handed in.
"""

from typing import NamedTuple

import numpy as np

from flower import HSV, coverage, paint, rgb

Points = tuple[tuple[float, float], ...]


class Mark(NamedTuple):
    """Something on a wing. `form` decides which of the fields are read."""

    form: str  # "edge", "dots" (in the edge), "veins", "band", "row" (of spots), "eye", "tip"
    colour: str  # "dark", "light" or "accent": which of the butterfly's colours
    along: float = 0.5  # how far from the body: 0 at the root of the wing, 1 at the end of its longest reach
    across: float = 0.5  # where between the front edge, 0, and the hind edge, 1
    size: float = 0.1  # half-width of a band or vein, width of an edge, radius of an eye or spot
    slant: float = 0.0  # of a band: how much further out it lies at the hind edge than at the front edge
    count: int = 6  # of veins, or of spots in a row


class Wing(NamedTuple):
    """Half of a pair of wings, over |x|."""

    outline: Points  # corners of a smooth closed curve
    root: tuple[float, float]  # where the veins begin
    fan: tuple[float, float]  # angle of the front edge and of the hind edge, seen from the root
    reach: float  # from the root to the furthest point
    marks: tuple[Mark, ...]  # the first is painted first
    scallop: float = 0.0  # how deep the waves of the outer edge are


class Butterfly(NamedTuple):
    """What one butterfly looks like."""

    fore: Wing
    hind: Wing
    ground: HSV
    dark: HSV
    light: HSV
    accent: HSV


def smooth_outline(points: Points, steps: int = 5) -> np.ndarray:
    """A closed Catmull-Rom curve through the points, as a polygon: float64 (points * steps, 2)."""
    p = np.array(points, float)
    before, after, beyond = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    curve = []
    for t in np.arange(steps) / steps:
        straight, bend = 2 * p + (after - before) * t, (2 * before - 5 * p + 4 * after - beyond) * t * t
        curve.append((straight + bend + (3 * p - before - 3 * after + beyond) * t * t * t) / 2)
    return np.stack(curve, 1).reshape(-1, 2)


def inside_polygon(corners: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance of each place from the polygon's edge: positive inside, negative outside."""
    nearest, inside = np.full(x.shape, np.inf), np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, 0), strict=True):
        ex, ey, px, py = bx - ax, by - ay, x - ax, y - ay
        share = np.clip((px * ex + py * ey) / (ex * ex + ey * ey + 1e-12), 0.0, 1.0)
        np.minimum(nearest, (px - ex * share) ** 2 + (py - ey * share) ** 2, out=nearest)
        if ay != by:
            inside ^= ((ay > y) != (by > y)) & (x < ax + ex * (y - ay) / ey)
    return np.where(inside, 1.0, -1.0) * np.sqrt(nearest)


def draw_butterfly(
    butterfly: Butterfly,
    canvas: np.ndarray,
    mask: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    pixel: float,
    fold: tuple[float, float],
    light: tuple[float, float],
) -> None:
    """Draw the butterfly in place.

    Args:
        butterfly: what it looks like.
        canvas: float64 (height, width, 3), 0 to 1.
        mask: float64 (height, width); raised to the share of each pixel that the butterfly covers.
        x, y: coordinates of each pixel in the butterfly's own frame.
        pixel: size of a pixel in that frame.
        fold: how wide the left and the right wings look, 1 for flat and open, near 0 for edge-on.
        light: how bright the left and the right wings are, about 1.
    """
    left, u = x < 0, np.abs(x) / np.where(x < 0, *fold)
    glow = np.where(left, *light)
    for wing, shadow in ((butterfly.hind, 0.0), (butterfly.fore, 0.35)):
        dx, dy = u - wing.root[0], y - wing.root[1]
        along = np.hypot(dx, dy) / wing.reach
        across = (np.arctan2(dy, dx) - wing.fan[0]) / (wing.fan[1] - wing.fan[0])
        inside = inside_polygon(smooth_outline(wing.outline), u, y)
        inside -= wing.scallop * np.cos(across * 6 * np.pi) ** 2 * np.clip(along * 3.0 - 1.5, 0.0, 1.0)
        canvas *= 1.0 - shadow * np.clip(inside / 0.14 + 0.6, 0.0, 1.0)[..., None]
        colour = np.broadcast_to(rgb(butterfly.ground), canvas.shape).copy()
        for mark in wing.marks:
            if mark.form == "eye":
                _paint_eye(butterfly, colour, mark, wing, dx, dy, pixel)
            else:
                paint(colour, rgb(getattr(butterfly, mark.colour)), _mark(mark, wing, along, across, inside, pixel))
        veins = 1.0 - 0.08 * (np.cos(across * 18.0) > 0.75)
        shade = glow * veins * (0.78 + 0.3 * np.clip(along, 0.0, 1.0))
        alpha = coverage(inside, pixel)
        paint(canvas, np.clip(colour * shade[..., None], 0, 1), alpha)
        np.maximum(mask, alpha, out=mask)
    _draw_body(butterfly, canvas, mask, x, y, pixel)


def _mark(mark: Mark, wing: Wing, along, across, inside, pixel) -> np.ndarray:
    """Where a mark lies: 0 to 1 for each pixel."""
    width = wing.fan[1] - wing.fan[0]
    outer = np.clip(along * 6.0 - 2.4, 0.0, 1.0)  # the edge that counts is the outer one, not the one at the body
    if mark.form == "edge":
        return coverage(mark.size - inside, pixel) * outer
    if mark.form == "veins":
        step = across * mark.count - np.round(across * mark.count)
        return coverage(mark.size - np.abs(step) / mark.count * width * along * wing.reach, pixel)
    if mark.form == "band":
        return coverage(mark.size - np.abs(along - mark.along - mark.slant * (across - 0.5)) * wing.reach, pixel)
    if mark.form == "tip":  # the outer corner, beyond a slanting line
        return coverage((along - mark.along - mark.slant * across) * wing.reach, pixel)
    cell = across * mark.count
    aside = (cell - np.floor(cell) - 0.5) / mark.count * width * along * wing.reach
    if mark.form == "row":
        inner = np.clip(8.0 * np.minimum(across + 0.05, 1.05 - across), 0.0, 1.0)
        return coverage(mark.size - np.hypot((along - mark.along) * wing.reach, aside), pixel) * inner
    if mark.form == "dots":  # halfway in an edge of width `along`
        return coverage(mark.size - np.hypot(inside - mark.along, aside), pixel) * outer
    raise ValueError(f"Unknown form of a mark: {mark.form!r}")


def _paint_eye(butterfly, colour, mark: Mark, wing: Wing, dx, dy, pixel) -> None:
    """An eyespot: a light ring, a dark one, a coloured middle with a spark of light."""
    angle = wing.fan[0] + mark.across * (wing.fan[1] - wing.fan[0])
    ex, ey = mark.along * wing.reach * np.cos(angle), mark.along * wing.reach * np.sin(angle)
    distance = np.hypot(dx - ex, dy - ey)
    for share, name in ((1.0, "light"), (0.76, "dark"), (0.46, mark.colour)):
        paint(colour, rgb(getattr(butterfly, name)), coverage(share * mark.size - distance, pixel))
    spark = np.hypot(dx - ex + 0.14 * mark.size, dy - ey + 0.14 * mark.size)
    paint(colour, np.ones(3), coverage(0.16 * mark.size - spark, pixel))


def _draw_body(butterfly, canvas, mask, x, y, pixel) -> None:
    """Head, chest and hind body along y, and two feelers with knobs."""
    for side in (-1.0, 1.0):
        out, up = (x * side) / 0.3, (-0.3 - y) / 0.34
        line = np.abs(out - 0.1 - 0.9 * up * up) * 0.3
        feeler = coverage(0.012 - line, pixel) * ((up > 0) & (up < 1))
        knob = coverage(0.03 - np.hypot(x * side - 0.3, y + 0.64), pixel)
        paint(canvas, rgb(butterfly.dark) * 0.8, np.maximum(feeler, knob))
    parts = ((-0.3, 0.065, 0.07), (-0.1, 0.085, 0.18), (0.26, 0.06, 0.3))  # middle, half-width, half-length
    for middle, wide, long in parts:
        distance = np.hypot(x / wide, (y - middle) / long)
        alpha = coverage((1.0 - distance) * wide, pixel)
        glow = 1.15 - 0.5 * np.clip(np.abs(x / wide + 0.3), 0.0, 1.0)
        paint(canvas, np.clip((0.75 * rgb(butterfly.dark) + 0.08) * glow[..., None], 0, 1), alpha)
        np.maximum(mask, alpha, out=mask)
