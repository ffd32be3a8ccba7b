"""Keep TensorFlow from warning of frequent retracing where that is wrong.

Each part of a model is compiled once, for its one batch size. But TensorFlow counts the parts, and all models before
them, as one function, so with few images it warns that this function is compiled again and again.
"""

import logging
from contextlib import contextmanager


@contextmanager
def no_retracing_warnings():
    """In this context, or in the function that it decorates, the warning is left out; all others come through."""
    logger = logging.getLogger("tensorflow")

    def keep(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
