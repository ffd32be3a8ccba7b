"""Keep TensorFlow from saying what is wrong, or no use to anybody."""

import logging
import os
from contextlib import contextmanager


@contextmanager
def quiet_stderr():
    """Hide what TensorFlow's compiled parts print while they load, before any setting of theirs can act."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def no_retracing_warnings():
    """In this context, or in the function that it decorates, TensorFlow does not warn of frequent retracing.

    Each part of a model is compiled once, for its one batch size. But TensorFlow counts the parts, and all models
    before them, as one function, so with few images it warns that this function is compiled again and again. All other
    warnings come through.
    """
    logger = logging.getLogger("tensorflow")
    before = not_of_retracing in logger.filters
    logger.addFilter(not_of_retracing)
    try:
        yield
    finally:
        if not before:
            logger.removeFilter(not_of_retracing)


def not_of_retracing(record: logging.LogRecord) -> bool:
    """A filter for TensorFlow's logger."""
    return "triggered tf.function retracing" not in record.getMessage()
