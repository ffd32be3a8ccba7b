"""Train: the head on the frozen base (phase 1), the unfrozen top (phase 2), or everything from scratch.

Three thin functions over one engine. The engine splits the model at its frontier, runs the frozen part once for each
image, and trains what is above it.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import keras

from kerastl.checks import count_batches
from kerastl.data import ImageData
from kerastl.engine.arguments import check_data, check_epochs
from kerastl.engine.batches import FRESH
from kerastl.engine.train import train
from kerastl.freezing import unfreeze_all
from kerastl.graph import find_base_model, is_batch_norm, leaf_layers, learns

Rate: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule | keras.optimizers.Optimizer
Callbacks: TypeAlias = keras.callbacks.Callback | Sequence[keras.callbacks.Callback]


def train_head(
    model: keras.Model,
    data: ImageData,
    *,
    epochs: int = 10,
    learning_rate: Rate = 1e-3,
    views: int | str = 0,
    class_weight: Mapping[int, float] | str | None = None,
    callbacks: Callbacks | None = (),
    backup_dir: str | os.PathLike | None = None,
    verbose: int = 1,
) -> keras.callbacks.History:
    """Phase 1: train the head on the frozen base.

    The base runs once for each image, not once for each image and epoch: with everything frozen its output cannot
    change. The result is the same as that of a plain `fit` of the whole model. (But what acts by chance inside a
    frozen base, such as the dropout of a BERT or an EfficientNet, is off; a plain `fit` has it on.)

    Args:
        model: as `build_model` returns it; its base is frozen.
        data: `ImageData`; `train` is learned from, `validation` is measured after each epoch.
        epochs: passes over the training images.
        learning_rate: where the rate starts; it falls to 0 along half a cosine (Loshchilov & Hutter 2017, arXiv
            1608.03983). A `LearningRateSchedule` or a whole `keras.optimizers.Optimizer` is taken as it is.
        views: 0 to train on the images as they are; k to keep k augmented views of each image beside it, and draw one
            of them or the image itself in each epoch; "fresh" for a new augmentation in each epoch, for which the
            frozen part runs every time. What is kept goes to memory (at most half of what is free, or the megabytes
            in the environment variable KERASTL_MEMORY_MB), else to a temporary file; without room there, and for a
            dataset that augments its images itself, the frozen part runs in every epoch. If at most 30 layers are
            unfrozen later (of a small base, half of them), phase 2 goes on from what phase 1 gave for the images as
            they are, where there is room for it.
        class_weight: for classes of unequal size, {class index: weight}, or "balanced": images / (classes × images of
            the class), as scikit-learn has it. Then each class counts as much as any other.
        callbacks: Keras callbacks, or one; their `self.model` is the whole model. With one that sets the rate
            (`ReduceLROnPlateau`, `LearningRateScheduler`) the rate does not fall by itself.
        backup_dir: a folder in which the state is kept after each epoch. If the program dies, the same program, run
            again, goes on there, to the same result; a phase that was finished is not trained again. Give both phases
            one, which may be the same: phase 2 goes on only after the same phase 1, to the last bit. The seed
            (`keras.utils.set_random_seed`, before the model is built), the images and labels of all three parts (in any
            order), the layers, the weights at the start, these arguments and the versions have to be the same, too;
            else the backup is refused. Without a seed, phase 1 goes on with the head that the backup holds. What
            callbacks do is not compared, and what they count (as `ReduceLROnPlateau` does) is not kept.
        verbose: 0 for silence, 1 for progress bars.

    Returns:
        `keras.callbacks.History` with `loss`, `accuracy`, `val_loss`, `val_accuracy` and `learning_rate` per epoch.
        Ctrl-C (in a notebook: the square) ends the phase early, also while its images are read: you get the history so
        far, and the model has the weights of the epoch whose validation loss was lowest. Before the end of the first
        epoch, they are left as they are. Between the phases, Ctrl-C ends the program as usual.

    Raises:
        ValueError: something in the base is unfrozen; the classes of `data` are not those of the model; the loss is no
            number any more (the best weights so far are put back); the backup belongs to another run.
        OSError: the backup cannot be written, which is tried before training.

    Warns:
        UserWarning: later, the backup could not be written (a full disk); training goes on.

    Example:
        >>> phase1 = train_head(model, flowers, epochs=10, verbose=0)
        >>> phase1.history["val_accuracy"][-1] > 0.8
        True
    """
    base = find_base_model(model)
    if any(map(learns, base.layers)):
        names = [layer.name for layer in leaf_layers(base) if learns(layer)]
        raise ValueError(
            f"{len(names)} layers of the base are unfrozen (first: {names[0]!r}). Phase 1 trains the head on a frozen "
            "base. Call `freeze(model)` first, or `fine_tune` to train what is unfrozen."
        )
    return train(model, data, "phase 1", epochs, learning_rate, views, class_weight, callbacks, backup_dir, verbose)


def fine_tune(
    model: keras.Model,
    data: ImageData,
    *,
    epochs: int = 10,
    learning_rate: Rate = 3e-4,
    views: int | str | None = None,
    class_weight: Mapping[int, float] | str | None = None,
    callbacks: Callbacks | None = (),
    backup_dir: str | os.PathLike | None = None,
    verbose: int = 1,
) -> keras.callbacks.History:
    """Phase 2: train the unfrozen top of the base together with the head, at a lower rate.

    What lies below the cut runs once for the image itself and once for each of its `views`. The cut is at the lowest
    unfrozen layer, or a little below it where less has to be kept (`kerastl.engine.split`). Arguments, result and
    errors are those of `train_head`, with a lower default rate; call `unfreeze_top` first. `views=None` keeps as many
    views as make at most 4,000 pictures more, and at most three of an image: of 500 images three, of 1,500 two, of more
    than 4,000 none.

    What the views give (benchmarks/views.py, 160 pixels): three of 500 flower photos made accuracy higher by 0.008 ±
    0.003, in 2.5 times the time; of 2,343 photos by 0.014 ± 0.026, in twice the time. One view of those lowered the
    loss from 0.459 to 0.400.

    Raises:
        ValueError: nothing in the base is unfrozen; a BatchNormalization layer is (call `unfreeze_top`, which holds
            them still); the classes of `data` are not those of the model.

    Example:
        >>> unfrozen = unfreeze_top(model, 30)
        >>> phase2 = fine_tune(model, flowers, epochs=10, verbose=0)
        >>> phase2.history["val_accuracy"][-1] > 0.9
        True
    """
    base = find_base_model(model)
    if not base.trainable_weights:
        raise ValueError(
            "Nothing in the base is unfrozen, so there is nothing to fine-tune. Call "
            "`unfreeze_top(model, 30)` first, or `train_head` to train the head alone."
        )
    moving = [layer.name for layer in leaf_layers(base) if is_batch_norm(layer) and layer.trainable]
    if moving:
        raise ValueError(
            f"{len(moving)} BatchNormalization layers are unfrozen (first: {moving[0]!r}); their "
            "statistics would be lost. Call `unfreeze_top`, which holds them still."
        )
    return train(model, data, "phase 2", epochs, learning_rate, views, class_weight, callbacks, backup_dir, verbose)


def train_from_scratch(
    model: keras.Model,
    data: ImageData,
    *,
    epochs: int = 20,
    learning_rate: Rate = 3e-3,
    views: int | str = FRESH,
    class_weight: Mapping[int, float] | str | None = None,
    callbacks: Callbacks | None = (),
    backup_dir: str | os.PathLike | None = None,
    verbose: int = 1,
) -> keras.callbacks.History:
    """Train every layer at once: the baseline to which transfer is compared.

    Meant for a model built with `weights=None`. The momentum of BatchNormalization is set to suit the number of steps:
    Keras's 0.999 leaves the statistics far behind after a few hundred steps, and validation at chance (fact 8 in
    tests/test_traps.py). Arguments and result are those of `train_head`.

    Example:
        >>> baseline = build_model("MobileNetV2", flowers, weights=None, alpha=0.35)
        >>> history = train_from_scratch(baseline, flowers, epochs=1, verbose=0)
        >>> len(history.history["val_accuracy"])
        1
    """
    find_base_model(model)
    check_epochs(epochs)
    data = check_data(model, data)
    steps = epochs * count_batches(data.train)
    momentum = min(0.99, max(0.5, 1 - 10 / steps))  # the statistics look back over about a tenth of the run
    for layer in leaf_layers(unfreeze_all(model)):
        if is_batch_norm(layer):
            layer.momentum = min(layer.momentum, momentum)
    return train(
        model, data, "from scratch", epochs, learning_rate, views, class_weight, callbacks, backup_dir, verbose
    )
