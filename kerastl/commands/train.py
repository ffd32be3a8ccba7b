"""`python -m kerastl train`: the ten lines of the workflow, with what they found printed."""

import json
import os
import re
import shutil
import time
import warnings
from pathlib import Path

import keras

import kerastl
from kerastl.bases import BUNDLED_SETS, BUNDLED_WEIGHTS, find_base
from kerastl.blocks import list_blocks
from kerastl.commands.common import printable, save_figure
from kerastl.data import load_images
from kerastl.evaluation import evaluate
from kerastl.freezing import freeze, unfreeze_top
from kerastl.model import build_model
from kerastl.plots.history import plot_history
from kerastl.plots.pictures import plot_images
from kerastl.plots.scores import plot_confusion
from kerastl.report import Run, make_report
from kerastl.saving import save
from kerastl.training import fine_tune, train_from_scratch, train_head


def run(args) -> None:
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
    shown = Run(f"{Path(args.source).name}: {args.base}, two phases", facts, results, blocks, trained, result)
    unfinished = out.with_name(f".unfinished-{os.getpid()}-{out.name}")
    unfinished.mkdir(parents=True)
    try:
        summary = dict(facts) | {"test accuracy": f"{result.accuracy:.3f}"}
        save(model, unfinished / "model.keras", data.class_names, summary=summary)
        (unfinished / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        (unfinished / "report.html").write_text(make_report(shown, model, data), encoding="utf-8")
        if trained:
            save_figure(plot_history(*trained)[0].figure, unfinished / "history.png")
        save_figure(plot_confusion(result, data.class_names).figure, unfinished / "confusion.png")
        save_figure(plot_images(data, part="test", evaluation=result), unfinished / "predictions.png")
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


def _count(dataset) -> int:
    return sum(len(labels) for _, labels in dataset)
