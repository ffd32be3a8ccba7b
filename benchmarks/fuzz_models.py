"""Does any damaged model file crash the loading, hang it, run something, or answer otherwise than the model?

    python benchmarks/fuzz_models.py

The file of a small model is damaged by chance: the whole archive, as disks and networks do it, or one member of it,
packed again with a right checksum. A process of its own loads each, with limits on time and memory, and notes whether a
program is started, a connection opened or a file written. What loads has to answer as the model did, bit for bit; what
does not has to be refused in one line. The program ends with an error if one of this fails.
"""

import argparse
import collections
import json
import os
import random
import resource
import sys
import tempfile
import time
import zipfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from fuzzing import count_failures, finish, in_another_process, peak_mib, rows

SECONDS = 120  # that one file may take; the first one of a process waits for TensorFlow
RESERVED = 20 << 30  # bytes of address space, of which TensorFlow takes many
MOST_MIB = 3_000
SIDE = 32
EVENTS = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "socket.connect",
    "pickle.find_class",
)
GOOD = ("the same model", "refused in one line")
HEAD = "| damage | files | the same model | refused in one line |\n|---|---|---|---|"


def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3)).astype("uint8")


def write_model(path: Path) -> np.ndarray:
    """Save a small model; what it answers."""
    import keras

    import kerastl as tl
    from kerastl.data import make_dataset

    keras.utils.set_random_seed(0)
    part = make_dataset(pictures(), np.arange(4) % 2)
    layers = keras.layers
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, activation="relu")(image))
    network = keras.Model(image, layers.Conv2D(8, 3, activation="relu")(x), name="small")
    data = tl.ImageData(part, part, part, ["one", "two"])
    model = tl.build_model(network, data, preprocess=layers.Rescaling(1 / 255))
    tl.save(model, path, data.class_names, summary={"seed": 0})
    return model.predict(pictures(), verbose=0)


def flip(chance, content: bytes) -> bytes:
    content = bytearray(content)
    for _ in range(chance.randrange(1, 4)):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(content)


def overwrite(chance, content: bytes) -> bytes:
    place, length = chance.randrange(len(content)), chance.randrange(1, 600)
    return content[:place] + chance.randbytes(length) + content[place + length :]


def lose(chance, content: bytes) -> bytes:
    place, length = chance.randrange(len(content)), chance.randrange(1, 600)
    return content[:place] + content[place + length :]


def double(chance, content: bytes) -> bytes:
    place, length = chance.randrange(len(content)), chance.randrange(1, 600)
    return content[: place + length] + content[place:]


BYTES = {
    "flipped bits": flip,
    "other bytes": overwrite,
    "lost bytes": lose,
    "doubled bytes": double,
    "a lost end": lambda chance, content: content[: chance.randrange(len(content))],
}


def change_json(chance, content: bytes) -> bytes:
    """One value of a JSON text becomes another of any kind."""
    whole = json.loads(content)
    places, waiting = [], [whole]
    while waiting:
        value = waiting.pop()
        inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        places += [(value, key) for key, _ in inside]
        waiting += [inner for _, inner in inside]
    if not places:
        return b"null"
    holder, key = chance.choice(places)
    deep = {}
    for _ in range(chance.choice([3, 100])):
        deep = {"class_name": "Dense", "config": deep}
    values = [None, -1, 0, 10**9, 1e400, "", "x" * 2000, [], {}, True, deep, "function", "keras.src.utils", ["a"] * 9]
    holder[key] = chance.choice(values)
    return json.dumps(whole).encode()


def damage_member(name: str):
    """A function that damages one member of an archive and packs all again, with right checksums."""

    def damage(chance, archive: Path) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "made"
            with zipfile.ZipFile(archive) as old, zipfile.ZipFile(made, "w") as new:
                for member in old.namelist():
                    content = old.read(member)
                    if member == name:
                        text = name.endswith(".json") and chance.random() < 0.7
                        content = (change_json if text else chance.choice(list(BYTES.values())))(chance, content)
                    new.writestr(member, content)
            return made.read_bytes()

    return damage


def damages(archive: Path) -> dict:
    """{damage: function of chance and the file, that gives the damaged content}."""
    whole = {
        name: (lambda chance, file, damage=damage: damage(chance, file.read_bytes())) for name, damage in BYTES.items()
    }
    with zipfile.ZipFile(archive) as held:
        members = {f"`{name}`, with a right checksum": damage_member(name) for name in sorted(held.namelist())}
    return whole | members


def serve(connection) -> None:
    """In a process of its own: load each file that is named, and say what came of it."""
    resource.setrlimit(resource.RLIMIT_AS, (RESERVED, RESERVED))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    import kerastl as tl

    expected, events, watching = None, [], False

    def hear(event: str, arguments) -> None:
        written = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        elsewhere = not str(arguments[0]).startswith(("/dev/", tempfile.gettempdir())) if written else False
        if watching and (event in EVENTS or elsewhere):
            events.append(event)

    sys.addaudithook(hear)
    while True:
        file = connection.recv()
        if expected is None:
            expected = np.load(file.parent / "expected.npy")
            tl.load(file.parent / "whole.keras")  # what is imported and compiled at the first time is no event
        events.clear()
        watching = True
        try:
            said = tl.load(file)
        except ValueError as error:
            said = GOOD[1] if "\n" not in str(error) and len(str(error)) < 1000 else "refused in many lines"
        except BaseException as error:
            said = f"raised {type(error).__name__}"
        watching = False
        if not isinstance(said, str):
            model, names = said
            answers = model.predict(pictures(), verbose=0)
            same = np.array_equal(answers, expected) and names == ["one", "two"]
            said = GOOD[0] if same else "another model"
        connection.send((f"ran {events[0]}" if events else said, peak_mib()))


def run(folder: Path, count: int, seed: int) -> dict:
    """What came of so many files: {damage: {outcome: files}}, time and memory."""
    archive = folder / "whole.keras"
    np.save(folder / "expected.npy", write_model(archive))
    kinds, chance, made = damages(archive), random.Random(seed), {}
    for number in range(count):
        damage = list(kinds)[number % len(kinds)]
        file = folder / f"{number:05d}.keras"
        file.write_bytes(kinds[damage](chance, archive))
        made[file] = damage
    began = time.perf_counter()
    outcomes, peak = in_another_process(made, serve, SECONDS)
    found = {damage: collections.Counter() for damage in kinds}
    for file, said in outcomes.items():
        found[made[file]][said] += 1
        if said not in GOOD:
            print(f"{said}: {file.name}, {made[file]}", flush=True)
    return {
        "files": count,
        "seconds": round(time.perf_counter() - began, 1),
        "peak_mib": round(peak),
        "outcomes": {damage: dict(sorted(counts.items())) for damage, counts in found.items()},
    }


def failures(result: dict) -> dict[str, int]:
    """{what must not be: how many files}; empty when all is well."""
    return count_failures(result, GOOD, {"memory": result["peak_mib"] > MOST_MIB})


def table(result: dict) -> list[str]:
    return rows(result, GOOD)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1_300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder in which the damaged files stay")
    parser.add_argument("--out", type=Path, default=Path("fuzz_models.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(args.keep or Path(folder), args.files, args.seed)
    finish(args.out, result, [HEAD, *table(result)], failures(result))


if __name__ == "__main__":
    main()
