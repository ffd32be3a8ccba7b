"""More than one device. The engines are the ecosystem's own: `tf.distribute` strategies, and `keras.distribution`."""

import warnings
from contextlib import AbstractContextManager, nullcontext

import keras

from kerastl.private import strategy_of


def scope_of(model: keras.Model) -> AbstractContextManager:
    """The scope in which a model was made, and in which its parts have to be made and trained, too.

    Raises:
        RuntimeError: it was made for several worker processes of TensorFlow.
    """
    strategy = strategy_of(model)
    if strategy is None:
        return nullcontext()
    if hasattr(strategy, "cluster_resolver") and strategy.num_replicas_in_sync > len(strategy.extended.worker_devices):
        raise RuntimeError(
            "The model was made for several worker processes (MultiWorkerMirroredStrategy). Keras 3 cannot train in "
            "those: github.com/keras-team/keras/issues/20585. Use tf.distribute.MirroredStrategy, for the devices of "
            "one machine."
        )
    return strategy.scope()


def count_replicas(model: keras.Model) -> int:
    """How many devices share each batch."""
    strategy = strategy_of(model)
    if strategy is not None:
        return strategy.num_replicas_in_sync
    spread = keras.distribution.distribution()
    return spread.device_mesh.shape[0] if isinstance(spread, keras.distribution.DataParallel) else 1


def share(model: keras.Model, inputs):
    """A batch as `predict_on_batch` wants it: each device gets its part; the batch can be shared equally.

    (Keras shares out what `predict` and `fit` read, but gives one batch to every device.)
    """
    strategy = strategy_of(model)
    if strategy is None:
        return inputs
    replicas = strategy.num_replicas_in_sync

    def part(array, number: int):
        size = len(array) // replicas
        return array[number * size : (number + 1) * size]

    return strategy.experimental_distribute_values_from_function(
        lambda device: keras.tree.map_structure(lambda array: part(array, device.replica_id_in_sync_group), inputs)
    )


def check_shares(sizes: list[int], devices: int) -> None:
    """Raise ValueError when a device would get nothing of batches of these sizes; warn where some get more."""
    if min(sizes) < devices:
        raise ValueError(
            f"Received a batch of {min(sizes)} for {devices} devices. Expected one image for each at least: choose "
            "another batch_size."
        )
    if any(size % devices for size in sizes):
        warnings.warn(
            f"{devices} devices cannot share batches of {' and '.join(map(str, sizes))} images equally. Keras weighs "
            "the devices alike, not the images: the result will differ a little from that of one device.",
            stacklevel=2,
        )
