"""What was measured: kept in data/measured.json after each run, and put into tables."""

import json
import re
from pathlib import Path

import keras
import numpy as np

from kerastl.files import written_whole

DATA = Path(__file__).parent.parent
FILE = DATA / "measured.json"
SEEDS = range(5)
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # number of seeds: Student's t for 95 %


def read_runs(file: Path) -> dict:
    """All results so far: {name of the run: {seed: result}}."""
    return json.loads(file.read_text()) if file.exists() else {}


def write_runs(runs: dict, file: Path) -> None:
    """Write all results, whole or not at all."""
    with written_whole(file) as unfinished:
        unfinished.write_text(json.dumps(runs, indent=1) + "\n")


def once(runs: dict, name: str, seed: int, measure):
    """The result of a run, an accuracy or several: from the file if it is there, else measured now and written down.

    What another program wrote into the file meanwhile stays.
    """
    if str(seed) not in runs.get(name, {}):
        keras.utils.set_random_seed(seed)
        result = np.round(measure(), 4).tolist()
        runs.update(read_runs(FILE))
        runs.setdefault(name, {})[str(seed)] = result
        print(f"{name}, seed {seed}: {result}", flush=True)
        write_runs(runs, FILE)
        keras.backend.clear_session()
    return runs[name][str(seed)]


def mean_and_interval(results: dict) -> str:
    """Mean over seeds and the half-width of its 95 % interval (Student's t)."""
    values = np.array(list(results.values()))
    if len(values) == 1:
        return f"{values[0]:.3f}"
    half = STUDENT[len(values)] * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ± {half:.3f}"


def replace_between(mark: str, file: Path, lines: list[str]) -> None:
    """Put lines between the two places of a file where the mark stands."""
    text = "\n".join([mark, *lines, mark])
    file.write_text(re.sub(rf"{mark}.*?{mark}", text, file.read_text(), flags=re.DOTALL))
