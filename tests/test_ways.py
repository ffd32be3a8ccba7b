"""The ways to fine-tune of benchmarks/strategies: formulas against cases worked by hand, and what each way changes."""

import keras
import numpy as np
import pytest

from programs import ROOT, import_from
from tiers import slow, weekly

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
    optimizer.build(model.trainable_variables)  # saves time
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


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(keras.optimizers, "MultiOptimizer"), reason="it came with Keras 3.15")
def test_newer_versions_of_keras_give_the_same_with_an_adam_for_each_rate():
    adams = {"low": keras.optimizers.Adam(0.001), "high": keras.optimizers.Adam(0.01)}
    chosen = keras.optimizers.MultiOptimizer(lambda weight: adams[weight.path.split("/")[0]])
    expected = arrays(fit(dense_model(), chosen))
    found = arrays(fit(dense_model(), pieces.RatesPerLayer(0.01, {"low/kernel": 0.1, "low/bias": 0.1})))
    for path in found:
        np.testing.assert_allclose(found[path], expected[path], rtol=1e-3, atol=2e-6)


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
    half = len(IMAGES) // 2
    images = np.concatenate([IMAGES[:half], IMAGES[half:] + 100.0])  # as sorted by class: dark ones, then bright ones
    pieces.adapt_statistics(model, images, batch=16)
    after = arrays(model)
    assert {path for path in before if not np.array_equal(before[path], after[path])} == {
        "norm/moving_mean",
        "norm/moving_variance",
    }
    seen = keras.ops.convert_to_numpy(model.get_layer("pointwise")(images))
    as_sorted = seen.reshape(4, -1, 5).var(1).mean(0)  # what batches in this order would give
    whole = seen.reshape(-1, 5).var(0)
    assert (as_sorted < 0.8 * whole).any()
    np.testing.assert_allclose(after["norm/moving_mean"], seen.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(after["norm/moving_variance"], whole, rtol=0.1)
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


def test_a_file_holds_the_merged_kernels_and_not_the_adapters(with_lora, tmp_path):
    learned = fit(with_lora, keras.optimizers.Adam(0.05), IMAGES).predict(IMAGES, verbose=0)
    with_lora.save_weights(tmp_path / "lora.weights.h5")
    plain = small_network()
    plain.load_weights(tmp_path / "lora.weights.h5")
    np.testing.assert_allclose(plain.predict(IMAGES, verbose=0), learned, rtol=1e-5)


@pytest.mark.parametrize("name", ["lora.weights.h5", *slow("lora.keras")])
def test_what_was_loaded_with_lora_on_learns_nothing_more_in_its_adapters(with_lora, tmp_path, name):
    """A fault of Keras (3.15.1): both adapters are set to 0, where neither has a gradient. Nothing says so."""
    fit(with_lora, keras.optimizers.Adam(0.05), IMAGES)
    if name.endswith(".keras"):
        with_lora.save(tmp_path / name)
        with_lora = keras.models.load_model(tmp_path / name)
    else:
        with_lora.save_weights(tmp_path / name)
        with_lora.load_weights(tmp_path / name)
    layer = with_lora.get_layer("pointwise")
    assert layer.lora_enabled
    fit(with_lora, keras.optimizers.Adam(0.05), IMAGES)
    for adapter in (layer.lora_kernel_a, layer.lora_kernel_b):
        assert np.abs(keras.ops.convert_to_numpy(adapter)).max() == 0


def test_to_freeze_and_unfreeze_a_layer_opens_the_kernel_beside_its_adapters(with_lora):
    """The other trap of LoRA in Keras: `trainable` is set on the kernel, too."""
    layer = with_lora.get_layer("pointwise")
    assert [weight.name for weight in layer.trainable_weights] == ["lora_kernel_a", "lora_kernel_b"]
    layer.trainable = False
    layer.trainable = True
    assert "kernel" in [weight.name for weight in layer.trainable_weights]


def test_a_depthwise_convolution_has_no_lora(with_lora):
    assert not hasattr(with_lora.get_layer("depthwise"), "enable_lora")
    image = keras.Input((8, 8, 3))
    without = keras.Model(image, keras.layers.DepthwiseConv2D(3)(image), name="depthwise_only")
    with pytest.raises(ValueError, match="'depthwise_only' has no 1×1 convolution"):
        pieces.add_lora(without, 2)


# The network itself.


@pytest.fixture
def start() -> ways.Start:
    """A few pictures and as few epochs as gradual unfreezing can do with."""
    keras.utils.set_random_seed(0)
    problem = forgetting.draw_problem("near", 0)
    few = {part: tuple(array[::10] for array in getattr(problem, part)) for part in ("train", "validation", "test")}
    features = ways.read(ways.parts(ways.network(5), "pool")[0], few["train"][0])
    head = [np.zeros((1280, 5), "float32"), np.zeros(5, "float32")]
    return ways.Start(problem._replace(**few), len(ways.CUTS), features, head, {})


FIRST_OF_STAGE = ("block_13_expand", "block_6_expand", "block_3_expand", "Conv1")  # of the base, from the top

# What each way may change: BatchNorm's scales, its means; convolutions below and above the top 100 layers; adapters.
CHANGES = {
    "head only": (False, False, False, False, False),
    "two phases": (False, False, False, True, False),
    "everything at once": (False, False, True, True, False),
    "warm-up and cosine": (False, False, True, True, False),
    "gradual unfreezing": (False, False, True, True, False),
    "rates per depth": (False, False, True, True, False),
    "L2-SP": (False, False, True, True, False),
    "LP-FT": (False, False, True, True, False),
    "WiSE-FT": (False, False, True, True, False),
    "LoRA": (False, False, False, False, True),
    "BatchNorm's statistics": (False, True, False, False, False),
    "BatchNorm only": (True, True, False, False, False),
}
OFTEN = ("LoRA", "BatchNorm's statistics")


@pytest.mark.parametrize("way", [*slow(*OFTEN), *weekly(*(way for way in ways.WAYS if way not in OFTEN))])
def test_each_way_changes_what_it_says(start, way):
    keras.utils.set_random_seed(0)
    model = ways.network(5)
    before = arrays(model)
    ways.WAYS[way].train(model, start, ways.WAYS[way].tries[0])
    after = arrays(model)
    changed = {path for path in after if path not in before or not np.array_equal(before[path], after[path])}
    kinds = ("gamma", "moving_mean", "block_3_expand/kernel", "block_6_expand/kernel", "block_3_expand/lora_kernel_b")
    assert tuple(any(kind in path for path in changed) for kind in kinds) == CHANGES[way]
    assert "head/kernel" in changed


NO_PICTURES = ways.Start(None, len(ways.CUTS), np.zeros((ways.BATCH * 10, 1)), [], {})


def test_gradual_unfreezing_opens_one_more_part_at_each_stage(monkeypatch):
    opened = []
    monkeypatch.setattr(ways, "fit_above", lambda model, cut, *_: opened.append((cut, model.trainable_weights)))
    ways.gradual_unfreezing(ways.network(5), NO_PICTURES, 1e-3)
    assert [cut for cut, _ in opened] == list(ways.CUTS)
    paths = [[weight.path for weight in weights] for _, weights in opened]
    assert paths[0] == ["head/kernel", "head/bias"]
    for stage, first in enumerate(FIRST_OF_STAGE, start=1):
        assert paths[stage][0] == f"{first}/kernel"
        assert set(paths[stage]) > set(paths[stage - 1])
    assert not [path for path in paths[-1] if "gamma" in path or "beta" in path]


def test_the_top_is_that_of_unfreeze_top():
    base = keras.applications.MobileNetV2(input_shape=(96, 96, 3), alpha=0.35, include_top=False, weights=None)
    names = [layer.name for layer in base.layers]
    for cut, layers in zip(ways.CUTS[1:4], (38, 100, 127), strict=True):
        assert len(names) - names.index(cut) - 1 == layers


def test_each_part_of_the_base_learns_at_a_lower_rate_than_the_one_above():
    found = ways.factors(ways.network(2))
    of_parts = [found[f"{name}/kernel"] for name in ("head", *FIRST_OF_STAGE)]
    np.testing.assert_allclose(of_parts, [2.6**-part for part in range(5)])


@pytest.mark.slow
def test_nothing_of_a_cut_network_is_lost():
    model = ways.network(3)
    images = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3)).astype("uint8")
    whole = ways.read(model, images)
    below, above = ways.parts(model, ways.TOP)
    np.testing.assert_allclose(ways.read(above, ways.read(below, images)), whole, rtol=1e-5)


def test_the_rate_rises_and_falls():
    rate = ways.falling(0.5, NO_PICTURES, 10, warm_up=0.1)
    rates = [float(rate(step)) for step in (0, 5, 10, 55, 100)]
    np.testing.assert_allclose(rates, [0, 0.25, 0.5, 0.25, 0], atol=1e-6)
    plain = ways.falling(0.5, NO_PICTURES, 10)
    np.testing.assert_allclose([float(plain(step)) for step in (0, 50, 100)], [0.5, 0.25, 0], atol=1e-6)


def test_each_way_has_the_same_number_of_tries():
    assert {len(set(way.tries)) for way in ways.WAYS.values()} == {2}


def test_validation_chooses_the_better_value_and_the_lower_one_if_both_are_alike():
    made = {
        f"ways, near, 20, two phases at {value:g}": {"100": {"validation": found}}
        for value, found in zip(ways.WAYS["two phases"].tries, (0.9, 0.8), strict=True)
    }
    assert compare_ways.chosen(made, "near", 20, "two phases") == 3e-4
    made["ways, near, 20, two phases at 0.001"]["100"]["validation"] = 0.9
    assert compare_ways.chosen(made, "near", 20, "two phases") == 3e-4
    made["ways, near, 20, two phases at 0.001"]["100"]["validation"] = 0.91
    assert compare_ways.chosen(made, "near", 20, "two phases") == 1e-3


# The shifted pictures.


@pytest.mark.parametrize("set_name", ["drawn_flowers", "drawn_butterflies"])
def test_shifted_pictures_come_from_seeds_of_their_own(set_name):
    assert "shifted" not in make_sets.COUNTS[set_name]
    assert len(set(make_sets.PARTS.values())) == len(make_sets.PARTS)
    drawn = {shift: shifts.shifted_pictures.__wrapped__(set_name, shift, 1) for shift in shifts.SHIFTS}
    again = shifts.shifted_pictures.__wrapped__(set_name, "snow", 1)
    np.testing.assert_array_equal(drawn["snow"][0], again[0])
    np.testing.assert_array_equal(again[1], np.arange(len(make_sets.CLASSES[set_name])))
    plain = np.stack([make_sets.draw(set_name, "shifted", number, 0)[0] for number in again[1]]).astype(float)
    brightness = {shift: images.mean() for shift, (images, _) in drawn.items()}
    assert brightness["night"] < 0.5 * plain.mean() < plain.mean() < brightness["snow"]
    sharpness = {shift: np.abs(np.diff(images.astype(float), axis=2)).mean() for shift, (images, _) in drawn.items()}
    assert sharpness["blur"] < np.abs(np.diff(plain, axis=2)).mean() < sharpness["snow"]
    red, green, _ = drawn["another meadow"][0][:, -8:].mean((0, 1, 2))  # the ground: ripe, not green
    assert red > green


# The page.


def test_the_page_holds_the_tables_of_what_was_measured():
    measured = runs.read_runs()
    text = (ROOT / "docs" / "ways_to_fine_tune.md").read_text(encoding="utf-8").splitlines()
    for lines in (compare_ways.table(measured), compare_ways.comparisons(measured), compare_ways.averages(measured)):
        assert len(lines) > 3
        assert [line for line in lines if line not in text] == []


STATISTICS = "BatchNorm's statistics"
# What is shown to differ from two phases, on test pictures and under the shifts, by its sign.
FAR_100 = {
    "head only": -1,
    "everything at once": 1,
    "warm-up and cosine": 1,
    "gradual unfreezing": 1,
    "L2-SP": 1,
    "LP-FT": 1,
    "LoRA": 1,
    "WiSE-FT": -1,
    STATISTICS: -1,
}
SHOWN = {
    ("near", 20): ({STATISTICS: -1}, {STATISTICS: -1}),
    ("near", 100): (
        {"head only": -1, STATISTICS: -1},
        {"gradual unfreezing": -1, STATISTICS: -1, "BatchNorm only": -1},
    ),
    ("far", 20): (
        {
            "head only": -1,
            "everything at once": 1,
            "warm-up and cosine": 1,
            "L2-SP": 1,
            "WiSE-FT": -1,
            STATISTICS: -1,
            "BatchNorm only": -1,
        },
        {
            "head only": -1,
            "warm-up and cosine": 1,
            "L2-SP": 1,
            "LP-FT": -1,
            "WiSE-FT": -1,
            STATISTICS: -1,
            "BatchNorm only": -1,
        },
    ),
    ("far", 100): (FAR_100, FAR_100),  # the same on test pictures and under the shifts
}


@pytest.mark.parametrize("problem", SHOWN)
def test_what_the_page_says_of_a_difference_to_two_phases_holds(problem):
    measured, names = runs.read_runs(), {compare_ways.name_of(*problem, way): way for way in ways.WAYS}
    basis, *others = sorted(names, key=lambda name: names[name] != "two phases")
    for what, shown in zip(("test", "shifted"), SHOWN[problem], strict=True):
        found = runs.paired_tests(measured, basis, others, what)
        assert {names[name]: np.sign(gain) for name, gain, p in found if p < 0.05} == shown, what


def means_of(*problem) -> dict:
    measured = runs.read_runs()
    return {
        way: {
            what: values.mean() for what, values in runs.collect(measured, compare_ways.name_of(*problem, way)).items()
        }
        for way in ways.WAYS
    }


def test_what_the_page_says_of_the_near_task_holds():
    means = means_of("near", 20)
    for found in means.values():
        assert found["shifted"] < found["test"] - 0.15
        assert found["night"] == min(found[shift] for shift in shifts.SHIFTS)
    assert sorted(means, key=lambda way: means[way]["seconds"])[2] == "two phases"
    assert means["head only"]["test"] == pytest.approx(0.94, abs=0.005)
    assert means["LoRA"]["parameters"] < means["two phases"]["parameters"] / 10


def test_what_the_page_says_of_more_pictures_of_the_far_task_holds():
    means = means_of("far", 100)
    gains = {way: found["test"] - means["two phases"]["test"] for way, found in means.items()}
    said = {"warm-up and cosine": 0.08, "everything at once": 0.07, "L2-SP": 0.07, "LoRA": 0.06, "LP-FT": 0.06}
    said |= {"gradual unfreezing": 0.03, "head only": -0.22, STATISTICS: -0.25, "WiSE-FT": -0.06}
    assert {way: round(gains[way], 2) for way in said} == said
    assert {way: round(means[way]["shifted"], 2) for way in ("warm-up and cosine", "two phases")} == {
        "warm-up and cosine": 0.78,
        "two phases": 0.62,
    }
    assert round(means["two phases"]["test"], 2) == 0.90
    assert means["LoRA"]["parameters"] < 1.1 * means["two phases"]["parameters"] / 10


def test_what_the_page_says_of_more_pictures_of_the_near_task_holds():
    means = means_of("near", 100)
    shifted = {way: found["shifted"] for way, found in means.items()}
    assert max(shifted, key=shifted.get) == "two phases"
    assert round(shifted["two phases"], 2) == 0.81


def test_what_the_page_says_of_the_far_task_holds():
    means = means_of("far", 20)
    ordered = sorted(found["test"] for found in means.values())
    assert [round(ordered[0], 2), round(ordered[-1], 2)] == [0.55, 0.89]
    gains = {way: means[way]["test"] - means["two phases"]["test"] for way in means}
    ways_up = ("everything at once", "warm-up and cosine", "L2-SP")
    assert [round(gains[way], 2) for way in ways_up] == [0.12, 0.13, 0.05]
    for what in ("test", "shifted"):
        shares = [means["WiSE-FT"][f"share {share:g}, {what}"] for share in (0, 0.25, 0.75, 1)]
        assert shares == sorted(shares)
    measured = runs.read_runs()
    at_their_higher = [
        way for way, (_, values, *_) in ways.WAYS.items() if compare_ways.chosen(measured, "far", 20, way) == values[1]
    ]
    assert ways.WAYS.keys() - at_their_higher == {"L2-SP"}
