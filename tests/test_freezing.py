"""Freezing and unfreezing, shown by what training then moves."""

import keras
import numpy as np
import pytest

import kerastl as tl
from kerastl.freezing import unfreeze_all
from kerastl.graph import find_base_model


def one_step(model, arrays) -> tuple[dict, dict]:
    """The weights before and after one plain step of Keras, at a rate at which everything trainable moves."""
    before = tl.snapshot(model)
    model.compile(keras.optimizers.SGD(0.5), loss="sparse_categorical_crossentropy")
    model.train_on_batch(*(array[:9] for array in arrays["train"]))
    return before, tl.snapshot(model)


def kernels(*names: str) -> set[str]:
    return {f"{name}/kernel" for name in names} | {"classifier/kernel", "classifier/bias"}


def test_a_frozen_base_does_not_move_by_one_bit(toy, arrays, differing):
    tl.freeze(toy)
    assert differing(*one_step(toy, arrays)) == kernels()


def test_the_unfrozen_top_moves_and_nothing_else(toy, arrays, differing):
    tl.unfreeze_top(toy, 6)
    assert differing(*one_step(toy, arrays)) == kernels("conv3", "conv4")


def test_batch_norms_stay_still_wherever_they_are(toy, arrays, differing):
    tl.unfreeze_top(toy, 13)
    moved = differing(*one_step(toy, arrays))
    assert moved == kernels("conv1", "conv2", "conv3", "conv4")


def test_unfreezing_by_name_starts_at_that_layer(toy, arrays, differing):
    assert tl.unfreeze_top(toy, "conv3") == tl.unfreeze_top(toy, 6)
    assert differing(*one_step(toy, arrays)) == kernels("conv3", "conv4")


def test_all_is_the_whole_base(toy, arrays, differing):
    assert tl.unfreeze_top(toy, "all") == tl.unfreeze_top(toy, 13)
    assert differing(*one_step(toy, arrays)) == kernels("conv1", "conv2", "conv3", "conv4")


@pytest.mark.slow
def test_unfreezing_twice_is_the_same_as_once(toy, arrays, differing):
    first = tl.unfreeze_top(toy, 6)
    assert tl.unfreeze_top(toy, 6) == first
    assert differing(*one_step(toy, arrays)) == kernels("conv3", "conv4")


def test_unfreezing_many_and_then_few_is_the_same_as_few(toy, arrays, differing):
    tl.unfreeze_top(toy, 13)
    tl.unfreeze_top(toy, 3)
    assert differing(*one_step(toy, arrays)) == kernels("conv4")


def test_unfreezing_54_and_then_30_of_mobilenet_is_the_same_as_30(model):
    base = find_base_model(model)
    tl.unfreeze_top(model, 54)
    assert tl.unfreeze_top(model, 30).layers_with_weights == 10
    expected = {
        weight.path
        for layer in base.layers[-30:]
        if not isinstance(layer, keras.layers.BatchNormalization)
        for weight in layer.weights
    }
    assert {weight.path for weight in base.trainable_weights} == expected


def test_freezing_again_works(toy, arrays, differing):
    tl.unfreeze_top(toy, 13)
    assert tl.freeze(toy) is find_base_model(toy)
    assert differing(*one_step(toy, arrays)) == kernels()


def test_freezing_unfreezing_and_freezing_in_turns_ends_as_the_last_one(toy, arrays, differing):
    for layers in (3, 13, 6):
        tl.freeze(toy)
        tl.unfreeze_top(toy, layers)
    assert differing(*one_step(toy, arrays)) == kernels("conv3", "conv4")


def test_flags_that_a_user_set_by_hand_do_not_survive(toy, arrays, differing):
    base = find_base_model(toy)
    base.trainable = True
    base.get_layer("conv1").trainable = True
    base.get_layer("conv4").trainable = False
    tl.unfreeze_top(toy, 3)
    assert differing(*one_step(toy, arrays)) == kernels("conv4")


def test_unfreezing_everything_moves_batch_norms_too(toy, arrays, differing):
    unfreeze_all(toy)
    assert differing(*one_step(toy, arrays)) == set(tl.snapshot(toy))


def test_layers_inside_blocks_are_frozen_and_unfrozen_one_by_one(arrays, differing):
    layers = keras.layers
    block = keras.Sequential(
        [keras.Input((16, 16, 4)), layers.Conv2D(4, 3, name="inner1"), layers.Conv2D(4, 3, name="inner2")], name="block"
    )
    pixels = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="outer1")(pixels)
    base = keras.Model(pixels, layers.Conv2D(4, 3, name="outer2")(block(x)), name="blocky")
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(base(layers.Rescaling(1 / 255)(image)))
    model = keras.Model(image, layers.Dense(3, activation="softmax", name="classifier")(x))
    tl.freeze(model)
    assert len(differing(*one_step(model, arrays))) == 2
    result = tl.unfreeze_top(model, "block")
    assert (result.layers, result.layers_with_weights) == (2, 3)
    moved = differing(*one_step(model, arrays))
    assert {path.split("/")[-2] for path in moved} == {"inner1", "inner2", "outer2", "classifier"}


# ---- what unfreeze_top tells


def test_the_result_counts_what_training_can_change(toy):
    result = tl.unfreeze_top(toy, 6)
    assert result == ("conv3", 6, 2, 3 * 3 * 8 * 12 + 12 * 16, 2)
    assert result.parameters == sum(weight.numpy().size for weight in find_base_model(toy).trainable_weights)


def test_the_result_reads_as_a_sentence(toy):
    text = str(tl.unfreeze_top(toy, 6))
    assert text == "6 layers from 'conv3': 2 with weight arrays to train (1,056 parameters), 2 BatchNorm held still"


# ---- wrong input


@pytest.mark.parametrize("layers", [0, -3, 14])
def test_an_impossible_number_of_layers_is_an_error(toy, layers):
    with pytest.raises(
        ValueError, match=rf"Received layers={layers}\. Expected 1 to 13, the number of layers of 'toy'"
    ):
        tl.unfreeze_top(toy, layers)


@pytest.mark.parametrize("layers", [True, 3.0, None])
def test_something_else_than_a_number_or_a_name_is_an_error(toy, layers):
    with pytest.raises(ValueError, match=r"Received layers=.*Expected a whole number, the name of a layer, or 'all'"):
        tl.unfreeze_top(toy, layers)


@pytest.mark.parametrize("block", ["block_1", "block_13", "block_16"])  # the first and last are parts of larger ones
def test_a_block_of_mobilenet_is_unfrozen_by_its_name(data, block):
    model = tl.build_model("MobileNetV2", data, weights=None, alpha=0.35)
    assert tl.unfreeze_top(model, block).first_layer == f"{block}_expand"


def test_an_unknown_layer_is_an_error_with_the_near_names(toy):
    with pytest.raises(ValueError, match=r"'toy' has no layer or block 'conf3'\. Did you mean .*conv3"):
        tl.unfreeze_top(toy, "conf3")
    with pytest.raises(
        ValueError, match=r"'toy' has no layer or block 'qqqq'\. See `\[layer\.name for layer in base\.layers\]`"
    ):
        tl.unfreeze_top(toy, "qqqq")


def test_layers_without_weights_to_train_are_an_error_and_change_nothing(toy, arrays, differing):
    tl.unfreeze_top(toy, 6)
    with pytest.raises(
        ValueError, match=r"The top 2 layers of 'toy' \(bn4, relu4\) have no weights to train.*Unfreeze more"
    ):
        tl.unfreeze_top(toy, 2)
    assert differing(*one_step(toy, arrays)) == kernels("conv3", "conv4")


def test_a_numpy_number_of_layers_will_do(toy):
    assert tl.unfreeze_top(toy, np.int64(6)).layers == 6


# ---- snapshots


def test_changed_layers_lists_what_moved_and_how_far(toy):
    before = tl.snapshot(toy)
    kernel = toy.get_layer("classifier").kernel
    kernel.assign(kernel * 1.5)
    (change,) = tl.changed_layers(before, tl.snapshot(toy))
    assert change.path == "classifier/kernel"
    assert change.moved == pytest.approx(0.5, rel=1e-4)


def test_a_weight_that_was_zero_moved_without_measure(toy):
    before = tl.snapshot(toy)
    toy.get_layer("classifier").bias.assign([0.1, 0, 0])
    assert tl.changed_layers(before, tl.snapshot(toy)) == [("classifier/bias", float("inf"))]


def test_one_bit_is_a_change(toy):
    before = tl.snapshot(toy)
    kernel = toy.get_layer("classifier").kernel
    value = kernel.numpy()
    value[0, 0] = np.nextafter(value[0, 0], np.float32(9))
    kernel.assign(value)
    assert [change.path for change in tl.changed_layers(before, tl.snapshot(toy))] == ["classifier/kernel"]


def test_a_snapshot_is_a_copy_of_every_weight(toy):
    before = tl.snapshot(toy)
    assert len(before) == len(toy.weights)
    for weight in toy.weights:
        weight.assign(weight + 1)
    assert len(tl.changed_layers(before, tl.snapshot(toy))) == len(toy.weights)


def test_equal_snapshots_show_no_change(toy):
    assert tl.changed_layers(tl.snapshot(toy), tl.snapshot(toy)) == []


def test_snapshots_of_two_models_are_an_error(toy, make_toy):
    other = {f"other/{path}": value for path, value in tl.snapshot(make_toy()).items()}
    with pytest.raises(ValueError, match=r"Expected two snapshots of one model\. Only one of them has"):
        tl.changed_layers(tl.snapshot(toy), other)
