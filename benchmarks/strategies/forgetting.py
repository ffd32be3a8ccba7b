"""Figure 2 of Li and Hoiem (2016, arXiv 1606.09282), run: what does a network still know of its old task?

The old task A are the 64 invented species that the bundled base was trained on; its classifier is bundled, too. The new
task B is near, far or unlike (data/make/tasks.py). A network has the old classifier and a new one for B. Each way of
learning B is a few lines of plain Keras below. BatchNorm is held still in all of them.

Each way trains at the better of two rates, chosen on validation pictures of B with a seed that does not count: who
learns B has no pictures of A to choose by. The test pictures of A and B choose nothing.
"""

import time
from collections.abc import Callable
from functools import cache, partial
from itertools import product
from typing import NamedTuple

import keras
import numpy as np

import kerastl as tl
from kerastl.bases import bundled_folder
from kerastl.data import as_arrays, few_of_each
from kerastl.graph import is_batch_norm
from results import mean_and_interval
from runs import SEEDS, TRY, chance_text, collect, once, paired_tests
from tasks import pictures

TASKS = {"near": "near", "far": "far", "unlike": "harmful"}  # as figure 2 is told: as the table of tasks calls it
PER_CLASS = 20  # training pictures of B
EPOCHS = 50  # of every way; those with a warm-up train the new head alone in the first half of them
BATCH = 32
VIEWS = 3  # augmented copies of each training picture, beside it; the same ones for all ways
TEMPERATURE = 2  # of the paper, as is the weight 1 of both losses
CLASSIFIER = bundled_folder() / "garden" / "species_classifier.npz"
TOP = 100  # layers of the base that "top 100" opens, of 154
SPARSE = "sparse_categorical_crossentropy"


class Problem(NamedTuple):
    """Task B with few training pictures: parts of (images uint8 (n, 96, 96, 3), labels int64 (n,))."""

    train: tuple
    validation: tuple
    test: tuple
    classes: int


@cache
def augmentation() -> keras.Layer:
    """The layers that `build_model` puts in front."""
    return tl.build_model("MobileNetV2", old_data(), weights=None, alpha=0.35).get_layer("augmentation")


@cache
def old_data() -> tl.ImageData:
    """The bundled pictures of task A: six of each species to train (some are set aside), six to test."""
    return tl.load_images("drawn_species", image_size=96)


def with_views(images: np.ndarray, labels: np.ndarray) -> tuple:
    """The images, and augmented copies of each."""
    floats = images.astype("float32")
    copies = [np.asarray(augmentation()(floats, training=True)).clip(0, 255) for _ in range(VIEWS)]
    return np.concatenate([floats, *copies]).astype("uint8"), np.tile(labels, VIEWS + 1)


def draw_problem(task: str, seed: int, per_class: int = PER_CLASS) -> Problem:
    images, labels, rows, class_names = pictures(TASKS[task])
    few = rows["train"][few_of_each(labels[rows["train"]], per_class, seed)]
    held_out = [(images[rows[part]], labels[rows[part]]) for part in ("validation", "test")]
    return Problem(with_views(images[few], labels[few]), *held_out, len(class_names))


def two_heads(classes: int) -> keras.Model:
    """The bundled base with its own classifier, `species`, and a new one, `new`; all but BatchNorm may learn."""
    image = keras.Input((96, 96, 3), name="image")
    base = keras.applications.MobileNetV2(input_shape=(96, 96, 3), alpha=0.35, include_top=False, weights=None)
    base.load_weights(bundled_folder() / "garden" / "mobilenetv2_0.35_96.weights.h5")
    for layer in base.layers:
        layer.trainable = not is_batch_norm(layer)
    x = base(keras.applications.mobilenet_v2.preprocess_input(image))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    species = keras.layers.Dense(64, activation="softmax", name="species")
    new = keras.layers.Dense(classes, activation="softmax", name="new")
    model = keras.Model(image, {"species": species(x), "new": new(x)})
    if not CLASSIFIER.exists():
        raise FileNotFoundError(
            f"There is no {str(CLASSIFIER)!r}. Without the classifier of the old task nobody can tell what was "
            "forgotten: keep it with its base, or make both again with data/make/pretrain.py."
        )
    classifier = np.load(CLASSIFIER)
    species.set_weights([classifier["kernel"], classifier["bias"]])
    return model


def fit(model: keras.Model, images, targets: dict, losses: dict, rate: float, epochs: int, weights=None) -> None:
    """Train with Adam at a rate that falls to 0 along half a cosine."""
    steps = epochs * -(-len(images) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    model.compile(keras.optimizers.Adam(schedule), loss=losses)
    model.optimizer.build(model.trainable_variables)  # saves time: otherwise Keras prepares the step twice
    model.fit(images, targets, sample_weight=weights, batch_size=BATCH, epochs=epochs, verbose=0)


def part_of(model: keras.Model, *names: str) -> keras.Model:
    """The same network with some of its outputs."""
    return keras.Model(model.input, {name: model.output[name] for name in names})


def warm_up(model: keras.Model, problem: Problem, rate: float = 1e-3, epochs: int = EPOCHS // 2) -> None:
    """Train the new head alone. The base holds still: it runs once for each picture."""
    images, labels = problem.train
    pooled = keras.Model(model.input, model.get_layer("pool").output).predict(images, batch_size=256, verbose=0)
    vector = keras.Input(pooled.shape[1:])
    fit(
        keras.Model(vector, {"new": model.get_layer("new")(vector)}),
        pooled,
        {"new": labels},
        {"new": SPARSE},
        rate,
        epochs,
    )


# Each way gets the network, task B and a rate, and trains.


def feature_extraction(model, problem, rate):
    warm_up(model, problem, rate, EPOCHS)


def fine_tuning(model, problem, rate):
    """All shared weights and the new head; the old head stays as it was."""
    warm_up(model, problem)
    no_warm_up(model, problem, rate, EPOCHS // 2)


def top_layers(model, problem, rate):
    """As fine-tuning, with the lower layers frozen."""
    base = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    for layer in base.layers[:-TOP]:
        layer.trainable = False
    fine_tuning(model, problem, rate)


def no_warm_up(model, problem, rate, epochs=EPOCHS):
    """All shared weights and the new head at once, from a random head."""
    images, labels = problem.train
    fit(part_of(model, "new"), images, {"new": labels}, {"new": SPARSE}, rate, epochs)


def joint_training(model, problem, rate):
    """Pictures of A and of B together; each picture counts for its own task only."""
    warm_up(model, problem)
    old_images, old_labels = with_views(*as_arrays(old_data().train))
    images, labels = problem.train
    if old_images.shape[1:] != images.shape[1:]:
        raise ValueError(
            f"The old pictures are {old_images.shape[1:]}, the new ones {images.shape[1:]}. One network reads both: "
            "load them in one size."
        )
    is_new = np.repeat([0.0, 1.0], [len(old_images), len(images)])
    targets = {"species": np.pad(old_labels, (0, len(images))), "new": np.pad(labels, (len(old_images), 0))}
    weights = {"species": 1 - is_new, "new": is_new}
    both, losses = np.concatenate([old_images, images]), {"species": SPARSE, "new": SPARSE}
    fit(model, both, targets, losses, rate, EPOCHS // 2, weights)


def distillation(temperature: float = TEMPERATURE) -> Callable:
    """The loss between what was recorded and what is said now, probabilities (batch, classes) each.

    It is the cross-entropy of softened probabilities: equations 2 and 3 of the paper.
    """
    if not 0 < temperature < np.inf:
        raise ValueError(
            f"Received temperature={temperature!r}. Expected a number above 0: 1 leaves the probabilities as they are, "
            "a higher one lets the small ones count more. The paper takes 2."
        )

    def loss(recorded, now):
        recorded, now = (keras.ops.power(keras.ops.maximum(p, 1e-7), 1 / temperature) for p in (recorded, now))
        recorded, now = (p / keras.ops.sum(p, axis=-1, keepdims=True) for p in (recorded, now))
        return keras.losses.categorical_crossentropy(recorded, now)

    return loss


def without_forgetting(model, problem, rate, temperature: float = TEMPERATURE):
    """Learning without Forgetting: keep what the old head said about the new pictures. No picture of A is needed."""
    images, labels = problem.train
    losses = {"species": distillation(temperature), "new": SPARSE}
    recorded = model.predict(images, batch_size=256, verbose=0)["species"]
    warm_up(model, problem)
    fit(model, images, {"species": recorded, "new": labels}, losses, rate, EPOCHS // 2)


WAYS: dict[str, tuple[Callable, tuple[float, float]]] = {  # name: how it learns, and the two rates that are tried
    "feature extraction": (feature_extraction, (1e-3, 3e-3)),
    "fine-tuning, all": (fine_tuning, (3e-4, 1e-3)),
    f"fine-tuning, top {TOP}": (top_layers, (3e-4, 1e-3)),
    "fine-tuning, all, no warm-up": (no_warm_up, (3e-4, 1e-3)),
    "joint training": (joint_training, (3e-4, 1e-3)),
    "Learning without Forgetting": (without_forgetting, (3e-4, 1e-3)),
}


def accuracy(model: keras.Model, name: str, part: tuple) -> float:
    images, labels = part
    return float((part_of(model, name).predict(images, batch_size=256, verbose=0)[name].argmax(1) == labels).mean())


def learn(task: str, way: str, rate: float, seed: int) -> dict:
    """Learn B in one way, and measure both tasks, once."""
    keras.utils.set_random_seed(seed)
    problem, (train, _) = draw_problem(task, seed), WAYS[way]
    model = two_heads(problem.classes)
    before, began = model.get_weights(), time.perf_counter()
    train(model, problem, rate)
    seconds = time.perf_counter() - began
    changed = sum(
        one.size for one, other in zip(before, model.get_weights(), strict=True) if not np.array_equal(one, other)
    )
    return {
        "validation": accuracy(model, "new", problem.validation),
        "new": accuracy(model, "new", problem.test),
        "old": accuracy(model, "species", as_arrays(old_data().test)),
        "parameters": changed,
        "seconds": seconds,
    }


def original() -> dict:
    """What the network knows of A before it learns B."""
    return {"old": accuracy(two_heads(2), "species", as_arrays(old_data().test))}


def measure(runs: dict, tasks=tuple(TASKS)) -> None:
    once(runs, "forgetting, original", 0, original)
    for task in tasks:
        best = {}
        for way, (_, rates) in WAYS.items():
            tried = {
                rate: once(runs, f"forgetting, {task}, {way} at {rate:g}", TRY, partial(learn, task, way, rate, TRY))
                for rate in rates
            }
            best[way] = max(tried, key=lambda rate: tried[rate]["validation"])
        for seed in SEEDS:
            for way, rate in best.items():
                once(runs, f"forgetting, {task}, {way}", seed, partial(learn, task, way, rate, seed))


def table(runs: dict) -> list[str]:
    """The lines of the table. A row is written when all its seeds are there."""
    first, pictures_of_a = next(iter(WAYS)), {"joint training": len(as_arrays(old_data().train)[1])}
    lines = [
        f"| task B | way | accuracy on A | accuracy on B | parameters changed | pictures of A | time, {first} = 1 |",
        "|---|---|---|---|---|---|---|",
        f"| – | the original network | {runs['forgetting, original']['0']['old']:.3f} | – | 0 | 0 | – |",
    ]
    for task, way in product(TASKS, WAYS):
        found, others = (collect(runs, f"forgetting, {task}, {name}") for name in (way, first))
        if len(found.get("new", ())) == len(SEEDS):
            cells = [mean_and_interval(dict(enumerate(found[part]))) for part in ("old", "new")]
            cells += [f"{found['parameters'][0]:,.0f}", str(pictures_of_a.get(way, 0))]
            cells += [f"{found['seconds'].mean() / others['seconds'].mean():.1f}"]
            lines.append(f"| {task} | {way} | {' | '.join(cells)} |")
    return lines


BASIS = "fine-tuning, all"  # what the other ways are compared with


def comparisons(runs: dict) -> list[str]:
    """The lines of a second table: each way beside fine-tuning, with tests over the seeds."""
    lines = [
        f"| task B | beside *{BASIS}* | on A | p | on B | p |",
        "|---|---|---|---|---|---|",
    ]
    for task in TASKS:
        names = [f"forgetting, {task}, {way}" for way in WAYS]
        if all(len(runs.get(name, {})) == len(SEEDS) for name in names):
            first = f"forgetting, {task}, {BASIS}"
            names.remove(first)
            both = zip(*(paired_tests(runs, first, names, what) for what in ("old", "new")), strict=True)
            for (name, old, p_old), (_, new, p_new) in both:
                way = name.removeprefix(f"forgetting, {task}, ")
                lines.append(
                    f"| {task} | {way} | {old:+.3f} | {chance_text(p_old)} | {new:+.3f} | {chance_text(p_new)} |"
                )
    return lines
