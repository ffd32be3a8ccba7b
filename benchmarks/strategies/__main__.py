"""Ways to learn a new task, measured side by side.

    python benchmarks/strategies              # what is not measured yet; hours on two cores
    python benchmarks/strategies --tasks far  # only some of near, far, unlike
    python benchmarks/strategies --only ways  # only some of scores, forgetting, ways
    python benchmarks/strategies --tables     # measure nothing

Every run is kept in data/strategies.json as soon as it is finished: stop the program and start it again at will. At the
end it writes the tables into docs/forgetting.md, docs/which_strategy.md and docs/ways_to_fine_tune.md,
and draws the pictures of the last one.
"""

# ruff: noqa: E402 (the tasks lie in data/make, which has to be on the path first)

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "data" / "make"))  # the three tasks

import before_training
import compare_ways
import draw_ways
import forgetting
from results import replace_between
from runs import read_runs

MEASURED = {"scores": before_training, "forgetting": forgetting, "ways": compare_ways}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="strategies", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tasks", nargs="+", choices=forgetting.TASKS, default=list(forgetting.TASKS), help="all by default"
    )
    parser.add_argument("--only", nargs="+", choices=MEASURED, default=list(MEASURED), help="all by default")
    parser.add_argument("--tables", action="store_true", help="measure nothing")
    args = parser.parse_args()
    runs = read_runs()
    if not args.tables:
        for name in args.only:
            MEASURED[name].measure(runs, args.tasks)
    pages = {
        "forgetting": ("forgetting.md", [*forgetting.table(runs), "", *forgetting.comparisons(runs)]),
        "scores": ("which_strategy.md", before_training.table(runs)),
        "ways": ("ways_to_fine_tune.md", [*compare_ways.table(runs), "", *compare_ways.comparisons(runs)]),
        "averages": ("ways_to_fine_tune.md", compare_ways.averages(runs)),
    }
    for name, (page, lines) in pages.items():
        replace_between(f"<!-- {name}: written by benchmarks/strategies -->", ROOT / "docs" / page, lines)
    draw_ways.draw(runs, ROOT / "docs" / "ways_to_fine_tune.png")
    draw_ways.draw_shifts(ROOT / "docs" / "shifts.png")


if __name__ == "__main__":
    main()
