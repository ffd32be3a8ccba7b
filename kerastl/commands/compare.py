"""`python -m kerastl compare`: which base is worth taking for some images, before any training."""

import json
import sys
from contextlib import redirect_stdout

import tensorflow  # noqa: F401 (reads the images on every backend; now what it prints while it loads is hidden)

from kerastl.base_scores import ComparedBases
from kerastl.bases import BUNDLED_WEIGHTS, SMALL_BASES, find_base
from kerastl.commands.arguments import weights_of
from kerastl.commands.figures import new_figure, save_figure
from kerastl.comparing import compare_bases
from kerastl.images import load_images
from kerastl.plots.bases import plot_comparison
from kerastl.pretrained import taken_arguments


def run(args) -> int:
    """Print the table. Returns 0, or 1 when a base could not be measured."""
    picture, weights = new_figure(args.picture), weights_of(args)
    bases = _bases(args, weights)
    with redirect_stdout(sys.stderr if args.json else sys.stdout):  # the progress, and that of Keras's downloads
        data = load_images(args.source, image_size=args.image_size, seed=args.seed)
        compared = compare_bases(data, bases, weights=weights, seed=args.seed)
    print(_as_json(compared) if args.json else f"\n{compared}")
    if picture and compared.measured:
        save_figure(plot_comparison(compared).figure, picture)
    return int(len(compared.measured) < len(bases))


def _bases(args, weights: str | None) -> list[tuple[str, dict]]:
    """Names and arguments; `alpha` for those that take it. An unknown name is said before any image is read."""
    usual = (BUNDLED_WEIGHTS[weights].base,) if weights in BUNDLED_WEIGHTS else SMALL_BASES
    bases = [find_base(name) for name in args.bases or usual]
    if args.alpha is None:
        return [(base.name, {}) for base in bases]
    pairs = [(base.name, {"alpha": args.alpha} if "alpha" in taken_arguments(base) else {}) for base in bases]
    if not any(arguments for _, arguments in pairs):
        raise ValueError(
            f"Received --alpha {args.alpha}, and none of the bases has a width to choose. Expected MobileNet, "
            "MobileNetV2 or MobileNetV3 among --bases."
        )
    return pairs


def _as_json(compared: ComparedBases) -> str:
    rows = []
    for row in compared.rows:
        known = {} if row.error else {"accuracy": row.accuracy, "half_interval": row.half_interval}
        cost = ("parameters", "megabytes", "milliseconds", "seconds")
        known |= {"error": row.error} if row.error else {name: getattr(row, name) for name in cost}
        rows.append({"base": row.name, **known})
    facts = {"images": compared.images, "image_size": compared.image_size, "weights": compared.weights}
    return json.dumps(facts | {"rows": rows}, indent=2)
