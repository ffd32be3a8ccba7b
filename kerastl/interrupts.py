"""Ctrl-C at a moment when something has to be finished first."""

import signal
import threading
from contextlib import contextmanager


@contextmanager
def hold_ctrl_c():
    """In this context Ctrl-C waits: it acts when the block has ended, however often it was pressed.

    Only the main thread gets Ctrl-C; in another one, and where a shell has switched it off, nothing changes.
    """
    acts = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(acts):
        yield
        return
    pressed = []
    signal.signal(signal.SIGINT, lambda *arguments: pressed.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, acts)
        if pressed:
            acts(*pressed[0])
