"""What is needed of Keras and it keeps to itself: one function for each, and a test that notices a change."""

import keras


def can_train(optimizer: keras.optimizers.Optimizer, weights: list) -> bool:
    """Whether an optimizer is new, or has trained these weights before: it knows no others."""
    known = {id(weight) for weight in optimizer._trainable_variables}
    return not optimizer.built or known.issuperset(map(id, weights))
