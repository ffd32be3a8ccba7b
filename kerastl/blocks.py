"""A model as a list of blocks: what is in each, and what training can change there."""

import itertools
import math
from typing import NamedTuple

import keras

from kerastl.calls import find_calls
from kerastl.graph import is_batch_norm, is_whole_block, leaf_layers, live_tensors, own_weights, run_order
from kerastl.inputs import noun_of


class Block(NamedTuple):
    """Some layers in a row, between two places where the network is narrow."""

    name: str
    layers: int
    trainable: int  # parameters (numbers) that training can change
    frozen: int  # parameters that it cannot change, those of BatchNormalization left out
    held_still: int  # parameters of BatchNormalization layers that are frozen: means, variances, scales and shifts
    batch_norms: int  # BatchNormalization layers, frozen or not
    batch_norms_held: int  # those of them that are frozen
    output_shape: tuple  # for one image

    @property
    def parameters(self) -> int:
        return self.trainable + self.frozen + self.held_still


class Blocks(NamedTuple):
    """What `list_blocks` found; printed, it is a table."""

    blocks: list[Block]

    @property
    def total(self) -> Block:
        """All blocks together, with the output of the last."""
        sums = [sum(column) for column in list(zip(*self.blocks, strict=True))[1:7]]
        return Block("total", *sums, self.blocks[-1].output_shape)

    @property
    def strip(self) -> str:
        """The network as two lines of letters: how many parameters (each step is ten times as many), and the state."""
        heights = [len(str(block.parameters)) if block.parameters else 0 for block in self.blocks]
        bars = "".join(" ▁▂▃▄▅▆▇█"[min(height, 8)] for height in heights)
        states = "".join("·" if not block.parameters else "T" if block.trainable else "F" for block in self.blocks)
        return f"{bars}\n{states}"

    def __str__(self) -> str:
        width = max(len(block.name) for block in self.blocks)
        lines = [f"{'block':{width}}  layers  parameters   trainable  BatchNorm         output"]
        for block in [*self.blocks, self.total]:
            norms = f"{block.batch_norms_held} of {block.batch_norms} still" if block.batch_norms else "–"
            shape = "×".join(map(str, block.output_shape))
            lines.append(
                f"{block.name:{width}}  {block.layers:6,}{block.parameters:12,}{block.trainable:12,}  "
                f"{norms:15}{shape:>9}"
            )
        lines.insert(-1, "-" * len(lines[0]))
        return "\n".join(lines)


def list_blocks(model: keras.Model) -> Blocks:
    """List the blocks of a model, from the image to the classifier, with what training can change in each now.

    A block ends where the network is narrow: where one tensor is all that goes on, and two paths meet in it or start
    from it, or a pooling made it smaller. `print(list_blocks(model))` shows a table. Called before and after
    `unfreeze_top`, it gives `plot_layers` what it draws side by side.

    Args:
        model: as `build_model` returns it, or any model that calls one base as a layer.

    Returns:
        `Blocks(blocks)`, each `Block(name, layers, trainable, frozen, held_still, …)`; `.total` is their sum.

    Raises:
        TypeError, ValueError: not a Keras model, not built, or without one base inside.

    Example:
        >>> list_blocks(model).total.trainable
        6405
    """
    calls = find_calls(model)
    inside = [_describe(piece) for piece in _pieces(calls.base)]
    return Blocks([_describe(calls.before, noun_of(model).removesuffix("s")), *inside, _describe(calls.after, "head")])


def first_layers(base: keras.Model) -> dict[str, str]:
    """{name of a block of a base: name of the lowest layer in it, as `base.layers` has them}."""
    places = {layer.name: number for number, layer in enumerate(base.layers)}
    inside = {_name_of(piece): [node.operation.name for node in piece] for piece in _pieces(base)}
    return {block: min((name for name in names if name in places), key=places.get) for block, names in inside.items()}


def _pieces(base: keras.Model) -> list[list]:
    """The calls of each block of a base."""
    nodes = run_order(base)
    edges = [0, *(number + 1 for number in _ends(nodes)), len(nodes)]
    return _join([nodes[start:end] for start, end in itertools.pairwise(edges) if start < end])


def _ends(nodes: list) -> list[int]:
    """The numbers of the calls of a base after which a block ends."""
    readers = {}
    for node in nodes:
        for tensor in node.input_tensors:
            readers.setdefault(id(tensor), []).append(node.operation)
    found = []
    for number, (node, live) in enumerate(zip(nodes, live_tensors(nodes), strict=True)):
        live = [tensor for tensor in live if keras.backend.is_float_dtype(tensor.dtype)]  # masks go along everywhere
        inputs, output = node.input_tensors, node.outputs[0]
        after = readers.get(id(output), [])
        meets = len(inputs) > 1 and not _gates(node.operation)
        starts = len(after) > 1 and not any(map(_gates, after))
        pools = bool(inputs) and not _weights([node]) and _smaller(output, inputs[0])
        whole = any(map(is_whole_block, [node.operation, *after]))
        cell = len(live) == 2 and len(inputs) > 2  # NASNet: a cell reads the two cells before it
        if (len(live) == 1 and (meets or starts or pools or whole)) or cell:
            found.append(number)
    return found


def _gates(operation) -> bool:
    """Whether an operation weighs one tensor with another, inside a block: squeeze and excitation, hard swish."""
    return isinstance(operation, keras.layers.Multiply)


def _smaller(output, image) -> bool:
    return len(output.shape) == len(image.shape) == 4 and output.shape[1] < image.shape[1]


def _weights(nodes: list) -> bool:
    return any(getattr(node.operation, "weights", None) for node in nodes)


def _join(pieces: list[list]) -> list[list]:
    """A piece without weights (an activation between two ends) goes to the block before it, or else after it.

    So do two pieces of one name: the attention and the perceptron of a transformer's block.
    """
    joined = []
    for piece in pieces:
        if joined and not (_weights(piece) and _weights(joined[-1]) and _name_of(piece) != _name_of(joined[-1])):
            joined[-1] = joined[-1] + piece
        else:
            joined.append(piece)
    return joined


def _describe(nodes: list, name: str | None = None) -> Block:
    operations = [node.operation for node in nodes]
    leaves = [leaf for operation in operations if isinstance(operation, keras.Layer) for leaf in leaf_layers(operation)]
    norms = [leaf for leaf in leaves if is_batch_norm(leaf)]
    held = [norm for norm in norms if not norm.trainable]
    # A BatchNorm that is trainable also moves the weights that Keras does not call trainable: its means and variances.
    moving = [
        weight
        for leaf in leaves
        for weight in own_weights(leaf)
        if weight.trainable or (is_batch_norm(leaf) and leaf.trainable)
    ]
    trainable = _count(moving)
    held_still = sum(_count(norm.weights) for norm in held)
    return Block(
        name=name or _name_of(nodes),
        layers=len(operations),
        trainable=trainable,
        frozen=sum(_count(own_weights(leaf)) for leaf in leaves) - trainable - held_still,
        held_still=held_still,
        batch_norms=len(norms),
        batch_norms_held=len(held),
        output_shape=tuple(nodes[-1].outputs[0].shape[1:]),
    )


def _count(weights: list) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _name_of(nodes: list) -> str:
    """What the layers of a block have in common in their names, such as "block_13"; else the name of the first."""
    names = [node.operation.name for node in nodes if getattr(node.operation, "weights", None)]
    parts = [name.replace("/", "_").split("_") for name in names]
    shared = [same[0] for same in itertools.takewhile(lambda same: len(set(same)) == 1, zip(*parts, strict=False))]
    speaks = len(shared) > 1 or any(letter.isdigit() for letter in "".join(shared))
    return "_".join(shared) if speaks or len(names) == 1 else f"{names[0]} …"
