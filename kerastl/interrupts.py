"""Ctrl-C where the usual KeyboardInterrupt would do harm."""

import os
import signal
import threading
from contextlib import contextmanager


def _action():
    """What Ctrl-C does now; None where it does nothing, or not to this thread: only the main thread gets it."""
    acts = signal.getsignal(signal.SIGINT)
    return acts if callable(acts) and threading.current_thread() is threading.main_thread() else None


@contextmanager
def hold_ctrl_c():
    """In this context Ctrl-C waits: it acts when the block has ended, however often it was pressed."""
    acts, pressed = _action(), []
    if acts is None:
        yield
        return
    signal.signal(signal.SIGINT, lambda *arguments: pressed.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, acts)
        if pressed:
            acts(*pressed[0])


@contextmanager
def stop_at_once():
    """In this context Ctrl-C ends the program, with one line.

    While compiled modules load, Ctrl-C would show as a strange error.
    """
    acts = _action()
    if acts is None:
        yield
        return
    terminal = os.dup(2)

    def stop(*_):
        os.write(terminal, b"\nstopped\n")
        os._exit(130)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, acts)
        os.close(terminal)
