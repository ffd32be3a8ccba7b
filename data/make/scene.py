"""Put flowers into a place: background, blades of grass, stems, leaves, light and noise. Gives picture and mask.

Coordinates run from -1 (left, top) to 1 (right, bottom). All chance comes from the generator handed in.
"""

import numpy as np

from flower import Flower, coverage, draw_flower, paint, petal_profile, rgb

SIZE = 96  # pixels on a side
PIXEL = 2.0 / SIZE
_LINE = (np.arange(SIZE) + 0.5) * PIXEL - 1.0
X, Y = np.meshgrid(_LINE, _LINE)


def draw_picture(
    flower: Flower, rng: np.random.Generator, radius: tuple[float, float] = (0.28, 0.64)
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one picture of a species.

    Args:
        flower: the species.
        rng: where all chance comes from.
        radius: smallest and largest radius of the flower in front; half the picture's side is 1.

    Returns:
        The picture, uint8 (96, 96, 3), and the mask, float64 (96, 96): the share of each pixel that shows the flower.
    """
    canvas, mask = _background(rng), np.zeros((SIZE, SIZE))
    for _ in range(rng.integers(0, 14)):
        _blade(canvas, mask, rng, dim=rng.uniform(0.35, 0.85))
    if rng.random() < 1 / 3:  # a second, smaller flower behind the first
        _plant(flower, canvas, mask, rng, rng.uniform(0.12, 0.24), rng.uniform(-0.8, 0.8), rng.uniform(-0.75, 0.6))
    _plant(flower, canvas, mask, rng, rng.uniform(*radius), rng.uniform(-0.38, 0.38), rng.uniform(-0.42, 0.22))
    for _ in range(rng.integers(0, 6)):
        _blade(canvas, mask, rng, dim=rng.uniform(0.6, 1.1))
    return _photograph(canvas, rng), mask


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
    columns = slice(*np.flatnonzero(np.abs(_LINE - cx) < radius * 1.2)[[0, -1]] + [0, 1])
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


def _blade(canvas, mask, rng, dim):
    """A blade of grass from the bottom edge up; it hides what lies behind it, the flower included."""
    root, top = rng.uniform(-1.2, 1.2), rng.uniform(-1.1, 0.6)
    lean, bend, thick = rng.normal(0.0, 0.35), rng.normal(0.0, 0.25), rng.uniform(0.012, 0.045)
    up = np.clip((1.0 - Y) / (1.0 - top), 0.0, 1.0)
    middle = root + lean * up + bend * up**2
    alpha = coverage(thick * (1.0 - up**2) - np.abs(X - middle), PIXEL) * (top < Y)
    colour = rgb((rng.uniform(0.17, 0.38), rng.uniform(0.35, 0.85), dim * rng.uniform(0.4, 0.9)))
    paint(canvas, colour * (0.8 + 0.3 * up[..., None]), alpha)
    mask *= 1.0 - alpha


def _smooth_noise(rng, cells: int) -> np.ndarray:
    """Noise between 0 and 1 that changes softly: random values on a coarse grid, interpolated."""
    grid = rng.random((cells + 1, cells + 1))
    place = (_LINE + 1.0) / 2.0 * cells
    low = np.minimum(place.astype(int), cells - 1)
    part = place - low
    part = part * part * (3.0 - 2.0 * part)
    rows = grid[low] * (1.0 - part)[:, None] + grid[low + 1] * part[:, None]
    return rows[:, low] * (1.0 - part) + rows[:, low + 1] * part


def _background(rng) -> np.ndarray:
    """Meadow, sky, soil, dusk, or the blur of a garden, from one colour at the top to one at the bottom."""
    place = rng.choice(5, p=[0.45, 0.2, 0.15, 0.05, 0.15])
    hue, saturation, value = [
        (rng.uniform(0.2, 0.42), rng.uniform(0.3, 0.8), rng.uniform(0.2, 0.7)),
        (rng.uniform(0.52, 0.66), rng.uniform(0.15, 0.6), rng.uniform(0.55, 0.95)),
        (rng.uniform(0.02, 0.12), rng.uniform(0.25, 0.6), rng.uniform(0.15, 0.5)),
        (rng.random(), rng.uniform(0.2, 0.7), rng.uniform(0.08, 0.25)),
        (rng.random(), rng.uniform(0.2, 0.6), rng.uniform(0.3, 0.85)),
    ][place]
    top = rgb((hue + rng.normal(0, 0.03), saturation, value * rng.uniform(0.8, 1.3)))
    bottom = rgb((hue + rng.normal(0, 0.06), saturation, value * rng.uniform(0.5, 1.1)))
    down = ((Y + 1.0) / 2.0)[..., None]
    canvas = top * (1.0 - down) + bottom * down
    clouds = 0.65 * _smooth_noise(rng, rng.integers(2, 6)) + 0.35 * _smooth_noise(rng, rng.integers(6, 20))
    paint(canvas, rgb((hue + rng.normal(0, 0.08), saturation * 0.8, value * rng.uniform(0.7, 1.6))), clouds * 0.7)
    for _ in range(rng.integers(0, 7)):  # things far away, out of focus
        colour = rgb((rng.random(), rng.uniform(0.2, 0.9), rng.uniform(0.3, 1.0)))
        blur, size = rng.uniform(0.05, 0.25), rng.uniform(0.04, 0.28)
        distance = np.hypot(X - rng.uniform(-1, 1), Y - rng.uniform(-1, 1))
        paint(canvas, colour, rng.uniform(0.1, 0.5) * np.clip((size - distance) / blur + 0.5, 0.0, 1.0))
    return canvas


def _photograph(canvas, rng) -> np.ndarray:
    """Light from one side, a colour cast, sometimes a soft lens, and the noise of a sensor; as uint8."""
    for _ in range(rng.integers(0, 3) if rng.random() < 0.3 else 0):
        canvas = np.pad(canvas, ((1, 1), (1, 1), (0, 0)), mode="edge")
        canvas = 0.25 * canvas[:-2] + 0.5 * canvas[1:-1] + 0.25 * canvas[2:]
        canvas = 0.25 * canvas[:, :-2] + 0.5 * canvas[:, 1:-1] + 0.25 * canvas[:, 2:]
    side = rng.uniform(0, 2 * np.pi)
    light = rng.uniform(0.6, 1.25) * (1.0 + rng.uniform(0.0, 0.25) * (X * np.cos(side) + Y * np.sin(side)))
    cast = 1.0 + rng.normal(0.0, 0.06, 3)
    noise = rng.normal(0.0, 1.0, canvas.shape) * rng.uniform(0.0, 0.04)
    return np.round(np.clip(canvas * light[..., None] * cast + noise, 0.0, 1.0) * 255.0).astype(np.uint8)
