"""Install the wheel beside several versions of TensorFlow and Keras, and run tests there: `make matrix`.

    python tests/matrix.py tests/test_fit.py …

For each row: an environment with that TensorFlow and that Keras; then the wheel, which may change neither of them nor
NumPy; then the tests, with the package that was installed. What came out is kept in tests/matrix.json after each row,
and is not run again for the same wheel and the same tests, so that a run that was stopped goes on.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLACE, RESULTS = ROOT / ".matrix", ROOT / "tests/matrix.json"
# Python, TensorFlow, Keras: those of their time, and what pip takes today ("").
ROWS = [
    ("3.10", "==2.16.2", "==3.3.3"),
    ("3.11", "==2.18.1", "==3.6.0"),
    ("3.13", "", ""),
    ("3.12", "==2.19.1", "==3.10.0"),
    ("3.10", "==2.16.2", ""),
    ("3.12", "", ""),
]
KEPT = ("tensorflow", "keras", "numpy")  # what the wheel may not change
HEAD = (
    "| Python | TensorFlow | Keras | NumPy | installed beside it, MB | seconds | tests passed | skipped | failed |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def line(result: dict) -> str:
    """A row of the table in the README."""
    keys = ("python", *KEPT, "megabytes", "seconds", "passed", "skipped", "failed")
    return f"| {' | '.join(str(result[key]) for key in keys)} |"


class Environment:
    """A virtual environment of its own, in which nothing of the repository is on the path."""

    def __init__(self, folder: Path, python: str):
        self.folder = folder
        self.variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True)

    def call(self, program: str, *arguments, check: bool = True) -> str:
        """Run one of its programs, in its folder. Returns what it printed."""
        command = [self.folder / "bin" / program, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.variables, stdout=subprocess.PIPE, text=True, check=check
        )
        return done.stdout.strip()

    def install(self, *what) -> None:
        self.call("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)

    def versions(self) -> dict[str, str]:
        listed = self.call("python", "-m", "pip", "list", "--format=json", "--disable-pip-version-check")
        return {entry["name"]: entry["version"] for entry in json.loads(listed)}

    def size(self) -> int:
        files = (file for file in self.folder.rglob("*") if file.is_file() and not file.is_symlink())
        return sum(file.stat().st_size for file in files)


def run(row: tuple[str, str, str], wheel: Path, tests: list[str]) -> dict:
    """Make the environment of a row, install the wheel, run the tests, remove it. Returns what came out."""
    python, tensorflow, keras = row
    made = Environment(PLACE / "environment", f"python{python}")
    made.install(f"tensorflow{tensorflow}", f"keras{keras}")
    before, size, began = made.versions(), made.size(), time.perf_counter()
    made.install(wheel)
    seconds, after = time.perf_counter() - began, made.versions()
    changed = [f"{name} {before[name]} became {after[name]}" for name in KEPT if before[name] != after[name]]
    if changed:
        raise SystemExit(f"The wheel changed what was there before it: {', '.join(changed)}.")
    added = made.size() - size
    made.install(f"{wheel}[analysis]", "pytest")
    home = made.call("python", "-c", "import kerastl; print(kerastl.__file__)")
    assert Path(home).is_relative_to(made.folder), home
    options = ("-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-p", "no:cacheprovider")
    report = made.call("pytest", *options, *tests, check=False)
    (PLACE / f"{'_'.join(row).replace('==', '')}.txt").write_text(report)
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", report.splitlines()[-1])}
    result = {
        "python": made.call("python", "-c", "import platform; print(platform.python_version())"),
        **{name: after[name] for name in KEPT},
        "megabytes": round(added / 1e6),
        "seconds": round(seconds),
        "passed": counts.get("passed", 0),
        "skipped": counts.get("skipped", 0),
        "failed": sum(counts.get(word, 0) for word in ("failed", "error", "errors")),
    }
    shutil.rmtree(made.folder)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="+", type=Path, help="files of tests")
    tests = [file.resolve() for file in parser.parse_args().tests]
    missing = sorted({python for python, *_ in ROWS if not shutil.which(f"python{python}")})
    PLACE.mkdir(exist_ok=True)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", PLACE, ROOT]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = PLACE.glob("kerastl-*.whl")
    digest = hashlib.sha256(wheel.read_bytes() + repr([file.name for file in tests]).encode())
    helpers = [file for file in sorted((ROOT / "tests").glob("*.py")) if not file.name.startswith("test_")]
    for file in [*tests, *helpers]:
        digest.update(file.read_bytes())
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    rows = {f"Python {row[0]}, tensorflow{row[1]}, keras{row[2]}": row for row in ROWS if row[0] not in missing}
    for name, row in rows.items():
        if results.get(name, {}).get("of") != digest.hexdigest():
            results[name] = {**run(row, wheel, tests), "of": digest.hexdigest()}
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        print(line(results[name]), flush=True)
    for python in missing:
        print(f"There is no python{python} on the PATH: its rows were not run.")
    return int(bool(missing) or any(results[name]["failed"] or not results[name]["passed"] for name in rows))


if __name__ == "__main__":
    sys.exit(main())
