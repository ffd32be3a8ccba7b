"""The ways to fine-tune of benchmarks/strategies: formulas against cases worked by hand, and what each way changes."""

import keras
import numpy as np
import pytest

from programs import import_from

shifts, make_sets = import_from("data/make", "results", "tasks", "shifts", "make_sets")[2:]
runs, forgetting, pieces, ways, compare_ways = import_from(
    "benchmarks/strategies", "runs", "forgetting", "pieces", "ways", "compare_ways"
)


def dense_model(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    vector = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="tanh", name="low")(vector)
    return keras.Model(vector, keras.layers.Dense(2, activation="softmax", name="high")(hidden))


def small_network() -> keras.Model:
    """A 1×1 convolution, BatchNorm, a depthwise convolution and a head."""
    image = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(5, 1, use_bias=False, name="pointwise")(image)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(2, activation="softmax", name="head")(x))


VECTORS = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
IMAGES = np.random.default_rng(1).normal(3, 2, size=(64, 4, 4, 3)).astype("float32")
LABELS = np.arange(64) % 2


def fit(model: keras.Model, optimizer, inputs=VECTORS) -> keras.Model:
    model.compile(optimizer, loss="sparse_categorical_crossentropy")
    model.fit(inputs, LABELS, batch_size=16, epochs=3, shuffle=False, verbose=0)
    return model


def arrays(model: keras.Model) -> dict[str, np.ndarray]:
    return {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}


class ByHand(keras.Model):
    """Two Adams, each with the weights of its own layer: what rates per layer have to be equal to."""

    def __init__(self, network, first, second):
        super().__init__()
        self.network, self.adams = network, (first, second)

    def run(self):
        import tensorflow as tf

        layers = [self.network.get_layer(name) for name in ("low", "high")]
        loss = keras.losses.SparseCategoricalCrossentropy()
        for _ in range(3):
            for start in range(0, 64, 16):
                with tf.GradientTape() as tape:
                    value = loss(LABELS[start : start + 16], self.network(VECTORS[start : start + 16]))
                pairs = [layer.trainable_variables for layer in layers]
                for adam, weights, grads in zip(self.adams, pairs, tape.gradient(value, pairs), strict=True):
                    adam.apply(grads, weights)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the tape of the other side is TensorFlow's")
def test_each_weight_array_learns_at_its_own_rate_as_with_an_adam_of_its_own():
    factors = {"low/kernel": 0.1, "low/bias": 0.1}
    together = fit(dense_model(), pieces.RatesPerLayer(0.01, factors))
    alone = dense_model()
    ByHand(alone, keras.optimizers.Adam(0.001), keras.optimizers.Adam(0.01)).run()
    start, found, expected = arrays(dense_model()), arrays(together), arrays(alone)
    for path in start:
        np.testing.assert_allclose(found[path], expected[path], rtol=1e-3, atol=2e-6)
        assert np.abs(found[path] - start[path]).max() > 1e-3
    # To scale the gradient instead would change nothing: Adam divides by its size.
    assert (
        np.abs(found["low/kernel"] - arrays(fit(dense_model(), keras.optimizers.Adam(0.01)))["low/kernel"]).max() > 0.01
    )


def test_a_factor_of_one_is_adam_and_of_zero_is_frozen():
    start, plain = arrays(dense_model()), arrays(fit(dense_model(), keras.optimizers.Adam(0.01)))
    same = arrays(fit(dense_model(), pieces.RatesPerLayer(0.01, {})))
    held = arrays(fit(dense_model(), pieces.RatesPerLayer(0.01, {"low/kernel": 0.0})))
    for path in start:
        np.testing.assert_allclose(same[path], plain[path], rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(held["low/kernel"], start["low/kernel"])
    assert np.abs(held["high/kernel"] - start["high/kernel"]).max() > 0.005


def test_the_penalty_is_the_formula_of_the_paper():
    # By hand: 0.1 / 2 × ((2 - 1)² + (0 - 0)² + (-1 - 2)²) = 0.5
    penalty = pieces.TowardsStart(np.array([1.0, 0.0, 2.0], "float32"), 0.1)
    assert float(penalty(keras.ops.convert_to_tensor([2.0, 0.0, -1.0]))) == pytest.approx(0.5)


def test_the_penalty_holds_the_weights_near_their_start():
    start = arrays(dense_model())
    free, held = dense_model(), dense_model()
    for weight in held.trainable_weights:
        weight.regularizer = pieces.TowardsStart(weight, 10.0)
    assert float(sum(held.losses)) == 0
    way = [
        sum(
            ((array - start[path]) ** 2).sum()
            for path, array in arrays(fit(model, keras.optimizers.Adam(0.01))).items()
        )
        for model in (free, held)
    ]
    assert 0 < way[1] < way[0] / 10
    assert float(sum(held.losses)) == pytest.approx(5 * way[1], rel=1e-4)


def test_an_average_lies_on_the_line_between_two_networks():
    first, second = [np.array([1.0, 2.0]), np.array([[4.0]])], [np.array([3.0, 0.0]), np.array([[8.0]])]
    for found, expected in zip(pieces.average(first, second, 0.5), ([2, 1], [[6]]), strict=True):
        np.testing.assert_array_equal(found, expected)
    for share, end in ((0, first), (1, second)):
        for found, expected in zip(pieces.average(first, second, share), end, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_adapting_statistics_moves_them_to_those_of_the_pictures_and_nothing_else():
    model = small_network()
    before = arrays(model)
    pieces.adapt_statistics(model, IMAGES, batch=16)
    after = arrays(model)
    assert {path for path in before if not np.array_equal(before[path], after[path])} == {
        "norm/moving_mean",
        "norm/moving_variance",
    }
    seen = keras.ops.convert_to_numpy(model.get_layer("pointwise")(IMAGES)).reshape(4, -1, 5)  # the four batches
    np.testing.assert_allclose(after["norm/moving_mean"], seen.mean((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(after["norm/moving_variance"], seen.var(1).mean(0), rtol=1e-4)
    assert not model.get_layer("norm").trainable


@pytest.fixture
def with_lora() -> keras.Model:
    model = small_network()
    for layer in model.layers[:-1]:
        layer.trainable = False
    pieces.add_lora(model, 2)
    return model


def test_lora_learns_in_its_adapters_and_the_head_alone(with_lora):
    before = arrays(with_lora)
    after = arrays(fit(with_lora, keras.optimizers.Adam(0.05), IMAGES))
    assert {path for path in before if not np.array_equal(before[path], after[path])} == {
        "pointwise/lora_kernel_a",
        "pointwise/lora_kernel_b",
        "head/kernel",
        "head/bias",
    }


def test_lora_begins_as_the_network_and_can_be_merged_into_it(with_lora):
    plain, before = small_network(), arrays(with_lora)
    for weight in plain.weights:
        weight.assign(before[weight.path])
    np.testing.assert_allclose(with_lora.predict(IMAGES, verbose=0), plain.predict(IMAGES, verbose=0), rtol=1e-6)
    learned = fit(with_lora, keras.optimizers.Adam(0.05), IMAGES).predict(IMAGES, verbose=0)
    assert np.abs(learned - plain.predict(IMAGES, verbose=0)).max() > 0.01
    plain.set_weights(pieces.plain_weights(with_lora))
    np.testing.assert_allclose(plain.predict(IMAGES, verbose=0), learned, rtol=1e-5)
