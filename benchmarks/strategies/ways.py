"""Ways to fine-tune, in a few lines of Keras each. All get the same pictures, views and number of epochs.

`learn` in compare_ways.py calls a way with a new network, with what all ways begin with, and with the value that is
tuned: the learning rate, if the way does not say otherwise.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
from keras.optimizers import Adam
from sklearn.linear_model import LogisticRegression

from forgetting import BATCH, SPARSE, Problem
from kerastl.bases import bundled_folder
from kerastl.graph import is_batch_norm
from pieces import RatesPerLayer, TowardsStart, adapt_statistics, add_lora, average, plain_weights

# Places where the network can be cut, from the top: at each one the pictures have become one tensor. What lies above
# are the head alone; and with it 38, 100, 127 layers of the base (of 154), and all.
CUTS = ("pool", "block_12_add", "block_5_add", "block_2_add", "image")
TOP, ALL = "block_5_add", "image"  # as `unfreeze_top(model, 100)` and `unfreeze_top(model, "all")`
HEAD_RATE = 1e-3
L2_SP_RATE = 1e-3  # its strength is what is tried
FALL = 2.6  # of the rate from stage to stage downwards, the number of Howard and Ruder
RANK = 4  # of LoRA
HEAD_STRENGTH = 0.01  # of the usual L2 penalty on the new head that goes with L2-SP, the number of the paper
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the fine-tuned weights in an average; 0.5 is the way that is compared


class Start(NamedTuple):
    """What the ways have in common for one seed."""

    problem: Problem
    epochs: int  # half of them, rounded down, for a head that comes first
    features: np.ndarray  # (pictures, 1280): the training pictures through the frozen base
    head: list  # the head's weight arrays, trained on them in half of the epochs
    seconds: dict[str, float]  # what the features took, and what the head took with them

    @property
    def rest(self) -> int:
        """The epochs that are left after a head that came first."""
        return self.epochs - self.epochs // 2


def network(classes: int) -> keras.Model:
    """The bundled base with a new head, as one flat model; nothing is trainable yet but the head."""
    image = keras.Input((96, 96, 3), name="image")
    pixels = keras.layers.Rescaling(1 / 127.5, -1)(image)
    base = keras.applications.MobileNetV2(input_tensor=pixels, alpha=0.35, include_top=False, weights=None)
    base.load_weights(bundled_folder() / "garden" / "mobilenetv2_0.35_96.weights.h5")
    base.trainable = False
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(base.output)
    return keras.Model(image, keras.layers.Dense(classes, activation="softmax", name="head")(pooled))


def open_above(model: keras.Model, cut: str) -> None:
    """Let all layers above the cut learn, but BatchNorm."""
    place = [layer.name for layer in model.layers].index(cut)
    for number, layer in enumerate(model.layers):
        layer.trainable = number > place and not is_batch_norm(layer)


def parts(model: keras.Model, cut: str) -> tuple[keras.Model, keras.Model]:
    """The network below and above a cut, sharing its layers."""
    middle = model.get_layer(cut).output
    return keras.Model(model.input, middle), keras.Model(middle, model.output)


def read(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return model.predict(images, batch_size=64, verbose=0)


def falling(rate: float, start: Start, epochs: int, warm_up: float = 0.0):
    """A rate that falls to 0 along half a cosine; before that it rises from 0 in a share of the steps."""
    steps = epochs * -(-len(start.features) // BATCH)
    rising = round(warm_up * steps)
    if not rising:
        return keras.optimizers.schedules.CosineDecay(rate, steps)
    return keras.optimizers.schedules.CosineDecay(0.0, steps - rising, warmup_target=rate, warmup_steps=rising)


def fit(model: keras.Model, images, labels, epochs: int, optimizer: keras.optimizers.Optimizer) -> None:
    model.compile(optimizer, loss=SPARSE)
    optimizer.build(model.trainable_variables)  # saves time: otherwise Keras prepares the step twice
    model.fit(images, labels, batch_size=BATCH, epochs=epochs, verbose=0)


def fit_above(model: keras.Model, cut: str, start: Start, epochs: int, optimizer) -> None:
    """Train what lies above the cut; what lies below runs once for each picture."""
    images, labels = start.problem.train
    if cut == ALL:
        fit(model, images, labels, epochs, optimizer)
    else:
        below, above = parts(model, cut)
        fit(above, read(below, images), labels, epochs, optimizer)


def fit_head(model: keras.Model, features: np.ndarray, start: Start, epochs: int, rate: float) -> None:
    fit(parts(model, "pool")[1], features, start.problem.train[1], epochs, Adam(falling(rate, start, epochs)))


# The ways.


def head_only(model, start, rate):
    """The base stays frozen."""
    fit_head(model, start.features, start, start.epochs, rate)


def two_phases(model, start, rate):
    """The head first; then the top 100 layers with it."""
    model.get_layer("head").set_weights(start.head)
    open_above(model, TOP)
    fit_above(model, TOP, start, start.rest, Adam(falling(rate, start, start.rest)))


def at_once(model, start, rate):
    """All weights from the first step, from a random head, at a rate that stays."""
    open_above(model, ALL)
    fit_above(model, ALL, start, start.epochs, Adam(rate))


def warm_up_and_cosine(model, start, rate):
    """As everything at once; but the rate rises from 0 in the first tenth of the steps, then falls to 0."""
    open_above(model, ALL)
    fit_above(model, ALL, start, start.epochs, Adam(falling(rate, start, start.epochs, warm_up=0.1)))


def gradual_unfreezing(model, start, rate):
    """The head first; then, stage by stage, one more part of the base from the top. The same epochs for each stage."""
    epochs = start.epochs // len(CUTS)
    for cut in CUTS:
        open_above(model, cut)
        fit_above(model, cut, start, epochs, Adam(falling(HEAD_RATE if cut == "pool" else rate, start, epochs)))


def factors(model: keras.Model) -> dict[str, float]:
    """{path of a weight array: factor of its rate}: 1 for the head, and `FALL` times less for each part below."""
    names = [layer.name for layer in model.layers]
    above = [names.index(cut) for cut in CUTS]
    stages = [sum(number <= place for place in above) for number in range(len(names))]
    return {
        weight.path: FALL**-stage for layer, stage in zip(model.layers, stages, strict=True) for weight in layer.weights
    }


def rates_per_depth(model, start, rate):
    """The head first; then all weights, each part of the base at a lower rate than the one above it."""
    model.get_layer("head").set_weights(start.head)
    open_above(model, ALL)
    schedule = falling(rate, start, start.rest)
    fit_above(model, ALL, start, start.rest, RatesPerLayer(schedule, factors(model)))


def l2_sp(model, start, strength):
    """The head first; then all weights, with a penalty on the way from where each weight of the base began."""
    head = model.get_layer("head")
    head.set_weights(start.head)
    open_above(model, ALL)
    for weight in model.trainable_weights:
        weight.regularizer = TowardsStart(weight, strength)
    head.kernel.regularizer, head.bias.regularizer = keras.regularizers.L2(HEAD_STRENGTH / 2), None
    fit_above(model, ALL, start, start.rest, Adam(falling(L2_SP_RATE, start, start.rest)))


def probe(start: Start) -> list:
    """The head's weight arrays as logistic regression, until it no longer changes."""
    fitted = LogisticRegression(max_iter=5000).fit(start.features, start.problem.train[1])
    return [fitted.coef_.T, fitted.intercept_]


def lp_ft(model, start, rate):
    """Linear probe to the end; then all weights at a low rate."""
    model.get_layer("head").set_weights(probe(start))
    open_above(model, ALL)
    fit_above(model, ALL, start, start.rest, Adam(falling(rate, start, start.rest)))


def wise_ft(model, start, rate):
    """LP-FT; then the average of the weights before and after fine-tuning. Returns other averages, too."""
    model.get_layer("head").set_weights(probe(start))
    before = plain_weights(model)
    lp_ft(model, start, rate)
    after = plain_weights(model)
    model.set_weights(average(before, after, 0.5))
    return {f"share {share:g}": average(before, after, share) for share in SHARES if share != 0.5}


def lora(model, start, rate):
    """The head first; then the head and, beside each 1×1 convolution of the base, two small matrices."""
    model.get_layer("head").set_weights(start.head)
    add_lora(model, RANK)
    fit_above(model, ALL, start, start.rest, Adam(falling(rate, start, start.rest)))


def batch_norm_statistics(model, start, rate):
    """Only BatchNorm's means and variances change in the base: they become those of the new pictures. Then the head."""
    images, _ = start.problem.train
    adapt_statistics(model, images, batch=100)
    fit_head(model, read(parts(model, "pool")[0], images), start, start.epochs, rate)


def batch_norm_only(model, start, rate):
    """The head first; then BatchNorm alone with it: scales and offsets learn, means and variances follow."""
    model.get_layer("head").set_weights(start.head)
    for layer in model.layers:
        if is_batch_norm(layer):
            layer.trainable, layer.momentum = True, 0.9
    fit_above(model, ALL, start, start.rest, Adam(falling(rate, start, start.rest)))


class Way(NamedTuple):
    train: Callable
    tries: tuple[float, float]  # the two values that are tried
    begins_with: str = ""  # what it takes of `Start`, whose time counts: "features", "head" or nothing


WAYS = {
    "head only": Way(head_only, (1e-3, 3e-3), "features"),
    "two phases": Way(two_phases, (3e-4, 1e-3), "head"),
    "everything at once": Way(at_once, (3e-4, 1e-3)),
    "warm-up and cosine": Way(warm_up_and_cosine, (3e-4, 1e-3)),
    "gradual unfreezing": Way(gradual_unfreezing, (3e-4, 1e-3)),
    "rates per depth": Way(rates_per_depth, (1e-3, 3e-3), "head"),
    "L2-SP": Way(l2_sp, (0.01, 0.1), "head"),
    "LP-FT": Way(lp_ft, (3e-4, 1e-3), "features"),
    "WiSE-FT": Way(wise_ft, (3e-4, 1e-3), "features"),
    "LoRA": Way(lora, (3e-3, 1e-2), "head"),
    "BatchNorm's statistics": Way(batch_norm_statistics, (1e-3, 3e-3)),
    "BatchNorm only": Way(batch_norm_only, (3e-3, 1e-2), "head"),
}
