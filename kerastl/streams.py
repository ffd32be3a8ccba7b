"""Standard output and error as a command may find them: closed, or with nobody at the other end any more."""

import os
import sys


def open_closed_streams() -> None:
    """Let a stream that was closed before the program began (`>&-`) lead nowhere, so that writing is no error."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the system gives it the lowest number that is free: this one
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 (as long as the program runs)
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def drop_output() -> None:
    """From now on nothing is written to standard output: who read it, such as `head`, has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class PatientOutput:
    """Standard output for a command that has to end its work, also when nobody reads what it prints any more."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            drop_output()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            drop_output()
