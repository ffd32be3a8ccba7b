"""`python -m kerastl export`: write a model for a phone, a server or another runtime."""

from kerastl.commands.printing import printable
from kerastl.exporting import export
from kerastl.images import load_images
from kerastl.inputs import resize_of
from kerastl.saving import load


def run(args) -> None:
    """Write the file, and print what it takes and how it answers beside the model."""
    saved, int8 = load(args.model), None
    if args.int8 is not None:
        size, resize = tuple(saved.model.input_shape[1:3]), resize_of(saved.model)
        int8 = load_images(args.int8, image_size=size, resize=resize)
    for line in str(export(saved, args.path, int8=int8)).splitlines():
        print(printable(line))
