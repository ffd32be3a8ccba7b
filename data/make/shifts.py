"""New test pictures of the near and the far task, under conditions that no training picture shows: a shift.

Night, snow and blur are weather in front of the usual places; another meadow is a place of its own. Nothing of it is
bundled: the pictures are drawn when they are needed, from seeds that no bundled picture has.
"""

import io
from functools import cache, partial

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from flower import paint, rgb
from make_sets import CLASSES, as_jpeg, draw
from place import SIZE, X, Y, draw_blade, draw_in_place, smooth_noise

# How strong the shifts are was chosen on the first pictures of a part that does not count ("validation"), with the
# linear probe: each takes something from it, and none takes all.
MOON = (0.30, 0.36, 0.55)  # share of red, green and blue that is left at night
FLAKES, FOG = (40, 100), 0.25  # of snow: how many, and how white the air is
BLUR = 1.2  # pixels, the standard deviation of the Gaussian
STALKS = (25, 45)  # of the other meadow, behind; a fifth as many in front
RIPE = (0.08, 0.15)  # hues of its stalks


def _night(canvas, rng):
    return canvas * np.array(MOON) * rng.uniform(0.7, 1.1)


def _snow(canvas, rng):
    canvas = canvas * (1 - FOG) + 0.85 * FOG
    for _ in range(rng.integers(*FLAKES)):
        size = rng.uniform(0.012, 0.05)
        distance = np.hypot(X - rng.uniform(-1, 1), Y - rng.uniform(-1, 1))
        paint(canvas, np.ones(3), rng.uniform(0.5, 0.95) * np.clip((size - distance) / 0.02 + 0.5, 0.0, 1.0))
    return canvas


def _blur(canvas, rng):
    return gaussian_filter(canvas, (BLUR, BLUR, 0), mode="nearest")


def _ripe_meadow(rng) -> np.ndarray:
    """A field of ripe stalks before an evening sky, where the bundled pictures have green, blue, or soil."""
    canvas = np.ones((SIZE, SIZE, 1)) * rgb((rng.uniform(0.9, 1.0), rng.uniform(0.3, 0.6), rng.uniform(0.7, 0.95)))
    paint(canvas, rgb((rng.uniform(*RIPE), 0.7, 0.8)), np.clip(Y + 0.6 + 0.5 * smooth_noise(rng, 8), 0.0, 1.0))
    for _ in range(rng.integers(*STALKS)):
        draw_blade(canvas, np.zeros((SIZE, SIZE)), rng, rng.uniform(0.7, 1.1), RIPE)
    return canvas


def _stalks_in_front(canvas, rng):
    for _ in range(rng.integers(*STALKS) // 5):
        draw_blade(canvas, np.zeros((SIZE, SIZE)), rng, rng.uniform(0.7, 1.1), RIPE)
    return canvas


SHIFTS = {  # name: what `draw_in_place` is told
    "night": {"weather": _night},
    "snow": {"weather": _snow},
    "blur": {"weather": _blur},
    "another meadow": {"background": _ripe_meadow, "weather": _stalks_in_front},
}


@cache
def shifted_pictures(set_name: str, shift: str, count: int, part: str = "shifted") -> tuple[np.ndarray, np.ndarray]:
    """`count` pictures of each class of a set under a shift: uint8 (n, 96, 96, 3), and labels int64 (n,)."""
    place, numbers = partial(draw_in_place, **SHIFTS[shift]), range(len(CLASSES[set_name]))
    drawn = [draw(set_name, part, number, index, place)[0] for number in numbers for index in range(count)]
    images = [np.asarray(Image.open(io.BytesIO(as_jpeg(set_name, picture)))) for picture in drawn]
    return np.stack(images), np.repeat(np.arange(len(numbers)), count)
