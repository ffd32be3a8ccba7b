"""Model files from anybody: hostile ones run nothing and reach no Keras, damaged ones end in one line."""

import io
import json
import random
import re
import stat
import tracemalloc
import zipfile

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

import kerastl as tl
from hostile import ATTACKS, attacked, function, rewrite, thing
from kerastl.__main__ import main
from kerastl.saving import load_summary

NAMES = ["blue", "green", "red"]
HARMLESS_IN_PART = {  # attacks by a layer of Keras that reads a file, or by the name of somebody's own layer
    *("a vocabulary elsewhere", "another vocabulary elsewhere", "numbers elsewhere", "a registered name"),
}


@pytest.fixture(scope="module")
def saved(make_toy, tmp_path_factory):
    keras.utils.set_random_seed(0)
    return tl.save(make_toy(), tmp_path_factory.mktemp("saved") / "model.keras", NAMES, summary={"seed": 0})


@pytest.fixture
def no_keras(monkeypatch):
    """The test fails when a file comes so far that Keras builds or reads something."""

    def reached(*_, **__):
        pytest.fail("Keras was reached")

    monkeypatch.setattr(keras.models, "load_model", reached)
    monkeypatch.setattr(keras.saving, "deserialize_keras_object", reached)


def refusal(file) -> str:
    """What `load` says of a file: one line with the file's name."""
    with pytest.raises(ValueError, match=r"\.keras") as caught:
        tl.load(file)
    line = str(caught.value)
    assert line.isprintable()
    assert repr(str(file)) in line
    assert len(line) < 700 + len(str(file))
    return line


def read(file, name: str) -> bytes:
    with zipfile.ZipFile(file) as archive:
        return archive.read(name)


# ---- code


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_before_keras_and_runs_nothing(saved, tmp_path, no_keras, name):
    sentinel = tmp_path / "ran"
    line = refusal(attacked(saved, tmp_path / "m.keras", name, sentinel))
    assert ("open it with `keras.models.load_model`" in line) == (name in HARMLESS_IN_PART)
    assert ("Do not open it: this is how a file runs a program." in line) == (name not in HARMLESS_IN_PART)
    assert not sentinel.exists()


@pytest.mark.parametrize(
    ("named", "trusted"),
    [
        (thing("keras.layers", "LSTM"), True),
        (thing("keras.src.ops.numpy", "Einsum"), True),
        (thing("my_layers", "Attention", registered="mine>Attention"), True),
        (thing("__main__", "Attention", registered="Custom>Attention"), True),
        (thing("my_layers", "Attention", registered="Attention"), False),  # nobody registered it
        (thing("keras.layers", "Lambda"), False),
        (thing("keras.layers", "TimeDistributed", layer=thing("subprocess", "Popen")), False),
        (thing("subprocess", "Popen", registered="mine>Popen"), False),
        (thing("keras.src.utils.progbar", "Progbar"), False),
        (function("keras.config", "enable_unsafe_deserialization"), False),
    ],
)
def test_only_layers_that_the_table_lacks_may_be_opened_by_keras(saved, tmp_path, no_keras, named, trusted):
    config = json.loads(read(saved, "config.json"))
    config["config"]["layers"].append({"name": "more", "inbound_nodes": [], **named})
    line = refusal(rewrite(saved, tmp_path / "m.keras", config=json.dumps(config).encode()))
    assert ("If you trust who made it, open it with `keras.models.load_model`." in line) == trusted
    assert line.endswith("Do not open it: this is how a file runs a program.") != trusted


def test_the_command_that_the_attacks_carry_would_leave_its_mark(tmp_path):
    import subprocess

    from hostile import command

    subprocess.run(command(tmp_path / "ran"), check=True)
    assert (tmp_path / "ran").exists()


# ---- the archive


def test_members_that_save_does_not_write_are_refused(saved, tmp_path, no_keras):
    for name in (
        "../evil",
        "/evil",
        "assets/a",
        "config.json/",
        "model.weights.npz",
        "Config.json",
        "config.json ",
    ):
        file = rewrite(saved, tmp_path / "m.keras")
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(name, "{}")
        assert f"holds {name!r}" in refusal(file)
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.keras"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["config.json", "config.json\0.txt", "model.weights.h5"])
def test_a_member_twice_is_refused(saved, tmp_path, no_keras, name):
    file = rewrite(saved, tmp_path / "m.keras")
    with zipfile.ZipFile(file, "a") as archive:
        member = zipfile.ZipInfo("x")
        member.filename = name  # not cut at the zero, as it is when it is read
        archive.writestr(member, "{}")
    refusal(file)


def test_a_link_an_encrypted_member_and_other_packings_are_refused(saved, tmp_path, no_keras):
    def link(member):
        member.external_attr = (stat.S_IFLNK | 0o777) << 16

    def pack(how):
        return lambda member: setattr(member, "compress_type", how)

    def encrypt(content: bytes) -> bytes:  # the flag, in both headers
        return content.replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01").replace(
            b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
        )

    for change in (link, pack(zipfile.ZIP_LZMA), pack(zipfile.ZIP_BZIP2), None):
        file = tmp_path / "m.keras"
        with zipfile.ZipFile(saved) as old, zipfile.ZipFile(file, "w") as new:
            for name in old.namelist():
                member = zipfile.ZipInfo(name)
                if change and name == "config.json":
                    change(member)
                new.writestr(member, old.read(name))
        if change is None:
            whole = file.read_bytes()
            file.write_bytes(encrypt(whole))
            assert file.read_bytes() != whole
        refusal(file)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "class_names.json", "training.json"])
def test_a_small_file_that_would_unpack_to_something_huge_is_refused_before_that(saved, tmp_path, no_keras, name):
    file = tmp_path / "m.keras"
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for other in old.namelist():
            if other != name:
                new.writestr(other, old.read(other))
        with new.open(name, "w") as member:
            for _ in range(40):
                member.write(bytes(1_000_000))
    assert file.stat().st_size < 200_000
    tracemalloc.start()
    try:
        refusal(file)
        with pytest.raises(ValueError, match="bytes"):
            load_summary(file)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_was_packed_anew_with_compression_is_read(saved, tmp_path):
    file = tmp_path / "m.keras"
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert tl.load(file).class_names == NAMES


# ---- the weights


@pytest.fixture
def with_weights(saved, tmp_path):
    """A function that changes the HDF5 file inside a copy of the model's file."""

    def change(edit):
        content = io.BytesIO(read(saved, "model.weights.h5"))
        with h5py.File(content, "r+") as file:
            edit(file)
        return rewrite(saved, tmp_path / "m.keras", weights=content.getvalue())

    return change


def kernel(file) -> str:
    """The path of the classifier's kernel."""
    found = []
    file.visititems(lambda name, item: found.append(name) if getattr(item, "shape", None) == (16, 3) else None)
    return found[0]


def test_weights_that_lie_in_another_file_are_refused(with_weights, tmp_path, no_keras):
    other = tmp_path / "secret.h5"
    with h5py.File(other, "w") as file:
        file["numbers"] = np.ones((16, 3), "float32")

    def replace(make):
        def edit(file):
            path = kernel(file)
            del file[path]
            make(file, path)

        return edit

    def virtual(file, path):
        layout = h5py.VirtualLayout((16, 3), "float32")
        layout[:] = h5py.VirtualSource(str(other), "numbers", (16, 3))
        file.create_virtual_dataset(path, layout)

    for edit in (
        lambda file, path: file.__setitem__(path, h5py.ExternalLink(str(other), "numbers")),
        lambda file, path: file.__setitem__(path, h5py.SoftLink("/elsewhere")),
        lambda file, path: file.create_dataset(path, (16, 3), "float32", external=[(str(other), 0, 192)]),
        virtual,
        lambda file, path: file.create_dataset(path, data=["text"], dtype=h5py.string_dtype()),
        lambda file, path: file.create_dataset(path, (10**6, 10**6), "float32", chunks=(10, 10)),
    ):
        assert "to data elsewhere, or to none" in refusal(with_weights(replace(edit)))


def test_groups_that_hold_each_other_end_in_a_refusal_or_a_model(with_weights):
    file = with_weights(lambda file: file.__setitem__("round", file["/"]))
    assert tl.load(file).class_names == NAMES  # nothing in it is wrong, and nobody goes round


def test_weights_that_are_no_hdf5_are_one_line(saved, tmp_path, no_keras):
    whole = read(saved, "model.weights.h5")
    for content in (b"", b"text", whole[:1000], whole[:-100]):
        assert "HDF5 cannot read its weights" in refusal(rewrite(saved, tmp_path / "m.keras", weights=content))


def test_weights_that_are_missing_or_of_another_shape_are_one_line(with_weights):
    def drop(file):
        del file[kernel(file)]

    def turn(file):
        path = kernel(file)
        del file[path]
        file[path] = np.ones((3, 16), "float32")

    assert "describes a model of" in refusal(with_weights(drop))
    assert f"cannot be read by Keras {keras.__version__}" in refusal(with_weights(turn))


@pytest.mark.parametrize("units", [4, 10**9, 10**30, -1, None, "many", 1.5])
def test_a_model_larger_than_its_weights_is_refused_and_never_made(saved, tmp_path, units):
    config = json.loads(read(saved, "config.json"))
    config["config"]["layers"][-1]["config"]["units"] = units
    line = refusal(rewrite(saved, tmp_path / "m.keras", config=json.dumps(config).encode()))
    if units == 10**9:
        assert "describes a model of 17,000,002,024 weights, and holds 2,075" in line
    other = tl.load(saved).model.predict_on_batch(np.zeros((1, 32, 32, 3), "float32"))  # and nothing is left of it
    assert other.shape == (1, 3)


# ---- damage


@pytest.mark.parametrize(
    ("member", "content"),
    [
        ("config", b""),
        ("config", b"{"),
        ("config", b"\xff\xfe"),
        ("config", b"[" * 1_000_000),
        ("config", b'{"a":' * 200_000),
        ("config", b"[1, 2]"),
        ("config", b"NaN"),
        ("config", None),
        ("weights", None),
        ("metadata", None),
        ("metadata", b"{"),
        ("names", b'["blue", "gre'),
        ("names", b'"abc"'),
        ("names", b'{"blue": 0, "green": 1, "red": 2}'),
        ("names", b"[1, 2, 3]"),
        ("names", b"null"),
        ("names", b'["' + b"a" * 900_000 + b'"]'),
        ("names", b'["\\u001b[31m", "b"]'),
        ("names", b"1" * 10_000),
    ],
)
def test_a_member_with_something_else_inside_is_one_line(saved, tmp_path, member, content):
    refusal(rewrite(saved, tmp_path / "m.keras", **{member: content}))


def test_a_config_that_keras_cannot_build_is_one_line(saved, tmp_path):
    whole = json.loads(read(saved, "config.json"))
    for change in (
        lambda config: config["layers"].pop(),
        lambda config: config.pop("layers"),
        lambda config: config.update(layers={}),
        lambda config: config.update(output_layers=[["classifier", 7, 0]]),
        lambda config: config.update(output_layers=["nobody", 0, 0]),
        lambda config: config["layers"][-1].pop("inbound_nodes"),
        lambda config: config["layers"][-1].pop("config"),
        lambda config: config["layers"][-1]["config"].update(more=1),
        lambda config: config["layers"][-1]["config"].update(activation="Popen"),
        lambda config: config["layers"][-1]["config"].update(kernel_initializer=None, dtype="float3"),
        lambda config: config["layers"][0]["config"].update(batch_shape=None),
        lambda config: config["layers"][0]["config"].update(batch_shape=[None, 32, 32]),
    ):
        config = json.loads(json.dumps(whole))
        change(config["config"])
        refusal(rewrite(saved, tmp_path / "m.keras", config=json.dumps(config).encode()))


def test_a_model_that_names_no_classes_is_one_line(tmp_path, make_toy, saved):
    model = make_toy()
    model.get_layer("toy").save(tmp_path / "toy.keras")  # its outputs are pictures
    with zipfile.ZipFile(tmp_path / "toy.keras", "a") as archive:
        archive.writestr("class_names.json", json.dumps(NAMES))
    assert "Expected (None, classes)" in refusal(tmp_path / "toy.keras")


def damage(whole: bytes, chance: random.Random) -> bytes:
    """One of the things that happen to files: a flipped bit, a lost end, lost, doubled or overwritten bytes."""
    place, length = chance.randrange(len(whole)), chance.randrange(1, 600)
    return [
        lambda: whole[:place] + bytes([whole[place] ^ 1 << chance.randrange(8)]) + whole[place + 1 :],
        lambda: whole[:place],
        lambda: whole[:place] + whole[place + length :],
        lambda: whole[: place + length] + whole[place:],
        lambda: whole[:place] + chance.randbytes(length) + whole[place + length :],
    ][chance.randrange(5)]()


def damage_tail(whole: bytes, chance: random.Random) -> bytes:
    """The same in the directory at the archive's end, where most bytes mean something."""
    start = whole.rindex(b"PK\x01\x02", 0, whole.rindex(b"PK\x01\x02")) if chance.random() < 0.7 else len(whole) - 22
    return whole[:start] + damage(whole[start:], chance)


@pytest.mark.parametrize("how", [damage, damage_tail])
@pytest.mark.slow
def test_a_damaged_copy_is_one_line_or_the_same_model(saved, tmp_path, how):
    chance, whole, counts = random.Random(0), saved.read_bytes(), {True: 0, False: 0}
    expected = tl.load(saved).model.get_weights()
    file = tmp_path / "m.keras"
    for _ in range(120):
        file.write_bytes(how(whole, chance))
        try:
            model = tl.load(file).model
        except ValueError:
            refusal(file)
            counts[False] += 1
        else:  # what was hit means nothing, such as a date
            assert all(map(np.array_equal, model.get_weights(), expected))
            counts[True] += 1
    assert counts[False] > 60


def test_damage_inside_a_config_with_a_right_checksum_is_one_line_or_a_model(saved, tmp_path):
    chance, whole, refused = random.Random(1), read(saved, "config.json"), 0
    for _ in range(60):
        file = rewrite(saved, tmp_path / "m.keras", config=damage(whole, chance))
        try:
            tl.load(file)
        except ValueError:
            refusal(file)
            refused += 1
    assert refused > 30


def test_a_flipped_bit_in_the_weights_with_a_right_checksum_is_found(saved, tmp_path):
    """The archive was packed again after the damage: only the digests in it can tell."""
    whole, kernel = read(saved, "model.weights.h5"), tl.load(saved).model.get_weights()[-2].tobytes()
    place = whole.index(kernel)
    damaged = bytearray(whole)
    for offset in range(0, len(kernel), 7):
        damaged[place + offset] ^= 0x10
        file = tmp_path / "m.keras"
        with zipfile.ZipFile(saved) as old, zipfile.ZipFile(file, "w") as new:
            for name in old.namelist():
                new.writestr(name, bytes(damaged) if name == "model.weights.h5" else old.read(name))
        assert "'model.weights.h5' in it is not what was saved. Copy it again" in refusal(file)
        damaged[place + offset] ^= 0x10


@pytest.mark.parametrize("member", ["trainable.json", "resize.json", "training.json"])
def test_a_member_that_is_gone_is_missed(saved, tmp_path, member):
    file = tmp_path / "m.keras"
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(file, "w") as new:
        for name in set(old.namelist()) - {member}:
            new.writestr(name, old.read(name))
    assert f"{member!r} is not in it any more" in refusal(file)


@pytest.mark.parametrize("member", ["config.json", "metadata.json", "class_names.json", "training.json"])
@pytest.mark.parametrize("digests", ["kept", "[]", "{}"])
def test_each_member_has_a_digest(saved, tmp_path, member, digests):
    file = tmp_path / "m.keras"
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            content = old.read(name) + (b" " if name == member else b"")
            new.writestr(name, digests.encode() if name == "digests.json" and digests != "kept" else content)
    assert "in it is not what was saved" in refusal(file)


def test_a_damaged_file_ends_the_command_with_one_line_and_status_2(saved, tmp_path, capsys):
    file, whole = tmp_path / "m.keras", saved.read_bytes()
    place = whole.index(b"model.weights.h5") + 3000
    file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    Image.new("RGB", (32, 32)).save(tmp_path / "photo.jpg")
    for arguments in (["inspect", str(file)], ["predict", str(file), str(tmp_path / "photo.jpg")]):
        assert main(arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"error: {str(file)!r} is damaged (BadZipFile: Bad CRC-32 for file 'model.weights.h5')")
        assert err.count("\n") == 1


# ---- versions


@pytest.mark.parametrize("wrote", ["3.99.0", "2.15.0"])
def test_a_file_of_another_version_that_cannot_be_read_says_which_and_what_to_do(saved, tmp_path, wrote):
    config = json.loads(read(saved, "config.json"))
    config["config"]["layers"][-1]["config"]["invented_later"] = None
    changed = {"metadata": json.dumps({"keras_version": wrote}).encode(), "config": json.dumps(config).encode()}
    line = refusal(rewrite(saved, tmp_path / "m.keras", **changed))
    assert f"was written by Keras {wrote} and cannot be read by Keras {keras.__version__}" in line
    assert f'`pip install "keras=={wrote}"`' in line


def test_a_file_of_this_version_that_cannot_be_read_says_why_and_what_to_do(saved, tmp_path):
    config = json.loads(read(saved, "config.json"))
    config["config"]["layers"][-1]["config"]["invented"] = None
    line = refusal(rewrite(saved, tmp_path / "m.keras", config=json.dumps(config).encode()))
    assert "(ValueError: Unrecognized keyword arguments passed to Dense: {'invented': None})" in line
    assert line.endswith("It may be damaged: copy it again from where it came, or train the model again.")


def test_a_long_reason_that_is_cut_ends_in_dots(saved, tmp_path):
    config = json.loads(read(saved, "config.json"))
    config["config"]["layers"][-1]["config"]["x" * 200] = None
    assert re.search(
        r"Unrecognized .*xxx…\)", refusal(rewrite(saved, tmp_path / "m.keras", config=json.dumps(config).encode()))
    )


def test_a_file_of_another_version_that_can_be_read_is_read(saved, tmp_path):
    file = rewrite(saved, tmp_path / "m.keras", metadata=b'{"keras_version": "3.99.0"}')
    assert tl.load(file).class_names == NAMES


@pytest.mark.parametrize("wrote", [None, 3, "3.99; rm -rf ~", "\x1b[31m3.1", "3." * 1000])
def test_a_version_that_is_none_is_not_repeated(saved, tmp_path, wrote):
    config = json.loads(read(saved, "config.json"))
    config["config"]["layers"].pop()
    changed = {"metadata": json.dumps({"keras_version": wrote}).encode(), "config": json.dumps(config).encode()}
    assert f" cannot be read by Keras {keras.__version__} (" in refusal(rewrite(saved, tmp_path / "m.keras", **changed))


# ---- what would take memory without end when it is used


@pytest.mark.parametrize("side", [40_000, 10**6])
def test_a_layer_that_would_give_numbers_without_end_is_refused_and_not_made(make_toy, tmp_path, side):
    layers = keras.layers
    image = keras.Input((32, 32, 3))
    x = layers.Resizing(32, 32)(layers.Resizing(side, side)(image))
    x = layers.GlobalAveragePooling2D()(x)
    path = tl.save(keras.Model(image, layers.Dense(3, activation="softmax")(x)), tmp_path / "m.keras", NAMES)
    with pytest.raises(ValueError, match=rf"describes a layer that gives {3 * side**2:,} numbers for one picture"):
        tl.load(path)
