"""`python -m kerastl train`: the ten lines of the workflow, with what they found printed."""

import re
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import keras
import tensorflow  # noqa: F401 (reads the images on every backend; now what it prints while it loads is hidden)

from kerastl.bases import BUNDLED_SETS, BUNDLED_WEIGHTS, find_base, folder_of
from kerastl.blocks import list_blocks
from kerastl.checks import check_seed
from kerastl.commands.arguments import weights_of
from kerastl.commands.printing import printable
from kerastl.commands.run_folder import RunFolder
from kerastl.commands.run_record import TUNED, Record, Task, facts, write_metrics, write_pages
from kerastl.engine.arguments import check_epochs
from kerastl.engine.split import usual_layers
from kerastl.evaluation import Evaluation
from kerastl.freezing import check_layers, freeze, unfreeze_top
from kerastl.graph import find_base_model
from kerastl.images import as_size, load_images
from kerastl.interrupts import hold_ctrl_c
from kerastl.model import build_model
from kerastl.pretrained import check_base
from kerastl.saving import save
from kerastl.sources import PART_NAMES
from kerastl.streams import PatientOutput
from kerastl.training import fine_tune, train_from_scratch, train_head

ROOM_BESIDE_WEIGHTS = 5_000_000  # bytes: the layers' settings, the report, the pictures


def run(args) -> int:
    """Train in two phases and write the run folder. Returns 0, or 1 when a picture or the report is missing there."""
    with redirect_stdout(PatientOutput(sys.stdout)):
        return _run(args)


def _run(args) -> int:
    users_folders = {
        "the folder of pictures": _folder_of(args.source),
        "the backup": Path(args.backup) if args.backup else None,
    }
    with RunFolder(args.out, args.overwrite, users_folders) as folder:
        task = _prepare(args)
        folder.hold_room(4 * task.model.count_params() + ROOM_BESIDE_WEIGHTS)
        record = Record()
        try:
            result = _two_phases(args, task, record)
        finally:  # also after an error, or an impatient second Ctrl-C: what was learned until then is kept
            record.take_up(task.model)
            if record.phases:
                _keep(folder, args, task, record)
        if args.scratch:
            _from_scratch(args, task, record)
            write_metrics(folder, args, task, record)
        print(f"\n{'':14}test accuracy   seconds")
        for row in record.results:
            print(f"{row['name']:<14}{row['test_accuracy']:>13.3f}{row['seconds']:>10.1f}")
        failed = write_pages(folder, args, task, record, result)
    print(f"\nrun folder  {folder.out}: {', '.join(sorted(file.name for file in folder.out.glob('[!.]*')))}")
    for name, error in failed.items():
        print(f"error: {name} could not be made ({error}); the model is in the run folder", file=sys.stderr)
    return 1 if failed else 0


def _folder_of(source: str) -> Path | None:
    """The folder that `load_images` reads; None for a TensorFlow Datasets name."""
    folder = folder_of(source)
    return folder if folder.exists() else None


def _check_arguments(args, size: int, layers: int | str | None) -> None:
    """Find now what need not be found after minutes, when all pictures are read."""
    check_seed(args.seed)
    check_epochs(args.epochs)
    if layers is not None:
        check_layers(layers)
    check_base(find_base(args.base), as_size(size), weights_of(args), _builder_arguments(args))


def _prepare(args) -> Task:
    layers = int(args.layers) if re.fullmatch(r"-?\d+", args.layers or "") else args.layers
    size = args.image_size
    if size is None:
        size = BUNDLED_SETS.get(args.source) or find_base(args.base).image_size
    _check_arguments(args, size, layers)
    keras.utils.set_random_seed(args.seed)
    data = load_images(args.source, image_size=size, resize=args.resize, batch_size=args.batch_size, seed=args.seed)
    counts = {part: sum(len(labels) for _, labels in getattr(data, part)) for part in PART_NAMES}
    print(
        f"images      {counts['train']:,} training, {counts['validation']:,} validation, {counts['test']:,} test; "
        f"{size}×{size} pixels"
    )
    print(f"classes     {len(data.class_names)}: {printable(', '.join(data.class_names))}")
    model = build_model(args.base, data, weights=weights_of(args), **_builder_arguments(args))
    if layers is None:
        layers = usual_layers(find_base_model(model))
    unfrozen = unfreeze_top(model, layers)  # a name or a number that this base has not shows now, not after phase 1
    base = freeze(model)
    print(
        f"base        {args.base}, weights {args.weights}: {len(base.layers)} layers, {base.count_params():,} "
        f"parameters, all frozen; the head has {model.count_params() - base.count_params():,} parameters to train"
    )
    return Task(data, counts, model, layers, unfrozen)


def _builder_arguments(args) -> dict:
    return {} if args.alpha is None else {"alpha": args.alpha}


def _two_phases(args, task: Task, record: Record) -> Evaluation:
    start, model, data = time.perf_counter(), task.model, task.data
    record.blocks.append(list_blocks(model))
    record.phases.append(train_head(model, data, epochs=args.epochs, backup_dir=args.backup))
    record.measure("head only", model, data, start)
    unfreeze_top(model, task.layers)
    record.blocks.append(list_blocks(model))
    print(f"unfrozen    {task.unfrozen}")
    record.phases.append(fine_tune(model, data, epochs=args.epochs, backup_dir=args.backup))
    return record.measure(TUNED, model, data, start)


def _from_scratch(args, task: Task, record: Record) -> None:
    start, bundled = time.perf_counter(), BUNDLED_WEIGHTS.get(weights_of(args))
    arguments = bundled.builder_arguments if bundled else _builder_arguments(args)
    model = build_model(args.base, task.data, weights=None, **arguments)
    train_from_scratch(model, task.data, epochs=2 * args.epochs)
    record.measure("from scratch", model, task.data, start)


def _keep(folder: RunFolder, args, task: Task, record: Record) -> None:
    summary = dict(facts(args, task, record)) | record.accuracy
    with hold_ctrl_c():
        folder.write_model(lambda path: save(task.model, path, task.data.class_names, summary=summary))
        write_metrics(folder, args, task, record)
