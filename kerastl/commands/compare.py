"""`python -m kerastl compare`: which base is worth taking for some images, before any training."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import tensorflow  # noqa: F401 (reads the images on every backend; now what it prints while it loads is hidden)

from kerastl.base_scores import ComparedBases
from kerastl.bases import find_base
from kerastl.commands.figures import check_new_figure, save_figure
from kerastl.comparing import compare_bases
from kerastl.images import load_images
from kerastl.plots.bases import plot_comparison


def run(args) -> int:
    """Print the table. Returns 0, or 1 when a base could not be measured."""
    picture = None if args.picture is None else Path(args.picture).expanduser()
    if picture is not None:
        check_new_figure(picture)
    for name in args.bases:  # before any image is read
        find_base(name)
    weights = None if args.weights == "none" else args.weights
    with redirect_stdout(sys.stderr if args.json else sys.stdout):  # the progress, and that of Keras's downloads
        data = load_images(args.source, image_size=args.image_size, seed=args.seed)
        compared = compare_bases(data, args.bases, weights=weights, seed=args.seed)
    print(_as_json(compared) if args.json else f"\n{compared}")
    if picture is not None and compared.measured:
        save_figure(plot_comparison(compared).figure, picture)
    return int(len(compared.measured) < len(args.bases))


def _as_json(compared: ComparedBases) -> str:
    rows = []
    for row in compared.rows:
        known = {} if row.error else {"accuracy": row.accuracy, "half_interval": row.half_interval}
        cost = ("parameters", "megabytes", "milliseconds", "seconds")
        known |= {"error": row.error} if row.error else {name: getattr(row, name) for name in cost}
        rows.append({"base": row.name, **known})
    return json.dumps({"images": compared.images, "image_size": compared.image_size, "rows": rows}, indent=2)
