"""What `kerastl.private` needs of Keras is as it was: a new release that changes it is noticed here."""

import keras

from kerastl import private


def test_an_optimizer_knows_the_weights_that_it_has_trained(make_toy):
    model, other = make_toy(), make_toy()
    adam = keras.optimizers.Adam()
    assert private.can_train(adam, model.trainable_weights)
    adam.build(model.trainable_weights)
    assert private.can_train(adam, model.trainable_weights)
    assert not private.can_train(adam, other.trainable_weights)
    assert not private.can_train(adam, [*model.trainable_weights, *other.trainable_weights])
