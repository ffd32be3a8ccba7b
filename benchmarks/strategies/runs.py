"""What was measured, kept after each run in data/strategies.json: none is thrown away, none is made twice."""

import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from kerastl.files import written_whole

FILE = Path(__file__).parents[2] / "data" / "strategies.json"
SEEDS = range(5)
TRY = 100  # the seed with which rates are tried: not one of those that count


def read_runs() -> dict:
    """All results so far: {name of the run: {seed: {what: value}}}."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def once(runs: dict, name: str, seed: int, measure: Callable[[], dict]) -> dict:
    """The result of a run: from the file if it is there, else measured now and written down.

    What another process wrote into the file meanwhile stays.
    """
    if str(seed) not in runs.get(name, {}):
        result = {what: round(float(value), 4) for what, value in measure().items()}
        runs.update(read_runs())
        runs.setdefault(name, {})[str(seed)] = result
        print(f"{name}, seed {seed}: {result}", flush=True)
        with written_whole(FILE) as unfinished:
            unfinished.write_text(json.dumps(runs, indent=1) + "\n")
        keras.backend.clear_session()
    return runs[name][str(seed)]


def collect(runs: dict, name: str) -> dict[str, np.ndarray]:
    """What the seeds of a run gave: {what: (seeds,) in the order of the seeds}; empty without a run."""
    found = [result for _, result in sorted(runs.get(name, {}).items(), key=lambda item: int(item[0]))]
    return {what: np.array([result[what] for result in found]) for what in found[0]} if found else {}


def holm(chances: list[float]) -> list[float]:
    """p-values of several tests, corrected for their number, in the order given (Holm 1979)."""
    order, corrected, lowest = np.argsort(chances), np.empty(len(chances)), 0.0
    for place, test in enumerate(order):
        lowest = corrected[test] = min(1.0, max(lowest, (len(chances) - place) * chances[test]))
    return corrected.tolist()


def paired_tests(runs: dict, first: str, others: list[str], what: str) -> list[tuple[str, float, float]]:
    """(name, mean difference to `first`, p) of each other run: a paired t-test over the seeds, corrected by Holm."""
    from scipy.stats import ttest_rel

    base = collect(runs, first)[what]
    found = [(name, collect(runs, name)[what]) for name in others]
    chances = holm([float(ttest_rel(values, base).pvalue) for _, values in found])
    return [(name, float((values - base).mean()), p) for (name, values), p in zip(found, chances, strict=True)]


def chance_text(p: float) -> str:
    """A p-value for a table."""
    return "< 0.001" if p < 0.0005 else f"{p:.3f}"
