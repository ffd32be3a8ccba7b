"""Reading the structure of a model: its base, its leaf layers, and where it can be cut."""

import keras
import numpy as np
import pytest

from kerastl.graph import (
    acts_differently_in_training,
    find_base_model,
    is_batch_norm,
    is_network,
    leaf_layers,
    learns,
    live_tensors,
    run_order,
    size_in_bytes,
    work,
)


def build(name: str, **arguments) -> keras.Model:
    return getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(32, 32, 3), **arguments)


def test_the_base_is_the_nested_network_with_weights(model):
    # the augmentation is a nested network, too, but it has nothing to learn
    assert "augmentation" in [layer.name for layer in model.layers if isinstance(layer, keras.Model)]
    assert find_base_model(model).name.startswith("mobilenetv2")


def test_the_base_is_found_in_a_sequential_model(make_toy):
    base = find_base_model(make_toy())
    model = keras.Sequential([keras.Input((32, 32, 3)), base, keras.layers.GlobalAveragePooling2D()])
    assert find_base_model(model) is base


def test_something_else_than_a_model_is_a_type_error():
    with pytest.raises(TypeError, match=r"Received str\. Expected a keras\.Model, as `build_model` returns it"):
        find_base_model("model.keras")


def test_a_model_without_a_nested_base_is_an_error(make_toy):
    with pytest.raises(ValueError, match=r"one nested base network; found none in 'toy'.*x = base\(x\)"):
        find_base_model(find_base_model(make_toy()))


def test_two_nested_bases_are_an_error(make_toy):
    first, second = find_base_model(make_toy()), build("VGG16")
    image = keras.Input((32, 32, 3))
    pool = keras.layers.GlobalAveragePooling2D
    model = keras.Model(image, keras.layers.Concatenate()([pool()(first(image)), pool()(second(image))]))
    with pytest.raises(ValueError, match="one nested base network; found toy, vgg16"):
        find_base_model(model)


def test_leaf_layers_are_the_layers_of_a_flat_base():
    base = build("VGG16")
    assert list(leaf_layers(base)) == base.layers


def test_leaf_layers_reach_into_nested_blocks():
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, name="deep"), keras.layers.Dense(2, name="deeper")]
    )
    outer = keras.Sequential([keras.Input((4,)), inner, keras.layers.Dense(1, name="top")])
    assert [leaf.name for leaf in leaf_layers(outer)] == ["deep", "deeper", "top"]


def test_every_weight_is_in_exactly_one_leaf(model):
    base = find_base_model(model)
    in_leaves = [id(weight) for leaf in leaf_layers(base) for weight in leaf.weights]
    assert len(in_leaves) == len(set(in_leaves))
    assert set(in_leaves) == {id(weight) for weight in base.weights}


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (keras.layers.Dropout(0.1), True),
        (keras.layers.BatchNormalization(), True),
        (keras.layers.GaussianNoise(0.1), True),
        (keras.layers.LayerNormalization(), False),
        (keras.layers.ReLU(), False),
    ],
)
def test_layers_that_ask_whether_they_are_in_training_are_known(layer, expected):
    assert acts_differently_in_training(layer) is expected
    x = np.linspace(1, 2, 24, dtype="float32").reshape(4, 6)
    same = np.allclose(layer(x, training=True) if expected else layer(x), layer(x))
    assert same is not expected  # and the answer is true of what they do


def test_batch_norm_is_told_from_other_normalization():
    assert is_batch_norm(keras.layers.BatchNormalization())
    assert not is_batch_norm(keras.layers.LayerNormalization())


def test_what_learns_follows_the_flag():
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    assert learns(layer)
    layer.trainable = False
    assert not learns(layer)


def test_a_batch_norm_without_weights_learns_its_statistics():
    layer = keras.layers.BatchNormalization(center=False, scale=False)
    layer.build((None, 3))
    assert not layer.trainable_weights
    assert learns(layer)
    layer.trainable = False
    assert not learns(layer)


def test_work_of_a_convolution_is_its_weights_times_its_places():
    image = keras.Input((8, 6, 2))
    x = keras.layers.Conv2D(5, 3, padding="same", use_bias=False)(image)
    nodes = run_order(keras.Model(image, keras.layers.MaxPooling2D()(x)))
    assert [work(node) for node in nodes] == [0, (3 * 3 * 2 * 5) * (8 * 6), 0]


def test_size_in_bytes_is_that_of_float32_for_one_image():
    assert size_in_bytes([keras.Input((8, 6, 2)), keras.Input((3,))]) == 4 * (96 + 3)


def test_run_order_calls_nothing_before_what_it_reads(make_toy):
    nodes = run_order(find_base_model(make_toy()))
    assert len(nodes) == 13
    known = set()
    for node in nodes:
        assert {id(tensor) for tensor in node.input_tensors} <= known
        known |= {id(tensor) for tensor in node.outputs}


def test_run_order_of_a_model_ends_at_its_own_output_not_inside_the_base(make_toy):
    model = make_toy()
    nodes = run_order(model)
    assert [node.operation.name for node in nodes[2:]] == ["toy", "pool", "dropout", "classifier"]
    assert nodes[2].outputs[0] is nodes[3].input_tensors[0]
    assert nodes[-1].outputs[0] is model.outputs[0]


def test_live_tensors_of_a_residual_block_are_two(make_toy):
    nodes = run_order(find_base_model(make_toy()))
    live = {node.operation.name: len(tensors) for node, tensors in zip(nodes, live_tensors(nodes), strict=True)}
    assert live["relu1"] == 1
    assert live["conv2"] == live["bn2"] == 2  # the way around the block is still needed
    assert live["add"] == 1
    assert live["relu4"] == 1  # what the model returns


@pytest.mark.parametrize(
    ("name", "arguments", "layers", "cuts"),
    [("MobileNetV2", {"alpha": 0.35}, 154, 73), ("VGG16", {}, 19, 18), ("ResNet50", {}, 175, 38)],
)
def test_places_where_a_network_can_be_cut_in_two(name, arguments, layers, cuts):
    base = build(name, **arguments)
    assert len(base.layers) == layers
    single = [tensors for tensors in live_tensors(run_order(base)) if len(tensors) == 1]
    assert len(single) - cuts in (0, 1, 2)  # the image, before which nothing is cut off, and the output may count


@pytest.mark.slow
def test_nasnet_has_no_single_cut_inside():
    nodes = run_order(build("NASNetMobile"))
    sizes = [len(tensors) for tensors in live_tensors(nodes)]
    middle = sizes[len(sizes) // 10 : -len(sizes) // 10]
    assert min(middle) == 2  # each cell reads the two before it


@pytest.mark.parametrize("place", [3, 4, 6, 9])
def test_what_is_live_at_a_place_is_enough_to_go_on_from_there(make_toy, arrays, place):
    base = find_base_model(make_toy())
    images = arrays["test"][0].astype("float32")
    tensors = live_tensors(run_order(base))[place]
    lower, upper = keras.Model(base.input, tensors), keras.Model(tensors, base.output)
    assert np.array_equal(np.asarray(upper(lower(images))), np.asarray(base(images)))


def test_a_network_with_a_call_of_its_own_is_one_operation():
    class Twice(keras.Sequential):
        def call(self, values, training=None, mask=None):
            return 2 * super().call(values, training=training)

    assert is_network(keras.Sequential([keras.layers.Dense(2)]))
    assert not is_network(Twice([keras.layers.Dense(2)]))
