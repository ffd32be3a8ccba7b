"""The blocks of a network: what is in each, and what training can change."""

import keras
import pytest

import kerastl as tl
from kerastl.graph import find_base_model, is_batch_norm
from tiers import slow

NETWORKS = ["MobileNetV2", "VGG16", "ResNet50"]
MORE = ["InceptionV3", "EfficientNetB0", "MobileNetV3Small", "NASNetMobile"]


@pytest.fixture(scope="module", params=[*NETWORKS, *slow(*MORE)])
def network(request):
    """(name, model) of several anatomies, the top unfrozen."""
    data = tl.load_images("drawn_flowers")
    model = tl.build_model(request.param, data, weights=None)
    tl.unfreeze_top(model, 5 if request.param == "VGG16" else 30)
    return request.param, model


def test_the_blocks_hold_every_layer_and_every_parameter_once(network):
    _, model = network
    table, base = tl.list_blocks(model), find_base_model(model)
    assert table.total.parameters == model.count_params()
    inside = table.blocks[1:-1]
    assert sum(block.parameters for block in inside) == base.count_params()
    norms = [layer for layer in base.layers if is_batch_norm(layer)]
    assert table.total.batch_norms == table.total.batch_norms_held == len(norms)
    assert sum(block.layers for block in inside) >= len(base.layers)


def test_what_the_blocks_call_trainable_is_what_keras_would_train(network):
    _, model = network
    assert tl.list_blocks(model).total.trainable == sum(keras.ops.size(weight) for weight in model.trainable_weights)


def test_the_blocks_are_those_that_people_know(network):
    name, model = network
    names = [block.name for block in tl.list_blocks(model).blocks]
    assert (names[0], names[-1]) == ("image", "head")
    assert 7 <= len(names) <= 21
    known = {"MobileNetV2": "block_5", "VGG16": "block3", "ResNet50": "conv4_block2", "EfficientNetB0": "block5b"}
    assert known.get(name, names[1]) in names
    assert len(set(names)) == len(names)


def test_a_batch_norm_that_is_not_held_counts_with_its_statistics(toy):
    held = tl.list_blocks(toy).total
    layer = find_base_model(toy).get_layer("bn3")
    find_base_model(toy).trainable = True
    for other in find_base_model(toy).layers:
        other.trainable = other is layer
    moving = tl.list_blocks(toy).total
    assert moving.batch_norms_held == held.batch_norms_held - 1
    assert moving.trainable - held.trainable == sum(int(keras.ops.size(weight)) for weight in layer.weights) == 48


def test_printed_it_is_a_table_with_a_total(model):
    tl.unfreeze_top(model, 30)
    table = tl.list_blocks(model)
    lines = str(table).splitlines()
    assert len(lines) == 1 + len(table.blocks) + 2
    assert len({len(line) for line in lines[1:-2]}) == 1  # the columns are straight
    assert f"{model.count_params():,}" in lines[-1]
    assert f"{table.total.trainable:,}" in lines[-1]
    assert "52 of 52 still" in lines[-1]


def test_the_strip_shows_heights_and_states(model):
    tl.unfreeze_top(model, 30)
    bars, states = tl.list_blocks(model).strip.splitlines()
    assert len(bars) == len(states) == len(tl.list_blocks(model).blocks)
    assert states[0] == "·"
    assert set(states[1:-4]) == {"F"}
    assert set(states[-4:]) == {"T"}


def test_what_is_no_built_model_is_an_error():
    with pytest.raises(TypeError, match=r"Received str\. Expected a keras.Model"):
        tl.list_blocks("model.keras")
    with pytest.raises(ValueError, match=r"is not built: it has no weights yet"):
        tl.list_blocks(keras.Sequential([keras.layers.Dense(3)]))
