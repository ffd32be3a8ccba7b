"""The checks of the training: what moved in each phase, and on which pictures it was watched."""

import keras
import numpy as np

from kerastl.exam.missing import MissingError
from kerastl.exam.work import Work

# Phase 2 may move a kernel of the base by this share of its length, at the middle one of all that moved. Measured on
# drawn flowers, six epochs: 0.02 at a rate of 1e-4, 0.09 at 1e-3, and 0.5 or more at 1e-2, which ruins the base.
FARTHEST = 0.25
NEAREST = 1e-6  # and it has to move it by more than this: three steps at a rate of 1e-6 move it by 7e-6
NEAR = {"rtol": 2e-3, "atol": 1e-4}  # two measurements of one model on the same pictures


def check_models(work: Work) -> str:
    """Three files that Keras opens, of one network on a pre-trained base."""
    for name, array in work.arrays["start"].items():
        if (
            array.in_base
            and name.endswith("/moving_variance")
            and np.array_equal(array.value, np.ones_like(array.value))
        ):
            raise MissingError(
                f"The base in {work.files['start'].name!r} has never learned: give MobileNetV2 the weights, "
                "`weights=…`, and save before phase 1."
            )
    outputs, classes = work.saved["final"].output_shape[-1], len(work.pictures.class_names)
    if max(outputs, 2) != classes:
        raise MissingError(f"The model has {outputs} outputs for {classes} classes: end it with `Dense({classes})`.")
    return "three files of one network, open in Keras's safe mode"


def check_phase_1(work: Work) -> str:
    """Only the head moved, and all of it."""
    arrays, moved = work.arrays["start"], work.moved("start", "phase 1")
    base = [name for name in moved if arrays[name].in_base]
    if base:
        raise MissingError(
            f"Phase 1 moved {len(base)} weight arrays of the base, such as {base[0]}: set `base.trainable = False` "
            "before you compile."
        )
    for name, array in arrays.items():
        if not array.in_base and array.value.ndim > 1 and name not in moved:
            raise MissingError(
                f"Phase 1 did not move {name}, which belongs to the head: leave the head trainable, train it, and save "
                "after that."
            )
    return f"{len(moved)} weight arrays of the head moved, and none of the base"


def check_phase_2(work: Work) -> str:
    """Something of the base moved, and only what was unfrozen."""
    arrays, moved = work.arrays["final"], work.moved("phase 1", "final")
    if not moved:
        raise MissingError(
            f"{work.files['final'].name!r} holds the same numbers as {work.files['phase 1'].name!r}: save the model "
            "again after phase 2."
        )
    can_move = [name for name, array in arrays.items() if array.in_base and not array.is_statistic]
    base = [name for name in can_move if name in moved]
    if not base and any(arrays[name].is_open for name in can_move):
        raise MissingError(
            "The top of the base is unfrozen and did not move in phase 2: compile again after you set `trainable`, and "
            "before `fit`."
        )
    if not base:
        raise MissingError(
            "Phase 2 trained the head only: set `trainable = True` on the top layers of the base, compile again, and "
            "train."
        )
    frozen = [name for name in base if not arrays[name].is_open]
    if frozen:
        raise MissingError(
            f"Phase 2 moved {len(frozen)} weight arrays of layers that are frozen, such as {frozen[0]}: freeze all but "
            "the top first, then compile, and leave it so until the model is saved."
        )
    kernels = [name for name in can_move if _is_kernel(arrays[name])]
    if not any(name in moved for name in kernels[len(kernels) // 2 :]):
        raise MissingError(
            f"Phase 2 trained lower layers, such as {base[0]}, and the upper half of the base stayed frozen: unfreeze "
            "from the top down."
        )
    return f"{len(base)} weight arrays of the base moved, all of them unfrozen"


def check_rate(work: Work) -> str:
    """The steps in the base were small."""
    arrays = work.arrays["final"]
    moves = [share for name, share in work.moved("phase 1", "final").items() if _is_kernel(arrays[name])]
    middle = float(np.median(moves)) if moves else 0.0
    if middle < NEAREST:
        raise MissingError(
            f"Phase 2 moved the kernels of the base by {middle:.1g} of their length, and learned nothing: compile with "
            "a rate such as 1e-4, and train for several epochs."
        )
    if middle > FARTHEST:
        raise MissingError(
            f"Phase 2 moved the kernels of the base by {middle:.0%} of their length, and what they knew is lost: "
            "compile with a much lower learning rate, such as 1e-4."
        )
    return f"the kernels of the base moved by {middle:.1%} of their length"


def check_batch_norm(work: Work) -> str:
    """No mean and no variance of the base moved in phase 2."""
    arrays = work.arrays["final"]
    moved = [name for name in work.moved("phase 1", "final") if arrays[name].in_base and arrays[name].is_statistic]
    if moved:
        raise MissingError(
            f"Phase 2 moved {len(moved)} means and variances of BatchNorm, such as {moved[0]}: set `trainable = False` "
            "on every BatchNormalization layer, and then compile."
        )
    return "no mean and no variance moved in phase 2"


def check_validation(work: Work) -> str:
    """Each phase was watched on the validation part, and trained on the training part."""
    histories = work.histories
    if not isinstance(histories, list | tuple) or len(histories) != 2:
        raise MissingError(
            "`histories` holds something else than two: hand over what `fit` returned in phase 1 and in phase 2."
        )
    for phase, stage, history in zip((1, 2), ("phase 1", "final"), histories, strict=True):
        if not isinstance(history, keras.callbacks.History):
            raise MissingError(
                f"The history of phase {phase} is a {type(history).__name__}: hand over the object that `fit` returned."
            )
        if not history.params:
            raise MissingError(f"The history of phase {phase} comes from no training: hand over what `fit` returned.")
        if "val_loss" not in history.history:
            raise MissingError(f"Phase {phase} was not watched: give `validation_data=validation` to `fit`.")
        steps, batches = history.params.get("steps"), int(work.datasets["train"].cardinality())
        if batches >= 0 and (steps is None or steps > batches):
            raise MissingError(
                f"Phase {phase} trained on {steps or 'nobody knows how many'} batches in each epoch, and the training "
                f"part has {batches}: train on the part that you hand over."
            )
        losses, file = history.history["val_loss"], work.files[stage].name
        loss = _measure(work, stage, "validation")
        if np.isclose(losses, loss, **NEAR).any():
            continue
        if np.isclose(losses, _measure(work, stage, "test"), **NEAR).any():
            raise MissingError(
                f"Phase {phase} was watched on the test pictures: give `validation_data=validation` to `fit`."
            )
        raise MissingError(
            f"In no epoch of phase {phase} the loss on validation pictures was that of {file!r}: give "
            "`validation_data=validation` to `fit`, and save right after it."
        )
    return "both phases were watched on the validation part"


def _measure(work: Work, stage: str, part: str) -> float:
    """The loss of a saved model on a part, by Keras."""
    model = work.saved[stage]
    if not model.compiled:
        raise MissingError(
            f"{work.files[stage].name!r} holds a model that is not compiled: save it as it is after `fit`."
        )
    return model.evaluate(work.datasets[part], verbose=0, return_dict=True)["loss"]


def _is_kernel(array) -> bool:
    return array.in_base and array.value.ndim > 1
