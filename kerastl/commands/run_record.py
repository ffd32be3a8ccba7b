"""What came of a run of `train`, and the files that say it."""

import json
import time
from pathlib import Path
from typing import NamedTuple

import keras

import kerastl
from kerastl.commands.figures import save_figure
from kerastl.commands.run_folder import RunFolder
from kerastl.data import ImageData
from kerastl.evaluation import Evaluation, evaluate
from kerastl.freezing import Unfrozen
from kerastl.plots.history import plot_history
from kerastl.plots.pictures import plot_images
from kerastl.plots.scores import plot_confusion
from kerastl.report import Run, make_report

TUNED = "fine-tuned"  # the stage whose model is saved


class Task(NamedTuple):
    """What is trained on what."""

    data: ImageData
    counts: dict[str, int]  # images in each part
    model: keras.Model
    layers: int | str  # what to unfreeze for phase 2,
    unfrozen: Unfrozen  # and what this comes to


class Record:
    """What came of the run so far."""

    def __init__(self):
        self.phases, self.results, self.blocks = [], [], []

    def measure(self, name: str, model: keras.Model, data: ImageData, since: float) -> Evaluation:
        """Note the test accuracy of a stage."""
        result = evaluate(model, data.test)
        self.results.append(
            {
                "name": name,
                "test_accuracy": result.accuracy,
                "test_loss": result.loss,
                "seconds": round(time.perf_counter() - since, 1),
            }
        )
        return result

    def take_up(self, model: keras.Model) -> None:
        """Note a phase that was broken off, if it finished an epoch."""
        history = getattr(model, "history", None)
        if history and history.epoch and history not in self.phases:
            self.phases.append(history)

    @property
    def accuracy(self) -> dict[str, str]:
        """Of the model as it is saved; empty if it was not measured."""
        tuned = [row for row in self.results if row["name"] == TUNED]
        return {"test accuracy": f"{tuned[0]['test_accuracy']:.3f}"} if tuned else {}


def write_metrics(folder: RunFolder, args, task: Task, record: Record) -> None:
    """Write `metrics.json` into the run folder."""
    metrics = {
        "arguments": vars(args),
        "images": task.counts,
        "class_names": task.data.class_names,
        "unfrozen": task.unfrozen._asdict(),
        "results": record.results,
    } | {f"phase{number}": phase.history for number, phase in enumerate(record.phases, start=1)}
    (folder.work / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")


def write_pages(folder: RunFolder, args, task: Task, record: Record, result: Evaluation) -> dict:
    """The report and the pictures. Returns the errors of those that could not be made, by name."""
    trained = [phase for phase in record.phases if phase.epoch]  # Ctrl-C may have ended one in its first epoch
    title = f"{Path(args.source).name}: {args.base}, two phases"
    shown = Run(title, facts(args, task, record), record.results, record.blocks, trained, result)
    data, failed = task.data, {}
    pages = {
        "report.html": lambda path: path.write_text(
            make_report(shown, task.model, data), encoding="utf-8", errors="replace"
        ),
        "history.png": lambda path: trained and save_figure(plot_history(*trained)[0].figure, path),
        "confusion.png": lambda path: save_figure(plot_confusion(result, data.class_names).figure, path),
        "predictions.png": lambda path: save_figure(plot_images(data, part="test", evaluation=result), path),
    }
    for name, write in pages.items():
        try:
            write(folder.work / name)
        except Exception as error:  # whatever it is: the other pages, and above all the model, are worth more
            (folder.work / name).unlink(missing_ok=True)
            failed[name] = error
    return failed


def facts(args, task: Task, record: Record) -> list[tuple[str, str]]:
    """What was trained on what: for the report, and inside the model's file."""
    learned = ("the head", f"the head and {task.unfrozen}")
    return [
        ("pictures", args.source),
        ("classes", f"{len(task.data.class_names)}: {', '.join(task.data.class_names)}"),
        *((f"{part} pictures", f"{count:,}") for part, count in task.counts.items()),
        ("pixels", "×".join(map(str, task.model.input_shape[1:3]))),
        ("resize", args.resize),
        ("base", args.base + ("" if args.alpha is None else f", alpha {args.alpha}")),
        ("weights", args.weights),
        *(
            (f"phase {number + 1}", f"{learned[number]}, {_epochs(phase)}")
            for number, phase in enumerate(record.phases)
        ),
        ("seed", str(args.seed)),
        ("versions", f"kerastl {kerastl.__version__}, Keras {keras.__version__}"),
    ]


def _epochs(phase) -> str:
    rates = phase.history.get("learning_rate")
    count = len(phase.epoch)
    return f"{count} epoch{'s' * (count != 1)}" + (f" from a learning rate of {rates[0]:.2g}" if rates else "")
