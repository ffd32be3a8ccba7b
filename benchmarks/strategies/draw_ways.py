"""The pictures of docs/ways_to_fine_tune.md: accuracy beside parameters changed, accuracy under a shift; the shifts."""

from pathlib import Path

import matplotlib.pyplot as plt

import make_sets as sets
from compare_ways import BASIS, name_of, problems
from kerastl.plots.style import FINE_TUNED, HEAD_ONLY, OLIVE, TEAL, WINE
from runs import collect
from shifts import SHIFTS, shifted_pictures
from ways import WAYS

# One shape for each way, one colour for each kind of way: head only; two phases; all weights, in another order or at
# other rates; held near the start; few parameters.
LOOKS = {
    "head only": ("o", HEAD_ONLY),
    "two phases": ("*", FINE_TUNED),
    "everything at once": ("s", WINE),
    "warm-up and cosine": ("D", WINE),
    "gradual unfreezing": ("^", WINE),
    "rates per depth": ("v", WINE),
    "L2-SP": ("<", OLIVE),
    "LP-FT": (">", OLIVE),
    "WiSE-FT": ("P", OLIVE),
    "LoRA": ("X", TEAL),
    "BatchNorm's statistics": ("h", TEAL),
    "BatchNorm only": ("p", TEAL),
}


def draw_shifts(file: Path) -> None:
    """One flower and one butterfly without a shift, and under each."""
    figure, grid = plt.subplots(2, 1 + len(SHIFTS), figsize=(9.5, 4.1), layout="constrained")
    for row, (set_name, number) in zip(grid, (("drawn_flowers", 3), ("drawn_butterflies", 3)), strict=True):
        plain = sets.draw(set_name, "shifted", number, 0)[0]
        shifted = (shifted_pictures(set_name, shift, 1)[0][number] for shift in SHIFTS)
        for axes, title, picture in zip(row, ("as in training", *SHIFTS), (plain, *shifted), strict=True):
            axes.imshow(picture)
            axes.set_axis_off()
            if set_name == "drawn_flowers":
                axes.set_title(title, fontsize="medium")
    figure.savefig(file, dpi=80, facecolor="white")
    plt.close(figure)


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
            size, layer = (160, 4) if way == BASIS else (75, 3)
            how = {"marker": shape, "color": colour, "s": size, "zorder": layer, "edgecolor": "white"}
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
