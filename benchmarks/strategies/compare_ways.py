"""The ways to fine-tune of ways.py on equal budgets: two tasks, two sizes, five seeds, and shifted test pictures.

Each way trains at the better of two values (of the rate, or of what else is tuned), chosen on validation pictures with
a seed that does not count. The test pictures and the shifted ones (data/make/shifts.py) choose nothing.
"""

import time
from functools import cache, lru_cache, partial
from itertools import product

import keras
import numpy as np

from forgetting import draw_problem
from pieces import plain_weights
from runs import SEEDS, TRY, once
from shifts import SHIFTS, shifted_pictures
from ways import HEAD_RATE, WAYS, Start, fit_head, network, parts, read

SETS = {"near": "drawn_flowers", "far": "drawn_butterflies"}
TASKS = tuple(SETS)
EPOCHS = {20: 10, 100: 5}  # training pictures a class: epochs, each of all views of all pictures
SHIFTED = 40  # shifted pictures of each class, under each shift
BASIS = "two phases"  # what the other ways are compared with


@cache
def eye(classes: int) -> keras.Model:
    """A network to look with: the weights of others are put into it. (Its graph is then built once.)"""
    return network(classes)


@lru_cache(maxsize=1)
def begin(task: str, per_class: int, seed: int) -> Start:
    """The pictures, and what several ways begin with: the features of the frozen base, and a head trained on them."""
    keras.utils.set_random_seed(seed)
    problem = draw_problem(task, seed, per_class)
    keras.utils.set_random_seed(seed)
    model, epochs, began = network(problem.classes), EPOCHS[per_class], time.process_time()
    start = Start(problem, epochs, read(parts(model, "pool")[0], problem.train[0]), [], {"": 0.0})
    start.seconds["features"] = time.process_time() - began
    fit_head(model, start.features, start, epochs // 2, HEAD_RATE)
    start.head.extend(model.get_layer("head").get_weights())
    start.seconds["head"] = time.process_time() - began
    return start


def accuracy(weights: list, classes: int, part: tuple) -> float:
    eye(classes).set_weights(weights)
    images, labels = part
    return float((read(eye(classes), images).argmax(1) == labels).mean())


def look(weights: list, task: str, problem) -> dict:
    """Accuracy on the test pictures, under each shift, and the mean over the shifts."""
    shifted = {
        shift: accuracy(weights, problem.classes, shifted_pictures(SETS[task], shift, SHIFTED)) for shift in SHIFTS
    }
    return {
        "test": accuracy(weights, problem.classes, problem.test),
        **shifted,
        "shifted": np.mean(list(shifted.values())),
    }


def learn(task: str, per_class: int, way: str, value: float, seed: int) -> dict:
    """Learn in one way, and look: with the seed of the tries at the validation pictures, else at those that count."""
    start = begin(task, per_class, seed)
    keras.utils.set_random_seed(seed)
    model = network(start.problem.classes)
    before, began = {weight.path: weight.numpy() for weight in model.weights}, time.process_time()
    others = WAYS[way].train(model, start, value) or {}
    seconds = time.process_time() - began + start.seconds[WAYS[way].begins_with]
    changed = [
        weight
        for weight in model.weights
        if not np.array_equal(before.get(weight.path), keras.ops.convert_to_numpy(weight))
    ]
    result = {"parameters": sum(int(np.prod(weight.shape)) for weight in changed), "seconds": seconds}
    weights = plain_weights(model)
    if seed == TRY:
        return {"validation": accuracy(weights, start.problem.classes, start.problem.validation), **result}
    for name, arrays in others.items():
        found = look(arrays, task, start.problem)
        result |= {f"{name}, {what}": found[what] for what in ("test", "shifted")}
    return look(weights, task, start.problem) | result


def name_of(task: str, per_class: int, way: str) -> str:
    return f"ways, {task}, {per_class}, {way}"


def measure(runs: dict, tasks=TASKS) -> None:
    """Smaller problems first."""
    for per_class, task in product(EPOCHS, (task for task in TASKS if task in tasks)):
        best = {}
        for way, (_, values, _) in WAYS.items():
            name = name_of(task, per_class, way)
            tried = {
                value: once(runs, f"{name} at {value:g}", TRY, partial(learn, task, per_class, way, value, TRY))
                for value in values
            }
            best[way] = max(tried, key=lambda value: tried[value]["validation"])
        for seed in SEEDS:
            for way, value in best.items():
                name = name_of(task, per_class, way)
                once(runs, name, seed, partial(learn, task, per_class, way, value, seed))
