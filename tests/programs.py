"""Programs for tests: the smallest `train`, and the folders of scripts beside the package, whose modules import each
other by short names."""

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
QUICK = ["--base", "MobileNet", "--alpha", "0.25", "--weights", "none", "--image-size", "32", "--epochs", "1"]


def import_from(folder: str, *names: str) -> list:
    """Modules of one folder of the repository, which is on the path only meanwhile: its names are common ones."""
    sys.path.insert(0, str(ROOT / folder))
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(ROOT / folder))
