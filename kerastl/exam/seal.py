"""A seal on the test part: a dataset that notes each time that it is read."""

import time
from dataclasses import dataclass, field


@dataclass
class Seal:
    """What a sealed dataset knows."""

    dataset: object  # the tf.data.Dataset inside; reading it leaves no note
    sealed_at: float = field(default_factory=time.time)  # seconds, as of `time.time`
    passes: list[float] = field(default_factory=list)  # when each pass over the sealed dataset began


def seal(dataset):
    """Seal the test part, as soon as it is split off: the dataset that comes back notes when it is read.

    Args:
        dataset: a `tf.data.Dataset` of batches (images, labels).

    Returns:
        A `tf.data.Dataset` of the same batches. Hand it to `evaluate` or `predict` as it is, once, at the end.

    Raises:
        TypeError: it is no `tf.data.Dataset`.
        ValueError: it is sealed already.

    Example:
        >>> test = seal(test)
        >>> len(test.kerastl_seal.passes)
        0
    """
    import numpy as np
    import tensorflow as tf

    if not isinstance(dataset, tf.data.Dataset):
        raise TypeError(f"Received {type(dataset).__name__}. Expected the test part, a tf.data.Dataset: `seal(test)`.")
    if find_seal(dataset) is not None:
        raise ValueError("This test part has a seal already. Make it again from its files before you seal it again.")
    record = Seal(dataset)

    def note(number):
        record.passes.append(time.time())
        return number

    # One element, noted on its way, in place of which the batches come.
    begin = tf.data.Dataset.from_tensors(np.int64(0)).map(lambda number: tf.numpy_function(note, [number], tf.int64))
    sealed = begin.flat_map(lambda _: dataset)
    if int(dataset.cardinality()) >= 0:
        sealed = sealed.apply(tf.data.experimental.assert_cardinality(int(dataset.cardinality())))
    sealed.kerastl_seal = record
    return sealed


def find_seal(dataset) -> Seal | None:
    """The seal of a dataset, if it has one."""
    return getattr(dataset, "kerastl_seal", None)
