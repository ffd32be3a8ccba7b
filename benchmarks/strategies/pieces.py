"""What ways to fine-tune need and Keras has not, or not in all versions: a few lines each, on any backend."""

import keras
import numpy as np
from keras import ops

from kerastl.graph import is_batch_norm
from kerastl.private import weights_of


class RatesPerLayer(keras.optimizers.Adam):
    """Adam whose step is multiplied by a factor of the weight array's own: each array learns at its own rate.

    It scales the step, not the gradient: Adam divides the gradient by its own size, so that a factor there is lost.
    (From 3.15 on, Keras has `MultiOptimizer`, which can do it with an Adam for each rate.)

    Args:
        learning_rate: number or schedule.
        factors: {path of a weight array: its factor}; 1 where a path is missing.
    """

    def __init__(self, learning_rate, factors: dict[str, float], **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.factors = factors

    def apply(self, grads, trainable_variables=None):
        variables = weights_of(self) if trainable_variables is None else trainable_variables  # JAX gives none
        before = [ops.copy(variable) for variable in variables]
        super().apply(grads, trainable_variables)
        for variable, old in zip(variables, before, strict=True):
            factor = self.factors.get(variable.path, 1.0)
            variable.assign(old + factor * (variable - old))


class TowardsStart(keras.regularizers.Regularizer):
    """L2-SP (Li, Grandvalet and Davoine 2018, arXiv 1802.01483): strength / 2 times the squared way from the start."""

    def __init__(self, start, strength: float):
        self.start, self.strength = ops.convert_to_numpy(start), strength

    def __call__(self, weights):
        return self.strength / 2 * ops.sum(ops.square(weights - self.start))


def average(first: list, second: list, share: float) -> list:
    """Weight arrays on the line between two networks: `first` at a share of 0, `second` at 1."""
    return [(1 - share) * one + share * other for one, other in zip(first, second, strict=True)]


def adapt_statistics(model: keras.Model, images: np.ndarray, batch: int) -> None:
    """Let BatchNorm's means and variances be those of these images (Li et al. 2016, arXiv 1603.04779).

    The mean over the batches: the momentum of batch k is 1 - 1/k, so that all count alike and nothing old is left.
    The images are shuffled: a batch of one class would not see how the classes differ.
    """
    images = np.random.default_rng(0).permutation(images)
    norms = [layer for layer in model.layers if is_batch_norm(layer)]
    for number, first in enumerate(range(0, len(images), batch), start=1):
        for layer in norms:
            layer.trainable, layer.momentum = True, 1 - 1 / number  # a frozen BatchNorm ignores `training`
        model(images[first : first + batch], training=True)
    for layer in norms:
        layer.trainable = False


def add_lora(model: keras.Model, rank: int) -> None:
    """LoRA (Hu et al. 2021, arXiv 2106.09685) on all 1×1 convolutions, which alone learn from now on, and the head.

    A DepthwiseConv2D has no LoRA in Keras. The order matters: `trainable = True` on a layer that has its adapters opens
    its kernel again.
    """
    fitting = [layer for layer in model.layers if type(layer) is keras.layers.Conv2D and layer.kernel_size == (1, 1)]
    if not fitting:
        raise ValueError(
            f"{model.name!r} has no 1×1 convolution for LoRA among its layers. A DepthwiseConv2D has none in Keras; "
            "and a nested base has to be given itself."
        )
    for layer in fitting:
        layer.trainable = True
        layer.enable_lora(rank)


def plain_weights(model: keras.Model) -> list[np.ndarray]:
    """The weight arrays of a network as it would be without LoRA: the adapters are added to the kernels."""
    arrays = []
    for layer in model.layers:
        if getattr(layer, "lora_enabled", False):
            arrays += [layer.kernel, *([layer.bias] if layer.use_bias else [])]
        else:
            arrays += layer.weights
    return [ops.convert_to_numpy(array) for array in arrays]
