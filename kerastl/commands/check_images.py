"""`python -m kerastl check-images`: what is wrong with the pictures of a folder, before they are used."""

import json
import sys

from kerastl.commands.figures import new_figure, save_figure
from kerastl.commands.printing import printable
from kerastl.image_check import ImageCheck, check_images
from kerastl.plots.doubles import plot_doubles


def run(args) -> int:
    """Print what was found; nothing in the folder is changed. Returns 0, or 1 when something was found."""
    picture = new_figure(args.picture)
    check = check_images(args.source)
    if args.json:
        print(json.dumps(_as_json(check), indent=2, ensure_ascii=False))
    else:
        print("\n".join(map(printable, str(check).split("\n"))))
    if picture:
        said = "no picture, since nothing is there twice"
        if check.doubles or check.near_doubles:
            save_figure(plot_doubles(check), picture)
            said = f"picture: {args.picture}"
        print(printable(said), file=sys.stderr if args.json else sys.stdout)
    return int(bool(check))


def _as_json(check: ImageCheck) -> dict:
    return check._asdict() | {
        "unreadable": [one._asdict() for one in check.unreadable],
        "doubles": [[one._asdict() for one in group] for group in check.doubles],
        "near_doubles": [
            {"first": pair.first._asdict(), "second": pair.second._asdict(), "bits": pair.bits}
            for pair in check.near_doubles
        ],
    }
