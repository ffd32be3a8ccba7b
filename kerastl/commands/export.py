"""`python -m kerastl export`: write a model for a phone, a server or another runtime."""

from kerastl.commands.printing import printable
from kerastl.exporting import export
from kerastl.images import load_images
from kerastl.inputs import as_model_takes
from kerastl.saving import load


def run(args) -> None:
    """Write the file, and print what it takes and how it answers beside the model."""
    saved, int8 = load(args.model), None
    if args.int8 is not None:
        int8 = load_images(args.int8, **as_model_takes(saved.model))
    for line in str(export(saved, args.path, int8=int8)).splitlines():
        print(printable(line))
