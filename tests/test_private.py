"""What `kerastl.private` needs of Keras is as it was: a new release that changes it is noticed here."""

import keras
import numpy as np
import pytest

from kerastl import private


def test_the_nodes_of_a_model_are_in_the_order_of_their_depth(make_toy):
    model = make_toy()
    by_depth = private.nodes_by_depth(model)
    names = [node.operation.name for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    assert names == [layer.name for layer in model.layers]
    (last,) = by_depth[0]
    assert (len(last.input_tensors), last.outputs[0] is model.outputs[0]) == (1, True)


def test_a_call_can_be_made_again_on_other_tensors():
    old, new = keras.Input((4,)), keras.Input((4,))
    made = keras.layers.Dot(axes=1)([old, old])
    again = private.call_like(private.nodes_by_depth(keras.Model(old, made))[0][0], {id(old): new})
    np.testing.assert_allclose(keras.Model(new, again)(np.full((1, 4), 2.0, "float32")), [[16]])


def test_calls_can_be_forgotten():
    old, new, layer = keras.Input((4,)), keras.Input((4,)), keras.layers.Dense(2)
    first = layer(old)
    with private.forget_calls([layer]):
        model = keras.Model(new, keras.layers.ReLU()(layer(new)))
    assert layer.output is first
    assert len(layer._inbound_nodes) == 1
    row = np.ones((1, 4), "float32")
    np.testing.assert_allclose(model.predict(row, verbose=0), np.maximum(keras.Model(old, first)(row), 0), rtol=1e-5)


def test_calls_are_forgotten_although_the_block_fails():
    image, layer = keras.Input((4,)), keras.layers.Dense(2)
    first = layer(image)
    with pytest.raises(KeyboardInterrupt), private.forget_calls([layer]):
        layer(image)
        raise KeyboardInterrupt
    assert layer.output is first
    assert len(layer._inbound_nodes) == 1


@pytest.mark.parametrize("told", [True, False, None])
def test_a_call_knows_whether_it_was_told_that_it_is_in_training(told):
    image = keras.Input((4,))
    for made in (
        keras.layers.Dropout(0.5)(image, training=told),
        keras.Sequential([keras.layers.Dropout(0.5)])(image, training=told),
    ):
        assert private.told_to_train(private.nodes_by_depth(keras.Model(image, made))[0][0]) == (told is True)


def test_a_layer_knows_the_layers_that_it_holds():
    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.first, self.others = keras.layers.Dense(1), [keras.layers.ReLU(), keras.layers.Dense(2)]

    block = Block()
    assert private.held_layers(block) == [block.first, *block.others]


def test_an_optimizer_knows_the_weights_that_it_has_trained(make_toy):
    model, other = make_toy(), make_toy()
    adam = keras.optimizers.Adam()
    assert private.can_train(adam, model.trainable_weights)
    adam.build(model.trainable_weights)
    assert [weight.path for weight in private.weights_of(adam)] == [weight.path for weight in model.trainable_weights]
    assert private.can_train(adam, model.trainable_weights)
    assert not private.can_train(adam, other.trainable_weights)
    assert not private.can_train(adam, [*model.trainable_weights, *other.trainable_weights])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strategies are TensorFlow's")
def test_a_model_knows_the_strategy_in_whose_scope_it_was_made(make_toy):
    import tensorflow as tf

    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    with strategy.scope():
        inside = make_toy()
    assert private.strategy_of(inside) is strategy
    assert private.strategy_of(make_toy()) is None


def test_keras_knows_the_seed_that_it_was_given():
    keras.utils.set_random_seed(41)
    assert private.seed() == 41
