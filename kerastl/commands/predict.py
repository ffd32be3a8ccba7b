"""`python -m kerastl predict`: name what is in pictures."""

import csv
import json
import re
import sys
from pathlib import Path

from kerastl.commands.common import printable, save_figure
from kerastl.explain import grad_cam
from kerastl.plots.pictures import plot_heat
from kerastl.prediction import predict
from kerastl.saving import load
from kerastl.sources import is_picture


def run(args) -> None:
    """Name what is in each picture."""
    saved = load(args.model)
    files = _find_pictures(args.images)
    rows = [(file, predict(saved, file, top=args.top)) for file in files]
    if args.cam:
        folder = Path(args.cam).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        for number, (file, guesses) in enumerate(rows, start=1):
            heat = grad_cam(saved, file, guesses[0].class_name)
            name = re.sub(r"[^\w.-]", "_", Path(file).stem)[:80]
            figure = plot_heat(heat).figure
            save_figure(figure, folder / f"{number:03d}_{name}.png")
    if args.json:
        said = [{"file": str(file), "predictions": [guess._asdict() for guess in guesses]} for file, guesses in rows]
        print(json.dumps(said, indent=2, ensure_ascii=False))
    elif args.csv:
        table = csv.writer(sys.stdout, lineterminator="\n")
        names = range(1, 1 + len(rows[0][1]))
        table.writerow(["file", *(f"{word}_{number}" for number in names for word in ("class", "probability"))])
        for file, guesses in rows:
            table.writerow([file, *(value for name, share in guesses for value in (name, f"{share:.6f}"))])
    else:
        width = max(len(printable(file)) for file in files)
        for file, guesses in rows:
            said = ", ".join(f"{printable(guess.class_name)} {guess.probability:.3f}" for guess in guesses)
            print(f"{printable(file):{width}}  {said}")


def _find_pictures(paths: list[str]) -> list[str]:
    """The files themselves, and of a folder the picture files in it."""
    found = []
    for path in paths:
        folder = Path(path).expanduser()
        inside = sorted(entry for entry in folder.iterdir() if is_picture(entry)) if folder.is_dir() else [path]
        if not inside:
            raise FileNotFoundError(f"There is no picture in the folder {path!r}.")
        found += map(str, inside)
    return found
