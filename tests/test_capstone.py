"""The exam at the end: right solutions of three styles pass it, and each wrong one fails on the check that it is for.

All solutions are plain Keras, on a small folder of drawn flowers. What can be trained once is shared.
"""

import ast
import copy
import functools
import itertools
import re
import shutil
from pathlib import Path

import keras
import nbformat
import numpy as np
import pytest
import tensorflow as tf

from kerastl.bases import bundled_folder
from kerastl.course import begin, examine, make_task, seal
from kerastl.exam import work as work_module
from kerastl.exam.missing import MissingError
from kerastl.exam.of_pictures import check_pixels
from kerastl.exam.pictures import SAME, fingerprints
from kerastl.exam.stages import read_model
from kerastl.exam.work import Work
from programs import ROOT, import_from

layers = keras.layers
preprocess = keras.applications.mobilenet_v2.preprocess_input
NAMES = ["daisy", "rose", "tulip"]
EACH = {"train": 24, "validation": 8, "test": 8}  # pictures of a class
SIZE = (96, 96)
WEIGHTS = str(bundled_folder() / "garden/mobilenetv2_0.35_96.weights.h5")
COMMON = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
build, sources = import_from("notebooks", "build", "sources")


# ---- a folder, and solutions


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Forty pictures of three classes, and of each class one more file that is a double."""
    place = tmp_path_factory.mktemp("exam") / "pictures"
    for name in NAMES:
        (place / name).mkdir(parents=True)
        files = sorted((bundled_folder() / "drawn_flowers/train" / name).iterdir())
        for file in files[: sum(EACH.values())]:
            shutil.copy(file, place / name)
        shutil.copy(files[0], place / name / "copy.jpg")
    return place


def split_files(folder: Path) -> dict[str, list[Path]]:
    """{part: its files}, without the doubles."""
    parts = {part: [] for part in EACH}
    for name in NAMES:
        files = iter(sorted(file for file in (folder / name).iterdir() if file.stem != "copy"))
        for part, count in EACH.items():
            parts[part] += itertools.islice(files, count)
    return parts


def from_files(files: list[Path], shuffle: bool = False) -> tf.data.Dataset:
    images = np.stack([np.array(keras.utils.load_img(file)) for file in files]).astype("float32")
    labels = np.array([NAMES.index(file.parent.name) for file in files])
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    return (dataset.shuffle(len(files)) if shuffle else dataset).batch(24)


def make_base(**arguments) -> keras.Model:
    options = {"include_top": False, "weights": WEIGHTS, "alpha": 0.35, "input_shape": (*SIZE, 3)} | arguments
    base = keras.applications.MobileNetV2(**options)
    base.trainable = False
    return base


def open_top(base: keras.Model, count: int, batch_norm: bool = False) -> None:
    base.trainable = True
    for number, layer in enumerate(base.layers):
        is_low = number < len(base.layers) - count
        layer.trainable = not is_low and (batch_norm or not isinstance(layer, layers.BatchNormalization))


def read_once(test: tf.data.Dataset) -> tf.data.Dataset:
    """The test part as if it had been sealed an hour ago, after one pass."""
    sealed = seal(test)
    sealed.kerastl_seal.sealed_at -= 3600
    for _ in sealed:
        pass
    return sealed


def nested(folder: Path, place: Path) -> dict:
    """A functional model that calls the base as one layer, scales inside, and opens the top of the base."""
    files = split_files(folder)
    train, validation = from_files(files["train"], shuffle=True), from_files(files["validation"])
    test = seal(from_files(files["test"]))
    base, image = make_base(), keras.Input((*SIZE, 3))
    x = base(preprocess(layers.RandomFlip("horizontal")(image)))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, layers.Dense(len(NAMES), activation="softmax")(x))
    model.save(place / "start.keras")

    model.compile(keras.optimizers.Adam(1e-2), **COMMON)
    history1 = model.fit(train, validation_data=validation, epochs=3, verbose=0)
    model.save(place / "phase1.keras")

    open_top(base, 12)
    model.compile(keras.optimizers.Adam(1e-4), **COMMON)
    history2 = model.fit(train, validation_data=validation, epochs=2, verbose=0)
    model.save(place / "final.keras")
    return {
        "folder": folder,
        "parts": (train, validation, test),
        "class_names": NAMES,
        "models": tuple(place / f"{stage}.keras" for stage in ("start", "phase1", "final")),
        "histories": (history1, history2),
        "test_result": model.evaluate(test, verbose=0, return_dict=True),
        "bar": 0.6,
    }


def flat(folder: Path, place: Path) -> dict:
    """The layers of the base are the model's own; the datasets scale, from files, to one-hot labels; the best epoch."""

    def load(file, label):
        return preprocess(tf.cast(tf.io.decode_jpeg(tf.io.read_file(file), 3), "float32")), tf.one_hot(label, 3)

    parts = []
    for part, files in split_files(folder).items():
        labels = [NAMES.index(file.parent.name) for file in files]
        dataset = tf.data.Dataset.from_tensor_slices(([str(file) for file in files], labels))
        parts.append((dataset.shuffle(len(files)) if part == "train" else dataset).map(load).batch(16).prefetch(1))
    train, validation, test = parts[0], parts[1], seal(parts[2])
    base = make_base(pooling="avg")
    model = keras.Model(base.input, layers.Dense(3, activation="softmax", name="flowers")(base.output))
    model.save(str(place / "before.keras"))

    histories, common = [], {"loss": keras.losses.CategoricalCrossentropy(), "metrics": ["accuracy"]}
    for name, rate in (("head", 3e-3), ("all", 1e-5)):
        if name == "all":
            for layer in model.layers:
                is_high = layer.name.startswith(("block_16", "Conv_1", "flowers"))
                layer.trainable = is_high and not isinstance(layer, layers.BatchNormalization)
        model.compile(keras.optimizers.RMSprop(rate), **common)
        best = keras.callbacks.ModelCheckpoint(place / f"{name}.keras", monitor="val_loss", save_best_only=True)
        histories.append(model.fit(train, validation_data=validation, epochs=3, verbose=0, callbacks=[best]))
    return {
        "folder": str(folder),
        "parts": [train, validation, test],
        "class_names": tuple(NAMES),
        "models": [str(place / f"{name}.keras") for name in ("before", "head", "all")],
        "histories": histories,
        "test_result": keras.models.load_model(place / "all.keras").evaluate(test, verbose=0),
        "bar": 0.6,
    }


def sequential(folder: Path, place: Path) -> dict:
    """A Sequential with a layer that scales; a folder for each part; the whole base opened; it stops early."""
    for part, files in split_files(folder).items():
        for file in files:
            target = place / part / file.parent.name
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    options = {"image_size": SIZE, "batch_size": 36, "verbose": False}
    train, validation, test = (keras.utils.image_dataset_from_directory(place / part, **options) for part in EACH)
    names, test = train.class_names, seal(test)
    base, classifier = make_base(), layers.Dense(3, activation="softmax")
    scale = layers.Rescaling(1 / 127.5, offset=-1)
    model = keras.Sequential([keras.Input((*SIZE, 3)), scale, base, layers.GlobalAveragePooling2D(), classifier])
    model.save(place / "1.keras")

    def fit(rate):
        model.compile(keras.optimizers.Adam(rate), **COMMON)
        stop = keras.callbacks.EarlyStopping(patience=1, restore_best_weights=True)
        return model.fit(train.cache(), validation_data=validation, epochs=3, callbacks=[stop], verbose=0)

    history1 = fit(1e-2)
    model.save(place / "2.keras")
    open_top(base, len(base.layers))
    history2 = fit(1e-5)
    model.save(place / "3.keras")
    return {
        "folder": folder,
        "parts": (train, validation, test),
        "class_names": names,
        "models": [place / f"{number}.keras" for number in (1, 2, 3)],
        "histories": [history1, history2],
        "test_result": model.evaluate(test, verbose=0),
        "bar": 0.6,
    }


@pytest.fixture(scope="module", autouse=True)
def _opened_once():
    """Saves time: a file is opened once for all tests, and its model measures without being compiled to a graph."""

    @functools.cache
    def read(file):
        model = read_model(file)
        model.run_eagerly = True
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work_module, "read_model", read)
        yield


@pytest.fixture(scope="module")
def right(folder, tmp_path_factory) -> dict:
    keras.utils.set_random_seed(0)
    return nested(folder, tmp_path_factory.mktemp("right"))


@pytest.fixture(scope="module")
def wrong(folder, right, tmp_path_factory) -> dict:
    """What goes wrong in training: {name: (three models, two histories)}. Each program is compiled once for several."""
    place, made = tmp_path_factory.mktemp("wrong"), {}
    start, phase1, _ = right["models"]
    history1, history2 = right["histories"]
    train, validation, test = right["parts"]
    test = test.kerastl_seal.dataset
    model = keras.models.load_model(start)
    base = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    at_start = model.get_weights()
    at_phase1 = keras.models.load_model(phase1).get_weights()

    def fit(name, rate=1e-4, weights=None, data=train, watched=validation):
        if weights is not None:
            model.set_weights(weights)
        model.optimizer.learning_rate = rate
        history = model.fit(data, validation_data=watched, epochs=1, verbose=0)
        model.save(place / f"{name}.keras")
        return place / f"{name}.keras", history

    # As in phase 1: only the head can move.
    model.compile(keras.optimizers.Adam(), **COMMON)
    idle, idle_history = fit("idle", 0.0)
    weak1, weak1_history = fit("weak1", 1e-6, at_start)
    at_weak1 = model.get_weights()
    same_head, same_head_history = fit("head_only", 1e-3, at_phase1)
    made["the base was never unfrozen"] = (start, phase1, same_head), (history1, same_head_history)
    open_top(base, 12)
    old, old_history = fit("not_compiled_again", 1e-3, at_phase1)
    made["not compiled again"] = (start, phase1, old), (history1, old_history)

    # As in phase 2: the top of the base can move, too.
    model.compile(keras.optimizers.Adam(), **COMMON)
    hasty1, hasty1_history = fit("hasty1", 1e-3, at_start)
    hasty2, hasty2_history = fit("hasty2", 1e-4)
    made["the base was open in phase 1"] = (start, hasty1, hasty2), (hasty1_history, hasty2_history)
    made["the head learned nothing in phase 1"] = (start, idle, hasty1), (idle_history, hasty1_history)
    made["a rate that is far too high"] = _second(right, *fit("wild", 0.1, at_phase1))
    made["a rate of nearly nothing"] = _second(right, *fit("still", 1e-9, at_phase1))
    made["watched on the test part"] = _second(right, *fit("on_test", 1e-4, at_phase1, watched=test))
    everything = train.unbatch().concatenate(validation.unbatch()).concatenate(test.unbatch())
    known = everything.batch(24).apply(tf.data.experimental.assert_cardinality(5))
    made["trained on all pictures"] = _second(right, *fit("everything", 1e-4, at_phase1, data=known))
    weak2, weak2_history = fit("weak2", 1e-6, at_weak1)
    made["a model that knows nothing"] = (start, weak1, weak2), (weak1_history, weak2_history)
    unwatched = model.fit(train, epochs=1, verbose=0)
    made["nobody watched"] = right["models"], (history1, unwatched)
    frozen_again, history = fit("frozen_again", 1e-4, at_phase1)
    base.trainable = False
    model.save(frozen_again)
    made["frozen after it was compiled"] = _second(right, frozen_again, history)

    open_top(base, 12, batch_norm=True)
    model.compile(keras.optimizers.Adam(), **COMMON)
    made["BatchNorm was open"] = _second(right, *fit("batch_norm", 1e-4, at_phase1))

    for number, layer in enumerate(base.layers):
        layer.trainable = number < 30 and not isinstance(layer, layers.BatchNormalization)
    model.compile(keras.optimizers.Adam(), **COMMON)
    made["the bottom was open"] = _second(right, *fit("bottom", 1e-4, at_phase1))

    made["saved before phase 2"] = (start, phase1, phase1), (history1, history2)
    model.save_weights(place / "final.weights.h5")
    made["only the weights were saved"] = (start, phase1, place / "final.weights.h5"), (history1, history2)
    image = keras.Input((*SIZE, 3))
    x = layers.GlobalAveragePooling2D()(make_base(weights=None)(preprocess(image)))
    keras.Model(image, layers.Dense(3, activation="softmax")(x)).save(place / "random.keras")
    made["the base knows nothing"] = (place / "random.keras",) * 3, (history1, history2)
    x = layers.GlobalAveragePooling2D()(make_base()(layers.Lambda(lambda x: x / 127.5 - 1)(image)))
    keras.Model(image, layers.Dense(3, activation="softmax")(x)).save(place / "lambda.keras")
    made["a Lambda inside"] = (place / "lambda.keras",) * 3, (history1, history2)
    return made


def _second(right: dict, final: Path, history) -> tuple:
    return (*right["models"][:2], final), (right["histories"][0], history)


def not_passed(handed_over: dict) -> dict[str, str]:
    """{check that failed: what it says}"""
    findings = examine(handed_over["folder"], **{key: handed_over[key] for key in handed_over if key != "folder"})
    assert len(findings) == 13
    return {finding.check: finding.said for finding in findings if finding.passed is False}


def is_one_sentence(text: str) -> bool:
    return text.endswith(".") and not re.search(r"[.!?]\s", text) and "\n" not in text


# ---- right ones


@pytest.mark.slow
def test_a_nested_model_passes(right, capsys):
    assert not_passed(right) == {}
    table = capsys.readouterr().out
    assert table.endswith("13 of 13 checks passed.\n")
    assert max(map(len, table.splitlines())) <= 110
    assert not_passed(right) == {}, "to be examined is no use of the test part"


@pytest.mark.slow
@pytest.mark.parametrize("solve", [flat, sequential])
def test_other_styles_pass(solve, folder, tmp_path):
    assert not_passed(solve(folder, tmp_path)) == {}


# ---- wrong ones: training


TRAINING = {
    "the base was open in phase 1": ("phase 1", "base.trainable = False"),
    "the head learned nothing in phase 1": ("phase 1", "did not move dense"),
    "the base was never unfrozen": ("phase 2", "trained the head only"),
    "not compiled again": ("phase 2", "compile again"),
    "frozen after it was compiled": ("phase 2", "of layers that are frozen"),
    "saved before phase 2": ("phase 2", "save the model again after phase 2"),
    "a rate that is far too high": ("low rate", "much lower learning rate"),
    "a rate of nearly nothing": ("low rate", "learned nothing"),
    "the bottom was open": ("phase 2", "unfreeze from the top down"),
    "BatchNorm was open": ("BatchNorm", "on every BatchNormalization layer"),
    "watched on the test part": ("validation", "watched on the test pictures"),
    "nobody watched": ("validation", "was not watched"),
    "trained on all pictures": ("validation", "on 5 batches in each epoch, and the training part has 3"),
    "only the weights were saved": ("three models", "is no whole model"),
    "the base knows nothing": ("three models", "has never learned"),
    "a Lambda inside": ("three models", "without Lambda"),
    "a model that knows nothing": ("accuracy", "the bar is 0.60"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINING)
def test_wrong_training_fails_on_its_own_check(name, right, wrong):
    models, histories = wrong[name]
    check, words = TRAINING[name]
    test = read_once(right["parts"][2].kerastl_seal.dataset)
    handed_over = right | {"models": models, "histories": histories, "parts": (*right["parts"][:2], test)}
    if check != "three models":
        final = work_module.read_model(models[2])
        handed_over["test_result"] = final.evaluate(test.kerastl_seal.dataset, verbose=0)
    failed = not_passed(handed_over)
    assert list(failed) == [check], failed
    assert words in failed[check]
    assert is_one_sentence(failed[check])


# ---- wrong ones: pictures, and the end


def with_parts(right: dict, *parts) -> dict:
    return right | {"parts": parts}


def with_test(right: dict, data: tf.data.Dataset) -> dict:
    """Another test part, tested as it should be."""
    model = work_module.read_model(right["models"][2])
    return with_parts(right, *right["parts"][:2], read_once(data)) | {"test_result": model.evaluate(data, verbose=0)}


def shuffled_and_cut(right, folder):
    pool = from_files([file for files in split_files(folder).values() for file in files]).unbatch()
    pool = pool.shuffle(120, seed=1)
    train, rest = pool.take(72), pool.skip(72)
    return with_parts(right, train.batch(24), rest.take(24).batch(24), read_once(rest.skip(24).batch(24)))


def doubles(right, folder):
    """The copy of a training picture is in the test part."""
    return with_test(right, from_files([*split_files(folder)["test"], folder / "rose/copy.jpg"]))


def few_pictures_again_and_again(right, folder):
    files = split_files(folder)["test"]
    one_of_each = [next(file for file in files if file.parent.name == name) for name in NAMES]
    return with_test(right, from_files(one_of_each * 8))


def some_test_pictures_count_twice(right, folder):
    files = split_files(folder)["test"]
    return with_test(right, from_files([*files, *files[:7]]))


def written_in_another_order(right, folder):
    start = shutil.copy(right["models"][0], right["models"][0].with_name("again.keras"))  # written last
    return right | {"models": (start, *right["models"][1:])}


def trained_on_a_part_of_unknown_length(right, folder):
    first = copy.copy(right["histories"][0])
    first.params = first.params | {"steps": None}  # as `fit` notes it
    return right | {"histories": (first, right["histories"][1])}


def validation_is_the_test(right, folder):
    train, _, test = right["parts"]
    return with_parts(right, train, test.kerastl_seal.dataset, read_once(test.kerastl_seal.dataset))


def scaled_twice(right, folder):
    train, validation, test = right["parts"]
    once_more = [data.map(lambda x, y: (preprocess(x), y)) for data in (train, validation, test.kerastl_seal.dataset)]
    return with_parts(right, *once_more[:2], read_once(once_more[2]))


def scaled_in_one_part_only(right, folder):
    train, validation, test = right["parts"]
    return with_parts(right, train.map(lambda x, y: (x / 255, y)), validation, test)


def one_class_is_rare(right, folder):
    train, _, test = right["parts"]
    files = split_files(folder)["validation"]
    return with_parts(right, train, from_files(files[:18]), test)


def many_left_out(right, folder):
    _, validation, test = right["parts"]
    return with_parts(right, from_files(split_files(folder)["train"][::2]), validation, test)


def augmented(right, folder):
    train, validation, test = right["parts"]
    return with_parts(right, train.map(lambda x, y: (x[:, ::-1], y)), validation, test)


def other_pictures(right, folder):
    train, validation, _ = right["parts"]
    files = [file for name in NAMES for file in sorted((bundled_folder() / "drawn_flowers/test" / name).iterdir())[:8]]
    return with_parts(right, train, validation, read_once(from_files(files)))


def names_in_another_order(right, folder):
    return right | {"class_names": NAMES[::-1]}


def labels_in_another_order(right, folder):
    """One part was loaded with its classes in another order."""
    return with_test(right, right["parts"][2].kerastl_seal.dataset.map(lambda x, y: (x, 2 - y)))


def names_typed_in(right, folder):
    return right | {"class_names": ["Rose", "Tulpe", "Daisy"]}


def not_sealed(right, folder):
    train, validation, test = right["parts"]
    return with_parts(right, train, validation, test.kerastl_seal.dataset)


def sealed_at_the_end(right, folder):
    train, validation, test = right["parts"]
    sealed = seal(test.kerastl_seal.dataset)
    sealed.kerastl_seal.sealed_at += 3600  # the models of this test are new
    return with_parts(right, train, validation, sealed)


def never_tested(right, folder):
    train, validation, test = right["parts"]
    sealed = seal(test.kerastl_seal.dataset)
    sealed.kerastl_seal.sealed_at -= 3600
    return with_parts(right, train, validation, sealed)


def read_twice(right, folder):
    train, validation, test = right["parts"]
    sealed = read_once(test.kerastl_seal.dataset)
    work_module.read_model(right["models"][2]).evaluate(sealed, verbose=0)
    return with_parts(right, train, validation, sealed)


def read_before_it_was_saved(right, folder):
    train, validation, test = right["parts"]
    sealed = read_once(test.kerastl_seal.dataset)
    sealed.kerastl_seal.passes[0] -= 3600
    return with_parts(right, train, validation, sealed)


def accuracy_typed_in(right, folder):
    return right | {"test_result": right["test_result"]["accuracy"]}


def loss_typed_in(right, folder):
    return right | {"test_result": right["test_result"] | {"loss": 0.05}}


def both_typed_in(right, folder):
    return right | {"test_result": [0.1, 0.99]}


def result_of_another_model(right, folder):
    """The model after phase 1 was tested, and the one after phase 2 was handed over."""
    tested = work_module.read_model(right["models"][1])
    return right | {"test_result": tested.evaluate(right["parts"][2].kerastl_seal.dataset, verbose=0)}


def histories_typed_in(right, folder):
    return right | {"histories": [history.history for history in right["histories"]]}


def histories_made_by_hand(right, folder):
    made = keras.callbacks.History(), keras.callbacks.History()
    for history in made:
        history.history = {"val_loss": np.exp(np.linspace(-12, 3, 20_000)).tolist()}  # one of them will fit
    return right | {"histories": made}


def histories_in_another_order(right, folder):
    return right | {"histories": right["histories"][::-1]}


PICTURES = {
    shuffled_and_cut: ("no leak", "gives other pictures in its second pass"),
    doubles: ("no leak", "1 of the pictures in train are in test, too, such as rose/"),
    validation_is_the_test: ("no leak", "24 of the pictures in validation are in test, too"),
    scaled_twice: ("pixels", "scale exactly once"),
    scaled_in_one_part_only: ("pixels", "From the train part the base gets pixels from -1 to -0.99"),
    one_class_is_rare: ("three parts", "2 pictures of 'tulip' differ"),
    many_left_out: ("three parts", "Only 84 of the 120 different pictures"),
    augmented: ("three parts", "without augmentation"),
    other_pictures: ("three parts", "24 of 24 pictures of the test part are not in the folder"),
    names_in_another_order: ("class names", "In the train part label"),
    labels_in_another_order: ("class names", "In the test part label 2 stands for a daisy"),
    names_typed_in: ("class names", "the names of the folders, daisy, rose, tulip"),
    not_sealed: ("test once", "test = seal(test)"),
    sealed_at_the_end: ("test once", "was sealed after 'start.keras' was saved"),
    never_tested: ("test once", "was never read"),
    read_twice: ("test once", "was read 2 times"),
    read_before_it_was_saved: ("test once", "was read before 'final.keras' was saved"),
    accuracy_typed_in: ("one file", "the loss and the accuracy"),
    loss_typed_in: ("one file", "`test_result` is accuracy"),
    both_typed_in: ("one file", "`test_result` is 0.1000, 0.9900"),
    result_of_another_model: ("one file", "save the model that you test"),
    histories_typed_in: ("validation", "is a dict"),
    histories_made_by_hand: ("validation", "comes from no training"),
    some_test_pictures_count_twice: ("three parts", "shows 7 pictures again"),
    written_in_another_order: ("test once", "not written in the order again.keras"),
    trained_on_a_part_of_unknown_length: ("validation", "on nobody knows how many batches"),
    few_pictures_again_and_again: ("three parts", "In the test part 1 pictures of 'daisy' differ"),
    histories_in_another_order: ("validation", "In no epoch of phase 1"),
}


@pytest.mark.slow
def test_nearly_white_pictures_of_another_scale_are_noticed(right, folder, tmp_path):
    for file in folder.rglob("*.*"):
        (tmp_path / file.parent.name).mkdir(exist_ok=True)
        picture = keras.utils.img_to_array(keras.utils.load_img(file))
        keras.utils.save_img(tmp_path / file.parent.name / f"{file.stem}.png", 225 + picture * 30 / 255, scale=False)
    good = [from_files(files) for files in split_files(tmp_path).values()]
    bad = [
        part.map(lambda images, labels: ((images / 255 + 1) * 127.5, labels)) for part in good
    ]  # the base gets 0 to 1

    def look(parts):
        return check_pixels(Work(tmp_path, parts, NAMES, right["models"], None, None, 0.5))

    assert look(good) == "-1 to 1, as MobileNetV2 wants them"
    with pytest.raises(MissingError, match="scale exactly once"):
        look(bad)


@pytest.mark.slow
@pytest.mark.parametrize("spoil", PICTURES, ids=lambda spoil: spoil.__name__)
def test_wrong_pictures_and_a_wrong_end_fail_on_their_own_check(spoil, right, folder):
    check, words = PICTURES[spoil]
    failed = not_passed(spoil(right, folder))
    assert list(failed) == [check], failed
    assert words in failed[check]
    assert is_one_sentence(failed[check])


# ---- bad input


GOOD = dict.fromkeys(("parts", "class_names", "models", "histories", "test_result"), ...) | {"bar": 0.5}
BAD = (
    None,
    ...,
    5,
    "words",
    [],
    {},
    (None,) * 3,
    [[], [], []],
    ("a.keras", "b.keras", "c.keras"),
    object(),
    np.ones(3),
)


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_whatever_is_handed_over_gives_sentences_and_no_error(bad, folder):
    files = split_files(folder)
    parts = from_files(files["train"]), from_files(files["validation"]), from_files(files["test"])
    for handed_over in (
        dict.fromkeys(["folder", *GOOD], bad),
        {"folder": bad, **GOOD, "parts": parts},
        {"folder": folder, **GOOD, "parts": parts, "class_names": bad, "models": bad},
    ):
        said = not_passed(handed_over)
        assert said
        assert all(map(is_one_sentence, said.values())), said
        assert not [text for text in said.values() if "could not be looked at" in text]


@pytest.mark.weekly
@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("name", ["models", "histories", "test_result", "bar"])
def test_one_bad_argument_is_the_one_that_is_named(name, bad, right):
    check = {"models": "three models", "histories": "validation", "test_result": "one file", "bar": "accuracy"}[name]
    failed = not_passed(right | {name: bad})
    assert list(failed) == [check]
    assert is_one_sentence(failed[check])


def unlabelled(data):
    return data.map(lambda images, labels: images)


DATASETS = {
    "never ends": lambda data: data.repeat(),
    "is empty": lambda data: data.take(0),
    "does not give batches": unlabelled,
    "does not give batches ": lambda data: data.unbatch(),
    "cannot be read to its end": lambda data: data.map(lambda x, y: (tf.debugging.check_numerics(x / 0, "zero"), y)),
}


@pytest.mark.parametrize("words", DATASETS)
def test_a_dataset_that_cannot_be_read_is_named(words, folder):
    part = from_files(split_files(folder)["test"])
    failed = not_passed({"folder": folder, **GOOD, "parts": (DATASETS[words](part), part, part)})
    assert words.strip() in failed["three parts"]
    assert "train" in failed["three parts"]
    assert is_one_sentence(failed["three parts"])


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_folder_with_a_broken_file_is_named(content, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "broken")
    (tmp_path / "broken" / "rose" / "bad.jpg").write_bytes(content)
    part = from_files(split_files(folder)["test"])
    failed = not_passed({"folder": tmp_path / "broken", **GOOD, "parts": (part, part, part)})
    assert "cannot be read by Keras" in failed["three parts"]
    assert is_one_sentence(failed["three parts"])


# ---- the seal


def test_a_seal_counts_each_pass_and_changes_no_picture(folder):
    data = from_files(split_files(folder)["test"])
    sealed = seal(data)
    assert sealed.element_spec == data.element_spec
    assert len(sealed) == len(data)
    model = keras.Sequential([keras.Input((*SIZE, 3)), layers.GlobalAveragePooling2D(), layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    passes = sealed.kerastl_seal.passes
    for use, expected in (
        (lambda: model.evaluate(sealed, verbose=0), 1),
        (lambda: model.predict(sealed, verbose=0), 2),
        (lambda: [labels for _, labels in sealed], 3),
        (lambda: next(iter(sealed.take(1))), 4),
        (lambda: model.fit(data, validation_data=sealed, epochs=3, verbose=0), 7),
    ):
        use()
        assert len(passes) == expected
    for plain, through in zip(data, sealed, strict=True):
        assert np.array_equal(plain[0], through[0])
        assert np.array_equal(plain[1], through[1])


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_only_a_dataset_can_be_sealed(bad):
    with pytest.raises(TypeError, match=r"Received .*\. Expected the test part"):
        seal(bad)


def test_a_new_seal_does_not_hide_an_old_one(folder):
    sealed = seal(from_files(split_files(folder)["test"]))
    with pytest.raises(ValueError, match="has a seal already"):
        seal(sealed)


# ---- the task, and the notebook


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return make_task(begin("drawn"), tmp_path_factory.mktemp("task"))


def test_two_different_flowers_are_never_taken_for_one_and_a_copy_of_other_quality_is(task):
    data = keras.utils.image_dataset_from_directory(task.folder, image_size=SIZE, shuffle=False, verbose=False)
    images = np.concatenate([images for images, _ in data])
    prints = fingerprints(images)
    pairs = {tuple(pair) for pair in np.argwhere(prints @ prints.T >= SAME) if pair[0] < pair[1]}
    assert len(pairs) == 10  # those that were made
    assert all(np.array_equal(images[one], images[other]) for one, other in pairs)
    worse = [tf.io.decode_jpeg(tf.io.encode_jpeg(image.astype("uint8"), quality=60)) for image in images[:100]]
    assert ((fingerprints(np.stack(worse)) * prints[:100]).sum(axis=1) >= SAME).all()
    smaller = tf.image.resize(tf.image.resize(images[:100], (64, 64)), SIZE)
    assert ((fingerprints(smaller) * prints[:100]).sum(axis=1) >= SAME).all()
    assert ((fingerprints(preprocess(images[:100].copy())) * prints[:100]).sum(axis=1) > 0.9999).all()


def test_the_folder_is_the_same_each_time(task, tmp_path):
    again = make_task(begin("drawn"), tmp_path)
    files = sorted(file.relative_to(task.folder) for file in task.folder.glob("*/*"))
    assert len(files) == 510
    assert files == sorted(file.relative_to(again.folder) for file in again.folder.glob("*/*"))
    assert all((task.folder / file).read_bytes() == (again.folder / file).read_bytes() for file in files)


CAPSTONE = sources.read_capstone()
LESSONS = sources.read_lessons()


@pytest.mark.parametrize("solved", [False, True])
def test_the_notebook_is_the_one_that_its_source_gives_and_was_executed(solved):
    file = ROOT / "notebooks" / ("solutions" if solved else "") / "capstone.ipynb"
    made, expected = nbformat.read(file, as_version=4), sources.compose(CAPSTONE, LESSONS, solved)
    nbformat.validate(made)
    assert made.metadata == expected.metadata
    assert [(cell.source, cell.metadata) for cell in made.cells] == [
        (cell.source, cell.metadata) for cell in expected.cells
    ]
    assert build.complaints(made, solved) == []


def test_the_page_is_blank():
    """Two cells are the student's, and nothing of the solution stands in them."""
    blank = sources.compose(CAPSTONE, LESSONS, solved=False)
    own = [cell.source for cell in blank.cells if "exercise" in cell.metadata.get("tags", [])]
    assert len(own) == 2
    assert own[0].startswith("#")
    assert len(own[0].splitlines()) == 1
    assert own[1].count("...") == 4
    assert not any("solution" in cell.metadata.get("tags", []) for cell in blank.cells)
    assert "include_top" not in nbformat.writes(blank)


def test_the_solution_is_plain_keras():
    """Of this course it uses what the page gives it: the task, and the seal."""
    for cell in CAPSTONE.cells:
        if not {"exercise", "solution"}.isdisjoint(cell.metadata.get("tags", [])) and cell.cell_type == "code":
            for node in ast.walk(ast.parse(cell.source)):
                names = [node.module] if isinstance(node, ast.ImportFrom) else []
                names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                assert not any(name.startswith("kerastl") for name in names)
                assert not (isinstance(node, ast.Name) and node.id in ("tl", "kerastl", "world"))
