"""Packages that only some steps need: they are imported where they are used, and come with an extra of kerastl."""

import importlib


def import_extra(module: str, extra: str):
    """A module of a package that not every installation has. Raises ImportError that says how to install it.

    Args:
        extra: the one in pyproject.toml that brings the package, as in `pip install 'kerastl[tfds]'`.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"This needs {module.partition('.')[0]}, which cannot be imported ({error}). Install it: "
            f"`pip install 'kerastl[{extra}]'`."
        ) from error
