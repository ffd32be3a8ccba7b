"""Can a score that needs no training tell how much transfer will help?

Of each task's few training pictures: LEEP (from what the old classifier says of them), LogME and the accuracy of a
linear probe (from the pooled features), each beside what the training of data/make/tasks.py then gave.
"""

from functools import partial

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from forgetting import PER_CLASS, TASKS, two_heads
from kerastl.data import few_of_each
from results import FILE, mean_and_interval
from results import read_runs as read_trainings
from runs import SEEDS, collect, once
from scores import leep, logme
from tasks import pictures


def score(task: str, seed: int) -> dict:
    """What the three scores say of the pictures that this seed draws."""
    images, labels, rows, _ = pictures(TASKS[task])
    few = rows["train"][few_of_each(labels[rows["train"]], PER_CLASS, seed)]
    model = two_heads(2)
    seen = keras.Model(model.input, [model.get_layer("pool").output, model.output["species"]])
    features, said = seen.predict(images[few], batch_size=256, verbose=0)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    return {
        "leep": leep(said, labels[few]),
        "logme": logme(features, labels[few]),
        "probe": cross_val_score(classifier, features, labels[few], cv=5).mean(),
    }


def measure(runs: dict, tasks=tuple(TASKS)) -> None:
    for task in tasks:
        for seed in SEEDS:
            once(runs, f"scores, {task}", seed, partial(score, task, seed))


def table(runs: dict) -> list[str]:
    """The lines of the table: the scores, and what head only and the whole open base gained beside from scratch."""
    trained = read_trainings(FILE)
    lines = [
        "| task | LEEP | LogME | probe | head only beside from scratch | all beside from scratch |",
        "|---|---|---|---|---|---|",
    ]
    for task, known in TASKS.items():
        found = collect(runs, f"scores, {task}")
        if len(found.get("leep", ())) == len(SEEDS):
            results = {way: trained[f"{known}, {PER_CLASS}, {way}"] for way in ("from scratch", "head only", "all")}
            scratch = np.array([results["from scratch"][str(seed)] for seed in SEEDS])
            gains = [np.array([results[way][str(seed)] for seed in SEEDS]) - scratch for way in ("head only", "all")]
            cells = [mean_and_interval(dict(enumerate(values))) for values in [*found.values(), *gains]]
            lines.append(f"| {task} | {' | '.join(cells)} |")
    return lines
