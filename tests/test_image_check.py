"""What `check_images` finds in a folder, what it leaves alone, and its command."""

import io
import json
import shutil
import time

import numpy as np
import pytest
from PIL import Image

import kerastl as tl
from kerastl.__main__ import main
from kerastl.bases import BUNDLED_SETS, bundled_folder
from kerastl.doubles import count_bits, difference_hash, near_pairs
from kerastl.image_check import NearDouble, Picture
from kerastl.plots.style import WRONG
from kerastl.reading import as_pixels, read_image
from kerastl.sources import FEW

EACH = 2 * FEW  # pictures of a class in a part
pytestmark = pytest.mark.usefixtures("matplotlib_stays")


def scene(seed: int, size=(120, 90)) -> Image.Image:
    """Soft blobs, as unlike those of other seeds as photos are."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def clean(tmp_path):
    """Two parts, two classes, nothing wrong."""
    for number, place in enumerate(f"{part}/{name}" for part in ("train", "test") for name in ("cat", "dog")):
        (tmp_path / "pictures" / place).mkdir(parents=True)
        for count in range(EACH):
            scene(100 * number + count).save(tmp_path / "pictures" / place / f"{count}.png")
    return tmp_path / "pictures"


def files(group) -> list[str]:
    return [picture.file.replace("\\", "/") for picture in group]


def test_a_clean_folder_is_counted_and_nothing_is_found(clean):
    check = tl.check_images(clean)
    assert check.counts == {part: {"cat": EACH, "dog": EACH} for part in ("train", "test")}
    assert not check
    assert str(check).splitlines()[1:3] == [f"{name}{EACH:>16}{EACH:>12}" for name in ("cat", "dog")]
    assert "Nothing was found." in str(check)


def test_what_cannot_be_read_is_listed_with_the_reason_and_left_where_it_is(clean):
    bad = {
        "empty.jpg": b"",
        "page.jpg": b"<!DOCTYPE html><p>404",
        "cut.png": (clean / "train/cat/0.png").read_bytes()[:900],
    }
    for name, content in bad.items():
        (clean / "train/dog" / name).write_bytes(content)
    Image.new("1", (20_000, 20_000)).save(clean / "test/cat/bomb.png")
    before = {path: path.read_bytes() for path in clean.rglob("*.*")}
    check = tl.check_images(clean)
    reasons = dict(zip(files(check.unreadable), [one.reason for one in check.unreadable], strict=True))
    assert list(reasons) == ["train/dog/cut.png", "train/dog/empty.jpg", "train/dog/page.jpg", "test/cat/bomb.png"]
    for part, said in zip(reasons.values(), ("ends too early", "is empty", "web page", "20,000×20,000"), strict=True):
        assert said in part
    assert check.counts["train"]["dog"] == EACH
    assert "Not read: 4\n" in str(check)
    assert {path: path.read_bytes() for path in clean.rglob("*.*")} == before


def test_the_same_pixels_are_found_under_any_name_and_with_other_metadata(clean):
    shutil.copy(clean / "train/cat/3.png", clean / "test/cat/copy.png")
    text = Image.Exif()
    text[0x010E] = "another description"
    scene(4).save(clean / "train/dog/other.png", exif=text)
    check = tl.check_images(clean)
    assert [files(group) for group in check.doubles] == [
        ["train/cat/3.png", "test/cat/copy.png"],
        ["train/cat/4.png", "train/dog/other.png"],
    ]
    assert check.near_doubles == []
    lines = str(check).replace("\\", "/").splitlines()
    assert "  train/cat/3.png = test/cat/copy.png (2 parts)" in lines
    assert "  train/cat/4.png = train/dog/other.png (2 labels)" in lines


def changed(image: Image.Image, how: str) -> Image.Image:
    if how == "saved anew":
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=40)
        return Image.open(buffer)
    if how == "grey":
        return image.convert("L")
    return image.resize((image.width // 2, image.height // 2))


@pytest.mark.parametrize("how", ["saved anew", "grey", "smaller"])
def test_copies_that_were_changed_a_little_are_near_doubles(clean, how):
    changed(scene(5), how).save(clean / "test/dog/changed.png")
    (pair,) = tl.check_images(clean).near_doubles
    assert files(pair[:2]) == ["train/cat/5.png", "test/dog/changed.png"]
    assert 0 <= pair.bits <= 4


def test_a_class_with_few_pictures_or_none_is_named(clean):
    for number in range(EACH - FEW + 1):
        (clean / f"train/dog/{number}.png").unlink()
    (clean / "train/cat/0.png").unlink()
    for part in ("train", "test"):
        (clean / part / "bird").mkdir()
    check = tl.check_images(clean)
    assert check.near_empty == {"bird": 0, "dog": FEW - 1}
    assert f"Fewer than {FEW} pictures to train on: 2\n" in str(check)
    whole = tl.check_images(clean / "train")  # from these the pictures for validation and test are taken, too
    assert whole.near_empty == {"bird": 0, "cat": EACH - 1, "dog": FEW - 1}
    assert f"Fewer than {EACH} pictures for training, validation and test: 3\n" in str(whole)


def test_a_class_that_load_images_warns_of_is_one_that_check_images_names(tmp_path):
    for count in range(3, 12):
        (tmp_path / f"{count:02}").mkdir()
        for number in range(count):
            scene(100 * count + number).save(tmp_path / f"{count:02}" / f"{number}.png")
    named = set(tl.check_images(tmp_path).near_empty)
    with pytest.warns(UserWarning, match="fewer than 5 training images") as caught:
        data = tl.load_images(tmp_path, image_size=8)
    warned = {name for name in data.class_names if f"'{name}'" in str(caught[0].message)}
    assert "03" in warned
    assert warned <= named
    assert "11" not in named


def test_of_many_copies_each_is_listed_once_and_few_lines_are_printed(clean):
    for number in range(30):
        shutil.copy(clean / "train/cat/3.png", clean / f"train/cat/copy{number}.png")
        (clean / f"train/dog/bad{number}.png").write_bytes(b"")
    check = tl.check_images(clean)
    assert [len(group) for group in check.doubles] == [31]
    assert "  … and 20 more" in str(check)
    assert len(str(check)) < 3000


def test_what_check_images_calls_unreadable_is_what_load_images_leaves_out(clean):
    (clean / "train/cat/bad.jpg").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"(?s)1 unreadable file is left out.*bad\.jpg"):
        data = tl.load_images(clean, image_size=8)
    check = tl.check_images(clean)
    assert files(check.unreadable) == ["train/cat/bad.jpg"]
    assert sum(len(labels) for part in data[:3] for _, labels in part) == 4 * EACH


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ("nowhere", FileNotFoundError, r"There is no folder 'nowhere'\."),
        ("drawn_rockets", FileNotFoundError, r"There is no folder 'drawn_rockets'\."),
        ((1, 2), TypeError, r"Received tuple\."),
        ("", ValueError, r"Received an empty name\."),
        (__file__, ValueError, r"test_image_check.py' is a file\."),
    ],
)
def test_what_is_no_folder_is_an_error(source, error, said):
    with pytest.raises(error, match=rf"{said} Expected a folder with one .* or the name of a bundled set"):
        tl.check_images(source)


def test_data_readme_says_what_is_found_in_the_bundled_sets():
    checks = [tl.check_images(name) for name in BUNDLED_SETS]
    assert not any(check.unreadable or check.doubles or check.near_empty for check in checks)
    (pair,) = [pair for check in checks for pair in check.near_doubles]
    page = (bundled_folder() / "README.md").read_text(encoding="utf-8")
    assert f"`{files([pair.first])[0]}` and `{files([pair.second])[0]}`. They are two drawings" in page


def test_what_lies_beside_the_class_folders_is_listed(clean):
    (clean / "dev").mkdir()
    shutil.copy(clean / "train/cat/0.png", clean / "dev")
    shutil.copy(clean / "train/cat/0.png", clean / "train/stray.png")
    check = tl.check_images(clean)
    assert check.unreadable == [
        ("dev", "it is not one of train, validation, test"),
        ("train", "it holds 1 picture outside its folders, first 'stray.png'"),
    ]


def test_class_folders_that_look_like_parts_are_asked_about(clean):
    (clean / "train").rename(clean / "training_set")
    (clean / "test").rename(clean / "test_set")
    with pytest.warns(UserWarning, match=r"Are these the classes: test_set, training_set\?"):
        tl.check_images(clean)


def test_without_parts_the_column_is_called_pictures(clean):
    assert str(tl.check_images(clean / "train")).splitlines()[0].split() == ["class", "pictures"]


# ---- the hash and its pairs


def test_bits_are_counted():
    numbers = np.random.default_rng(0).integers(0, 2**64, 1000, dtype=np.uint64)
    numbers[:2] = 0, 2**64 - 1
    assert count_bits(numbers).tolist() == [int(number).bit_count() for number in numbers]


@pytest.mark.parametrize("most", [0, 4, 7])
def test_the_pairs_are_those_that_comparing_all_with_all_finds(most):
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 300, dtype=np.uint64)
    hashes[100:200] = hashes[:100]
    for number in range(100):  # with 0 to 9 other bits
        for bit in rng.choice(64, number % 10, replace=False):
            hashes[100 + number] ^= np.uint64(1) << np.uint64(bit)
    hashes[200:203] = 0
    numbers = [int(one) for one in hashes]
    first_of = {number: place for place, number in reversed(list(enumerate(numbers)))}
    expected = {
        (first, second, (numbers[first] ^ numbers[second]).bit_count())
        for first in range(300)
        for second in range(first + 1, 300)
        if (numbers[first] ^ numbers[second]).bit_count() <= most
        and first_of[numbers[first]] == first  # of those with the same hash only the first is compared with others
        and first_of[numbers[second]] in (first, second)
    }
    found = near_pairs(hashes, most)
    assert set(found) == expected
    assert len(found) == len(expected) >= 12
    assert [bits for *_, bits in found] == sorted(bits for *_, bits in found)


@pytest.mark.parametrize("count", [0, 1])
def test_without_two_pictures_there_is_no_pair(count):
    assert near_pairs(np.zeros(count, np.uint64)) == []


def test_twenty_thousand_hashes_are_compared_in_seconds():
    hashes, began = np.random.default_rng(0).integers(0, 2**64, 20_000, dtype=np.uint64), time.process_time()
    assert near_pairs(hashes) == []
    assert time.process_time() - began < 10  # all with all: 200 million


def test_the_hash_tells_where_a_picture_gets_brighter():
    ramp = np.repeat(np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))[..., None], 3, axis=-1)
    assert difference_hash(ramp) == 2**64 - 1
    assert difference_hash(ramp[:, ::-1].copy()) == 0
    upper = ramp.copy()
    upper[32:] = ramp[32:, ::-1]
    assert difference_hash(upper) == 2**64 - 2**32


# ---- the picture and the command


def test_pairs_are_drawn_side_by_side_with_their_files(clean):
    shutil.copy(clean / "train/cat/3.png", clean / "test/cat/copy.png")
    changed(scene(5), "smaller").save(clean / "test/dog/small.png")
    figure = tl.plot_doubles(tl.check_images(clean))
    drawn = [(axes.get_title().replace("\\", "/").split("\n"), axes.images[0].get_array()) for axes in figure.axes]
    assert [title[0] for title, _ in drawn] == [
        *("train/cat/3.png", "test/cat/copy.png"),
        *("train/cat/5.png", "test/dog/small.png"),
    ]
    assert drawn[0][0][1] == "the same pixels, 2 files (2 parts)"
    assert drawn[2][0][1].endswith("of 64 bits differ (2 labels, in 2 parts)")
    assert np.array_equal(drawn[0][1], as_pixels(scene(3), (224, 224), "pad"))
    assert np.array_equal(drawn[3][1], read_image(clean / "test/dog/small.png", (224, 224), "pad"))
    few = tl.plot_doubles(tl.check_images(clean), count=1)
    assert len(few.axes) == 2
    assert few.get_suptitle() == "1 of 2 pairs"
    assert figure.get_suptitle() == ""


def test_pairs_of_two_parts_or_labels_stand_first_and_in_orange(clean):
    shutil.copy(clean / "train/cat/1.png", clean / "train/cat/copy.png")
    changed(scene(5), "smaller").save(clean / "test/cat/small.png")
    for name in ("cat/again.png", "dog/other.png"):
        shutil.copy(clean / "train/cat/7.png", clean / "train" / name)
    check = tl.check_images(clean)
    drawn = [
        (axes.get_title().replace("\\", "/").split("\n")[0], axes.title.get_color() == WRONG)
        for axes in tl.plot_doubles(check).axes
    ]
    assert drawn == [
        *(("train/cat/7.png", True), ("train/dog/other.png", True)),
        *(("train/cat/5.png", True), ("test/cat/small.png", True)),
        *(("train/cat/1.png", False), ("train/cat/copy.png", False)),
    ]
    lines = [line for line in str(check).replace("\\", "/").splitlines() if " = " in line]
    assert [line.startswith("  train/cat/7.png") for line in lines] == [True, False]


def test_one_bit_is_no_bits(clean):
    pictures = Picture("a.png", "train", "cat"), Picture("b.png", "train", "cat")
    check = tl.check_images(clean)._replace(near_doubles=[NearDouble(*pictures, bits) for bits in (0, 1, 2)])
    found = [line.strip() for line in str(check).splitlines() if " ~ " in line]
    assert found == [f"a.png ~ b.png, {said}" for said in ("0 bits", "1 bit", "2 bits")]


def test_without_doubles_the_figure_says_so(clean):
    figure = tl.plot_doubles(tl.check_images(clean))
    assert [text.get_text() for text in figure.texts] == ["no picture is there twice"]


def test_the_command_ends_with_0_1_or_2(clean, tmp_path, capsys):
    assert main(["check-images", str(clean), "--picture", str(tmp_path / "pairs.png")]) == 0
    said = capsys.readouterr().out
    assert "Nothing was found." in said
    assert "no picture, since nothing is there twice" in said
    assert not (tmp_path / "pairs.png").exists()
    shutil.copy(clean / "train/cat/3.png", clean / "test/cat/copy.png")
    assert main(["check-images", str(clean), "--picture", str(tmp_path / "pairs.png")]) == 1
    said = capsys.readouterr().out
    assert "The same pixels more than once: 1" in said
    assert said.endswith(f"picture: {tmp_path / 'pairs.png'}\n")
    assert Image.open(tmp_path / "pairs.png").width > 100
    assert main(["check-images", str(clean), "--picture", str(tmp_path / "pairs.png")]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["check-images", str(clean / "nowhere")]) == 2


def test_the_command_prints_everything_as_json(clean, capsys):
    shutil.copy(clean / "train/cat/3.png", clean / "test/cat/copy.png")
    changed(scene(5), "smaller").save(clean / "test/dog/small.png")
    (clean / "train/cat/bad.png").write_bytes(b"")
    assert main(["check-images", str(clean), "--json"]) == 1
    said, check = json.loads(capsys.readouterr().out), tl.check_images(clean)
    assert said["counts"] == check.counts
    assert said["unreadable"] == [{"file": check.unreadable[0].file, "reason": "it is empty"}]
    assert said["doubles"] == [[picture._asdict() for picture in check.doubles[0]]]
    assert said["near_doubles"][0]["second"] == check.near_doubles[0].second._asdict()


def test_names_from_outside_cannot_steer_the_terminal(clean, capsys):
    (clean / "train/cat/\x1b[31m.png").write_bytes(b"")
    assert main(["check-images", str(clean)]) == 1
    assert "\x1b" not in capsys.readouterr().out


def test_many_blank_pages_are_each_paired_with_the_first_only():
    pairs = near_pairs(np.zeros(20_000, np.uint64))
    assert [pair[:2] for pair in pairs] == [(0, number) for number in range(1, 20_000)]


def test_a_link_out_of_the_folder_is_named(tmp_path):
    for name in ("one", "two"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.random.default_rng(number + 100 * (name == "two")).integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "elsewhere.png")
    (tmp_path / "photos" / "one" / "link.png").symlink_to(tmp_path / "elsewhere.png")
    check = tl.check_images(tmp_path / "photos")
    assert check.unreadable == [("one/link.png", "it leads out of the folder")]
    assert check
