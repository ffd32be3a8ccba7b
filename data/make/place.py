"""A place to put something into: background, blades of grass behind and in front, light and noise.

Coordinates run from -1 (left, top) to 1 (right, bottom). All chance comes from the generator handed in.
"""

from collections.abc import Callable

import numpy as np

from flower import coverage, paint, rgb

SIZE = 96  # pixels on a side
PIXEL = 2.0 / SIZE
LINE = (np.arange(SIZE) + 0.5) * PIXEL - 1.0
X, Y = np.meshgrid(LINE, LINE)


def draw_in_place(
    put: Callable[[np.ndarray, np.ndarray], None],
    rng: np.random.Generator,
    background: Callable[[np.random.Generator], np.ndarray] | None = None,
    weather: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one picture.

    Args:
        put: draws what the picture shows, in place, on a canvas, float64 (96, 96, 3), 0 to 1; and raises the mask,
            float64 (96, 96), to the share of each pixel that it covers.
        rng: where all chance comes from.
        background: makes the canvas; by default one of the places of the bundled pictures.
        weather: makes another canvas of it before the photograph is taken; by default none.

    Returns:
        The picture, uint8 (96, 96, 3), and the mask, less the blades of grass in front.
    """
    canvas, mask = (background or _background)(rng), np.zeros((SIZE, SIZE))
    for _ in range(rng.integers(0, 14)):
        draw_blade(canvas, mask, rng, dim=rng.uniform(0.35, 0.85))
    put(canvas, mask)
    for _ in range(rng.integers(0, 6)):
        draw_blade(canvas, mask, rng, dim=rng.uniform(0.6, 1.1))
    return _photograph(canvas if weather is None else weather(canvas, rng), rng), mask


def draw_blade(canvas, mask, rng, dim, hues=(0.17, 0.38)):
    """A blade of grass from the bottom edge up; it hides what lies behind it, what is put there included."""
    root, top = rng.uniform(-1.2, 1.2), rng.uniform(-1.1, 0.6)
    lean, bend, thick = rng.normal(0.0, 0.35), rng.normal(0.0, 0.25), rng.uniform(0.012, 0.045)
    up = np.clip((1.0 - Y) / (1.0 - top), 0.0, 1.0)
    middle = root + lean * up + bend * up**2
    alpha = coverage(thick * (1.0 - up**2) - np.abs(X - middle), PIXEL) * (top < Y)
    colour = rgb((rng.uniform(*hues), rng.uniform(0.35, 0.85), dim * rng.uniform(0.4, 0.9)))
    paint(canvas, colour * (0.8 + 0.3 * up[..., None]), alpha)
    mask *= 1.0 - alpha


def smooth_noise(rng, cells: int) -> np.ndarray:
    """Noise between 0 and 1 that changes softly: random values on a coarse grid, interpolated."""
    grid = rng.random((cells + 1, cells + 1))
    place = (LINE + 1.0) / 2.0 * cells
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
    clouds = 0.65 * smooth_noise(rng, rng.integers(2, 6)) + 0.35 * smooth_noise(rng, rng.integers(6, 20))
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
