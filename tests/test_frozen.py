"""What the frozen part gave for an image is remembered: phase 2 goes on from there, and nothing else changes."""

import gc
import sys

import keras
import numpy as np
import pytest

import kerastl as tl
from kerastl.engine import frozen
from kerastl.engine.batches import run_frozen
from kerastl.engine.frozen import Frozen
from kerastl.engine.split import split_model
from kerastl.graph import find_base_model, is_all_kerass, size_in_bytes
from kerastl.storage import MEMORY_VARIABLE
from tiers import slow


@pytest.fixture
def ran(monkeypatch):
    """A list that grows by (name of the model, images) whenever a frozen part runs over a batch."""
    calls, original = [], frozen.predict_padded

    def spy(model, inputs, batch_size):
        calls.append((model.name, len(keras.tree.flatten(inputs)[0])))
        return original(model, inputs, batch_size)

    monkeypatch.setattr(frozen, "predict_padded", spy)
    return calls


def assert_close(values, expected) -> None:
    """Equal to rounding, which is as large as the numbers are, on every CPU."""
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def frozen_part(model) -> Frozen:
    return Frozen(model, split_model(model))


def images_through(calls, names) -> int:
    return sum(images for name, images in calls if name in names)


def test_phase_2_after_phase_1_runs_the_lower_part_over_no_image_again(toy, data, ran):
    tl.train_head(toy, data, epochs=1, verbose=0)
    assert images_through(ran, {"below", "lower"}) == 24 + 9
    ran.clear()
    tl.unfreeze_top(toy, 6)
    tl.fine_tune(toy, data, epochs=1, views=0, verbose=0)
    assert images_through(ran, {"below", "lower"}) == 0


@pytest.mark.slow
def test_with_views_only_the_augmented_images_run_in_phase_2(make_model, data, ran):
    model = make_model()
    tl.train_head(model, data, epochs=1, verbose=0)
    ran.clear()
    tl.unfreeze_top(model, 30)
    tl.fine_tune(model, data, epochs=1, views=2, verbose=0)
    assert images_through(ran, {"below", "lower"}) == 0
    assert images_through(ran, {"augmented"}) == 2 * 24


@pytest.mark.slow
def test_a_second_try_runs_nothing(toy, data, ran):
    tl.unfreeze_top(toy, 10)  # more than half of the layers: remembered at the frontier itself
    tl.fine_tune(toy, data, epochs=1, views=0, verbose=0)
    assert images_through(ran, {"below", "lower"}) == 24 + 9
    tl.fine_tune(toy, data, epochs=1, views=0, learning_rate=1e-5, verbose=0)
    assert images_through(ran, {"below", "lower"}) == 24 + 9


@pytest.mark.parametrize("base", ["MobileNetV2", *slow("NASNetMobile")])  # one tensor to remember, and several
def test_what_is_remembered_is_what_the_frozen_part_gives(base, data, ordered_data, settle, arrays, ran):
    model = settle(tl.build_model(base, data, weights=None), arrays["train"][0])
    first = run_frozen(frozen_part(model), data.train, verbose=0)  # another order
    tl.unfreeze_top(model, 30)
    for weight in find_base_model(model).trainable_weights:
        weight.assign(weight * 1.1)  # training moved the top
    tl.freeze(model)
    ran.clear()
    again = run_frozen(frozen_part(model), ordered_data.train, verbose=0)
    assert images_through(ran, {"below", "lower"}) == 0
    expected = np.concatenate([frozen_part(model).run(images)[0] for images, _ in ordered_data.train])
    assert_close(again.tensors[0][0], expected)
    assert np.ptp(expected, axis=0).max() > 0.01
    assert not np.allclose(np.sort(first.tensors[0][0], axis=0), np.sort(expected, axis=0), atol=1e-3)


def test_new_images_run(toy, ordered_data, ran):
    run_frozen(frozen_part(toy), ordered_data.validation, verbose=0)
    ran.clear()
    run_frozen(frozen_part(toy), ordered_data.train, verbose=0)
    assert images_through(ran, {"below", "lower"}) == 24


def test_other_weights_below_make_the_memory_void(toy, ordered_data, arrays, ran):
    run_frozen(frozen_part(toy), ordered_data.validation, verbose=0)
    kernel = find_base_model(toy).get_layer("conv1").kernel
    kernel.assign(-kernel)
    ran.clear()
    kept = run_frozen(frozen_part(toy), ordered_data.validation, verbose=0)
    assert images_through(ran, {"below"}) == 9
    split = split_model(toy)
    expected = split.lower(split.front(arrays["validation"][0].astype("float32")))
    assert_close(kept.tensors[0][0], expected)


def test_another_setting_of_a_layer_below_makes_the_memory_void(toy, ordered_data, ran):
    before = run_frozen(frozen_part(toy), ordered_data.validation, verbose=0)
    find_base_model(toy).get_layer("relu1").negative_slope = 0.5
    ran.clear()
    after = run_frozen(frozen_part(toy), ordered_data.validation, verbose=0)
    assert images_through(ran, {"below", "lower"}) == 9
    assert not np.allclose(before.tensors[0], after.tensors[0], atol=1e-3)


def test_the_same_base_behind_another_scaling_has_a_memory_of_its_own(toy, ordered_data, arrays):
    run_frozen(frozen_part(toy), ordered_data.validation, verbose=0)
    image = keras.Input((32, 32, 3))
    x = find_base_model(toy)(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.GlobalAveragePooling2D()(x)
    other = keras.Model(image, keras.layers.Dense(3, activation="softmax")(x))
    split = split_model(other)
    kept = run_frozen(Frozen(other, split), ordered_data.validation, verbose=0)
    expected = split.lower(split.front(arrays["validation"][0].astype("float32")))
    assert_close(kept.tensors[0][0], expected)


def two_phases(make_toy, settle, data, images) -> list:
    keras.utils.set_random_seed(3)
    model = settle(make_toy(), images)
    tl.train_head(model, data, epochs=1, verbose=0)
    tl.unfreeze_top(model, 6)
    tl.fine_tune(model, data, epochs=1, views=0, verbose=0)
    return model.get_weights()


@pytest.mark.slow
@pytest.mark.parametrize("place", ["file", "nowhere", "no temporary folder"])
def test_what_memory_has_no_room_for_trains_alike(place, make_toy, settle, ordered_data, arrays, monkeypatch, ran):
    expected = two_phases(make_toy, settle, ordered_data, arrays["train"][0])
    assert images_through(ran, {"below", "lower"}) == 24 + 9
    ran.clear()
    monkeypatch.setenv(MEMORY_VARIABLE, "0.08")  # room for one batch at the frontier, not for a memory
    if place != "file":
        monkeypatch.setattr(frozen, "find_room", find_no_room if place == "nowhere" else find_no_folder)
    weights = two_phases(make_toy, settle, ordered_data, arrays["train"][0])
    assert images_through(ran, {"below", "lower"}) == (24 + 9) * (1 if place == "file" else 2)
    for one, other in zip(weights, expected, strict=True):
        assert np.array_equal(one, other)


def find_no_room(*_, **__):
    return None


def find_no_folder(*_, **__):
    raise OSError("no temporary file can be written")


def test_the_memory_grows_and_gives_back_each_image(toy, monkeypatch):
    (output,) = split_model(toy).below.outputs
    monkeypatch.setattr(frozen, "LARGEST_ROOM", 40 * size_in_bytes([output]))
    memory, rng = frozen._memory_of(toy, split_model(toy)), np.random.default_rng(0)
    batches = [rng.normal(size=(size, *output.shape[1:])).astype("float32") for size in (9, 3, 9, 30, 9, 64, 1)]
    keys = [[b"%d of %d" % (row, number) for row in range(len(batch))] for number, batch in enumerate(batches)]
    for names, batch in zip(keys, batches, strict=True):
        assert memory.find(names) is None
        memory.add(names, [batch])
    for names, batch in zip(keys, batches, strict=True):
        assert np.array_equal(memory.find(names)[0], batch)
    assert np.array_equal(memory.find([keys[5][60], keys[0][2]])[0], [batches[5][60], batches[0][2]])
    assert memory.find([keys[0][0], b"another"]) is None
    assert [len(arrays[0]) for arrays in memory._rooms] == [9, 9, 12, 30, 40, 64, 40]


def memory_and_batches(toy) -> tuple:
    """An empty memory, and four batches of keys and tensors for it."""
    rng, shape = np.random.default_rng(0), split_model(toy).below.outputs[0].shape[1:]
    names = [[b"%d of %d" % (row, number) for row in range(6)] for number in range(4)]
    return frozen._memory_of(toy, split_model(toy)), [(keys, rng.normal(size=(6, *shape))) for keys in names]


def test_known_images_are_not_stored_again(toy):
    memory, [(keys, tensors), (others, _), *_] = memory_and_batches(toy)
    memory.add(keys, [tensors])
    free = memory._free
    memory.add([*keys[:5], others[0]], [tensors])
    assert sum(len(arrays[0]) for arrays in memory._rooms) - memory._free == 6 + 1 + free
    np.testing.assert_allclose(memory.find([others[0]])[0], tensors[5:], rtol=1e-6)


@pytest.mark.slow
def test_ctrl_c_at_any_line_leaves_no_image_with_the_tensors_of_another(make_toy):
    functions = {frozen._Memory.add.__code__, frozen._Memory._find_more.__code__}
    for line in range(60):
        memory, batches = memory_and_batches(make_toy())
        steps = iter(range(1000))

        def trace(frame, event, _, steps=steps, line=line):
            if frame.f_code in functions and event == "line" and next(steps) == line:
                raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        pressed = False
        try:
            for keys, tensors in batches[:3]:
                memory.add(keys, [tensors])
        except KeyboardInterrupt:
            pressed = True
        finally:
            sys.settrace(before)
        for keys, tensors in batches[1:]:
            if memory.find(keys) is None:
                memory.add(keys, [tensors])
        for keys, tensors in batches:
            for key, tensor in zip(keys, tensors, strict=True):
                found = memory.find([key])
                assert found is None or np.allclose(found[0][0], tensor, atol=1e-6), line
        if not pressed:
            break
    assert 20 < line < 59  # each line of three batches had its turn


def test_where_there_is_no_room_for_twice_as_much_a_smaller_one_does(toy, monkeypatch):
    memory, [(keys, tensors), (others, more), *_] = memory_and_batches(toy)
    memory.add(keys, [tensors])
    find = frozen.find_room

    def find_small_rooms(shapes, *arguments, **options):
        return find(shapes, *arguments, **options) if shapes[0][0] <= 3 else None

    monkeypatch.setattr(frozen, "find_room", find_small_rooms)
    memory.add(others[:2], [more[:2]])
    assert not memory.full
    assert [len(arrays[0]) for arrays in memory._rooms] == [6, 3]
    np.testing.assert_allclose(memory.find([others[1], keys[5]])[0], [more[1], tensors[5]], rtol=1e-6)


def test_a_full_memory_begins_anew_in_the_next_phase(toy, ordered_data, monkeypatch, ran):
    with monkeypatch.context() as patched:
        patched.setattr(frozen, "find_room", find_no_room)
        run_frozen(frozen_part(toy), ordered_data.validation, verbose=0)
    for expected in (9, 0):
        ran.clear()
        run_frozen(frozen_part(toy), ordered_data.validation, verbose=0)
        assert images_through(ran, {"below", "lower"}) == expected


@pytest.mark.slow
def test_the_memory_goes_with_its_model(make_toy, data):
    gc.collect()
    before = len(frozen._memories)
    model = make_toy()
    tl.train_head(model, data, epochs=1, verbose=0)
    assert len(frozen._memories) == before + 1
    del model
    gc.collect()
    assert len(frozen._memories) == before


class Power(keras.layers.Layer):
    """A layer of the user's own: what it does is in no weight and in no setting that Keras knows."""

    factor = 1.0

    def call(self, values):
        return values * self.factor


def test_with_a_layer_of_ones_own_below_nothing_is_taken_over_from_an_earlier_phase(ordered_data, ran):
    layers = keras.layers
    pixels = keras.Input((32, 32, 3))
    x = layers.ReLU()(Power(name="power")(layers.Conv2D(4, 3, strides=4)(pixels)))
    base = keras.Model(pixels, layers.Conv2D(4, 1, name="last")(x))
    base.trainable = False
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(base(image))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(x))
    before = run_frozen(frozen_part(model), ordered_data.validation, verbose=0)
    base.get_layer("power").factor = 3.0
    after = run_frozen(frozen_part(model), ordered_data.validation, verbose=0)
    assert not np.allclose(before.tensors[0], after.tensors[0], rtol=0.1)


@pytest.mark.parametrize("where", ["layer", "argument", "operation"])
def test_a_function_of_ones_own_is_a_layer_of_ones_own(where):
    factor = [1.0]

    def own(values):
        return values * factor[0]

    layers = keras.layers
    pixels = keras.Input((32, 32, 3))
    call = {
        "layer": layers.Activation(own),
        "argument": layers.Conv2D(4, 3, activation=own),
        "operation": lambda images: keras.ops.vectorized_map(own, images),
    }[where]
    assert not is_all_kerass(keras.Model(pixels, call(pixels)))
    assert is_all_kerass(keras.Model(pixels, layers.Conv2D(4, 3, activation="gelu")(layers.Activation("relu")(pixels))))


def test_images_of_the_same_bytes_in_another_shape_are_others():
    wide, high = np.arange(96, dtype=np.uint8).reshape(2, 16, 3), np.arange(96, dtype=np.uint8).reshape(16, 2, 3)
    assert frozen._key_of(wide) != frozen._key_of(high)
    assert frozen._key_of(wide) == frozen._key_of(wide.copy())
