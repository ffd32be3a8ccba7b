"""Pre-train the bundled base on drawn pictures of 64 invented species.

    python data/make/pretrain.py --work build/pretrain

Draws the pictures (on all cores), trains MobileNetV2 (alpha 0.35, 96 pixels) from random weights, measures it on
pictures that it never saw, and writes three files to data/garden/: the base's weights, the classifier for the 64
species, and a record of the run. Stop it whenever you like: the same command goes on at the species or the epoch that
it had reached. About an hour and a half on two cores.
"""

import argparse
import json
import math
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from kinds import NUM_SPECIES, SPECIES_SEED, species_flower
from place import SIZE
from scene import draw_picture

ALPHA = 0.35
BATCH_SIZE = 64
BATCH_NORM_MOMENTUM = 0.95  # Keras's own 0.999 looks back over thousands of steps: too far for a run of this length
SMALL_SIZE = 64
# The first number of a picture's seed. The bundled sample (make_sets.py) uses others, so no picture is drawn twice.
TRAIN, HELD_OUT = 1, 2


def draw_species(number: int, split: int, count: int) -> np.ndarray:
    """Draw `count` pictures of one species: uint8 (count, 96, 96, 3)."""
    pictures = []
    for index in range(count):
        rng = np.random.default_rng([SPECIES_SEED, split, number, index])
        pictures.append(draw_picture(species_flower(number, rng), rng)[0])
    return np.stack(pictures)


def _draw_to_file(job: tuple[int, int, int, Path]) -> None:
    number, split, count, path = job
    unfinished = path.with_suffix(".part")
    with open(unfinished, "wb") as file:
        np.save(file, draw_species(number, split, count))
    unfinished.rename(path)


def draw_all(work: Path, split: int, count: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Draw (or find) `count` pictures of each species: pictures uint8 (64 * count, 96, 96, 3) and labels int64."""
    paths = [work / f"{name}_{number:02d}_{count}.npy" for number in range(NUM_SPECIES)]
    jobs = [(number, split, count, path) for number, path in enumerate(paths) if not path.exists()]
    with ProcessPoolExecutor() as pool:
        for done, _ in enumerate(pool.map(_draw_to_file, jobs), start=1):
            print(f"\rdrawing {name} pictures: species {done}/{len(jobs)}", end="", flush=True)
    print(f"\r{name}: {NUM_SPECIES} species, {count} pictures each" + " " * 20)
    return np.concatenate([np.load(path) for path in paths]), np.repeat(np.arange(NUM_SPECIES), count)


def build(rate):
    """The classifier to pre-train, compiled: raw pixels of any size in, 64 probabilities out."""
    import keras

    base = keras.applications.MobileNetV2(input_shape=(None, None, 3), alpha=ALPHA, include_top=False, weights=None)
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    image = keras.Input((None, None, 3), name="image")
    x = keras.applications.mobilenet_v2.preprocess_input(image)
    x = keras.layers.GlobalAveragePooling2D()(base(x))
    species = keras.layers.Dense(NUM_SPECIES, activation="softmax", name="species")(keras.layers.Dropout(0.2)(x))
    model = keras.Model(image, species)
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-2), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def batches(pictures, labels, size: int, seed: list[int]):
    """One epoch: shuffled batches, half of the pictures mirrored, made smaller if `size` says so."""
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    order, mirror = rng.permutation(len(pictures)), rng.random(len(pictures)) < 0.5

    def fetch(index):
        chosen = pictures[index]
        chosen[mirror[index]] = chosen[mirror[index], :, ::-1]
        return chosen, labels[index]

    def to_tensors(index):
        x, y = tf.numpy_function(fetch, [index], [tf.uint8, tf.int64])
        x = tf.cast(tf.ensure_shape(x, (None, SIZE, SIZE, 3)), tf.float32)
        x = x if size == SIZE else tf.image.resize(x, (size, size), antialias=True)
        return x, tf.ensure_shape(y, (None,))

    dataset = tf.data.Dataset.from_tensor_slices(order).batch(BATCH_SIZE)
    return dataset.map(to_tensors, num_parallel_calls=2).prefetch(2)


def train(pictures, labels, held_out, work: Path, epochs: int, small_epochs: int, seed: int):
    """Train, or go on from the newest checkpoint in `work`. The first epochs see smaller pictures: they are cheaper."""
    import keras

    keras.utils.set_random_seed(seed)
    done = sorted(work.glob("epoch_*.keras"))
    steps = math.ceil(len(pictures) / BATCH_SIZE)
    warm_up = steps // 2
    rate = keras.optimizers.schedules.CosineDecay(
        1e-4, epochs * steps - warm_up, warmup_target=2e-3, warmup_steps=warm_up
    )
    model = keras.models.load_model(done[-1]) if done else build(rate)
    model.optimizer.learning_rate = rate  # a shorter run's checkpoint may go on for more epochs
    for epoch in range(len(done), epochs):
        size = SMALL_SIZE if epoch < small_epochs else SIZE
        model.fit(
            batches(pictures, labels, size, [seed, epoch]),
            initial_epoch=epoch,
            epochs=epoch + 1,
            validation_data=held_out,
            shuffle=False,
            verbose=1 if sys.stdout.isatty() else 2,
        )
        unfinished = work / "unfinished.keras"
        model.save(unfinished)
        unfinished.rename(work / f"epoch_{epoch:02d}.keras")
    return model


def copy_compressed(source, target) -> None:
    """Copy a file of weights, an `h5py` group, with lossless compression: Keras reads it as it reads any other."""
    target.attrs.update(source.attrs)
    for name, entry in source.items():
        if hasattr(entry, "items"):
            copy_compressed(entry, target.create_group(name))
        else:
            how = {"compression": "gzip", "shuffle": True, "chunks": entry.shape} if entry.size > 500 else {}
            target.create_dataset(name, data=entry[()], **how).attrs.update(entry.attrs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for drawn pictures and checkpoints")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "garden")
    parser.add_argument("--pictures", type=int, default=640, help="training pictures of each species")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--small-epochs", type=int, default=6, help="how many of them see pictures of 64 pixels")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)

    pictures, labels = draw_all(args.work, TRAIN, args.pictures, "training")
    held_out, held_out_labels = draw_all(args.work, HELD_OUT, 40, "held-out")

    import h5py
    import keras

    start = time.time()
    watched = held_out[::4].astype("float32"), held_out_labels[::4]  # a quarter, to see it learn; it chooses nothing
    model = train(pictures, labels, watched, args.work, args.epochs, args.small_epochs, args.seed)
    _, accuracy = model.evaluate(held_out.astype("float32"), held_out_labels, batch_size=256, verbose=0)
    print(f"accuracy on {len(held_out)} held-out pictures of {NUM_SPECIES} species: {accuracy:.4f}")

    args.out.mkdir(parents=True, exist_ok=True)
    base = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    full = args.work / "base.weights.h5"
    base.save_weights(full)
    with (
        h5py.File(full) as source,
        h5py.File(args.out / "mobilenetv2_0.35_96.weights.h5", "w", libver="latest") as small,
    ):
        copy_compressed(source, small)
    kernel, bias = model.get_layer("species").get_weights()
    np.savez(args.out / "species_classifier.npz", kernel=kernel, bias=bias)
    record = {
        "base": "MobileNetV2",
        "alpha": ALPHA,
        "image_size": SIZE,
        "species": NUM_SPECIES,
        "species_seed": SPECIES_SEED,
        "training_pictures": len(pictures),
        "held_out_pictures": len(held_out),
        "held_out_accuracy": round(accuracy, 4),
        "epochs": args.epochs,
        "epochs_on_64_pixels": args.small_epochs,
        "training_seed": args.seed,
        "batch_norm_momentum": BATCH_NORM_MOMENTUM,
        "minutes_since_the_last_start": round((time.time() - start) / 60, 1),
        "keras": keras.__version__,
    }
    (args.out / "training.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
