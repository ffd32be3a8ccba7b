"""What the command line does, step by step: the ten lines of the workflow, with what they found printed."""

import csv
import json
import os
import re
import shutil
import sys
import time
import warnings
from pathlib import Path

import keras
import matplotlib.pyplot as plt

import kerastl
from kerastl.bases import BUNDLED_SETS, BUNDLED_WEIGHTS, find_base
from kerastl.blocks import list_blocks
from kerastl.data import load_images
from kerastl.evaluation import evaluate
from kerastl.explain import grad_cam
from kerastl.freezing import freeze, unfreeze_top
from kerastl.model import build_model
from kerastl.plots.history import plot_history
from kerastl.plots.layers import plot_layers
from kerastl.plots.pictures import plot_heat, plot_images
from kerastl.plots.scores import plot_confusion
from kerastl.prediction import predict as predict_image
from kerastl.report import Run, make_report
from kerastl.saving import load, load_summary, save
from kerastl.sources import is_picture
from kerastl.training import fine_tune, train_from_scratch, train_head


def train(args) -> None:
    """Train in two phases and write the run folder."""
    warnings.showwarning = lambda message, *_, **__: print(f"note: {message}")
    out = Path(args.out).expanduser()
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{str(out)!r} is a file. Choose another --out.")
    if out.exists() and not args.overwrite:
        raise FileExistsError(f"{str(out)!r} exists already. Choose another --out, or replace it with --overwrite.")
    layers = int(args.layers) if re.fullmatch(r"-?\d+", args.layers) else args.layers
    weights = None if args.weights == "none" else args.weights
    builder_arguments = {} if args.alpha is None else {"alpha": args.alpha}
    size = args.image_size
    if size is None:
        size = BUNDLED_SETS.get(args.source) or find_base(args.base).image_size

    keras.utils.set_random_seed(args.seed)
    data = load_images(args.source, image_size=size, batch_size=args.batch_size, seed=args.seed)
    counts = {part: _count(getattr(data, part)) for part in ("train", "validation", "test")}
    print(
        f"images      {counts['train']:,} training, {counts['validation']:,} validation, {counts['test']:,} test; "
        f"{size}×{size} pixels"
    )
    print(f"classes     {len(data.class_names)}: {printable(', '.join(data.class_names))}")
    model = build_model(args.base, data, weights=weights, **builder_arguments)
    unfreeze_top(model, layers)  # an impossible --layers shows now, not after phase 1
    base = freeze(model)
    blocks = [list_blocks(model)]
    print(
        f"base        {args.base}, weights {args.weights}: {len(base.layers)} layers, {base.count_params():,} "
        f"parameters, all frozen; the head has {model.count_params() - base.count_params():,} parameters to train"
    )

    start = time.perf_counter()
    results = []

    def record(name: str, since: float):
        result = evaluate(model, data.test)
        results.append(
            {
                "name": name,
                "test_accuracy": result.accuracy,
                "test_loss": result.loss,
                "seconds": round(time.perf_counter() - since, 1),
            }
        )
        return result

    phase1 = train_head(model, data, epochs=args.epochs, backup_dir=args.backup)
    record("head only", start)
    unfrozen = unfreeze_top(model, layers)
    blocks.append(list_blocks(model))
    print(f"unfrozen    {unfrozen}")
    phase2 = fine_tune(model, data, epochs=args.epochs, backup_dir=args.backup)
    result = record("fine-tuned", start)
    if args.scratch:
        tuned, start = model, time.perf_counter()
        bundled = BUNDLED_WEIGHTS.get(weights)
        model = build_model(
            args.base, data, weights=None, **(bundled.builder_arguments if bundled else builder_arguments)
        )
        train_from_scratch(model, data, epochs=2 * args.epochs)
        record("from scratch", start)
        model = tuned

    trained = [phase for phase in (phase1, phase2) if phase.epoch]  # Ctrl-C may have ended one in its first epoch
    metrics = {
        "arguments": vars(args),
        "images": counts,
        "class_names": data.class_names,
        "unfrozen": unfrozen._asdict(),
        "results": results,
        "phase1": phase1.history,
        "phase2": phase2.history,
    }
    facts = _facts(args, data, counts, unfrozen, (phase1, phase2))
    run = Run(f"{Path(args.source).name}: {args.base}, two phases", facts, results, blocks, trained, result)
    unfinished = out.with_name(f".unfinished-{os.getpid()}-{out.name}")
    unfinished.mkdir(parents=True)
    try:
        summary = dict(facts) | {"test accuracy": f"{result.accuracy:.3f}"}
        save(model, unfinished / "model.keras", data.class_names, summary=summary)
        (unfinished / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        (unfinished / "report.html").write_text(make_report(run, model, data), encoding="utf-8")
        if trained:
            _save_figure(plot_history(*trained)[0].figure, unfinished / "history.png")
        _save_figure(plot_confusion(result, data.class_names).figure, unfinished / "confusion.png")
        _save_figure(plot_images(data, part="test", evaluation=result), unfinished / "predictions.png")
        if out.exists():
            shutil.rmtree(out)
        unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)

    print(f"\n{'':14}test accuracy   seconds")
    for row in results:
        print(f"{row['name']:<14}{row['test_accuracy']:>13.3f}{row['seconds']:>10.1f}")
    print(f"\nrun folder  {out}: {', '.join(sorted(entry.name for entry in out.iterdir()))}")


def _facts(args, data, counts, unfrozen, phases) -> list[tuple[str, str]]:
    """What was trained on what: for the report, and inside the model's file."""
    size = "×".join(map(str, data.train.element_spec[0].shape[1:3]))
    return [
        ("pictures", args.source),
        ("classes", f"{len(data.class_names)}: {', '.join(data.class_names)}"),
        *((f"{part} pictures", f"{count:,}") for part, count in counts.items()),
        ("pixels", size),
        ("base", args.base + ("" if args.alpha is None else f", alpha {args.alpha}")),
        ("weights", args.weights),
        ("phase 1", f"the head, {_epochs(phases[0])}"),
        ("phase 2", f"the head and {unfrozen}, {_epochs(phases[1])}"),
        ("seed", str(args.seed)),
        ("versions", f"kerastl {kerastl.__version__}, Keras {keras.__version__}"),
    ]


def _epochs(phase) -> str:
    rates = phase.history.get("learning_rate")
    count = len(phase.epoch)
    return f"{count} epoch{'s' * (count != 1)}" + (f" from a learning rate of {rates[0]:.2g}" if rates else "")


def predict(args) -> None:
    """Name what is in each picture."""
    saved = load(args.model)
    files = _find_pictures(args.images)
    rows = [(file, predict_image(saved, file, top=args.top)) for file in files]
    if args.cam:
        folder = Path(args.cam).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        for number, (file, guesses) in enumerate(rows, start=1):
            heat = grad_cam(saved, file, guesses[0].class_name)
            name = re.sub(r"[^\w.-]", "_", Path(file).stem)[:80]
            figure = plot_heat(heat).figure
            _save_figure(figure, folder / f"{number:03d}_{name}.png")
    if args.json:
        said = [{"file": str(file), "predictions": [guess._asdict() for guess in guesses]} for file, guesses in rows]
        print(json.dumps(said, indent=2, ensure_ascii=False))
    elif args.csv:
        table = csv.writer(sys.stdout, lineterminator="\n")
        names = range(1, 1 + len(rows[0][1]))
        table.writerow(["file", *(f"{word}_{number}" for number in names for word in ("class", "probability"))])
        for file, guesses in rows:
            table.writerow([file, *(value for name, share in guesses for value in (name, f"{share:.6f}"))])
    else:
        width = max(len(printable(file)) for file in files)
        for file, guesses in rows:
            said = ", ".join(f"{printable(guess.class_name)} {guess.probability:.3f}" for guess in guesses)
            print(f"{printable(file):{width}}  {said}")


def inspect(args) -> None:
    """Print what is in a model's file: classes, sizes, layers, and how it was trained."""
    model, class_names = load(args.model)
    blocks = list_blocks(model)
    height, width = model.input_shape[1:3]
    known = {
        "file": f"{args.model}, {Path(args.model).expanduser().stat().st_size / 1e6:.1f} MB",
        "takes": f"pictures of {height}×{width} pixels, three colours, 0 to 255",
        "classes": f"{len(class_names)}: {', '.join(class_names)}",
    }
    for name, value in (known | (load_summary(args.model) or {"training": "nothing is noted in the file"})).items():
        print(f"{printable(name):<20}{printable(value)}")
    print(
        f"\n{blocks.strip}\nF frozen, T trainable, · no parameters; a step in height is ten times as many\n\n{blocks}"
    )
    if args.picture:
        _save_figure(plot_layers(blocks).figure, Path(args.picture).expanduser())


def _find_pictures(paths: list[str]) -> list[str]:
    """The files themselves, and of a folder the picture files in it."""
    found = []
    for path in paths:
        folder = Path(path).expanduser()
        inside = sorted(entry for entry in folder.iterdir() if is_picture(entry)) if folder.is_dir() else [path]
        if not inside:
            raise FileNotFoundError(f"There is no picture in the folder {path!r}.")
        found += map(str, inside)
    return found


def printable(value) -> str:
    """Text from outside, without what could steer the terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in str(value))


def _count(dataset) -> int:
    return sum(len(labels) for _, labels in dataset)


def _save_figure(figure, path: Path) -> None:
    figure.savefig(path, dpi=120)
    plt.close(figure)
