"""One progress bar: images per second and time left, readable in a terminal, a notebook and a log file."""

import shutil
import sys
import time


class Progress:
    """Counts images; use it in a `with` block.

    In a terminal or a notebook one line is drawn over and over; anywhere else (a file, a pipe) a plain line appears
    every ten seconds, so that a log holds no control characters.
    """

    def __init__(self, label: str, verbose: int = 1):
        """Args: label, what is being done; verbose, 0 for silence."""
        self.label, self.total, self.verbose = label, 0, verbose
        self.done, self.note = 0, ""
        self.shown = None  # the count and the note of the last line
        self.whole = True  # False when somebody stopped it
        in_notebook = type(sys.stdout).__module__.startswith("ipykernel")
        self.live = sys.stdout.isatty() or in_notebook
        self.start = time.perf_counter()
        self.drawn = self.start if not self.live else 0.0

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if self.whole and not error:
            self.total = self.done
        if self.live or (self.done, self.note) != self.shown:
            self._draw(end="\n")

    def expect(self, images: int) -> None:
        """Say how many images are to come; 0 if that is not known."""
        self.total = images

    def advance(self, images: int, note: str | None = None) -> None:
        """Count images; `note` is shown behind the bar until the next one."""
        self.done += images
        self.note = self.note if note is None else note
        now = time.perf_counter()
        if now - self.drawn > (0.1 if self.live else 10.0):
            self.drawn = now
            self._draw(end="" if self.live else "\n")

    def _draw(self, end: str) -> None:
        if not self.verbose:
            return
        seconds = time.perf_counter() - self.start
        rate = self.done / seconds if seconds > 0 else 0.0
        total = max(self.total, self.done)
        share = self.done / total if total else 1.0
        bar = ("#" * int(share * 20)).ljust(20, "-")
        left = f"{(total - self.done) / rate:.0f} s left" if rate and total > self.done else f"{seconds:.1f} s"
        line = f"{self.label:<17} [{bar}] {share:4.0%}  {rate:,.0f} images/s  {left}  {self.note}".rstrip()
        self.shown = (self.done, self.note)
        if self.live:
            width = shutil.get_terminal_size().columns - 1 if sys.stdout.isatty() else 130
            line = "\r" + line.ljust(width)[: None if end else width]  # what is wider cannot be drawn over
        print(line, end=end, flush=True)
