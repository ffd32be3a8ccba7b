"""`python -m kerastl inspect`: show what is in a model's file."""

from pathlib import Path

from kerastl.blocks import list_blocks
from kerastl.commands.figures import new_figure, save_figure
from kerastl.commands.printing import printable
from kerastl.inputs import resize_of, takes_texts
from kerastl.plots.layers import plot_layers
from kerastl.saving import load, load_summary


def run(args) -> None:
    """Print what is in a model's file: classes, sizes, layers, and how it was trained."""
    picture = new_figure(args.picture)
    model, class_names = load(args.model)
    blocks = list_blocks(model)
    if takes_texts(model):
        takes = f"texts of up to {model.input_shape[1] - 2} word pieces"
    else:
        takes = "pictures of {}×{} pixels, three colours, 0 to 255".format(*model.input_shape[1:3])
        takes += f"; resize: {resize_of(model)}"
    known = {
        "file": f"{args.model}, {Path(args.model).expanduser().stat().st_size / 1e6:.1f} MB",
        "takes": takes,
        "classes": f"{len(class_names)}: {', '.join(class_names)}",
    }
    for name, value in (known | (load_summary(args.model) or {"training": "nothing is noted in the file"})).items():
        print(f"{printable(name):<20}{printable(value)}")
    print(
        f"\n{blocks.strip}\nF frozen, T trainable, · no parameters; a step in height is ten times as many\n\n{blocks}"
    )
    if picture:
        save_figure(plot_layers(blocks).figure, picture)
