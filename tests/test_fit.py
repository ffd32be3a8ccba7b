"""Training runs in Keras's own `fit`: what people put into it, or do after it, works as they know it."""

import re
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerastl as tl
from kerastl.data import make_dataset
from kerastl.engine import batches
from kerastl.engine.arguments import OWN_WAYS
from kerastl.engine.frozen import Frozen
from kerastl.engine.split import split_model
from kerastl.progress import Progress
from tiers import slow


def batches_of(arrays, part: str, size: int = 9):
    return tf.data.Dataset.from_tensor_slices(arrays[part]).batch(size)


def with_training(data, dataset) -> tl.ImageData:
    return data._replace(train=dataset)


def test_an_average_of_the_weights_is_what_training_ends_with(make_toy, ordered_data):
    def train(**average):
        keras.utils.set_random_seed(0)
        model = make_toy()
        sgd = keras.optimizers.SGD(0.5, **average)
        tl.train_head(model, ordered_data, epochs=3, learning_rate=sgd, verbose=0)
        return model, sgd

    plain, _ = train()
    averaged, optimizer = train(use_ema=True, ema_momentum=0.9)
    kernel = averaged.get_layer("classifier").kernel
    assert not np.allclose(kernel, plain.get_layer("classifier").kernel, atol=1e-4)
    number = next(n for n, weight in enumerate(optimizer._trainable_variables) if weight.path == kernel.path)
    np.testing.assert_allclose(kernel, optimizer._model_variables_moving_average[number], atol=1e-6)


def test_figures_that_callbacks_add_are_in_the_history(toy, data):
    class Count(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["of_mine"] = np.float32(epoch)

    history = tl.train_head(toy, data, epochs=3, callbacks=Count(), verbose=0)  # one callback, not in a list
    assert history.history["of_mine"] == [0, 1, 2]


@pytest.mark.parametrize("unfrozen", [False, True])
def test_keras_fit_can_go_on_afterwards(toy, data, differing, unfrozen):
    if unfrozen:
        tl.unfreeze_top(toy, 3)
        tl.fine_tune(toy, data, epochs=1, verbose=0)
    else:
        tl.train_head(toy, data, epochs=1, verbose=0)
    before = tl.snapshot(toy)
    toy.fit(data.train, epochs=1, verbose=0)
    assert "classifier/kernel" in differing(before, tl.snapshot(toy))


@pytest.mark.parametrize("unfrozen", [False, True])
def test_keras_loads_without_a_warning_what_its_own_save_wrote(toy, data, unfrozen, tmp_path):
    if unfrozen:
        tl.unfreeze_top(toy, 3)
    (tl.fine_tune if unfrozen else tl.train_head)(toy, data, epochs=1, verbose=0)
    toy.save(tmp_path / "plain.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keras.models.load_model(tmp_path / "plain.keras")


def test_in_mixed_precision_the_optimizer_is_wrapped_once(make_toy, data):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = make_toy()
        seen = []

        class Look(keras.callbacks.Callback):
            def on_train_end(self, logs=None):
                seen.append((self.model.optimizer, int(keras.ops.convert_to_numpy(self.model.optimizer.step_counter))))

        tl.train_head(model, data, epochs=1, callbacks=[Look()], verbose=0)
    finally:
        keras.config.set_dtype_policy(policy)
    ((optimizer, steps),) = seen
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert not isinstance(optimizer.inner_optimizer, keras.optimizers.LossScaleOptimizer)
    assert steps == 3  # it is the one that trains


@pytest.mark.slow
def test_many_steps_of_a_head_run_in_one_call_and_change_nothing(make_toy, ordered_data, differing):
    def train(*callbacks):
        keras.utils.set_random_seed(0)
        model = make_toy(dropout=0.5)
        tl.train_head(model, ordered_data, epochs=3, callbacks=callbacks, verbose=0)
        return tl.snapshot(model)

    calls = []

    class EachBatch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            calls.append(batch)

    one_by_one, together = train(EachBatch()), train()
    assert calls == [0, 1, 2] * 3
    for path in one_by_one:
        np.testing.assert_allclose(one_by_one[path], together[path], atol=1e-6, err_msg=path)


@pytest.mark.parametrize("epochs", [np.int64(1), 1])
def test_whole_numbers_of_numpy_are_whole_numbers(toy, data, epochs):
    assert tl.train_head(toy, data, epochs=epochs, views=np.int64(0), callbacks=None, verbose=0).epoch == [0]


def test_kerass_own_backup_is_refused(toy, data, tmp_path):
    with pytest.raises(ValueError, match=r"BackupAndRestore.*Use `backup_dir`"):
        tl.train_head(toy, data, callbacks=[keras.callbacks.BackupAndRestore(tmp_path)], verbose=0)


def test_ctrl_c_while_images_are_read_ends_the_phase(toy, data, monkeypatch, capsys, differing):
    def press(*_, **__):
        raise KeyboardInterrupt

    before = tl.snapshot(toy)
    with monkeypatch.context() as patched:
        patched.setattr(Frozen, "run", press)
        history = tl.train_head(toy, data, epochs=2)
    assert (history.epoch, history.history) == ([], {})
    assert "phase 1 was stopped while its images were read" in capsys.readouterr().out
    assert differing(before, tl.snapshot(toy)) == set()
    assert tl.train_head(toy, data, epochs=2, verbose=0).epoch == [0, 1]


def test_ctrl_c_while_the_test_images_are_read_for_a_backup_ends_the_phase(toy, data, monkeypatch, capsys, tmp_path):
    from kerastl.engine.witness import Witnessed

    def press(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Witnessed, "_look", press)
        assert tl.train_head(toy, data, epochs=2, backup_dir=tmp_path).epoch == []
    assert "phase 1 was stopped while its images were read" in capsys.readouterr().out
    assert tl.train_head(toy, data, epochs=2, backup_dir=tmp_path, verbose=0).epoch == [0, 1]


# ---- datasets as people make them


@pytest.mark.parametrize("seed", [0, 1, *slow(2, 3, 4, 5)])  # the smaller last batch comes first in 1, 4 and 5
@pytest.mark.parametrize("views", [0, "fresh"])
def test_batches_that_are_shuffled_can_be_learned_from(toy, data, arrays, seed, views):
    dataset = batches_of(arrays, "train").cache().shuffle(1000, seed=seed)
    history = tl.train_head(toy, with_training(data, dataset), epochs=2, views=views, verbose=0)
    assert len(history.epoch) == 2


def test_batches_of_many_sizes_are_refused(toy, data, arrays):
    images, labels = arrays["train"]
    sizes = [(images[:4], labels[:4]), (images[4:8], labels[4:8]), (images[8:], labels[8:])]
    spec = (tf.TensorSpec((None, 32, 32, 3), tf.uint8), tf.TensorSpec((None,), tf.int64))
    dataset = tf.data.Dataset.from_generator(lambda: iter(sizes), output_signature=spec)
    with pytest.raises(ValueError, match=r"batches hold 4 images and 16.*unbatch\(\)\.batch\(4\)"):
        tl.train_head(toy, with_training(data, dataset), epochs=1, verbose=0)


def counted(arrays, change) -> tuple:
    """A dataset that changes its pixels with NumPy, and the number of images that it has given."""
    given = []

    def run(images, labels):
        given.append(len(labels))
        return change(images), labels

    def map_in_numpy(images, labels):
        new, same = tf.numpy_function(run, [images, labels], [tf.uint8, tf.int64])
        return tf.ensure_shape(new, (None, 32, 32, 3)), tf.ensure_shape(same, (None,))

    return batches_of(arrays, "train").shuffle(9).map(map_in_numpy), given


def test_a_dataset_that_augments_is_read_in_every_epoch_and_that_is_said(toy, data, arrays, capsys):
    rng = np.random.default_rng(0)
    dataset, given = counted(arrays, lambda images: images // 2 + rng.integers(0, 99, images.shape, np.uint8))
    tl.train_head(toy, with_training(data, dataset), epochs=4)
    assert (
        "training images: other images or labels in each pass (from augmentation, or drop_remainder?), so the frozen"
        in capsys.readouterr().out
    )
    assert sum(given) >= 5 * 24


@pytest.mark.parametrize("kind", ["copies after the originals", "one class of three"])
def test_a_dataset_that_augments_some_of_its_images_is_read_in_every_epoch(toy, data, arrays, capsys, kind):
    rng = np.random.default_rng(0)

    def change(images, labels):
        new = images // 2 + rng.integers(0, 99, images.shape, np.uint8)
        return new if kind.startswith("copies") else np.where((labels == 2)[:, None, None, None], new, images)

    order = np.argsort(arrays["train"][1], kind="stable")  # the classes one after the other
    images, labels = (array[order] for array in arrays["train"])
    plain = tf.data.Dataset.from_tensor_slices((images, labels)).batch(6)
    changed = plain.map(
        lambda *batch: (tf.ensure_shape(tf.numpy_function(change, batch, tf.uint8), (None, 32, 32, 3)), batch[1])
    )
    dataset = plain.concatenate(changed) if kind.startswith("copies") else changed
    tl.train_head(toy, with_training(data, dataset), epochs=2)
    assert "training images: other images or labels in each pass" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["labels with noise", "images drawn again"])
def test_a_dataset_with_other_labels_or_other_numbers_of_an_image_is_read_in_every_epoch(
    toy, data, arrays, capsys, kind
):
    rng = np.random.default_rng(0)

    def change(images, labels):
        return rng.permutation(labels) if kind.startswith("labels") else rng.integers(0, 24, len(labels))

    drawn = batches_of(arrays, "train").map(
        lambda *batch: (batch[0], tf.ensure_shape(tf.numpy_function(change, batch, tf.int64), (None,)))
    )
    if kind.startswith("images"):
        images, labels = map(tf.constant, arrays["train"])
        drawn = drawn.map(lambda _, rows: (tf.gather(images, rows), tf.gather(labels, rows)))
    tl.train_head(toy, with_training(data, drawn), epochs=2)
    assert "training images: other images or labels in each pass" in capsys.readouterr().out


def generated(arrays, sizes_of_pass) -> tf.data.Dataset:
    """Batches of sizes that may differ from pass to pass."""
    images, labels = arrays["train"]
    passes = iter(sizes_of_pass)

    def give():
        start = 0
        for size in next(passes):
            yield images[start : start + size], labels[start : start + size]
            start += size

    spec = (tf.TensorSpec((None, 32, 32, 3), tf.uint8), tf.TensorSpec((None,), tf.int64))
    return tf.data.Dataset.from_generator(give, output_signature=spec)


@pytest.mark.parametrize("views", [0, "fresh"])
def test_a_batch_without_an_image_is_refused(toy, data, arrays, views):
    dataset = generated(arrays, [[9, 0, 9]] * 5)
    with pytest.raises(ValueError, match=r"a batch without an image\. Expected .*dataset\.filter"):
        tl.train_head(toy, with_training(data, dataset), epochs=1, views=views, verbose=0)


def test_a_batch_with_fewer_labels_than_images_is_refused(toy, data, arrays):
    fewer = batches_of(arrays, "train").map(lambda images, labels: (images, labels[1:]))
    with pytest.raises(ValueError, match=r"A batch holds 9 images and 8 labels"):
        tl.train_head(toy, with_training(data, fewer), epochs=1, verbose=0)


def test_a_dataset_that_can_be_read_once_only_is_refused(toy, data, arrays):
    once = iter([tuple(array[:9] for array in arrays["train"])] * 2)
    spec = (tf.TensorSpec((None, 32, 32, 3), tf.uint8), tf.TensorSpec((None,), tf.int64))
    dataset = tf.data.Dataset.from_generator(lambda: once, output_signature=spec)
    with pytest.raises(ValueError, match=r"nothing in a second pass.*generator that is used up"):
        tl.train_head(toy, with_training(data, dataset), epochs=1, verbose=0)


@pytest.mark.parametrize("views", [0, "fresh"])
@pytest.mark.parametrize(("now", "said"), [([6] * 4, "more"), ([6] * 2, "only 2")])
def test_a_dataset_that_grows_or_shrinks_is_refused(toy, data, arrays, views, now, said):
    dataset = generated(arrays, [[6] * 3] * (2 if views == "fresh" else 1) + [now] * 5)
    with pytest.raises(ValueError, match=f"gave 3 batches at first, and {said} now"):
        tl.train_head(toy, with_training(data, dataset), epochs=2, views=views, verbose=0)


@pytest.mark.slow
def test_a_dataset_that_does_not_augment_is_read_once(toy, data, arrays, capsys):
    dataset, given = counted(arrays, lambda images: images)
    tl.train_head(toy, with_training(data, dataset), epochs=4)
    assert "runs in every epoch" not in capsys.readouterr().out
    assert sum(given) < 3 * 24


def test_fresh_is_honoured_in_a_model_without_augmentation(toy, data, arrays):
    dataset, given = counted(arrays, lambda images: images)
    tl.train_head(toy, with_training(data, dataset), epochs=4, views="fresh", verbose=0)
    assert sum(given) >= 4 * 24


def test_pixels_of_bicubic_resizing_and_of_a_dark_picture_are_no_mistake(toy, data, arrays):
    images, labels = arrays["train"]
    resized = tf.image.resize(images, (40, 40), "bicubic")[:, 4:36, 4:36].numpy()
    resized[:, 0, 0] = -17.7
    resized[-1] = 1.0
    resized[-1, 0] = 0.0  # nearly black, alone in the last batch
    dataset = make_dataset(resized.astype("float32"), labels, batch_size=23)
    assert tl.train_head(toy, with_training(data, dataset), epochs=1, verbose=0).epoch == [0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda images: images / 255, "Pixels run from 0 to"),
        (lambda images: images / 127.5 - 1, "Pixels run from -1 to"),
        (lambda images: images - 120.0, "Pixels run from -120 to"),
        (lambda images: images * 257.0, "Pixels run from 0 to"),
        (lambda images: np.where(images > 200, np.nan, images), "no numbers"),
    ],
)
def test_pixels_that_were_scaled_or_are_no_numbers_are_a_mistake(toy, data, arrays, change, said):
    images, labels = arrays["train"]
    dataset = make_dataset(change(images).astype("float32"), labels, batch_size=9)
    with pytest.raises(ValueError, match=said):
        tl.train_head(toy, with_training(data, dataset), epochs=1, verbose=0)


# ---- what cannot be trained


def test_an_optimizer_that_trained_other_weights_is_refused(toy, data):
    adam = keras.optimizers.Adam(1e-3)
    tl.train_head(toy, data, epochs=1, learning_rate=adam, verbose=0)
    tl.train_head(toy, data, epochs=1, learning_rate=adam, verbose=0)  # the same weights: it goes on
    tl.unfreeze_top(toy, 6)
    with pytest.raises(ValueError, match=r"has trained other weights before. Expected a new one for each phase"):
        tl.fine_tune(toy, data, epochs=1, learning_rate=adam, verbose=0)


@pytest.mark.parametrize("kept", [False, True])
def test_a_model_in_which_everything_is_frozen_is_refused(toy, data, tmp_path, kept):
    toy.get_layer("classifier").trainable = False
    with pytest.raises(ValueError, match=r"Nothing in the model can be trained"):
        tl.train_head(toy, data, epochs=1, backup_dir=tmp_path if kept else None, verbose=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_momentum_from_scratch_suits_the_number_of_steps_also_of_a_dataset_that_does_not_know_it(make_toy, data):
    def momentum(dataset) -> float:
        model = make_toy()
        tl.train_from_scratch(model, with_training(data, dataset), epochs=10, views=0, verbose=0)
        return model.get_layer("toy").get_layer("bn1").momentum

    unknown = data.train.filter(lambda images, labels: True)
    assert unknown.cardinality() < 0
    assert momentum(unknown) == momentum(data.train) > 0.6


def test_a_rate_that_is_a_number_of_numpy_falls_too(toy, data):
    rates = tl.train_head(toy, data, epochs=2, learning_rate=np.float32(0.01), verbose=0).history["learning_rate"]
    assert rates[1] < 0.6 * rates[0]


@pytest.mark.slow
def test_the_usual_number_of_views_is_bounded(make_model, data):
    chosen = [batches.choose_views(images) for images in (24, 1333, 1334, 2000, 2001, 4000, 4001)]
    assert chosen == [3, 3, 2, 2, 1, 1, 0]
    model = make_model()
    frozen = Frozen(model, split_model(model))
    assert batches.run_frozen(frozen, data.train, views=None, verbose=0).tensors[0].shape[:2] == (4, 24)


def test_images_are_counted_and_not_whole_batches_where_load_images_made_them(make_model, arrays, monkeypatch):
    images, labels = (array[:10] for array in arrays["train"])
    monkeypatch.setattr(batches, "MOST_EXTRA", 30)
    frozen = Frozen(model := make_model(), split_model(model))
    kept = batches.run_frozen(frozen, make_dataset(images, labels, batch_size=9), views=None, verbose=0)
    assert kept.tensors[0].shape[:2] == (4, 10)


@pytest.mark.slow
def test_of_a_small_base_the_layers_of_phase_2_are_said_as_many_as_are_meant(data, capsys):
    model = tl.build_model("VGG16", data, weights=None)
    tl.train_head(model, data, epochs=1)
    layers, promised = re.search(r"phase 2, with (\d+) layers: ([\d.]+ kB)", capsys.readouterr().out).groups()
    tl.unfreeze_top(model, int(layers))
    tl.fine_tune(model, data, epochs=1, views=0)
    assert f"{promised} in memory" in capsys.readouterr().out


@pytest.mark.slow
def test_how_much_is_kept_and_will_be_is_said_before_the_pass(make_model, data, monkeypatch, capsys):
    model = make_model()
    tl.train_head(model, data, epochs=1)
    promised = re.search(
        r"kB in memory; phase 2, with 30 layers: ([\d.]+ kB), and as much for each view", capsys.readouterr().out
    )[1]
    tl.unfreeze_top(model, 30)
    tl.fine_tune(model, data, epochs=1, views=0)
    assert f"{promised} in memory" in capsys.readouterr().out
    monkeypatch.setenv("KERASTL_MEMORY_MB", "0.02")
    tl.fine_tune(model, data, epochs=1)
    assert f"kB in a temporary file; with views=0 only {promised}" in capsys.readouterr().out


def test_the_class_of_an_optimizer_is_no_rate(toy, data):
    with pytest.raises(ValueError, match=r"Expected 0 or a positive number.*or an optimizer of Keras"):
        tl.train_head(toy, data, epochs=1, learning_rate=keras.optimizers.Adam, verbose=0)
    assert tl.train_head(toy, data, epochs=1, verbose=0).epoch == [0]


@pytest.mark.parametrize("train", [tl.train_head, tl.train_from_scratch])
@pytest.mark.parametrize("epochs", [0, "3"])
def test_all_ways_to_train_refuse_impossible_epochs_alike(toy, data, train, epochs, differing):
    momentum = toy.get_layer("toy").get_layer("bn1").momentum
    with pytest.raises(ValueError, match=r"Expected a whole number, 1 or more"):
        train(toy, data, epochs=epochs)
    with pytest.raises(TypeError, match=r"Received str. Expected a keras.Model"):
        train("model", data)
    assert toy.get_layer("toy").get_layer("bn1").momentum == momentum


@pytest.mark.parametrize("name", OWN_WAYS)
def test_a_model_with_a_step_of_its_own_is_refused(toy, data, name):
    own = type("Own", (keras.Model,), {name: lambda self, *given, **named: None})
    on_the_object = keras.Model(toy.inputs, toy.outputs)
    setattr(on_the_object, name, lambda *given, **named: None)
    for model in (own(toy.inputs, toy.outputs), on_the_object):
        with pytest.raises(ValueError, match=rf"a `{name}` of its own, which would not be used here"):
            tl.train_head(model, data, epochs=1, verbose=0)


def test_a_model_with_a_call_of_its_own_is_refused(toy, data):
    class Own(keras.Model):
        def call(self, images, training=None, mask=None):
            return super().call(255 - images, training=training)

    with pytest.raises(ValueError, match=r"has a `call` of its own"):
        tl.train_head(Own(toy.inputs, toy.outputs), data, epochs=1, verbose=0)


def test_a_dataset_that_gives_less_in_a_later_pass_is_an_error_in_words(toy, data, arrays):
    passes = []

    def generate():
        passes.append(None)
        yield from batches_of(arrays, "train").take(3 if len(passes) < 4 else 1)

    dataset = tf.data.Dataset.from_generator(generate, output_signature=data.train.element_spec)
    with pytest.raises(ValueError, match=r"gave 3 batches at first, and only 1 now"):
        tl.train_head(toy, with_training(data, dataset), epochs=4, views="fresh", verbose=0)


def test_a_backup_goes_on_with_an_optimizer_that_the_same_program_makes_again(make_toy, data, tmp_path):
    def train():
        keras.utils.set_random_seed(0)
        sgd = keras.optimizers.SGD(0.1)  # Keras gives each one another name
        return tl.train_head(make_toy(), data, epochs=2, learning_rate=sgd, backup_dir=tmp_path, verbose=0)

    assert train().history == train().history


class Shown(Progress):
    """A bar that remembers what it counted."""

    last = None

    def __exit__(self, *error):
        Shown.last = (self.label, self.done, self.total)
        super().__exit__(*error)


class WarmUp(keras.callbacks.Callback):
    """Sets the rate itself, as people's own callbacks do."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = 1e-4 * (epoch + 1)


class WarmUpByAssignment(keras.callbacks.Callback):
    """The other way."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate.assign(1e-4 * (epoch + 1))


@pytest.mark.parametrize("way", [WarmUp, WarmUpByAssignment])
def test_the_history_holds_the_rate_that_a_callback_set_for_the_epoch(toy, data, way):
    rate = keras.optimizers.Adam(0.01)
    history = tl.train_head(toy, data, epochs=3, learning_rate=rate, callbacks=way(), verbose=0).history
    np.testing.assert_allclose(history["learning_rate"], [1e-4, 2e-4, 3e-4], rtol=1e-5)


@pytest.mark.parametrize("way", [WarmUp, WarmUpByAssignment])
def test_a_callback_that_sets_a_rate_which_falls_by_itself_is_told_what_to_do(toy, data, way):
    with pytest.raises(TypeError, match=r"`learning_rate=keras.optimizers.Adam\(0.003\)`"):
        tl.train_head(toy, data, epochs=1, learning_rate=0.003, callbacks=way(), verbose=0)


def test_after_any_error_in_a_callback_keras_can_go_on_with_the_model(toy, data):
    class Fails(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        tl.train_head(toy, data, epochs=1, callbacks=Fails(), verbose=0)
    kernel = np.array(toy.layers[-1].kernel)
    toy.fit(data.train, verbose=0)
    assert np.abs(kernel - toy.layers[-1].kernel).max() > 1e-4


@pytest.mark.slow
def test_the_bar_counts_each_image_once_an_epoch_also_where_many_steps_run_in_one_call(toy, data, monkeypatch):
    from kerastl.engine import train

    monkeypatch.setattr(train, "Progress", Shown)
    tl.train_head(toy, data, epochs=2, verbose=0)  # three steps; Keras runs sixteen in a call
    assert Shown.last == ("phase 1", 48, 48)


@pytest.mark.parametrize(
    "weights",
    [
        "equal",
        {"blue": 2.0},
        {3: 1.0},
        [1, 1, 1],
        {1: "2"},
        {1: -1.0},
        {1: np.inf},
        {1: None},
        {True: 3.0},
        {0: 0, 1: 0, 2: 0},
    ],
)
def test_class_weights_that_name_no_class_are_refused(toy, data, weights):
    with pytest.raises(
        ValueError, match=r"Expected .balanced., or \{number of a class: its weight\}, as \{0: 1.0, 1: 1.0"
    ):
        tl.train_head(toy, data, epochs=1, class_weight=weights, verbose=0)


@pytest.mark.parametrize("callback", [keras.callbacks.EarlyStopping, "stop"])
def test_what_is_no_callback_is_refused(toy, data, callback):
    with pytest.raises(TypeError, match=r"Expected callbacks of Keras"):
        tl.train_head(toy, data, epochs=1, callbacks=[callback], verbose=0)


@pytest.mark.parametrize("views", [0, "fresh"])  # what is kept, and what is not
def test_devices_that_cannot_share_a_batch_equally_are_warned_of_and_one_without_an_image_is_refused(
    toy, arrays, monkeypatch, views
):
    monkeypatch.setattr(batches, "count_replicas", lambda model: 2)
    frozen, upper = Frozen(toy, split := split_model(toy)), split.upper

    def read(images: int, batch_size: int) -> None:
        dataset = make_dataset(*(array[:images] for array in arrays["train"]), batch_size)
        made = batches.Batches(batches.make_batches(frozen, dataset, views, True, 0, "test"), upper)
        made.begin()
        for number in range(len(made)):
            made[number]

    with pytest.raises(ValueError, match=r"Received a batch of 1 for 2 devices"):
        read(9, 4)
    with pytest.warns(UserWarning, match=r"2 devices cannot share batches of 3( and 3)? images equally"):
        read(9, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        read(12, 8)


def test_whole_numbers_beyond_255_are_no_pixels(toy, data, arrays):
    images, labels = arrays["train"]
    for change in (images.astype(np.uint16) * 257, images.astype(np.int32) - 100):
        with pytest.raises(ValueError, match=r"Pixels run from .* Expected 0 to 255"):
            tl.train_head(toy, with_training(data, make_dataset(change, labels, 9)), epochs=1, verbose=0)


def test_a_class_without_a_weight_weighs_1(make_toy, ordered_data, differing):
    left = []
    for weights in ({1: 2.0}, {0: 1.0, 1: 2.0, 2: 1.0}, None):
        keras.utils.set_random_seed(0)
        tl.train_head(model := make_toy(), ordered_data, epochs=1, class_weight=weights, verbose=0)
        left.append(tl.snapshot(model))
    assert differing(left[0], left[1]) == set()
    assert differing(left[0], left[2]) != set()


@pytest.mark.parametrize("where", ["set_model", "on_train_end"])
@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
def test_after_an_error_of_a_callback_outside_the_epochs_keras_can_go_on(toy, data, where, error):
    def fail(*_):
        raise error("not this one")

    picky = type("Picky", (keras.callbacks.Callback,), {where: fail})
    with pytest.raises(error, match="not this one"):
        tl.train_head(toy, data, epochs=1, learning_rate=0.01, callbacks=[picky()], verbose=0)
    toy.optimizer.learning_rate = 0.5  # a rate that falls by itself could not be set
    assert keras.ops.convert_to_numpy(toy.optimizer.learning_rate) == 0.5
