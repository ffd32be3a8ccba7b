"""Write a file whole or not at all."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives another name beside `path` to write to; when the block ends well, that file takes the place of `path`.

    The name is new each time, so that it is nobody else's file; after an error nothing is left of it.
    """
    unfinished = path.with_name(f".unfinished-{secrets.token_hex(4)}-{path.name}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def written_together(path: Path) -> Iterator[Path]:
    """As `written_whole`, for a folder, or for a file and what lies beside it.

    Gives a path of the same name in a new folder. When the block ends well, all that is in that folder goes beside
    `path`; what bears the name itself is the last.
    """
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        yield unfinished
        for part in sorted(Path(folder).iterdir(), key=lambda part: part == unfinished):
            part.replace(path.with_name(part.name))
