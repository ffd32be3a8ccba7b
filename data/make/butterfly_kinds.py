"""Which butterflies there are: eight look-alike species, among them two pairs of mimics. And how they sit in a place.

Every species flies in the same colours, so that colour alone tells little: the wings have to be read. A viceroy is a
monarch with a dark band across the hind wing; a peacock is an owl with eyespots on the fore wings, too.
"""

from typing import NamedTuple

import numpy as np

from butterfly import Butterfly, Mark, Points, Wing, draw_butterfly
from flower import HSV
from place import PIXEL, X, Y, draw_in_place

BUTTERFLY_NAMES = ("admiral", "brimstone", "fritillary", "monarch", "owl", "peacock", "swallowtail", "viceroy")

# How near they are, and how they are turned, was chosen on pictures of other seeds, thrown away since: hard for the
# head alone, easy for a person.
BUTTERFLIES_RADIUS = (0.75, 0.95)  # length of a wing; half the picture's side is 1
TURN = 0.4  # radians, to either side
TILT = 0.85  # the least length of the body, as it is seen, 1 for flat
FOLD = 0.6  # radians that the wings are closed at most

GROUNDS = [  # shared by all
    (0.075, 0.9, 0.93),  # orange
    (0.14, 0.8, 0.95),  # yellow
    (0.12, 0.15, 0.93),  # cream
    (0.02, 0.8, 0.66),  # red-brown
    (0.6, 0.5, 0.85),  # blue
    (0.8, 0.4, 0.7),  # lilac
]
DARKS = [(0.06, 0.6, 0.16), (0.65, 0.5, 0.14), (0.04, 0.75, 0.26)]  # black-brown, blue-black, brown
LIGHTS = [(0.13, 0.1, 0.97), (0.14, 0.5, 0.97)]  # white, pale yellow
ACCENTS = [(0.58, 0.75, 0.85), (0.02, 0.85, 0.85), (0.4, 0.6, 0.6)]  # blue, red, green


def _outline(corners: str) -> Points:
    return tuple(tuple(map(float, corner.split(","))) for corner in corners.split())


_ROUND_FORE = _outline("0.03,-0.16 0.42,-0.5 0.8,-0.7 1.0,-0.62 0.98,-0.36 0.84,-0.06 0.62,0.12 0.03,0.02")
_LONG_FORE = _outline("0.03,-0.16 0.45,-0.5 0.9,-0.72 1.08,-0.64 1.0,-0.4 0.82,-0.12 0.62,0.08 0.03,0.02")
_CUT_FORE = _outline("0.03,-0.16 0.4,-0.52 0.82,-0.78 0.98,-0.72 0.9,-0.48 0.93,-0.16 0.68,0.1 0.03,0.02")
_HOOKED_FORE = _outline("0.03,-0.16 0.4,-0.56 0.8,-0.78 1.06,-0.76 0.94,-0.56 0.86,-0.16 0.66,0.12 0.03,0.02")
_SHARP_FORE = _outline("0.03,-0.16 0.45,-0.5 0.95,-0.8 1.05,-0.74 0.9,-0.4 0.72,-0.06 0.56,0.1 0.03,0.02")
_ROUND_HIND = _outline("0.03,-0.08 0.45,-0.04 0.78,0.12 0.82,0.42 0.62,0.7 0.34,0.74 0.12,0.5 0.03,0.2")
_POINTED_HIND = _outline("0.03,-0.08 0.45,-0.04 0.78,0.1 0.84,0.36 0.78,0.64 0.4,0.72 0.12,0.48 0.03,0.2")
_TAILED_HIND = _outline(
    "0.03,-0.08 0.45,-0.04 0.74,0.14 0.74,0.4 0.62,0.6 0.66,0.96 0.56,1.0 0.46,0.68 0.26,0.64 0.12,0.42 0.03,0.2"
)

_EDGE, _DOTS = Mark("edge", "dark", size=0.12), Mark("dots", "light", along=0.06, size=0.032, count=8)
_BORDER, _VEINS = (_EDGE, _DOTS), Mark("veins", "dark", size=0.022, count=6)
_TIP = Mark("tip", "dark", along=0.78, slant=0.25)


def _fore(outline: Points, *marks: Mark, scallop: float = 0.0) -> Wing:
    return Wing(outline, (0.0, -0.08), (-0.75, 0.3), 1.15, marks, scallop)


def _hind(outline: Points, *marks: Mark, scallop: float = 0.0) -> Wing:
    return Wing(outline, (0.0, -0.02), (0.0, 1.35), 0.88, marks, scallop)


_OWL_FORE = (Mark("band", "dark", along=0.45, size=0.04, slant=0.2), Mark("edge", "dark", size=0.06))
_OWL_HIND = _hind(
    _ROUND_HIND, Mark("eye", "accent", along=0.62, across=0.45, size=0.22), Mark("edge", "dark", size=0.06)
)


class Species(NamedTuple):
    """What all butterflies of a species have in common."""

    fore: Wing
    hind: Wing


SPECIES = {
    "admiral": Species(
        _fore(
            _CUT_FORE, _TIP, Mark("band", "light", along=0.58, size=0.07, slant=0.35), Mark("edge", "dark", size=0.07)
        ),
        _hind(_ROUND_HIND, Mark("band", "light", along=0.62, size=0.06), Mark("edge", "dark", size=0.07), scallop=0.05),
    ),
    "brimstone": Species(
        _fore(_HOOKED_FORE, Mark("row", "accent", along=0.5, size=0.06, count=1)),
        _hind(_POINTED_HIND, Mark("row", "accent", along=0.52, size=0.06, count=1)),
    ),
    "fritillary": Species(
        _fore(
            _ROUND_FORE,
            Mark("edge", "dark", size=0.03),
            *(Mark("row", "dark", along=at, size=0.05, count=count) for at, count in ((0.38, 3), (0.6, 4), (0.8, 5))),
        ),
        _hind(
            _ROUND_HIND,
            Mark("edge", "dark", size=0.03),
            *(Mark("row", "dark", along=at, size=0.05, count=count) for at, count in ((0.42, 3), (0.68, 4), (0.88, 6))),
            scallop=0.03,
        ),
    ),
    "monarch": Species(_fore(_LONG_FORE, _VEINS, *_BORDER), _hind(_ROUND_HIND, _VEINS, *_BORDER)),
    "owl": Species(
        _fore(_ROUND_FORE, *_OWL_FORE),
        _OWL_HIND,
    ),
    "peacock": Species(
        _fore(_ROUND_FORE, *_OWL_FORE, Mark("eye", "accent", along=0.72, across=0.3, size=0.2)), _OWL_HIND
    ),
    "swallowtail": Species(
        _fore(
            _SHARP_FORE,
            *(Mark("band", "dark", along=at, size=0.035, slant=0.1) for at in (0.3, 0.48, 0.66)),
            *_BORDER,
        ),
        _hind(_TAILED_HIND, Mark("band", "dark", along=0.4, size=0.035), *_BORDER),
    ),
    "viceroy": Species(
        _fore(_LONG_FORE, _VEINS, *_BORDER),
        _hind(_ROUND_HIND, _VEINS, Mark("band", "dark", along=0.56, size=0.065), *_BORDER),
    ),
}


def _near(colour: HSV, rng: np.random.Generator) -> HSV:
    hue, saturation, value = colour
    return (hue + rng.normal(0, 0.012), saturation * rng.uniform(0.85, 1.12), value * rng.uniform(0.85, 1.08))


def _grown(wing: Wing, rng: np.random.Generator) -> Wing:
    """The wing as it grew on one butterfly: no two are quite alike."""
    wide, long = rng.uniform(0.93, 1.07), rng.uniform(0.94, 1.06)
    outline = tuple((u * wide, v * long + rng.normal(0, 0.008)) for u, v in wing.outline)
    marks = tuple(
        mark._replace(
            along=mark.along * rng.uniform(0.95, 1.05),
            across=mark.across + rng.normal(0, 0.03),
            size=mark.size * rng.uniform(0.85, 1.15),
        )
        for mark in wing.marks
    )
    return wing._replace(outline=outline, marks=marks)


def kind_of_butterfly(name: str, rng: np.random.Generator) -> Butterfly:
    """One butterfly of one of the eight species."""
    fore, hind = SPECIES[name]
    colours = (_near(colours[rng.integers(len(colours))], rng) for colours in (GROUNDS, DARKS, LIGHTS, ACCENTS))
    return Butterfly(_grown(fore, rng), _grown(hind, rng), *colours)


def draw_butterfly_picture(
    butterfly: Butterfly, rng: np.random.Generator, place=draw_in_place
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one picture of a butterfly: turned, tilted and half folded as chance wants.

    Args:
        butterfly: what it looks like.
        rng: where all chance comes from.
        place: what to put it into: `draw_in_place`, or that with other arguments.

    Returns:
        The picture, uint8 (96, 96, 3), and the mask, float64 (96, 96): how much of each pixel shows the butterfly.
    """

    def put(canvas, mask):
        size = rng.uniform(*BUTTERFLIES_RADIUS)
        room = max(0.1, 0.95 - size)
        cx, cy = rng.uniform(-room, room, 2)
        turn, tilt = rng.uniform(-TURN, TURN), rng.uniform(TILT, 1.0)
        open_, roll = rng.uniform(0.0, FOLD), rng.uniform(-0.25, 0.25)
        fold = np.cos(open_ + roll), np.cos(open_ - roll)
        light = rng.uniform(0.85, 1.12, 2)
        dx, dy = (X - cx) / size, (Y - cy) / size
        x, y = dx * np.cos(turn) + dy * np.sin(turn), (dy * np.cos(turn) - dx * np.sin(turn)) / tilt
        near = np.hypot(x, y) < 1.45
        rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        draw_butterfly(butterfly, canvas[box], mask[box], x[box], y[box], PIXEL / size, fold, light)

    return place(put, rng)
