"""`python -m kerastl predict`: name what is in pictures."""

import csv
import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

from kerastl.calls import find_calls
from kerastl.commands.figures import check_folder, check_new_figure, save_figure
from kerastl.commands.printing import printable
from kerastl.explain import grad_cam
from kerastl.folders import folders_in
from kerastl.inputs import takes_texts
from kerastl.plots.pictures import plot_heat
from kerastl.prediction import Prediction, check_top, predict, read_pixels
from kerastl.reading import UnreadableError, file_notes, find_pictures
from kerastl.saving import SavedModel, load


class Row(NamedTuple):
    """What is said of one picture; of an unreadable one why there are no guesses."""

    file: str
    guesses: list[Prediction]
    error: str | None


def run(args) -> int:
    """Name what is in each picture. Returns 1 when some pictures could not be read, 2 when none could."""
    check_top(args.top)
    files = _find_pictures(args.images)
    maps = None if args.cam is None else _places_for_maps(args.cam, files)
    saved = load(args.model)
    if takes_texts(saved.model):
        raise ValueError(
            f"{args.model!r} takes texts, and the command line knows only pictures. In Python: "
            f"`kerastl.predict({args.model!r}, ['a text', 'another'])`."
        )
    if maps:
        find_calls(saved.model)  # without a base there are no heat maps, which is said before the work
    with file_notes():
        rows = [_predict(saved, file, args.top) for file in files]
    if maps:
        for row, place in zip(rows, maps, strict=True):
            if not row.error:
                heat = grad_cam(saved, row.file, row.guesses[0].class_name)
                save_figure(plot_heat(heat).figure, place)
    if args.json:
        said = [
            {"file": row.file, "predictions": [guess._asdict() for guess in row.guesses], "error": row.error}
            for row in rows
        ]
        print(json.dumps(said, indent=2, ensure_ascii=False))
    elif args.csv:
        _print_table(rows, min(args.top, len(saved.class_names)))
    else:
        width = max(len(printable(row.file)) for row in rows)
        for row in rows:
            said = ", ".join(f"{printable(guess.class_name)} {guess.probability:.3f}" for guess in row.guesses)
            if not row.error:
                print(f"{printable(row.file):{width}}  {said}")
    for row in rows:
        if row.error:
            print(f"error: {printable(row.error)}", file=sys.stderr)
    unreadable = sum(row.error is not None for row in rows)
    return 0 if not unreadable else 1 if unreadable < len(rows) else 2


def _predict(saved: SavedModel, file: str, top: int) -> Row:
    try:
        pixels = read_pixels(saved.model, file)
    except (UnreadableError, FileNotFoundError) as error:
        return Row(file, [], str(error))
    return Row(file, predict(saved, pixels, top=top), None)


def _print_table(rows: list[Row], top: int) -> None:
    """CSV. The last column says why a row is empty; nothing in the others."""
    table = csv.writer(sys.stdout, lineterminator="\n")
    header = [f"{word}_{number}" for number in range(1, 1 + top) for word in ("class", "probability")]
    table.writerow(["file", *header, "error"])
    for row in rows:
        values = [value for name, share in row.guesses for value in (name, f"{share:.6f}")] or [""] * len(header)
        table.writerow([row.file, *values, row.error or ""])


def _find_pictures(paths: list[str]) -> list[str]:
    """The files themselves, and of a folder what `train` would read in it."""
    found = []
    for path in paths:
        if not path:
            raise ValueError("Received an empty name. Expected a picture, or a folder of pictures.")
        place = Path(path).expanduser()
        if not place.exists():
            raise FileNotFoundError(f"There is no file {path!r}. Expected a picture, or a folder of pictures.")
        inside = find_pictures(place) if place.is_dir() else [path]
        if not inside:
            folders = [folder.name for folder in folders_in(place)]
            more = f" It has folders inside: {', '.join(folders[:8])}. Name one of them." if folders else ""
            raise FileNotFoundError(f"There is no picture in the folder {path!r}.{more}")
        found += map(str, inside)
    return found


def _places_for_maps(cam: str, files: list[str]) -> list[Path]:
    """A new file for the heat map of each picture. Raises OSError when one is there, or none can be written."""
    if not cam:
        raise ValueError("Received an empty --cam. Expected a folder; the one in which you are is '.'.")
    folder = Path(cam).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"Cannot make the folder {cam!r} ({error.strerror}). Choose another --cam.") from None
    check_folder(folder)
    names = [re.sub(r"[^\w.-]", "_", Path(file).stem)[:80] for file in files]
    places = [folder / f"{number:03d}_{name}.png" for number, name in enumerate(names, start=1)]
    for place in places:
        check_new_figure(place, "Choose another folder for --cam.")
    return places
