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
from results import mean_and_interval
from runs import SEEDS, TRY, chance_text, collect, once, paired_tests
from shifts import SHIFTS, shifted_pictures
from ways import HEAD_RATE, SHARES, WAYS, Start, fit_head, network, parts, read

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


def chosen(runs: dict, task: str, per_class: int, way: str) -> float:
    """The value of a way's two that was better on the validation pictures; the first one where both were alike."""
    name = name_of(task, per_class, way)
    return max(WAYS[way].tries, key=lambda value: runs[f"{name} at {value:g}"][str(TRY)]["validation"])


def measure(runs: dict, tasks=TASKS) -> None:
    """Smaller problems first."""
    for per_class, task in product(EPOCHS, (task for task in TASKS if task in tasks)):
        for way in WAYS:
            for value in WAYS[way].tries:
                name = f"{name_of(task, per_class, way)} at {value:g}"
                once(runs, name, TRY, partial(learn, task, per_class, way, value, TRY))
        for seed, way in product(SEEDS, WAYS):
            value = chosen(runs, task, per_class, way)
            once(runs, name_of(task, per_class, way), seed, partial(learn, task, per_class, way, value, seed))


def problems(runs: dict) -> list[tuple[str, int]]:
    """(task, pictures a class) of each problem that all ways have learned with all seeds."""
    return [
        (task, per_class)
        for task, per_class in product(TASKS, EPOCHS)
        if all(len(runs.get(name_of(task, per_class, way), {})) == len(SEEDS) for way in WAYS)
    ]


def table(runs: dict) -> list[str]:
    """The lines of the table: the problems that are complete."""
    lines = [
        f"| task | pictures a class | way | accuracy | shifted, mean | {' | '.join(SHIFTS)} | parameters changed "
        f"| time, {BASIS} = 1 | tried, **chosen** |",
        "|---|---|---|---|---|" + "---|" * (len(SHIFTS) + 3),
    ]
    for task, per_class in problems(runs):
        seconds = collect(runs, name_of(task, per_class, BASIS))["seconds"].mean()
        for way in WAYS:
            found = collect(runs, name_of(task, per_class, way))
            cells = [mean_and_interval(dict(enumerate(found[part]))) for part in ("test", "shifted")]
            cells += [f"{found[shift].mean():.3f}" for shift in SHIFTS]
            cells += [f"{found['parameters'].max():,.0f}", f"{found['seconds'].mean() / seconds:.1f}"]
            best = chosen(runs, task, per_class, way)
            cells.append(", ".join(f"**{value:g}**" if value == best else f"{value:g}" for value in WAYS[way].tries))
            lines.append(f"| {task} | {per_class} | {way} | {' | '.join(cells)} |")
    return lines


def comparisons(runs: dict) -> list[str]:
    """The lines of a second table: each way beside two phases, with tests over the seeds."""
    lines = [
        f"| task | pictures a class | beside *{BASIS}* | accuracy | p | shifted | p |",
        "|---|---|---|---|---|---|---|",
    ]
    for task, per_class in problems(runs):
        first, *others = (name_of(task, per_class, way) for way in (BASIS, *(way for way in WAYS if way != BASIS)))
        both = (paired_tests(runs, first, others, what) for what in ("test", "shifted"))
        for (name, plain, p_plain), (_, shifted, p_shifted) in zip(*both, strict=True):
            way = name.removeprefix(name_of(task, per_class, ""))
            lines.append(
                f"| {task} | {per_class} | {way} | {plain:+.3f} | {chance_text(p_plain)} | {shifted:+.3f} "
                f"| {chance_text(p_shifted)} |"
            )
    return lines


def averages(runs: dict) -> list[str]:
    """The lines of a third table: WiSE-FT with other shares of the fine-tuned weights."""
    lines = [
        f"| task | pictures a class | measured on | {' | '.join(f'share {share:g}' for share in SHARES)} |",
        "|---|---|---|" + "---|" * len(SHARES),
    ]
    for (task, per_class), what in product(problems(runs), ("test", "shifted")):
        found = collect(runs, name_of(task, per_class, "WiSE-FT"))
        cells = [found[what if share == 0.5 else f"share {share:g}, {what}"].mean() for share in SHARES]
        lines.append(f"| {task} | {per_class} | {what} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")
    return lines
