"""Where in a picture the evidence for a class lies: Grad-CAM, through the nested base."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np

from kerastl.bases import suggest
from kerastl.calls import Calls, find_calls, last_activation
from kerastl.graph import between, live_tensors, run_order
from kerastl.prediction import AnyModel, Picture, open_model, probabilities_of, read_pixels

FEWEST_PLACES = 6  # on a side of the map: at 224 pixels the last maps have seven, at 96 only three


class HeatMap(NamedTuple):
    """Where one picture speaks for one class."""

    heat: np.ndarray  # (height, width) float32, 0 to 1: 1 where the evidence is strongest
    image: np.ndarray  # (height, width, 3), 0–255: what the model saw
    class_name: str
    probability: float


def grad_cam(
    model: AnyModel, image: Picture, class_name: str | None = None, *, class_names: Sequence[str] | None = None
) -> HeatMap:
    """Show where in a picture the evidence for a class lies. Draw it with `plot_heat`.

    The value of a place is the sum, over the channels of a late layer of the base, of what the channel shows there
    times how much the score of the class would rise with it; what speaks against the class counts as 0. The score is
    how far the class's logit lies above the mean of all logits, as only differences of logits mean something. The
    layer is the base's last; of small pictures, where that has few places, the last with at least six by six. The
    picture and its mirror image are averaged.

    Args:
        model: a file that `save` wrote, what `load` returned, or a trained model (then give `class_names`).
        image: a file, or an array (height, width, 3) with pixels 0–255 in the model's size.
        class_name: for which class; default: the most probable one.
        class_names: only with a bare model.

    Returns:
        `HeatMap(heat, image, class_name, probability)`.

    Raises:
        FileNotFoundError, ValueError: as `predict` does; an unknown class; a head that has not been trained.

    Example:
        >>> heat = grad_cam("flowers.keras", "photo.jpg")
        >>> heat.class_name, heat.heat.shape
        ('tulip', (96, 96))

    Source: Selvaraju et al. (2017), Grad-CAM; multiplied place by place as in Draelos and Carin (2020), HiResCAM. At
        the last layer before average pooling both are the same.
    """
    model, class_names = open_model(model, class_names)
    pixels = read_pixels(model, image)
    probabilities = probabilities_of(model, pixels)
    if class_name is None:
        number = int(probabilities.argmax())
    elif class_name in class_names:
        number = class_names.index(class_name)
    else:
        raise ValueError(f"The model has no class {class_name!r}. {suggest(class_name, class_names)}")
    heat = heat_maps(model, pixels[None], [number])[0]
    return HeatMap(heat, pixels, class_names[number], float(probabilities[number]))


def heat_maps(model: keras.Model, images: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Grad-CAM of several pictures at once.

    Args:
        model: as `build_model` returns it, trained.
        images: (images, height, width, 3), 0–255.
        classes: for each image, the number of the class to explain.

    Returns:
        (images, height, width) float32, 0 to 1; 0 everywhere in a picture in which nothing speaks for the class.
    """
    calls = find_calls(model)
    layer, pooled = _classifier(model, calls)
    maps = _last_maps(calls)
    below = keras.Model(calls.base.inputs[0], maps)
    above = keras.Model(maps, calls.base.outputs[0]) if maps is not calls.base.outputs[0] else None
    head = between(calls.call.outputs, [pooled], "head")
    front = keras.Model(model.inputs[0], calls.call.input_tensors[0])

    def score(values):
        vectors = head(above(values, training=False) if above else values, training=False)
        scores = _scores(layer, vectors)
        return keras.ops.sum(scores * keras.ops.one_hot(classes, scores.shape[1]))

    def evidence(pictures) -> np.ndarray:
        values = below(front(pictures, training=False), training=False)
        return keras.ops.convert_to_numpy(keras.ops.sum(gradient(score, values) * values, axis=-1))

    pictures = keras.ops.convert_to_tensor(images, dtype="float32")
    both = evidence(pictures) + evidence(keras.ops.flip(pictures, axis=2))[:, :, ::-1]
    heat = keras.ops.image.resize(np.maximum(both, 0)[..., None], images.shape[1:3], data_format="channels_last")
    heat = keras.ops.convert_to_numpy(heat)[..., 0]
    highest = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, highest, out=np.zeros_like(heat), where=highest > 0)


def gradient(function: Callable, tensor):
    """How much the number that a function gives would rise with each value of the tensor.

    Keras has no word for gradients, so each backend is asked in its own.
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(function)(tensor)
    if keras.backend.backend() == "torch":
        import torch

        tensor = tensor.detach().requires_grad_()
        return torch.autograd.grad(function(tensor), tensor)[0]
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(tensor)
        number = function(tensor)
    return tape.gradient(number, tensor)


def _classifier(model: keras.Model, calls: Calls) -> tuple:
    """The Dense layer that gives the logits, and the tensor that it reads."""
    before, node = [calls.call, calls.call, *calls.after][-2:]
    if last_activation(calls) in ("softmax", "sigmoid") and not isinstance(node.operation, keras.layers.Dense):
        node = before
    layer = node.operation
    if not isinstance(layer, keras.layers.Dense):
        raise ValueError(
            f"{model.name!r} ends in {type(layer).__name__}. Expected a Dense layer with one unit a class."
        )
    if layer.use_bias and not np.any(np.asarray(layer.bias)):
        raise ValueError(
            f"The classifier of {model.name!r} has not been trained: a heat map would show chance. Train it first, "
            "with `train_head`."
        )
    return layer, node.input_tensors[0]


def _scores(layer: keras.layers.Dense, inputs):
    """(images, classes): logits, each less the mean of all."""
    logits = keras.ops.matmul(inputs, layer.kernel) + (layer.bias if layer.use_bias else 0)
    if layer.units == 1:  # one output is the second of two classes
        logits = keras.ops.concatenate([-logits, logits], axis=1)
    return logits - keras.ops.mean(logits, axis=1, keepdims=True)


def _last_maps(calls: Calls):
    """The tensor in the base whose places are explained."""
    nodes = run_order(calls.base)
    alone = [
        live[0] for node, live in zip(nodes, live_tensors(nodes), strict=True) if len(live) == 1 and not _pads(node)
    ]
    first = calls.base.inputs[0]
    maps = [
        tensor for tensor in alone if len(tensor.shape) == 4 and tensor is not first
    ]  # the base may pool at its end
    if not maps:
        raise ValueError(
            f"{calls.base.name!r} gives no maps of places but tokens, as a transformer does: it has no heat maps."
        )
    enough = [tensor for tensor in maps if FEWEST_PLACES <= tensor.shape[1] < 4 * FEWEST_PLACES]
    return maps[-1] if maps[-1].shape[1] >= FEWEST_PLACES or not enough else enough[-1]


def _pads(node) -> bool:
    """Padding shifts the places against the picture."""
    return isinstance(node.operation, keras.layers.ZeroPadding2D)
