"""The command line: `python -m kerastl train …`, `predict …`, `inspect …` and `check`."""

import argparse
import contextlib
import importlib
import os
import sys
import warnings

from kerastl.interrupts import stop_at_once
from kerastl.quiet import quiet_stderr
from kerastl.streams import drop_output, open_closed_streams

# What the user can mend: numbers that are too large end in MemoryError and OverflowError, a folder of ~nobody in
# RuntimeError, a package that is not installed in ImportError. (TensorFlow's own errors, as of memory, have no common
# name before it is loaded.)
KNOWN = (ValueError, TypeError, OSError, MemoryError, OverflowError, RuntimeError, ImportError)
EXAMPLES = """examples:
  python -m kerastl train drawn_flowers --weights garden --out runs/flowers
  python -m kerastl train my_photos/ --base EfficientNetB0 --out runs/mine
  python -m kerastl predict runs/flowers/model.keras photo.jpg
  python -m kerastl inspect runs/flowers/model.keras
  python -m kerastl check
"""


def make_parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m kerastl",
        description="Transfer learning in two phases.",
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="train | predict | inspect | check")

    train = commands.add_parser(
        "train",
        help="train on images: head first, then the unfrozen top",
        description="Train the head on a frozen base, unfreeze the top, train on at a lower rate, measure\n"
        "on held-out images, save. Ctrl-C ends a phase early, with its best weights so far. At any\n"
        "other time, or pressed twice, it ends the program; what a phase has learned is kept.",
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    train.add_argument(
        "source",
        metavar="FOLDER_OR_NAME",
        help="a folder of class folders, a bundled set (drawn_flowers), or a TensorFlow Datasets name",
    )
    train.add_argument("--base", default="MobileNetV2", help="a Keras Application (default: %(default)s)")
    train.add_argument(
        "--weights",
        default="imagenet",
        metavar="imagenet|garden|none|FILE",
        help="what the base has learned before (default: %(default)s; garden is bundled)",
    )
    train.add_argument("--alpha", type=float, help="width of MobileNet, MobileNetV2 and MobileNetV3")
    train.add_argument(
        "--image-size", type=int, metavar="PIXELS", help="default: the size of a bundled set, else that of the base"
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

    predict = commands.add_parser("predict", help="name what is in pictures")
    predict.add_argument("model", metavar="MODEL.keras", help="a file that train wrote")
    predict.add_argument("images", nargs="+", metavar="PATH", help="a picture, or a folder of pictures")
    predict.add_argument("--top", type=int, default=3, help="how many classes to show (default: %(default)s)")
    form = predict.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print comma-separated values")
    predict.add_argument(
        "--cam", metavar="DIR", help="write a heat map for each picture into this folder; replaces no file"
    )

    inspect = commands.add_parser("inspect", help="show what is in a model's file")
    inspect.add_argument("model", metavar="MODEL.keras", help="a file that train wrote")
    inspect.add_argument("--picture", metavar="FILE.png", help="also draw the layers, into a new file")

    commands.add_parser(
        "check",
        help="find out whether this machine is ready",
        description="Print versions, memory, speed, and the accuracy of a short training on bundled pictures, with\n"
        "what is expected. It takes less than a minute and needs no network. Exit code 1: something is not right.",
        formatter_class=formatter,
    )
    return parser


def _note(message, *_, **__) -> None:
    """A warning in one word and its text, without the line of our code; not among the results on stdout."""
    with contextlib.suppress(OSError):  # as Python's own does: nobody may be there to read it
        print(f"note: {message}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns 0; 1 when a part could not be done; 2 after an error that the user can mend; 130 after Ctrl-C.
    """
    open_closed_streams()
    args = make_parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's lines about graphics cards that are not there
    os.environ.setdefault("MPLBACKEND", "Agg")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without × or ▁ shows a question mark instead
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _note
            with stop_at_once(), quiet_stderr():
                command = importlib.import_module(f"kerastl.commands.{args.command}")
            return command.run(args) or 0
    except BrokenPipeError:  # who reads the output, such as `head`, has seen enough
        drop_output()
        return 0
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except Exception as error:
        if not isinstance(error, KNOWN) and not type(error).__module__.startswith("tensorflow."):
            raise
        print(f"error: {str(error) or type(error).__name__}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
