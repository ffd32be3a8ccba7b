"""No result belongs to another run: whatever differs between two runs, the one refuses the backup of the other."""

import shutil

import keras
import numpy as np
import pytest

import kerastl
import kerastl as tl
from kerastl.__main__ import main
from kerastl.data import make_dataset
from kerastl.engine.witness import Witnessed
from programs import QUICK

PARTS = {"training": 20, "validation": 9, "test": 9}
RUN = {
    "seed": 0,
    "pixel": None,  # the part in which one number of one image is another
    "label": None,  # the part in which one label is another
    "names": ["blue", "green", "red"],
    "size": 16,
    "batch": 8,
    "augment": True,
    "width": 4,
    "units": 5,
    "activation": "relu",
    "dropout": 0.2,
    "epochs": 2,
    "views": 1,
    "rate": 1e-3,
    "class_weight": None,
    "callbacks": (),
    "layers": 3,
    "keep": (1, 2),  # the phases that have a backup
}


def make_data(run) -> tl.ImageData:
    rng, datasets = np.random.default_rng(5), []
    for part, count in PARTS.items():
        images = rng.integers(0, 255, (count, run["size"], run["size"], 3)).astype(np.uint8)
        labels = np.arange(count) % 3
        images[3, 2, 1, 0] ^= run["pixel"] == part
        labels[3] += run["label"] == part
        datasets.append(make_dataset(images, labels, run["batch"], shuffle=part == "training"))
    return tl.ImageData(*datasets, run["names"])


def make_model(run) -> keras.Model:
    layers, shape = keras.layers, (run["size"], run["size"], 3)
    pixels = keras.Input(shape)
    x = layers.Conv2D(run["width"], 3, strides=2)(pixels)
    x = layers.Conv2D(8, 3)(layers.ReLU()(layers.BatchNormalization()(x)))
    base = keras.Model(pixels, layers.ReLU()(x))
    image = keras.Input(shape)
    x = layers.RandomFlip()(image) if run["augment"] else image
    x = layers.GlobalAveragePooling2D()(base(layers.Rescaling(1 / 255)(x)))
    x = layers.Dropout(run["dropout"])(layers.Dense(run["units"], activation=run["activation"])(x))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(x))
    tl.freeze(model)
    return model


def train(folder, **changes) -> list:
    """Both phases; returns their histories."""
    run = RUN | changes
    keras.utils.set_random_seed(run["seed"])
    data, model = make_data(run), make_model(run)
    settings = {"epochs": run["epochs"], "views": run["views"], "learning_rate": run["rate"], "verbose": 0}
    settings |= {"class_weight": run["class_weight"], "callbacks": run["callbacks"]}
    folders = [folder if phase in run["keep"] else None for phase in (1, 2)]
    first = tl.train_head(model, data, backup_dir=folders[0], **settings)
    tl.unfreeze_top(model, run["layers"])
    return [first, tl.fine_tune(model, data, backup_dir=folders[1], **settings)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The backups of a run as it is in RUN, and its histories."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, train(folder)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The backup of the same run, stopped in the second epoch of phase 1. Only for reading."""

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise RuntimeError

    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(RuntimeError):
        train(folder, callbacks=[Stop()])
    return folder


CHANGES = [
    ({"seed": 1}, "seed: '0' there, '1' here"),
    ({"pixel": "training"}, "the training images or their labels are different"),
    ({"pixel": "validation"}, "the validation images or their labels are different"),
    ({"pixel": "test"}, "the test images or their labels are different"),
    ({"label": "training"}, "training images of each class: '{0: 7, 1: 7, 2: 6}' there, '{0: 6, 1: 8, 2: 6}' here"),
    ({"label": "validation"}, "validation images of each class"),
    ({"label": "test"}, "test images of each class"),
    ({"names": ["green", "blue", "red"]}, r"classes: \"\['blue', 'green', 'red'\]\" there"),
    ({"names": ["blue", "green", "rose"]}, "classes"),
    ({"size": 20}, r"shape of an image: '\(16, 16, 3\)' there, '\(20, 20, 3\)' here"),
    ({"batch": 7}, "images in a batch: '8' there, '7' here"),
    ({"batch": 20}, "training batches: '3' there, '1' here"),
    ({"augment": False}, "the layers before the base .augmentation, scaling. are different"),
    ({"width": 6}, "the layers of the base are different"),
    ({"units": 6}, "the layers of the head are different"),
    ({"activation": "tanh"}, "the layers of the head are different"),
    ({"dropout": 0.5}, "the layers of the head are different"),
    ({"epochs": 3}, "epochs: '2' there, '3' here"),
    ({"views": 2}, "views: '1' there, '2' here"),
    ({"rate": 0.5}, "learning_rate: '0.001' there, '0.5' here"),
    ({"rate": keras.optimizers.SGD(1e-3)}, "learning_rate: '0.001' there, .*SGD.* here"),
    ({"callbacks": (keras.callbacks.ReduceLROnPlateau(),)}, "learning_rate: '0.001' there, '0.001, set by a callback'"),
    ({"class_weight": {0: 2.0, 1: 1.0, 2: 1.0}}, "class_weight: 'None' there, '{0: 2.0, 1: 1.0, 2: 1.0}' here"),
    ({"layers": 5}, "phase_2.*trained weights: '6, with 359 numbers' there, '8, with 471 numbers' here"),
]


@pytest.mark.parametrize(("change", "named"), CHANGES, ids=[named for _, named in CHANGES])
def test_the_backup_of_another_run_is_refused_and_what_differs_is_named(finished, change, named):
    folder, _ = finished
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(ValueError, match=f"(?s){named}.*Use another backup_dir") as error:
        train(folder, **change)
    assert "belongs to another run" in str(error.value)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize("change", [{"pixel": part} for part in PARTS] + [{"seed": 1}])
def test_the_backup_of_another_run_is_refused_before_it_is_finished(stopped, change):
    before = (stopped / "phase_1.npz").read_bytes()
    with pytest.raises(ValueError, match="belongs to another run"):
        train(stopped, **change)
    assert (stopped / "phase_1.npz").read_bytes() == before


@pytest.mark.parametrize("module", [kerastl, keras])
def test_the_backup_of_another_version_is_refused(finished, monkeypatch, module):
    monkeypatch.setattr(module, "__version__", "9.8.7")
    with pytest.raises(ValueError, match=rf"versions: .* there, .*{module.__name__} 9\.8\.7.* here"):
        train(finished[0])


@pytest.mark.slow
def test_the_same_run_goes_on(finished, stopped, tmp_path):
    folder, histories = finished
    again = train(folder)
    assert [phase.history for phase in again] == [phase.history for phase in histories]
    shutil.copytree(stopped, tmp_path / "stopped")
    resumed = train(tmp_path / "stopped")
    assert [phase.history for phase in resumed] == [phase.history for phase in histories]


class Nudge(keras.callbacks.Callback):
    """Changes one number of the head a little, after phase 1."""

    def on_train_end(self, logs=None):
        self.model.layers[-1].bias.assign_add([1e-3, 0, 0])


@pytest.mark.slow
def test_phase_2_after_another_phase_1_is_another_run(tmp_path):
    train(tmp_path, keep=[2])
    train(tmp_path, keep=[2])
    with pytest.raises(ValueError, match=r"phase_2.*\(the weights at the start of the phase are different\)"):
        train(tmp_path, keep=[2], callbacks=[Nudge()])


def test_a_witness_changes_nothing_and_does_not_care_about_the_order():
    keras.utils.set_random_seed(4)
    alone = make_data(RUN).train
    passes = [np.concatenate([labels for _, labels in alone]) for _ in range(3)]
    keras.utils.set_random_seed(4)
    witnessed = Witnessed(make_data(RUN).train)
    next(iter(witnessed))  # one look at the first batch, as for streaming
    facts = witnessed.describe("training")
    assert witnessed.passes == 1
    seen = [np.concatenate([labels for _, labels in witnessed]) for _ in range(2)]
    assert np.array_equal(seen, passes[1:])
    keras.utils.set_random_seed(5)
    assert Witnessed(make_data(RUN).train).describe("training") == facts
    assert not np.array_equal(*seen)


@pytest.mark.slow
def test_on_the_command_line_another_seed_or_folder_is_refused(picture_folder, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(picture_folder, other)
    shutil.copy(other / "red" / "01.png", other / "blue" / "01.png")  # as many pictures, one of them another

    def run(folder, seed):
        keep = ["--backup", str(tmp_path / "backup"), "--out", str(tmp_path / f"{folder.name}-{seed}")]
        return main(["train", str(folder), *QUICK, "--seed", str(seed), *keep])

    assert run(picture_folder, 0) == 0
    assert run(picture_folder, 1) == 2
    assert "seed: '0' there, '1' here" in capsys.readouterr().err
    assert run(other, 0) == 2
    assert "images or their labels are different" in capsys.readouterr().err
    assert not (tmp_path / "other-0").exists()
