"""What the benchmarks share: their usual arguments, a process for each run, and results that are never half-written."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np


def make_parser(description: str, out: str, image_size: int = 160) -> argparse.ArgumentParser:
    """The arguments that every benchmark on pictures takes; `out` names the JSON file of results."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="FOLDER_OR_NAME")
    parser.add_argument("--weights", default="imagenet", help="imagenet, or a file")
    parser.add_argument("--alpha", type=float, default=0.35, help="width of MobileNetV2")
    parser.add_argument("--image-size", type=int, default=image_size)
    parser.add_argument("--out", type=Path, default=Path(out), help="where finished runs are kept")
    return parser


def read_results(file: Path) -> dict:
    """What an earlier, unfinished call has measured already."""
    return json.loads(file.read_text()) if file.exists() else {}


def write_results(file: Path, results) -> None:
    unfinished = file.with_suffix(".part")
    unfinished.write_text(json.dumps(results, indent=1) + "\n")
    unfinished.replace(file)


def half_interval(values: np.ndarray) -> float:
    """Half the width of the 95 % interval of a mean (Student's t)."""
    import scipy.stats  # here: it would count in the peaks of programs that do without

    return scipy.stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))


def run_alone(*arguments: str, environment: dict | None = None, limit: float | None = None) -> dict:
    """Call this program again in a process of its own, with more arguments; its last line is the result, as JSON.

    After `limit` seconds it is ended, and `subprocess.TimeoutExpired` raised.
    """
    command = [sys.executable, *sys.argv, *arguments]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment, timeout=limit)
    return json.loads(answer.stdout.splitlines()[-1])
