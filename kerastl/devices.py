"""More than one device. The engines are the ecosystem's own: `tf.distribute` strategies, and `keras.distribution`."""

from contextlib import AbstractContextManager, nullcontext

import keras


def scope_of(model: keras.Model) -> AbstractContextManager:
    """The scope in which a model was made, and in which its parts have to be made and trained, too.

    Raises:
        RuntimeError: it was made for several worker processes of TensorFlow.
    """
    if not _has_strategy(model):
        return nullcontext()
    strategy = model.distribute_strategy
    if hasattr(strategy, "cluster_resolver") and strategy.num_replicas_in_sync > len(strategy.extended.worker_devices):
        raise RuntimeError(
            "The model was made for several worker processes (MultiWorkerMirroredStrategy). Keras 3 cannot train in "
            "those: github.com/keras-team/keras/issues/20585. Use tf.distribute.MirroredStrategy, for the devices of "
            "one machine."
        )
    return strategy.scope()


def count_replicas(model: keras.Model) -> int:
    """How many devices share each batch."""
    if _has_strategy(model):
        return model.distribute_strategy.num_replicas_in_sync
    spread = keras.distribution.distribution()
    return spread.device_mesh.shape[0] if isinstance(spread, keras.distribution.DataParallel) else 1


def share(model: keras.Model, inputs):
    """A batch as `predict_on_batch` wants it: each device gets its part; the batch can be shared equally.

    (Keras shares out what `predict` and `fit` read, but gives one batch to every device.)
    """
    if not _has_strategy(model):
        return inputs
    replicas = count_replicas(model)

    def part(array, number: int):
        size = len(array) // replicas
        return array[number * size : (number + 1) * size]

    return model.distribute_strategy.experimental_distribute_values_from_function(
        lambda device: keras.tree.map_structure(lambda array: part(array, device.replica_id_in_sync_group), inputs)
    )


def _has_strategy(model: keras.Model) -> bool:
    return getattr(model, "_distribute_strategy", None) is not None
