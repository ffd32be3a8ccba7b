"""What each command takes, and its help. Nothing heavy is loaded for it."""

import argparse

from kerastl.bases import SMALL_BASES
from kerastl.resizing import DEFAULT, RESIZES

EXAMPLES = {  # of each command; all commands are in the order of the workflow
    "check": ("",),
    "check-images": ("my_photos/", "my_photos/ --picture doubles.png"),
    "compare": ("my_photos/ --bases MobileNetV2 EfficientNetB0", "my_photos/ --bases MobileNetV2 --alpha 0.35"),
    "train": (
        "drawn_flowers --weights garden --out runs/flowers",
        "my_photos/ --base EfficientNetB0 --out runs/mine",
    ),
    "predict": ("runs/flowers/model.keras photo.jpg", "runs/flowers/model.keras new_photos/ --csv"),
    "inspect": ("runs/flowers/model.keras",),
    "export": (
        "runs/flowers/model.keras flowers.tflite",
        "runs/flowers/model.keras small.tflite --int8 drawn_flowers",
    ),
    "serve": ("runs/flowers/model.keras --pictures drawn_flowers",),
}
_FORMATTER = argparse.RawDescriptionHelpFormatter


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kerastl",
        description="Transfer learning in two phases. The commands stand in the order in which they are used.",
        epilog=_examples(EXAMPLES),
        formatter_class=_FORMATTER,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar=" | ".join(EXAMPLES))

    _add_command(
        commands,
        "check",
        "find out whether this machine is ready",
        "Print versions, memory, speed, and the accuracy of a short training on bundled pictures, with\n"
        "what is expected. It takes less than a minute and needs no network. Exit code 1: something is not right.",
    )

    pictures = _add_command(
        commands,
        "check-images",
        "look at a folder of pictures before it is used",
        "List what cannot be read, what is there twice or nearly, and classes with few pictures. Nothing\n"
        "is changed. Exit code 1: something was found.",
    )
    pictures.add_argument(
        "source",
        metavar="FOLDER_OR_NAME",
        help="a folder of class folders, or a bundled set (drawn_flowers); no .zip or .csv file",
    )
    pictures.add_argument("--json", action="store_true", help="print all that was found, as JSON")
    pictures.add_argument(
        "--picture", metavar="FILE.png", help="also draw the doubles, if there are any, into a new file"
    )

    compare = _add_command(
        commands,
        "compare",
        "which base is worth taking for these images, before any training",
        "Read each base once over the training and validation images, frozen, and print how accurate\n"
        "logistic regression on its features is, and what it costs. The test images choose nothing.\n"
        "Ctrl-C ends it with what was measured so far. Exit code 1: a base could not be measured.",
    )
    _add_source(compare)
    compare.add_argument(
        "--bases",
        nargs="+",
        metavar="NAME",
        help=f"default: {', '.join(SMALL_BASES)}; with --weights garden MobileNetV2",
    )
    _add_weights(compare)
    _add_alpha(compare)
    compare.add_argument(
        "--image-size", type=int, metavar="PIXELS", help="for all bases; default: that of a bundled set, else 224"
    )
    compare.add_argument("--seed", type=int, default=0, help="for the split and the folds (default: %(default)s)")
    compare.add_argument("--json", action="store_true", help="print JSON")
    compare.add_argument("--picture", metavar="FILE.png", help="also draw accuracy against cost, into a new file")

    train = _add_command(
        commands,
        "train",
        "train on images: head first, then the unfrozen top",
        "Train the head on a frozen base, unfreeze the top, train on at a lower rate, measure\n"
        "on held-out images, save. Ctrl-C ends a phase early, with its best weights so far. At any\n"
        "other time, or pressed twice, it ends the program; what a phase has learned is kept.",
    )
    _add_source(train)
    train.add_argument("--base", default="MobileNetV2", help="a Keras Application (default: %(default)s)")
    _add_weights(train)
    _add_alpha(train)
    train.add_argument(
        "--image-size", type=int, metavar="PIXELS", help="default: the size of a bundled set, else that of the base"
    )
    train.add_argument(
        "--resize",
        choices=RESIZES,
        default=DEFAULT,
        help="what becomes of pictures of another shape: squashed, cropped to the middle, or padded with black "
        "(default: %(default)s)",
    )
    train.add_argument(
        "--layers",
        metavar="N|NAME|all",
        help="how many layers to unfreeze from the top, the name of the lowest one or of its block, or all (default: "
        "30, or half of a base with fewer than 60)",
    )
    train.add_argument("--epochs", type=int, default=10, help="in each of the two phases (default: %(default)s)")
    train.add_argument("--batch-size", type=int, default=32, metavar="IMAGES", help="default: %(default)s")
    train.add_argument("--seed", type=int, default=0, help="for the split and the training (default: %(default)s)")
    train.add_argument(
        "--scratch", action="store_true", help="also train the same network from random weights, for as many epochs"
    )
    train.add_argument(
        "--backup", metavar="DIR", help="keep the state here after each epoch; if the program dies, run it again"
    )
    train.add_argument("--out", required=True, metavar="DIR", help="the run folder; must not exist yet")
    train.add_argument(
        "--overwrite", action="store_true", help="replace an older run in that folder; never anything else"
    )

    predict = _add_command(
        commands,
        "predict",
        "name what is in pictures",
        "Print the most probable classes of each picture, with their probabilities. What cannot be read is\n"
        "named and left out. Exit code 1: some pictures could not be read; 2: none could.",
    )
    predict.add_argument("model", metavar="MODEL.keras", help="a file that train wrote")
    predict.add_argument("images", nargs="+", metavar="PATH", help="a picture, or a folder of pictures")
    predict.add_argument("--top", type=int, default=3, help="how many classes to show (default: %(default)s)")
    form = predict.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print comma-separated values")
    predict.add_argument(
        "--cam", metavar="DIR", help="write a heat map for each picture into this folder; replaces no file"
    )

    inspect = _add_command(
        commands,
        "inspect",
        "show what is in a model's file",
        "Print the classes of a model, the pictures that it takes, how it was trained, and its blocks of layers.",
    )
    inspect.add_argument("model", metavar="MODEL.keras", help="a file that train wrote")
    inspect.add_argument("--picture", metavar="FILE.png", help="also draw the layers, into a new file")

    export = _add_command(
        commands,
        "export",
        "write a model for a phone, a server or another runtime",
        "Write the model in another format, without its augmentation, and the class names beside it, in\n"
        "OUT.labels.txt. The file is asked in its own runtime first. Files of these names are replaced\n"
        "(with .xml also a .bin), folders are not.",
    )
    export.add_argument("model", metavar="MODEL.keras", help="a file that train wrote")
    export.add_argument(
        "path",
        metavar="OUT",
        help="ends in .tflite (LiteRT), .onnx or .xml (OpenVINO); without an ending a folder, with a SavedModel",
    )
    export.add_argument(
        "--int8",
        metavar="FOLDER_OR_NAME",
        help="8 bits, for .tflite: up to 500 of these training pictures show which ranges of numbers are needed",
    )

    serve = _add_command(
        commands,
        "serve",
        "a page on this machine that says what is in a picture; Ctrl-C ends it",
        "Serve a page: drop a photo on it, and it shows classes, a heat map and, with --pictures, the nearest photos.\n"
        "Only this machine can open it. So it is not for Colab, where its address is that of Colab's machine.",
    )
    serve.add_argument("model", metavar="MODEL.keras", help="a file that train wrote")
    serve.add_argument(
        "--pictures",
        metavar="FOLDER_OR_NAME",
        help="what it was trained on: then the page shows the nearest of up to 1,000 training pictures, too",
    )
    serve.add_argument("--port", type=int, default=8000, help="default: %(default)s; 0 takes a free one")
    return parser


def _add_command(commands, name: str, short: str, description: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=short,
        description=description,
        epilog=_examples({name: EXAMPLES[name]}),
        formatter_class=_FORMATTER,
    )


def _examples(of: dict[str, tuple[str, ...]]) -> str:
    lines = [f"  python -m kerastl {name} {example}".rstrip() for name, own in of.items() for example in own]
    return "\n".join(["examples:", *lines])


def _add_alpha(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--alpha", type=float, help="width of MobileNet, MobileNetV2 and MobileNetV3 (usually 1)")


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="FOLDER_OR_NAME",
        help="a folder of class folders (or a .zip of it), a .csv file, a bundled set (drawn_flowers), or a TensorFlow "
        "Datasets name",
    )


def weights_of(args) -> str | None:
    """What `build_model` takes for --weights."""
    return None if args.weights == "none" else args.weights


def _add_weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights",
        default="imagenet",
        metavar="imagenet|garden|none|FILE",
        help="what the base has learned before (default: %(default)s; garden is bundled)",
    )
