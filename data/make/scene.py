"""Put flowers into a place, with stems and leaves. Gives picture and mask.

Coordinates run from -1 (left, top) to 1 (right, bottom). All chance comes from the generator handed in.
"""

import numpy as np

from flower import Flower, coverage, draw_flower, paint, petal_profile, rgb
from place import LINE, PIXEL, SIZE, X, Y, draw_in_place


def draw_picture(
    flower: Flower, rng: np.random.Generator, radius: tuple[float, float] = (0.28, 0.64), place=draw_in_place
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one picture of a species.

    Args:
        flower: the species.
        rng: where all chance comes from.
        radius: smallest and largest radius of the flower in front; half the picture's side is 1.
        place: what to put it into: `draw_in_place`, or that with other arguments.

    Returns:
        The picture, uint8 (96, 96, 3), and the mask, float64 (96, 96): the share of each pixel that shows the flower.
    """

    def put(canvas, mask):
        if rng.random() < 1 / 3:  # a second, smaller flower behind the first
            _plant(flower, canvas, mask, rng, rng.uniform(0.12, 0.24), rng.uniform(-0.8, 0.8), rng.uniform(-0.75, 0.6))
        _plant(flower, canvas, mask, rng, rng.uniform(*radius), rng.uniform(-0.38, 0.38), rng.uniform(-0.42, 0.22))

    return place(put, rng)


def _plant(flower, canvas, mask, rng, radius, cx, cy):
    """A stem with leaves and the flower on top, leaning, tilted and turned as chance wants."""
    green = rgb((rng.uniform(0.22, 0.36), rng.uniform(0.4, 0.8), rng.uniform(0.25, 0.6)))
    foot, bend, thick = cx + rng.uniform(-0.3, 0.3), rng.uniform(-0.25, 0.25), radius * rng.uniform(0.06, 0.11)
    start = cy + (0.8 * radius if flower.form == "cup" else 0.0)
    down = np.clip((Y - start) / (1.05 - start), 0.0, 1.0)
    middle = cx + (foot - cx) * down + bend * down * (1.0 - down)
    stem = coverage(thick - np.abs(X - middle), PIXEL) * (start < Y)
    paint(canvas, green * (0.75 + 0.35 * np.clip((X - middle) / (2 * thick) + 0.5, 0, 1))[..., None], stem)
    for _ in range(rng.integers(0, 3)):
        _leaf(canvas, rng, green, middle, start, radius)
    turn, tilt = rng.uniform(-0.35, 0.35), 1.0
    if flower.form == "open":
        turn, tilt = rng.uniform(-np.pi, np.pi), rng.uniform(0.5, 1.0)
    box = np.abs(Y - cy) < radius * 1.2  # rows and columns that the flower can touch
    rows = slice(*np.flatnonzero(box[:, 0])[[0, -1]] + [0, 1])
    columns = slice(*np.flatnonzero(np.abs(LINE - cx) < radius * 1.2)[[0, -1]] + [0, 1])
    dx, dy = (X[rows, columns] - cx) / radius, (Y[rows, columns] - cy) / radius
    fx = dx * np.cos(turn) + dy * np.sin(turn)
    fy = (dy * np.cos(turn) - dx * np.sin(turn)) / tilt
    covered = np.zeros_like(fx)
    patch = canvas[rows, columns]
    before = patch.copy()
    draw_flower(flower, patch, covered, fx, fy, PIXEL / radius, rng)
    beyond = (covered == 0) & (np.hypot(fx, fy) > 1.15)  # shadows end near the flower
    patch[beyond] = before[beyond]
    np.maximum(mask[rows, columns], covered, out=mask[rows, columns])


def _leaf(canvas, rng, green, middle, start, radius):
    at = rng.uniform(min(start + 0.6 * radius, 0.8), 0.95)
    row = min(int((at + 1.0) / PIXEL), SIZE - 1)
    angle = rng.uniform(-1.2, 0.2) if rng.random() < 0.5 else np.pi - rng.uniform(-1.2, 0.2)
    dx, dy, length = X - middle[row, 0], Y - at, radius * rng.uniform(0.7, 1.5)
    along = (dx * np.cos(angle) + dy * np.sin(angle)) / length
    aside = dy * np.cos(angle) - dx * np.sin(angle)
    half = length * rng.uniform(0.12, 0.26) * petal_profile(along, 0.4, 0.9)
    inside = np.where((along > 0) & (along < 1), half - np.abs(aside), -1.0)
    glow = 0.8 + 0.25 * (aside > 0) + 0.15 * (np.abs(aside) < PIXEL * 0.6)
    paint(canvas, green * glow[..., None], coverage(inside, PIXEL))
