"""The programs beside the package, for tests: folders of scripts whose modules import each other by short names."""

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def import_from(folder: str, *names: str) -> list:
    """Modules of one folder of the repository, which is on the path only meanwhile: its names are common ones."""
    sys.path.insert(0, str(ROOT / folder))
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(ROOT / folder))
