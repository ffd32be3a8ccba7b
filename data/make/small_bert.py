"""Pre-train the bundled small BERT on masked words of docstrings.

    python data/make/small_bert.py --work build/small_bert

Reads the docstrings of the installed packages (their files are parsed, nothing is imported), learns a vocabulary of
word pieces, and trains a BERT with the shape of BERT-Tiny (Turc et al. 2019, arXiv 1908.08962) to name masked words
(Devlin et al. 2018, arXiv 1810.04805, section 3.1, without its second task). It writes weights, vocabulary and a record
of the run to data/small_bert/; no text of the packages is in them. Needs KerasHub (`pip install kerastl[text]`).
Stop it whenever you like: the same command goes on at the part that it had reached. About half an hour on one core.

The packages of the task (`kerastl.docstrings.PACKAGES`) are left out, with every text that has 12 words in a row in
common with one of theirs.
"""

import argparse
import json
import os
import re
import time
from importlib import metadata
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from kerastl.docstrings import PACKAGES, plain, read_docstrings
from pretrain import copy_compressed

VOCABULARY = 6000  # word pieces
LENGTH = 64  # of them in a text, with [CLS] and [SEP]
SHAPE = {"num_layers": 2, "num_heads": 2, "hidden_dim": 128, "intermediate_dim": 512}  # of BERT-Tiny
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
BATCH_SIZE = 32
RATE = 2e-3  # the highest
PARTS = 20  # of the texts, each with a checkpoint at its end
MASKED = 0.15  # share of the word pieces: of these .8 become [MASK], .1 another one, .1 stay
LEFT_OUT = (*PACKAGES, "mpl_toolkits")  # the last comes with Matplotlib
IN_COMMON = 12  # words in a row that no text has in common with the task


def words_in_a_row(text: str, count: int = IN_COMMON) -> set[int]:
    """Every `count` words in a row, as numbers."""
    words = re.findall(r"\w+", text.lower())
    return {hash(tuple(words[start : start + count])) for start in range(len(words) - count + 1)}


def read_packages(folders: list[Path]) -> tuple[dict[str, list], dict[str, int]]:
    """{package: [(file, text)]} without the task's, and how many texts were left out for which reason."""
    entries = {entry.name.removesuffix(".py"): entry for folder in folders for entry in sorted(folder.iterdir())}
    task = set()
    for name in PACKAGES:
        for docstring in read_docstrings(entries.pop(name)):
            task |= words_in_a_row(plain(docstring.text))
    found, left_out, met = {}, {"in common with the task": 0, "met before": 0}, set()
    for name, entry in entries.items():
        if name in LEFT_OUT or entry.suffix not in ("", ".py") or name.startswith(("_", "kerastl")):
            continue
        for docstring in read_docstrings(entry):
            lines = [line for line in docstring.text.splitlines() if not line.lstrip().startswith((">>>", "..."))]
            text = plain("\n".join(lines))
            if text in met:
                left_out["met before"] += 1
            elif not task.isdisjoint(words_in_a_row(text)):
                left_out["in common with the task"] += 1
            elif len(text.split()) >= 8:
                found.setdefault(name, []).append((docstring.file, text))
            met.add(text)
    return found, left_out


def versions_of(packages, folders: list[Path]) -> dict[str, str]:
    """The versions of the distributions that hold these packages."""
    found = {}
    for distribution in metadata.distributions(path=list(map(str, folders))):
        held = {file.parts[0].removesuffix(".py") for file in distribution.files or ()}
        if not held.isdisjoint(packages):
            found[distribution.metadata["Name"]] = distribution.version
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def learn_vocabulary(texts: list[str]) -> list[str]:
    import keras_hub
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(texts).batch(256)
    return keras_hub.tokenizers.compute_word_piece_vocabulary(
        dataset, VOCABULARY, lowercase=True, strip_accents=True, reserved_tokens=SPECIAL
    )


def tokenize(texts: list[str], vocabulary: list[str]) -> np.ndarray:
    """All texts in pieces of the model's length: int32 (pieces, length), with [CLS] and [SEP]; 0 is padding."""
    import keras_hub
    import tensorflow as tf

    tokenizer = keras_hub.tokenizers.BertTokenizer(vocabulary, lowercase=True)
    room, pieces = LENGTH - 2, []
    for batch in tf.data.Dataset.from_tensor_slices(texts).batch(256).map(tokenizer):
        for ids in batch.to_list():
            starts = range(0, len(ids), room)
            pieces += [ids[start : start + room] for start in starts if start == 0 or len(ids) - start >= room // 2]
    rows = np.zeros((len(pieces), LENGTH), np.int32)
    for row, ids in zip(rows, pieces, strict=True):
        row[: len(ids) + 2] = [tokenizer.cls_token_id, *ids, tokenizer.sep_token_id]
    return rows


def prepare(folders: list[Path], work: Path) -> tuple[dict, list[str], np.ndarray, np.ndarray]:
    """What was read (a record), the vocabulary, and the token ids to train with and those held out; kept in `work`."""
    file = work / "tokens.npz"
    if not file.exists():
        found, left_out = read_packages(folders)
        every = sorted({place for texts in found.values() for place, _ in texts})
        held_out = set(np.random.default_rng(0).permutation(every)[: len(every) // 50])  # whole files
        texts = [(place in held_out, text) for texts in found.values() for place, text in texts]
        train, test = ([text for held, text in texts if held == part] for part in (False, True))
        record = {
            "left_out": [*LEFT_OUT],
            "texts_left_out": left_out,
            "texts": len(train),
            "words": sum(len(text.split()) for text in train),
            "held_out_texts": len(test),
            "packages": versions_of(found, folders),
        }
        vocabulary = learn_vocabulary(train)
        arrays = {"train": tokenize(train, vocabulary), "test": tokenize(test, vocabulary)}
        np.savez(file, vocabulary=vocabulary, record=json.dumps(record), **arrays)
    with np.load(file) as stored:
        return json.loads(str(stored["record"])), stored["vocabulary"].tolist(), stored["train"], stored["test"]


def batches(tokens: np.ndarray, vocabulary: list[str], seed=None):
    """Batches for `BertMaskedLM`: (inputs, the masked words, 1 where there is one); in random order if there is a seed.

    Texts of about the same length are together, without most of their padding.
    """
    import keras_hub
    import tensorflow as tf

    special = {token: vocabulary.index(token) for token in SPECIAL}
    mask = keras_hub.layers.MaskedLMMaskGenerator(
        len(vocabulary),
        MASKED,
        special["[MASK]"],
        mask_selection_length=round(MASKED * LENGTH),
        unselectable_token_ids=[special[token] for token in ("[PAD]", "[CLS]", "[SEP]")],
    )
    lengths = -(-np.count_nonzero(tokens, axis=1) // 16) * 16
    chance = np.random.default_rng(seed)
    found = []
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        rows = rows if seed is None else chance.permutation(rows)
        found += [(length, rows[start : start + BATCH_SIZE]) for start in range(0, len(rows), BATCH_SIZE)]
    order = np.arange(len(found)) if seed is None else chance.permutation(len(found))

    def read():
        for number in order:
            length, rows = found[number]
            yield tokens[rows, :length]

    def masked(ids):
        hidden = mask(ids)
        inputs = {
            "token_ids": hidden["token_ids"],
            "segment_ids": tf.zeros_like(ids),
            "padding_mask": tf.cast(ids != 0, tf.int32),
            "mask_positions": hidden["mask_positions"],
        }
        return inputs, hidden["mask_ids"], hidden["mask_weights"]

    dataset = tf.data.Dataset.from_generator(read, output_signature=tf.TensorSpec((None, None), tf.int32))
    return dataset.apply(tf.data.experimental.assert_cardinality(len(found))).map(masked).prefetch(2)


def build(vocabulary: list[str]):
    """BERT that names masked words. No dropout: no text is read often enough to be learned by heart."""
    import keras
    import keras_hub

    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(vocabulary), max_sequence_length=LENGTH, dropout=0.0, **SHAPE
    )
    model = keras_hub.models.BertMaskedLM(backbone)
    model.compile(
        keras.optimizers.AdamW(weight_decay=1e-2, global_clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    return model


def train(tokens, test, vocabulary: list[str], work: Path, read: int, seed: int):
    """Train once on each text of the first `read` parts, or go on from the checkpoint in `work`, one after each part.

    The rate rises for the first tenth and falls along a cosine.
    """
    import keras

    mixed = np.array_split(np.random.default_rng(seed).permutation(len(tokens)), PARTS)[:read]
    sizes = [int(batches(tokens[part], vocabulary, seed).cardinality()) for part in mixed]
    warm_up = sum(sizes) // 10
    rate = keras.optimizers.schedules.CosineDecay(1e-5, sum(sizes) - warm_up, warmup_target=RATE, warmup_steps=warm_up)
    checkpoint, log = work / "checkpoint.keras", work / "log.json"
    history = json.loads(log.read_text()) if log.exists() else []
    keras.utils.set_random_seed(seed + len(history))
    model = keras.models.load_model(checkpoint) if history else build(vocabulary)
    model.optimizer.learning_rate = rate
    for number in range(len(history), read):
        began = time.time()
        fitted = model.fit(batches(tokens[mixed[number]], vocabulary, [seed, number]), verbose=0).history
        history.append(
            {"steps": sizes[number], "loss": round(fitted["loss"][0], 4)} | measure(model, test[::8], vocabulary)
        )
        history[-1]["seconds"] = round(time.time() - began)
        print(number + 1, history[-1], flush=True)
        unfinished = work / "unfinished.keras"
        model.save(unfinished)
        unfinished.rename(checkpoint)
        log.write_text(json.dumps(history))
    return model, history


def measure(model, test: np.ndarray, vocabulary: list[str]) -> dict:
    """Loss and accuracy of naming masked words of held-out texts."""
    loss, accuracy = model.evaluate(batches(test, vocabulary), verbose=0)
    return {"held_out_loss": round(loss, 4), "held_out_accuracy": round(accuracy, 4)}


def write(model, vocabulary: list[str], out: Path):
    """Write backbone and tokenizer as a preset of KerasHub; the backbone, with its weights rounded to float16.

    The file holds them as float32, compressed without loss: Keras reads it as it reads any other.
    """
    import h5py
    import keras_hub

    backbone = keras_hub.models.BertBackbone.from_config(model.backbone.get_config() | {"dropout": 0.1})
    backbone.set_weights([weight.astype("float16").astype("float32") for weight in model.backbone.get_weights()])
    out.mkdir(parents=True, exist_ok=True)
    backbone.save_to_preset(out)
    keras_hub.models.BertTokenizer(vocabulary, lowercase=True).save_to_preset(out)
    weights, full = out / "model.weights.h5", out / "full.weights.h5"
    weights.rename(full)
    with h5py.File(full) as source, h5py.File(weights, "w", libver="latest") as small:
        copy_compressed(source, small)
    full.unlink()
    return backbone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for tokens and the checkpoint")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "small_bert")
    parser.add_argument(
        "--packages", type=Path, nargs="+", default=[Path(np.__file__).parents[1]], help="folders of packages"
    )
    parser.add_argument("--read", type=int, default=PARTS, help=f"how many of {PARTS} parts of the texts")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    read, vocabulary, tokens, test = prepare(args.packages, args.work)
    print(len(tokens), "pieces of text to train with,", len(test), "held out", flush=True)
    model, history = train(tokens, test, vocabulary, args.work, args.read, args.seed)

    import keras
    import keras_hub

    in_float32 = measure(model, test, vocabulary)
    model.backbone.set_weights(write(model, vocabulary, args.out).get_weights())
    seen = np.bincount(tokens[tokens > vocabulary.index("[MASK]")])
    named = test[test > vocabulary.index("[MASK]")]
    record = {
        "shape": SHAPE | {"vocabulary": len(vocabulary), "length": LENGTH},
        "training_pieces": len(tokens),
        "training_tokens": int(np.count_nonzero(tokens)),
        "parts": PARTS,
        "parts_read": args.read,
        "held_out_pieces": len(test),
        **measure(model, test, vocabulary),
        "in_float32": in_float32,
        "most_frequent_piece_accuracy": round(float(np.mean(named == seen.argmax())), 4),
        "history": history,
        "batch_size": BATCH_SIZE,
        "highest_rate": RATE,
        "seed": args.seed,
        "keras": keras.__version__,
        "keras_hub": keras_hub.__version__,
        **read,
    }
    (args.out / "training.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
