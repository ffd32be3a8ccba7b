"""The command line: `python -m kerastl train …`, `predict …` and others."""

import contextlib
import importlib
import os
import sys
import warnings

from kerastl.commands.arguments import make_parser
from kerastl.interrupts import stop_at_once
from kerastl.quiet import quiet_stderr
from kerastl.streams import drop_output, open_closed_streams

# What the user can mend: numbers that are too large end in MemoryError and OverflowError, a folder of ~nobody in
# RuntimeError, an optional package that is not there in ImportError. (TensorFlow's own errors, as of memory, have no
# common name before it is loaded.)
KNOWN = (ValueError, TypeError, OSError, MemoryError, OverflowError, RuntimeError, ImportError)


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
                command = importlib.import_module(f"kerastl.commands.{args.command.replace('-', '_')}")
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
