"""Which flowers there are: the five hand-set kinds of the target task and the invented species of the source task."""

from typing import NamedTuple

import numpy as np

from flower import HSV, Flower

CLASS_NAMES = ("daisy", "dandelion", "rose", "sunflower", "tulip")  # the kinds of tf_flowers
NUM_SPECIES = 64
SPECIES_SEED = 20260


def _near(colour: HSV, rng, amount: float = 1.0) -> HSV:
    """A colour a little beside the one given: no two flowers of a kind are quite alike."""
    hue, saturation, value = colour
    return (hue + rng.normal(0, 0.012) * amount, saturation * rng.uniform(0.85, 1.12), value * rng.uniform(0.85, 1.1))


def _pick(colours: list[HSV], rng) -> HSV:
    return _near(colours[rng.integers(len(colours))], rng)


def _daisy(rng) -> Flower:
    colour = _pick([(0.12, 0.05, 0.95), (0.92, 0.3, 0.95), (0.77, 0.25, 0.9)], rng)  # white, pink, lilac
    return Flower(
        "open",
        petals=rng.integers(11, 20),
        rings=rng.integers(1, 3),
        shrink=0.86,
        width=rng.uniform(0.85, 1.25),
        widest=rng.uniform(0.55, 0.75),
        tip=rng.uniform(0.3, 0.6),
        colour=colour,
        tip_colour=_near(colour, rng),
        disc=rng.uniform(0.2, 0.34),
        disc_colour=_near((0.13, 0.85, 0.9), rng),
        disc_texture="seeds",
        shade=0.1,
    )


def _dandelion(rng) -> Flower:
    if rng.random() < 0.35:
        white = _near((0.12, 0.05, 0.9), rng)
        return Flower(
            "puff",
            petals=rng.integers(15, 26),
            rings=rng.integers(2, 4),
            shrink=0.72,
            width=rng.uniform(0.5, 1.2),
            colour=white,
            tip_colour=white,
            disc=rng.uniform(0.12, 0.24),
            disc_colour=_near((0.1, 0.4, 0.4), rng),
        )
    colour = _pick([(0.15, 0.9, 0.95), (0.13, 0.95, 0.92), (0.11, 0.92, 0.9)], rng)
    return Flower(
        "open",
        petals=rng.integers(20, 30),
        rings=rng.integers(3, 6),
        shrink=rng.uniform(0.7, 0.8),
        width=rng.uniform(0.7, 1.0),
        widest=rng.uniform(0.6, 0.8),
        tip=rng.uniform(0.3, 0.8),
        colour=_near(colour, rng),
        tip_colour=colour,
        disc=rng.uniform(0.0, 0.16),
        disc_colour=_near((0.12, 0.95, 0.8), rng),
        shade=0.2,
    )


def _rose(rng) -> Flower:
    colour = _pick([(0.985, 0.9, 0.75), (0.94, 0.4, 0.95), (0.12, 0.07, 0.93), (0.13, 0.65, 0.95)], rng)
    return Flower(
        "open",
        petals=rng.integers(5, 8),
        rings=rng.integers(5, 8),
        shrink=rng.uniform(0.76, 0.83),
        width=rng.uniform(1.3, 1.7),
        widest=rng.uniform(0.7, 0.82),
        tip=rng.uniform(0.2, 0.35),
        colour=_near(colour, rng),
        tip_colour=colour,
        disc=0.0,
        shade=rng.uniform(0.45, 0.6),
    )


def _sunflower(rng) -> Flower:
    colour = _pick([(0.135, 0.95, 0.95), (0.12, 0.95, 0.9), (0.1, 0.9, 0.85)], rng)
    return Flower(
        "open",
        petals=rng.integers(14, 24),
        rings=rng.integers(1, 3),
        shrink=0.88,
        width=rng.uniform(0.9, 1.3),
        widest=rng.uniform(0.5, 0.65),
        tip=rng.uniform(0.7, 1.2),
        colour=_near(colour, rng),
        tip_colour=colour,
        disc=rng.uniform(0.36, 0.52),
        disc_colour=_near((0.07, 0.7, 0.35), rng),
        disc_texture="seeds",
        shade=0.15,
    )


def _tulip(rng) -> Flower:
    colour = _pick(
        [(0.99, 0.88, 0.85), (0.14, 0.85, 0.95), (0.93, 0.45, 0.95), (0.12, 0.07, 0.95), (0.82, 0.7, 0.45)], rng
    )  # red, yellow, pink, white, dark purple
    return Flower(
        "cup",
        rings=rng.integers(1, 3),
        width=rng.uniform(0.8, 1.15),
        widest=rng.uniform(0.5, 0.65),
        tip=rng.uniform(0.45, 0.8),
        colour=_near(colour, rng),
        tip_colour=_near(colour, rng, 2.0),
    )


_TARGET = dict(zip(CLASS_NAMES, (_daisy, _dandelion, _rose, _sunflower, _tulip), strict=True))


def target_flower(class_name: str, rng: np.random.Generator) -> Flower:
    """One flower of one of the five kinds of the target task."""
    return _TARGET[class_name](rng)


PETAL_COLOURS = [  # shared by all species, so that colour alone tells little and the form has to be read
    (0.99, 0.88, 0.82),  # red
    (0.07, 0.88, 0.92),  # orange
    (0.145, 0.85, 0.93),  # yellow
    (0.12, 0.06, 0.94),  # white
    (0.93, 0.42, 0.94),  # pink
    (0.78, 0.5, 0.72),  # purple
    (0.62, 0.65, 0.85),  # blue
]
DISC_COLOURS = [(0.13, 0.85, 0.88), (0.07, 0.7, 0.35), (0.25, 0.6, 0.5), (0.95, 0.5, 0.35)]


class Species(NamedTuple):
    """An invented species: its form, and the two colours in which it grows."""

    flower: Flower
    colours: tuple[HSV, HSV]


def invent_species(number: int) -> Species:
    """Species `number` (0 to 63) of the source task: a random draw of the grammar's parameters, always the same."""
    rng = np.random.default_rng([SPECIES_SEED, number])
    kind = ("simple", "full", "simple", "cup", "curled", "simple", "cup", "puff")[number % 8]
    few = rng.random() < 0.5
    petals = {"puff": (14, 26), "curled": (4, 9), "full": (9, 28)}.get(kind, (4, 9) if few else (9, 24))
    rings = {"puff": (1, 4), "curled": (3, 8), "full": (3, 6)}.get(kind, (1, 3))
    first, second = rng.permutation(len(PETAL_COLOURS))[:2]
    tip = rng.integers(len(PETAL_COLOURS)) if rng.random() < 0.3 else None
    flower = Flower(
        form={"cup": "cup", "puff": "puff"}.get(kind, "open"),
        petals=int(rng.integers(*petals)),
        rings=int(rng.integers(*rings)),
        shrink=rng.uniform(0.66, 0.86),
        width=rng.uniform(0.6, 1.5),
        widest=rng.uniform(0.35, 0.8),
        tip=rng.uniform(0.25, 1.2),
        tip_colour=None if tip is None else PETAL_COLOURS[tip],
        pattern=str(rng.choice(["none", "none", "stripes", "spots", "band", "edge"])),
        pattern_colour=PETAL_COLOURS[rng.integers(len(PETAL_COLOURS))],
        disc=rng.uniform(0.12, 0.5) if rng.random() < (0.85 if kind in ("simple", "puff") else 0.25) else 0.0,
        disc_colour=DISC_COLOURS[rng.integers(len(DISC_COLOURS))],
        disc_texture=str(rng.choice(["plain", "seeds", "ring"])),
        shade=rng.uniform(0.45, 0.7) if kind == "curled" else rng.uniform(0.05, 0.4),
    )
    return Species(flower, (PETAL_COLOURS[first], PETAL_COLOURS[second]))


def species_flower(number: int, rng: np.random.Generator) -> Flower:
    """One flower of species `number`: in one of its colours, with a little of its own in count, shape and colour."""
    flower, colours = invent_species(number)
    colour = _pick(list(colours), rng)
    return flower._replace(
        petals=max(4, flower.petals + int(rng.integers(-1, 2))),
        width=flower.width * rng.uniform(0.9, 1.1),
        tip=flower.tip * rng.uniform(0.9, 1.1),
        disc=flower.disc * rng.uniform(0.9, 1.1),
        colour=colour,
        tip_colour=colour if flower.tip_colour is None else _near(flower.tip_colour, rng),
        pattern_colour=_near(flower.pattern_colour, rng),
        disc_colour=_near(flower.disc_colour, rng),
    )
