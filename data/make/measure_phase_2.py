"""Measure what lesson 6 asks: what harms a base that is opened at once, and which rate phase 2 wants.

    python data/make/measure_phase_2.py     # about half an hour on two cores; writes data/phase_2.json

Three seeds, and validation pictures only: the test pictures are not touched. Every finished run is kept in the file:
stop the program and start it again at will.

Rates: phase 1, then the top 30 layers with `fine_tune`, at each rate from the same start.
Opened at once: the whole base learns with plain Keras's `fit`, in each combination of a head that is random or was
trained in phase 1, BatchNorm that moves or is held still, and the rate of phase 1 or a tenth of it. Nothing else
differs: the same pictures, augmentation, number of epochs, and start of all weight arrays.
"""

import os
from collections.abc import Iterator
from functools import partial
from itertools import product

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kerastl as tl
from kerastl.graph import find_base_model
from results import DATA, read_runs, write_runs

FILE = DATA / "phase_2.json"
SEEDS = range(3)
NEAR, FAR = "drawn_flowers", "drawn_butterflies"
PHASE_1_EPOCHS = 10
RATES, LAYERS, EPOCHS = (1e-4, 3e-4, 1e-3), 30, 10
HEADS, NORMS, AT_ONCE_RATES, AT_ONCE_EPOCHS = ("random", "trained"), ("moving", "still"), (1e-3, 1e-4), 2


def scores(model: keras.Model, data) -> list[float]:
    """Validation accuracy, and the same on these pictures at half their brightness: a simple shift."""
    dark = data.validation.map(lambda images, labels: (images / 2, labels))
    return [tl.evaluate(model, part).accuracy for part in (data.validation, dark)]


class Start:
    """A model, and its weight arrays before and after phase 1: each run begins at one of the two."""

    def __init__(self, data, seed: int):
        keras.utils.set_random_seed(seed)
        self.data = data
        self.model = tl.build_model("MobileNetV2", data, weights="garden")
        self.arrays = {"random": self.model.get_weights()}
        tl.train_head(self.model, data, epochs=PHASE_1_EPOCHS, verbose=0)
        self.arrays["trained"] = self.model.get_weights()
        self.prepared = None  # for which kind of `at_once` the model is compiled

    def phase_1(self) -> list[float]:
        self.model.set_weights(self.arrays["trained"])
        return scores(self.model, self.data)

    def phase_2(self, rate: float) -> list[float]:
        self.prepared = None
        self.model.set_weights(self.arrays["trained"])
        tl.unfreeze_top(self.model, LAYERS)
        tl.fine_tune(self.model, self.data, epochs=EPOCHS, learning_rate=rate, verbose=0)
        return scores(self.model, self.data)

    def at_once(self, norm: str, head: str, rate: float) -> list[float]:
        if self.prepared != norm:  # Keras needs long to prepare a step of training: runs of one kind share it
            base = find_base_model(self.model)
            base.trainable = True
            for layer in base.layers:
                layer.trainable = norm == "moving" or not isinstance(layer, keras.layers.BatchNormalization)
            self.model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
            self.model.optimizer.build(self.model.trainable_variables)
            self.at_rest, self.prepared = [value.numpy() for value in self.model.optimizer.variables], norm
        self.model.set_weights(self.arrays[head])
        for variable, value in zip(self.model.optimizer.variables, self.at_rest, strict=True):
            variable.assign(value)
        self.model.optimizer.learning_rate = rate
        self.model.fit(self.data.train, epochs=AT_ONCE_EPOCHS, verbose=0)
        return scores(self.model, self.data)


def stages() -> Iterator[tuple[str, dict]]:
    """What belongs together, the most wanted first: (name of the set, {name of the run: the run})."""
    for rate in AT_ONCE_RATES:
        ways = {}
        for norm, head in product(NORMS, HEADS):
            name = f"{FAR}: at once, head {head}, BatchNorm {norm}, rate {rate:g}"
            ways[name] = partial(Start.at_once, norm=norm, head=head, rate=rate)
        yield FAR, ways
        if rate == AT_ONCE_RATES[0]:
            for name in (FAR, NEAR):
                by_rate = {f"{name}: phase 2, rate {rate:g}": partial(Start.phase_2, rate=rate) for rate in RATES}
                yield name, {f"{name}: phase 1": Start.phase_1, **by_rate}


def measure(runs: dict) -> None:
    """All runs that the file does not hold yet."""
    for (name, ways), seed in product(stages(), SEEDS):
        wanted = {way: run for way, run in ways.items() if str(seed) not in runs.get(way, {})}
        start = Start(tl.load_images(name), seed) if wanted else None
        for way, run in wanted.items():
            result = runs.setdefault(way, {})[str(seed)] = np.round(run(start), 4).tolist()
            print(f"{way}, seed {seed}: {result}", flush=True)
            write_runs(runs, FILE)
        keras.backend.clear_session()


if __name__ == "__main__":
    measure(read_runs(FILE))
