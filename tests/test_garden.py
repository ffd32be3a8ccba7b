"""The bundled pictures can be drawn again, bit for bit, and drawing is a function of the seed."""

import hashlib

import numpy as np
import pytest

from programs import ROOT, import_from


@pytest.fixture(scope="module")
def make():
    """The programs in data/make, which import each other as a folder of scripts."""
    names = ("kinds", "butterfly_kinds", "make_sets", "scene")
    return dict(zip(names, import_from("data/make", *names), strict=True))


def sample(make, set_name: str, count: int = 10) -> list[tuple]:
    names = [name for name in make["make_sets"].picture_names() if name[0] == set_name]
    return names[:: len(names) // count][:count]


@pytest.mark.parametrize("set_name", ["drawn_flowers", "drawn_butterflies", "drawn_species"])
def test_bundled_pictures_are_drawn_again_bit_for_bit(make, set_name):
    sets = make["make_sets"]
    listed = dict(reversed(line.split("  ")) for line in (ROOT / "data" / "checksums.txt").read_text().splitlines())
    names = sample(make, set_name)
    assert len(names) == 10
    assert len({name[2] for name in names}) >= 5  # several classes
    for name in names:
        path = sets.picture_path(*name)
        content = sets.as_jpeg(set_name, sets.draw(*name)[0])
        assert content == (ROOT / "data" / path).read_bytes(), path
        assert hashlib.sha256(content).hexdigest() == listed[path.as_posix()]


def test_the_checksums_list_every_bundled_picture_and_no_other(make):
    sets = make["make_sets"]
    lines = (ROOT / "data" / "checksums.txt").read_text().splitlines()
    listed = {line.split("  ")[1] for line in lines}
    on_disk = {
        path.relative_to(ROOT / "data").as_posix()
        for name in sets.COUNTS
        for path in (ROOT / "data" / name).rglob("*.jpg")
    }
    assert len(lines) == len(listed)
    assert listed == on_disk == {sets.picture_path(*name).as_posix() for name in sets.picture_names()}


def test_no_two_bundled_pictures_are_the_same(make):
    sums = [line.split("  ")[0] for line in (ROOT / "data" / "checksums.txt").read_text().splitlines()]
    assert len(sums) == len(set(sums))


def test_drawing_is_a_function_of_the_seed(make):
    kinds, draw_picture = make["kinds"], make["scene"].draw_picture
    flower = kinds.species_flower(3, np.random.default_rng(0))
    first, again, other = (draw_picture(flower, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_a_species_is_always_the_same_and_no_two_are_alike(make):
    kinds = make["kinds"]
    species = [kinds.invent_species(number) for number in range(kinds.NUM_SPECIES)]
    assert kinds.NUM_SPECIES >= 64
    assert species == [kinds.invent_species(number) for number in range(kinds.NUM_SPECIES)]
    assert len(set(species)) == kinds.NUM_SPECIES


def test_flowers_of_one_species_differ_from_each_other(make):
    rng = np.random.default_rng(0)
    assert len({make["kinds"].species_flower(3, rng) for _ in range(5)}) == 5


@pytest.mark.parametrize("set_name", ["drawn_flowers", "drawn_butterflies", "drawn_species"])
def test_masks_mark_the_flower_or_butterfly(make, set_name):
    differences = []
    for name in sample(make, set_name):
        picture, mask = make["make_sets"].draw(*name)
        assert picture.shape == (96, 96, 3)
        assert picture.dtype == np.uint8
        assert picture.std() > 5  # there is something to see
        assert mask.shape == (96, 96)
        assert 0 <= mask.min() <= mask.max() <= 1
        assert 0.01 < mask.mean() < 0.9
        differences.append(np.abs(picture[mask > 0.5].mean(axis=0) - picture[mask < 0.5].mean(axis=0)).max())
    assert np.median(differences) > 15  # it has another colour than what is around it


def test_the_classes_are_those_that_are_bundled(make):
    for set_name, class_names in make["make_sets"].CLASSES.items():
        names = sorted(path.name for path in (ROOT / "data" / set_name / "train").iterdir())
        assert list(class_names) == names


def test_each_mimic_differs_from_its_model_in_one_wing(make):
    kinds = make["butterfly_kinds"]
    for model, mimic, wing, form in (("monarch", "viceroy", "hind", "band"), ("owl", "peacock", "fore", "eye")):
        first, second = kinds.SPECIES[model], kinds.SPECIES[mimic]
        other = {"hind": "fore", "fore": "hind"}[wing]
        assert getattr(first, other) == getattr(second, other)
        first, second = getattr(first, wing), getattr(second, wing)
        assert first.outline == second.outline
        (added,) = [mark for mark in second.marks if mark not in first.marks]
        assert added.form == form
        assert [mark for mark in second.marks if mark != added] == list(first.marks)


def test_all_butterflies_fly_in_the_same_colours(make):
    # were the species told apart by colour, nothing would have to be read from the wings
    kinds = make["butterfly_kinds"]
    seen = []
    for name in kinds.BUTTERFLY_NAMES:
        rng = np.random.default_rng(0)
        seen.append([kinds.kind_of_butterfly(name, rng).ground for _ in range(200)])
    seen = np.array(seen)
    assert np.ptp(seen.mean(axis=1), axis=0).max() < 0.1
    assert seen.std(axis=1).min() > 0.1


def test_no_two_butterflies_of_a_species_are_alike(make):
    rng = np.random.default_rng(0)
    assert len({make["butterfly_kinds"].kind_of_butterfly("monarch", rng) for _ in range(5)}) == 5


def test_bundled_pictures_were_not_seen_in_pre_training(make):
    # pre-training draws with other numbers in its seeds
    (pretrain,) = import_from("data/make", "pretrain")
    assert {pretrain.TRAIN, pretrain.HELD_OUT}.isdisjoint(make["make_sets"].PARTS.values())
    assert pretrain.TRAIN != pretrain.HELD_OUT


def test_the_bundled_pictures_take_little_room(make):
    for name, limit in (("drawn_flowers", 6e6), ("drawn_butterflies", 8e6), ("drawn_species", 6e6)):
        assert sum(path.stat().st_size for path in (ROOT / "data" / name).rglob("*.jpg")) < limit
