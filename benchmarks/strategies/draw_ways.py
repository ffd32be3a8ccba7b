"""The picture of docs/ways_to_fine_tune.md: accuracy beside parameters changed, and beside accuracy under a shift."""

from pathlib import Path

import matplotlib.pyplot as plt

from compare_ways import name_of, problems
from kerastl.plots.style import BLUE, BROWN, FINE_TUNED, GREY, HEAD_ONLY, OLIVE, ORANGE, RED, SKY, TEAL, VIOLET, WINE
from runs import collect
from ways import WAYS

# One shape and colour for each way; those of the two phases are the colours that the other pictures use.
LOOKS = {
    "head only": ("o", HEAD_ONLY),
    "two phases": ("*", FINE_TUNED),
    "everything at once": ("s", BROWN),
    "warm-up and cosine": ("D", ORANGE),
    "gradual unfreezing": ("^", BLUE),
    "rates per depth": ("v", SKY),
    "L2-SP": ("<", WINE),
    "LP-FT": (">", OLIVE),
    "WiSE-FT": ("P", TEAL),
    "LoRA": ("X", RED),
    "BatchNorm's statistics": ("h", GREY),
    "BatchNorm only": ("p", VIOLET),
}


def draw(runs: dict, file: Path) -> None:
    """Two panels for each problem that is complete; a point is the mean over the seeds. Nothing, if none is."""
    complete = problems(runs)
    if not complete:
        return
    figure, grid = plt.subplots(
        len(complete), 2, figsize=(9.5, 0.9 + 3.1 * len(complete)), layout="constrained", squeeze=False
    )
    for (task, per_class), (left, right) in zip(complete, grid, strict=True):
        for way in WAYS:
            shape, colour = LOOKS[way]
            found = {what: values.mean() for what, values in collect(runs, name_of(task, per_class, way)).items()}
            how = {"marker": shape, "color": colour, "s": 160 if shape == "*" else 75, "edgecolor": "white"}
            left.scatter(found["parameters"], found["test"], label=way, **how)
            right.scatter(found["test"], found["shifted"], **how)
        left.set(xscale="log", xlabel="parameters changed", ylabel="accuracy")
        right.set(xlabel="accuracy", ylabel="accuracy, shifted")
        left.set_title(f"{task}, {per_class} pictures a class", fontsize="medium", loc="left")
        for axes in (left, right):
            axes.grid(alpha=0.3)
            axes.margins(0.08)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(file, dpi=80, facecolor="white")
    plt.close(figure)
