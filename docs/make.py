"""Draw the pictures of the README again, from one run on the bundled flowers and fifteen short ones."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import keras
import matplotlib.pyplot as plt

import kerastl as tl
from kerastl.bases import bundled_folder
from kerastl.data import few_of_each, make_dataset
from kerastl.folders import read_folder

HERE = Path(__file__).parent
PICTURE = HERE.parent / "data/drawn_flowers/test/rose/003.jpg"
EPOCHS, SEEDS, FEW = 20, 5, 20  # for the comparison: epochs of each run, runs, pictures of a class


def keep(figure, name: str) -> None:
    figure.savefig(HERE / f"{name}.png", dpi=80, facecolor="white")
    plt.close(figure)


def draw_one_run() -> None:
    """The ten lines of the README, and a picture at each step."""
    keras.utils.set_random_seed(0)
    flowers = tl.load_images("drawn_flowers")
    model = tl.build_model("MobileNetV2", flowers, weights="garden")
    keep(tl.plot_augmentation(model, PICTURE, count=4), "augmentation")
    before = tl.list_blocks(model)
    features, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.8), layout="constrained")
    tl.plot_features(model, flowers, ax=left).set_title("before training")
    phase1 = tl.train_head(model, flowers, verbose=0)
    tl.unfreeze_top(model, 30)
    keep(tl.plot_layers(before, model, titles=["phase 1", "phase 2"])[0].figure, "layers")
    phase2 = tl.fine_tune(model, flowers, verbose=0)
    tl.plot_features(model, flowers, ax=right).set_title("after phase 2")
    keep(features, "features")
    keep(tl.plot_history(phase1, phase2)[0].figure, "history")
    result = tl.evaluate(model, flowers.test)
    scores, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.4), layout="constrained")
    tl.plot_confusion(result, flowers.class_names, ax=left)
    temperature = tl.fit_temperature(tl.evaluate(model, flowers.validation))
    tl.plot_calibration(result, result.at_temperature(temperature), ax=right)
    keep(scores, "scores")
    keep(tl.plot_images(flowers, part="test", evaluation=result), "predictions")
    keep(tl.plot_mistakes(result, flowers, count=5), "mistakes")
    heat, grid = plt.subplots(1, 5, figsize=(9.5, 2.2), layout="constrained")
    for axes, name in zip(grid, flowers.class_names, strict=True):
        picture = PICTURE.parent.parent / name / "005.jpg"
        tl.plot_heat(tl.grad_cam(model, picture, name, class_names=flowers.class_names), ax=axes)
    keep(heat, "heat")


def compare_strategies() -> None:
    """From scratch, head only and fine-tuned on few pictures: the same pictures and epochs for each, five seeds."""
    curves = {"from scratch": [], "head only": [], "fine-tuned": []}
    for seed in range(SEEDS):
        data = few_pictures(seed)
        keras.utils.set_random_seed(seed)
        model = tl.build_model("MobileNetV2", data, weights=None, alpha=0.35)
        scratch = tl.train_from_scratch(model, data, epochs=EPOCHS, verbose=0)
        curves["from scratch"].append(scratch.history["val_accuracy"])
        model = tl.build_model("MobileNetV2", data, weights="garden")
        head = tl.train_head(model, data, epochs=EPOCHS, verbose=0)
        curves["head only"].append(head.history["val_accuracy"])
        model = tl.build_model("MobileNetV2", data, weights="garden")
        head = tl.train_head(model, data, epochs=EPOCHS // 2, verbose=0)
        tl.unfreeze_top(model, 30)
        tuned = tl.fine_tune(model, data, epochs=EPOCHS // 2, verbose=0)
        curves["fine-tuned"].append(head.history["val_accuracy"] + tuned.history["val_accuracy"])
    compared = tl.explain_transfer(curves)
    print(compared)
    keep(compared.axes.figure, "transfer")


def few_pictures(seed: int) -> tl.ImageData:
    """The drawn flowers with only a few training pictures of each class, another choice for each seed."""
    flowers = tl.load_images("drawn_flowers")
    images, labels, rows, _ = read_folder(bundled_folder() / "drawn_flowers", (96, 96))[:4]
    chosen = rows["train"][few_of_each(labels[rows["train"]], FEW, seed)]
    return flowers._replace(train=make_dataset(images, labels, shuffle=True, rows=chosen))


if __name__ == "__main__":
    draw_one_run()
    compare_strategies()
