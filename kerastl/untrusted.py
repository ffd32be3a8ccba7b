"""Open a model's file that may come from anybody: what it holds is looked at before Keras reads it."""

import hashlib
import io
import json
import math
import re
import stat
import sys
import warnings
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import h5py
import keras

from kerastl.graph import run_order
from kerastl.vocabulary import check_config, refused_names

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"  # Keras's own members of the archive
# Ours; Keras leaves them alone (fact 6).
CLASS_NAMES, SUMMARY, TOKENIZER, RESIZE = "class_names.json", "training.json", "tokenizer.json", "resize.json"
FLAGS, DIGESTS = "trainable.json", "digests.json"
MEMBERS = {  # what may be in a file, and how many bytes each may have
    CONFIG: 10_000_000,  # the longest of all bases, NASNetLarge, takes 1,034,000
    METADATA: 1_000_000,
    WEIGHTS: 20_000_000_000,  # the most of all bases, ConvNeXtXLarge, are 1,400,000,000
    CLASS_NAMES: 1_000_000,
    SUMMARY: 1_000_000,
    FLAGS: 1_000_000,
    DIGESTS: 10_000,
    TOKENIZER: 10_000_000,  # multilingual BERT, 120,000 word pieces, takes 2,000,000
    RESIZE: 1_000,
}
# The modules of Keras whose classes compute, and the layers that run something else than Keras.
_COMPUTING = (
    *("keras.layers", "keras.initializers", "keras.regularizers", "keras.constraints", "keras.optimizers"),
    *("keras.losses", "keras.metrics", "keras.src.ops."),
)
_RUN_OTHERS = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer")
_MOST_NUMBERS = 500_000_000  # in what a layer gives for one picture: 2 GB
_MOST_EXPANSION = 20  # Keras does not compress weights; who packs them anew gains little


def read_members(path: Path, *names: str) -> dict[str, bytes]:
    """Members of a `.keras` archive, those of `names` that are in it, with their checksums compared.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: it is no archive, or damaged, or holds something that `save` does not write.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r}.")
    with path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # on damaged archives, also of other kinds than BadZipFile
            raise ValueError(
                f"{str(path)!r} is not a model file, or it is damaged. Expected a file that `kerastl.save` wrote."
            ) from error
        _check_members(path, archive.infolist())
        with in_one_line(path, "is damaged"):
            return {name: archive.read(name) for name in names if name in archive.namelist()}


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Look at what the archive says of its members, before one of them is unpacked."""
    names = [member.filename for member in members]
    for member in members:
        name, packed = member.filename, member.compress_size
        if name not in MEMBERS:
            raise ValueError(f"{str(path)!r} holds {name[:80]!r}, which `kerastl.save` does not write.")
        if names.count(name) > 1:
            raise ValueError(f"{str(path)!r} holds {name!r} twice.")
        if member.file_size > MEMBERS[name]:
            raise ValueError(f"{name!r} in {str(path)!r} is larger than {MEMBERS[name]:,} bytes: not one of ours.")
        if name == WEIGHTS and member.file_size > _MOST_EXPANSION * packed:
            raise ValueError(f"{name!r} in {str(path)!r} unpacks from {packed:,} to {member.file_size:,} bytes.")
        if member.flag_bits & 1 or stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(f"{name!r} in {str(path)!r} is encrypted, or a link. Expected a plain file.")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name!r} in {str(path)!r} is packed in a way that `kerastl.save` does not use.")


def make_digests(archive: zipfile.ZipFile) -> dict[str, str]:
    """SHA-256 of each member of an archive, by its name."""
    found = {name: hashlib.sha256() for name in archive.namelist()}
    for name, digest in found.items():
        with archive.open(name) as member:
            while some := member.read(1 << 20):
                digest.update(some)
    return {name: digest.hexdigest() for name, digest in found.items()}


def check_digests(path: Path, members: dict[str, bytes]) -> None:
    """Raise ValueError when a member is not as `make_digests` found it. Older files have no digests.

    The archive's own checksums find a damage of the disk, but not one that came before it was packed again.
    """
    if DIGESTS not in members:
        return
    known = read_json(path, DIGESTS, members[DIGESTS])
    lost = sorted(known.keys() - members.keys()) if isinstance(known, dict) else []
    if lost:
        raise ValueError(f"{str(path)!r} is damaged: {lost[0][:80]!r} is not in it any more. Copy it again.")
    for name, content in members.items():
        digest = hashlib.sha256(content).hexdigest()
        if name != DIGESTS and not (isinstance(known, dict) and known.get(name) == digest):
            raise ValueError(
                f"{str(path)!r} is damaged: {name!r} in it is not what was saved. Copy it again from where it came, or "
                "train the model again."
            )


def read_json(path: Path, name: str, content: bytes):
    """What a member holds, as JSON gives it."""
    with in_one_line(path, f"is damaged: {name!r} holds no JSON"):
        return json.loads(content)


def load_checked(path: Path, config: dict, weights: bytes, metadata) -> keras.Model:
    """Let Keras read the file, once its config and its weights are found harmless. The model is not compiled.

    Args:
        config, weights, metadata: the members of that file.
    """
    try:
        check_config(config)
    except ValueError as error:
        raise ValueError(f"{str(path)!r} {error}. {_advice(config)}") from None
    with in_one_line(path, "is damaged: HDF5 cannot read its weights"):
        held, foreign = _survey(weights)
    if foreign:
        raise ValueError(f"{str(path)!r} points from {foreign[:80]!r} to data elsewhere, or to none. It is not loaded.")
    with _in_one_line_by_version(path, metadata):
        described, largest = _measure(config)
    if described > held:
        raise ValueError(f"{str(path)!r} describes a model of {described:,} weights, and holds {held:,}.")
    if largest > _MOST_NUMBERS:
        raise ValueError(f"{str(path)!r} describes a layer that gives {largest:,} numbers for one picture: too many.")
    with _in_one_line_by_version(path, metadata), warnings.catch_warnings():
        warnings.filterwarnings("error", message="(?s).*[Ss]kipping")  # Keras would go on without these weights
        return keras.models.load_model(path, compile=False, safe_mode=True)


def _advice(config) -> str:
    """What to do with a file whose config was refused: it depends on everything that is named outside the table."""
    refused = refused_names(config)
    if not refused:
        return "Expected a file that `kerastl.save` wrote."
    if all(map(_is_a_layer, refused)):
        return "If you trust who made it, open it with `keras.models.load_model`."
    return "Do not open it: this is how a file runs a program."


def _is_a_layer(named: dict) -> bool:
    """Whether what is named looks like one of Keras's own layers or the like, or a layer that somebody registered."""
    module, name, registered = (str(named.get(key)) for key in ("module", "class_name", "registered_name"))
    if not name.isidentifier() or name == "function" or "spec_name" in named:
        return False
    if module.startswith(_COMPUTING):
        return name not in _RUN_OTHERS
    return ">" in registered and module.split(".")[0] not in {*sys.stdlib_module_names, "keras", "tensorflow"}


def _survey(weights: bytes) -> tuple[int, str]:
    """How many numbers an HDF5 file holds, and the path of something in it that is no numbers, or no plain ones."""
    held, size = 0, 0

    def look(name: bytes):
        nonlocal held, size
        item = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
        if isinstance(item, h5py.Group):
            return None
        if not isinstance(item, h5py.Dataset) or item.is_virtual or item.external or item.dtype.kind not in "biuf":
            return name
        held, size = held + item.size, size + item.nbytes
        return name if size > len(weights) else None  # it says that there is more than there is

    with h5py.File(io.BytesIO(weights), "r") as file:
        foreign = file.id.links.visit(look) or b""  # every link once, to whatever it leads
    return held, foreign.decode(errors="replace")


def _measure(config: dict) -> tuple[int, int]:
    """How many weights the model of a config has, and how many numbers the largest tensor in it; none is made.

    In a thread of its own, since Keras keeps, for each thread, a list of the weights that it has yet to make: here they
    are never made.
    """

    def measure() -> tuple[int, int]:
        with keras.StatelessScope(initialize_variables=False):
            model = keras.saving.deserialize_keras_object({**config, "compile_config": None})
            return model.count_params(), max(math.prod(filter(None, shape[1:])) for shape in _shapes(model))

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(measure).result()


def _shapes(model: keras.Model) -> Iterator[tuple]:
    for node in run_order(model):
        yield from (tensor.shape for tensor in node.outputs)
        if isinstance(node.operation, keras.Model):
            yield from _shapes(node.operation)


@contextmanager
def in_one_line(path: Path, fault: str, advice: str = "") -> Iterator[None]:
    """Around a call of a library that reads a file: whatever the library raises becomes one line with the file's name.

    A damaged file can make it raise anything. Nothing else of ours stands inside, and the cause is kept, so that our
    own bugs stay visible.
    """
    try:
        yield
    except Exception as error:
        first = error
        while inner := first.__cause__ or (None if first.__suppress_context__ else first.__context__):
            first = inner  # of Keras's errors, the one that says what was wrong, without the whole config around it
        lines = [line.strip() for line in str(first).splitlines() if line.strip()] or [""]
        said = f"{type(first).__name__}: {lines[0][:120]}" + "…" * (len(lines) > 1 or len(lines[0]) > 120)
        said = "".join(letter if letter.isprintable() else "\ufffd" for letter in said)  # it may quote the file
        raise ValueError(f"{str(path)!r} {fault} ({said}).{advice}") from error


def _in_one_line_by_version(path: Path, metadata):
    """As `in_one_line`; when another version of Keras wrote the file, the line says so."""
    wrote = metadata.get("keras_version") if isinstance(metadata, dict) else None
    if wrote == keras.__version__ or not re.fullmatch(r"\d[\w.]{0,20}", str(wrote)):
        return in_one_line(
            path,
            f"cannot be read by Keras {keras.__version__}",
            " It may be damaged: copy it again from where it came, or train the model again.",
        )
    return in_one_line(
        path,
        f"was written by Keras {wrote} and cannot be read by Keras {keras.__version__}",
        f' Load it with that version, `pip install "keras=={wrote}"`, or train the model again with this one.',
    )
