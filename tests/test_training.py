"""The two phases and the engine under them: what moves, what stays, and that keeping changes nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerastl as tl
from kerastl.data import as_arrays, make_dataset
from kerastl.graph import find_base_model
from kerastl.progress import Progress

HEAD = {"classifier/kernel", "classifier/bias"}


def batch_norm_paths(model) -> set[str]:
    norms = [layer for layer in find_base_model(model).layers if isinstance(layer, keras.layers.BatchNormalization)]
    return {weight.path for layer in norms for weight in layer.weights}


# ---- both phases on MobileNetV2, run once; each test looks at one fact of the run


@pytest.fixture(scope="module")
def run(make_model, settle, data, arrays):
    keras.utils.set_random_seed(0)
    model = settle(make_model(), arrays["train"][0])
    snapshots = [tl.snapshot(model)]
    histories = [tl.train_head(model, data, epochs=2, learning_rate=0.01, verbose=0)]
    snapshots.append(tl.snapshot(model))
    tl.unfreeze_top(model, 30)
    histories.append(tl.fine_tune(model, data, epochs=2, learning_rate=1e-3, verbose=0))
    snapshots.append(tl.snapshot(model))
    return model, snapshots, histories


def test_frozen_weights_are_bit_identical_after_phase_1(run, differing):
    _, (start, after_1, _), _ = run
    assert differing(start, after_1) == HEAD


def test_frozen_weights_are_bit_identical_after_phase_2(run, differing):
    model, (_, after_1, after_2), _ = run
    top = {
        weight.path
        for layer in find_base_model(model).layers[-30:]
        if not isinstance(layer, keras.layers.BatchNormalization)
        for weight in layer.weights
    }
    assert len(top) == 10
    assert differing(after_1, after_2) == HEAD | top


def test_batch_norm_statistics_never_move(run, differing):
    model, (start, _, after_2), _ = run
    paths = batch_norm_paths(model)
    assert len(paths) == 4 * 52
    assert differing(start, after_2).isdisjoint(paths)


def test_the_history_has_every_figure_for_every_epoch(run):
    for history in run[2]:
        assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
        assert {len(values) for values in history.history.values()} == {2}
        assert history.epoch == [0, 1]


def test_the_last_validation_figures_are_those_of_the_model(run, data, loss_in_fit):
    model, _, (_, history) = run
    result = tl.evaluate(model, data.validation)
    assert history.history["val_accuracy"][-1] == pytest.approx(result.accuracy)
    assert history.history["val_loss"][-1] == pytest.approx(loss_in_fit(result), rel=1e-3)


def test_the_learning_rate_falls_from_epoch_to_epoch(run):
    for history in run[2]:
        first, last = history.history["learning_rate"]
        assert last <= first / 2


# ---- what the engine does


def test_the_loss_of_an_epoch_is_the_mean_over_its_images(toy, ordered_data):
    history = tl.train_head(toy, ordered_data, epochs=1, learning_rate=0.0, verbose=0)
    result = tl.evaluate(toy, ordered_data.train)
    assert history.history["loss"][0] == pytest.approx(result.loss, abs=1e-4)
    assert history.history["accuracy"][0] == pytest.approx(result.accuracy, abs=1e-6)


def test_the_frozen_part_runs_once_for_each_image(toy, data, monkeypatch):
    from kerastl.engine.frozen import Frozen

    seen = []
    run = Frozen.run
    monkeypatch.setattr(Frozen, "run", lambda self, images, **how: seen.append(len(images)) or run(self, images, **how))
    tl.train_head(toy, data, epochs=5, verbose=0)
    assert sum(seen) == 24 + 9


# ---- how the two phases behave


def test_training_learns(toy, data):
    history = tl.train_head(toy, data, epochs=15, learning_rate=0.05, verbose=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    assert tl.evaluate(toy, data.test).accuracy > 0.6  # chance is a third


@pytest.mark.slow
def test_train_functions_compile_by_themselves(toy, data, differing):
    tl.train_head(toy, data, epochs=1, verbose=0)
    before = tl.snapshot(toy)
    tl.unfreeze_top(toy, 3)  # after compile: plain Keras would go on as before
    tl.fine_tune(toy, data, epochs=1, verbose=0)
    assert differing(before, tl.snapshot(toy)) == {"conv4/kernel", *HEAD}
    assert toy.compiled


@pytest.mark.slow
def test_phase_1_after_phase_2_trains_the_head_alone_again(toy, data, differing):
    tl.unfreeze_top(toy, 3)
    tl.fine_tune(toy, data, epochs=1, verbose=0)
    tl.freeze(toy)
    before = tl.snapshot(toy)
    tl.train_head(toy, data, epochs=1, verbose=0)
    assert differing(before, tl.snapshot(toy)) == HEAD


@pytest.mark.parametrize("views", [1, 2, "fresh"])
def test_batch_norms_and_frozen_weights_stay_with_augmented_views(toy, data, differing, views):
    tl.unfreeze_top(toy, 6)
    before = tl.snapshot(toy)
    tl.fine_tune(toy, data, epochs=2, views=views, verbose=0)
    assert differing(before, tl.snapshot(toy)) == {"conv3/kernel", "conv4/kernel", *HEAD}


def test_a_seed_decides_the_result(make_toy, ordered_data):
    def weights(seed: int):
        keras.utils.set_random_seed(seed)
        model = make_toy(dropout=0.3)
        tl.train_head(model, ordered_data, epochs=2, verbose=0)
        return model.get_layer("classifier").kernel.numpy()

    assert np.array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


def test_training_from_scratch_moves_everything(toy, data, differing):
    before = tl.snapshot(toy)
    tl.train_from_scratch(toy, data, epochs=2, verbose=0)
    assert differing(before, tl.snapshot(toy)) == set(before)


@pytest.mark.slow
def test_training_from_scratch_settles_batch_norms_in_few_steps(make_toy, data):
    model = make_toy()
    tl.train_from_scratch(model, data, epochs=10, learning_rate=0.0, views=0, verbose=0)  # 30 steps
    pixels = as_arrays(data.train)[0].astype("float32")
    base = find_base_model(model)
    below = keras.Model(base.input, base.get_layer("conv1").output)
    out = keras.ops.convert_to_numpy(below(pixels / 127.5 - 1))
    norm, mean, variance = base.get_layer("bn1"), out.mean(axis=(0, 1, 2)), out.var(axis=(0, 1, 2))
    # the last small batches leave some noise; Keras's 0.999 would leave 97 % of the way from the start, 0 and 1
    assert np.linalg.norm(norm.moving_mean - mean) < 0.3 * np.linalg.norm(mean)
    assert np.linalg.norm(norm.moving_variance - variance) < 0.3 * np.linalg.norm(1 - variance)


@pytest.mark.slow
def test_class_weights_change_what_is_learned(make_toy, ordered_data):
    said = []
    for weights in (None, {0: 0.0, 1: 0.0, 2: 1.0}):
        keras.utils.set_random_seed(0)
        model = make_toy()
        tl.train_head(model, ordered_data, epochs=5, learning_rate=0.05, class_weight=weights, verbose=0)
        said.append(tl.evaluate(model, ordered_data.test).probabilities[:, 2].mean())
    assert said[1] > said[0] + 0.1


@pytest.mark.parametrize("phase", ["train_head", "fine_tune", "train_from_scratch"])
def test_balanced_class_weights_are_those_that_make_each_class_count_as_much(make_toy, arrays, phase):
    def trained(weights):
        keras.utils.set_random_seed(0)
        images, labels = (array[:12] for array in arrays["train"])
        labels = np.repeat([0, 1, 2], [6, 4, 2])
        part = make_dataset(images, labels, batch_size=6)
        model = make_toy()
        if phase == "fine_tune":
            tl.unfreeze_top(model, "conv3")
        data = tl.ImageData(part, part, part, ["blue", "green", "red"])
        history = getattr(tl, phase)(model, data, epochs=2, learning_rate=0.01, class_weight=weights, verbose=0)
        return history.history["loss"], tl.snapshot(model)

    loss, weights = trained("balanced")
    expected_loss, expected = trained({0: 12 / (3 * 6), 1: 12 / (3 * 4), 2: 12 / (3 * 2)})
    assert loss == expected_loss
    assert all(np.array_equal(weights[path], expected[path]) for path in expected)
    assert trained(None)[0] != loss


def test_two_classes_with_one_sigmoid_output_can_be_trained(make_toy, arrays, differing):
    parts = [make_dataset(images, labels % 2, batch_size=9) for images, labels in arrays.values()]
    model = make_toy(classes=1)
    before = tl.snapshot(model)
    history = tl.train_head(model, tl.ImageData(*parts, ["even", "odd"]), epochs=2, verbose=0)
    assert differing(before, tl.snapshot(model)) == HEAD
    assert 0 <= history.history["val_accuracy"][-1] <= 1


def test_datasets_that_do_not_know_their_length_train_the_same(make_toy, ordered_data):
    spec = ordered_data.train.element_spec
    unknown = tf.data.Dataset.from_generator(lambda: iter(ordered_data.train), output_signature=spec)
    assert int(unknown.cardinality()) < 0
    results = []
    for train in (ordered_data.train, unknown):
        keras.utils.set_random_seed(0)
        model = make_toy()
        history = tl.train_head(model, ordered_data._replace(train=train), epochs=2, verbose=0)
        results.append((history.history["learning_rate"], model.get_layer("classifier").kernel.numpy()))
    assert results[0][0] == results[1][0]
    assert np.array_equal(results[0][1], results[1][1])


def test_training_gives_no_warning(toy, data, recwarn):
    tl.train_head(toy, data, epochs=1, verbose=0)
    assert [str(warning.message) for warning in recwarn if warning.category is UserWarning] == []


# ---- Keras's own callbacks and optimizers


def test_callbacks_see_the_whole_model_and_every_batch(toy, data):
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(self.model)

        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)

        def on_epoch_end(self, epoch, logs=None):
            seen.append(sorted(logs))

    tl.train_head(toy, data, epochs=1, callbacks=[Watch()], verbose=0)
    assert seen[0] is toy
    assert seen[1:-1] == [0, 1, 2]
    assert seen[-1] == ["accuracy", "learning_rate", "loss", "val_accuracy", "val_loss"]


def test_early_stopping_stops_and_restores_the_best_weights(toy, data, differing):
    best = {}

    class Best(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if logs["val_loss"] < best.get("loss", np.inf):
                best.update(loss=logs["val_loss"], weights=tl.snapshot(self.model))

    stop = keras.callbacks.EarlyStopping(patience=1, restore_best_weights=True)
    history = tl.train_head(toy, data, epochs=30, learning_rate=30.0, callbacks=[Best(), stop], verbose=0)
    assert len(history.epoch) < 30
    assert differing(best["weights"], tl.snapshot(toy)) == set()


def test_a_callback_can_stop_in_the_middle_of_an_epoch(toy, data):
    steps = []

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            steps.append(batch)
            self.model.stop_training = batch == 1

    history = tl.train_head(toy, data, epochs=5, callbacks=[Stop()], verbose=0)
    assert steps == [0, 1]
    assert history.epoch == [0]


def test_callbacks_that_set_the_rate_find_it_constant_and_settable(toy, data):
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate if epoch == 0 else rate / 2)
    history = tl.train_head(toy, data, epochs=3, learning_rate=0.5, callbacks=[halve], verbose=0)
    assert history.history["learning_rate"] == [0.5, 0.25, 0.125]
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss", min_delta=1e9, patience=1, factor=0.1)
    history = tl.train_head(toy, data, epochs=3, learning_rate=0.5, callbacks=[plateau], verbose=0)
    assert history.history["learning_rate"][2] == pytest.approx(0.05)


def test_a_checkpoint_callback_writes_the_whole_model(toy, data, arrays, tmp_path):
    images = arrays["test"][0].astype("float32")
    callback = keras.callbacks.ModelCheckpoint(tmp_path / "m.keras")
    tl.train_head(toy, data, epochs=1, callbacks=[callback], verbose=0)
    assert np.array_equal(
        keras.models.load_model(tmp_path / "m.keras").predict_on_batch(images), toy.predict_on_batch(images)
    )


def test_an_optimizer_is_taken_as_it_is(toy, data):
    optimizer = keras.optimizers.SGD(0.125)
    history = tl.train_head(toy, data, epochs=2, learning_rate=optimizer, verbose=0)
    assert history.history["learning_rate"] == [0.125, 0.125]
    assert toy.optimizer is optimizer
    assert int(keras.ops.convert_to_numpy(optimizer.iterations)) == 6


def test_a_schedule_is_taken_as_it_is(toy, data):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.5, 0.25])
    history = tl.train_head(toy, data, epochs=2, learning_rate=schedule, verbose=0)
    assert history.history["learning_rate"][-1] == 0.25


# ---- wrong input


def test_phase_1_with_something_unfrozen_is_an_error(toy, data):
    tl.unfreeze_top(toy, 6)
    with pytest.raises(
        ValueError, match=r"2 layers of the base are unfrozen \(first: 'conv3'\).*Call `freeze\(model\)`"
    ):
        tl.train_head(toy, data, verbose=0)


def test_phase_2_with_nothing_unfrozen_is_an_error(toy, data):
    with pytest.raises(ValueError, match=r"Nothing in the base is unfrozen.*`unfreeze_top\(model, 30\)` first"):
        tl.fine_tune(toy, data, verbose=0)


def test_phase_2_with_batch_norms_unfrozen_is_an_error(toy, data):
    find_base_model(toy).trainable = True
    with pytest.raises(ValueError, match=r"4 BatchNormalization layers are unfrozen \(first: 'bn1'\).*`unfreeze_top`"):
        tl.fine_tune(toy, data, verbose=0)


def test_another_number_of_classes_is_an_error(toy, data):
    wrong = data._replace(class_names=["a", "b", "c", "d"])
    for train in (tl.train_head, tl.train_from_scratch):
        with pytest.raises(ValueError, match=r"The data have 4 classes \(a, b, c, d.*the model has 3 outputs\. Build"):
            train(toy, wrong, verbose=0)


def test_images_of_another_size_are_an_error(toy, data):
    images, labels = np.zeros((3, 40, 40, 3), np.uint8), np.arange(3)
    with pytest.raises(
        ValueError, match=r"The images are 40×40, the model takes 32×32: load them with `image_size=32`"
    ):
        tl.train_head(toy, data._replace(train=make_dataset(images, labels)), verbose=0)


def test_pixels_that_were_scaled_already_are_an_error(toy, data, arrays):
    images, labels = arrays["train"]
    scaled = make_dataset((images / 255).astype("float32"), labels)
    with pytest.raises(ValueError, match=r"Expected 0 to 255.*do not divide by 255"):
        tl.train_head(toy, data._replace(train=scaled), verbose=0)


@pytest.mark.parametrize("epochs", [0, -1, 2.0, True, "3"])
def test_an_impossible_number_of_epochs_is_an_error(toy, data, epochs):
    with pytest.raises(ValueError, match=r"Received epochs=.*Expected a whole number, 1 or more"):
        tl.train_head(toy, data, epochs=epochs, verbose=0)


@pytest.mark.parametrize("views", [-1, 1.5, True, "all"])
def test_impossible_views_are_an_error(toy, data, views):
    with pytest.raises(ValueError, match=r"Received views=.*Expected 0, a positive whole number, 'fresh', or None"):
        tl.train_head(toy, data, views=views, verbose=0)


@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf"), "fast", True, None])
def test_an_impossible_learning_rate_is_an_error(toy, data, rate):
    with pytest.raises(ValueError, match=r"Received learning_rate=.*Expected 0 or a positive number"):
        tl.train_head(toy, data, learning_rate=rate, verbose=0)


def test_a_backup_folder_that_is_no_name_is_a_type_error(toy, data):
    with pytest.raises(TypeError, match=r"Received backup_dir=5\. Expected the name of a folder"):
        tl.train_head(toy, data, backup_dir=5, verbose=0)


def test_a_model_that_ends_in_no_probabilities_is_an_error(toy, data):
    base = find_base_model(toy)
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(base(image))))
    with pytest.raises(ValueError, match=r"The model ends in linear.*Dense\(num_classes, activation='softmax'\)"):
        tl.train_head(model, data, verbose=0)


def test_an_empty_validation_part_is_an_error(toy, data, arrays):
    images, labels = arrays["validation"]
    with pytest.raises(ValueError, match=r"(?i)empty"):
        tl.train_head(toy, data._replace(validation=make_dataset(images[:0], labels[:0])), verbose=0)


# ---- the progress bar


def test_training_is_silent_when_asked(toy, data, capfd):
    tl.train_head(toy, data, epochs=1, verbose=0)
    assert capfd.readouterr().out == ""


def test_training_shows_its_accuracy_without_control_characters_in_a_log(toy, data, capsys):
    pytest.importorskip("ipykernel")  # (installed and loaded is not yet a notebook)

    tl.train_head(toy, data, epochs=2, verbose=1)
    out = capsys.readouterr().out
    assert "epoch 2/2" in out
    assert "\r" not in out
    assert "\x1b" not in out


def test_progress_counts_to_100_per_cent(capsys):
    with Progress("reading", 1) as progress:
        progress.expect(10)
        for _ in range(10):
            progress.advance(1)
    assert "100%" in capsys.readouterr().out


def test_what_is_noted_last_is_in_the_log_also_when_all_images_were_shown_before(capsys):
    with Progress("reading", 1) as progress:
        progress.drawn = -np.inf  # more than ten seconds ago
        progress.advance(10)
        progress.advance(0, "accuracy 0.500")
    first, last = capsys.readouterr().out.splitlines()
    assert "accuracy" not in first
    assert last.endswith("accuracy 0.500")
