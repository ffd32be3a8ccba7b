"""One page that shows a whole run: what was trained on what, how it went, where the model is wrong, how to use it.

The page is one file: pictures are inside, nothing is loaded from elsewhere, and it may run no program at all. Every
word that comes from outside (names of classes, files, folders) is escaped.
"""

import base64
import html
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerastl.blocks import Blocks
from kerastl.data import pick_images
from kerastl.evaluation import Evaluation
from kerastl.explain import HeatMap, heat_maps
from kerastl.plots.history import plot_history
from kerastl.plots.layers import plot_layers
from kerastl.plots.pictures import plot_heat
from kerastl.plots.scores import plot_calibration, plot_confusion

DPI = 110
MOST_MISTAKES = 8

_STYLE = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
p, li { max-width: 42rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: .25rem 1rem .25rem 0; border-bottom: 1px solid var(--line); }
th { text-align: left; } .number { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; height: auto; background: white; border-radius: 4px; }
.wide img { max-width: none; }
@media (max-width: 30rem) { th, td { padding-right: .4rem; } }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0 0 1rem; max-width: 100%; }
figcaption { font-size: .95rem; overflow-wrap: anywhere; }
pre { padding: .75rem; border: 1px solid var(--line); border-radius: 4px; overflow-x: auto; }
"""


class Run(NamedTuple):
    """What a finished run hands over to be shown."""

    title: str
    facts: list[tuple[str, str]]  # what was trained on what
    results: list[dict]  # {"name", "test_accuracy", "seconds"} for each stage
    blocks: list[Blocks]  # in phase 1, in phase 2
    phases: list  # histories with at least one epoch
    evaluation: Evaluation  # of `data.test`


def make_report(run: Run, model, data) -> str:
    """The page, as HTML."""
    parts = [
        _section("What was trained", _table([], run.facts)),
        _section(
            "Result",
            "<p>Accuracy on the test pictures, which were set aside before training and chose nothing: "
            f"{_text(run.evaluation)}.</p>",
            _table(
                ["", "test accuracy", "seconds"],
                [(row["name"], f"{row['test_accuracy']:.3f}", f"{row['seconds']:.1f}") for row in run.results],
            ),
        ),
        _section(
            "Which layers learned",
            "<p>The network from the picture on the left to the head on the right, cut into its blocks. The area of a "
            "colour is its share of the parameters. Orange parts can learn in that phase, blue parts cannot.</p>",
            f'<div class="wide">{_picture(_draw_blocks(run.blocks), "blocks of the network in each phase")}</div>',
        ),
    ]
    if run.phases:
        parts.append(_section("How it went", _READ_HISTORY, _pictures(*_draw_history(run.phases))))
    parts += [
        _section(
            "Class by class",
            "<p>Rows are the true classes, columns what the model said: a number off the diagonal counts mistakes.</p>",
            _picture(plot_confusion(run.evaluation, data.class_names).figure, "confusion matrix"),
            _class_table(run.evaluation, data.class_names),
        ),
        _section(
            "How sure it is",
            "<p>On the dashed line, of the pictures with a probability of 0.8 four fifths are right. Points below it: "
            "the model is too sure. Large points stand for many pictures; the bar is the 95 % interval.</p>",
            _picture(plot_calibration(run.evaluation).figure, "calibration"),
        ),
        _section("The surest mistakes", *_mistakes(model, data, run.evaluation)),
        _section("Use the file", _USE),
    ]
    title = _text(run.title)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; style-src '
        "'unsafe-inline'\">\n"
        f'<link rel="icon" href="data:,">\n<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n'
        f"<body>\n<h1>{title}</h1>\n{''.join(parts)}</body>\n</html>\n"
    )


_READ_HISTORY = (
    "<p>The dashed line is what the model reaches on the pictures that it learns from, the full line on pictures that "
    "it does not learn from. A gap that grows between them is overfitting.</p>"
)
_USE = """<p>In Python:</p>
<pre>import kerastl as tl
tl.predict("model.keras", "photo.jpg")</pre>
<p>In a terminal:</p>
<pre>python -m kerastl predict model.keras photo.jpg
python -m kerastl inspect model.keras</pre>
<p>Without this package (raw pixels from 0 to 255 go in; the scaling is inside):</p>
<pre>import keras
model = keras.models.load_model("model.keras")</pre>
"""


def _draw_blocks(tables: list[Blocks]):
    every = plot_layers(*tables, titles=[f"phase {number}" for number in range(1, len(tables) + 1)])
    return np.atleast_1d(every)[0].figure


def _draw_history(phases) -> list:
    import matplotlib.pyplot as plt

    pairs = [plt.subplots(figsize=(4.1, 3.2), layout="constrained") for _ in range(2)]
    plot_history(*phases, ax=[axes for _, axes in pairs])
    return [(figure, name) for (figure, _), name in zip(pairs, ("accuracy by epoch", "loss by epoch"), strict=True)]


def _class_table(evaluation: Evaluation, class_names: Sequence[str]) -> str:
    rows = [
        (name, *(f"{value:.3f}".replace("nan", "–") for value in score[:3]), f"{score.images:,}")
        for name, score in zip(class_names, evaluation.class_scores, strict=True)
    ]
    return _table(["class", "precision", "recall", "F1", "pictures"], rows)


def _mistakes(model, data, evaluation: Evaluation) -> list[str]:
    import matplotlib.pyplot as plt

    numbers = evaluation.mistakes[:MOST_MISTAKES]
    if not len(numbers):
        return [f"<p>There is none in {len(evaluation.labels):,} pictures.</p>"]
    images = np.stack([image for image, _ in pick_images(data.test, numbers)])
    said, true = evaluation.predictions[numbers], evaluation.labels[numbers]
    try:
        maps = list(zip(heat_maps(model, images, true), heat_maps(model, images, said), strict=True))
    except (RuntimeError, ValueError) as error:
        return [f"<p>There are no heat maps: {_text(error)}</p>"]
    shown, names = [], data.class_names
    for place, pair in enumerate(maps):
        chances = evaluation.probabilities[numbers[place]]
        figure, grid = plt.subplots(1, 3, figsize=(4.2, 1.45), layout="constrained")
        grid[0].imshow(images[place].astype(np.uint8))
        grid[0].set_axis_off()
        for axes, heat, class_number in zip(grid[1:], pair, (true[place], said[place]), strict=True):
            plot_heat(HeatMap(heat, images[place], names[class_number], chances[class_number]), ax=axes).set_title("")
        words = (
            f"is <b>{_text(names[true[place]])}</b> ({chances[true[place]]:.2f})<br>"
            f"said <b>{_text(names[said[place]])}</b> ({chances[said[place]]:.2f})"
        )
        shown.append(_picture(figure, f"test picture {numbers[place]}, with two heat maps", words))
    return [
        "<p>The picture, then what in it speaks for the true class, then what speaks for the class that the model "
        "named (Grad-CAM: what is bright speaks for it). In brackets stands the probability that the model gave. The "
        "surest mistake comes first.</p>",
        f'<div class="pictures">{"".join(shown)}</div>',
    ]


def _section(title: str, *contents: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{''.join(contents)}</section>\n"


def _table(header: Sequence[str], rows) -> str:
    lines = [_header(header)] if header else []
    for first, *cells in rows:
        kind = ' class="number"' if header else ""
        lines.append(f"<tr><th>{_text(first)}</th>{''.join(f'<td{kind}>{_text(cell)}</td>' for cell in cells)}</tr>")
    return f'<div class="wide"><table>\n{chr(10).join(lines)}\n</table></div>\n'


def _header(names: Sequence[str]) -> str:
    first, *others = map(_text, names)
    return f"<tr><th>{first}</th>" + "".join(f'<th class="number">{name}</th>' for name in others) + "</tr>"


def _pictures(*pairs) -> str:
    return f'<div class="pictures">{"".join(_picture(figure, name) for figure, name in pairs)}</div>\n'


def _picture(figure, name: str, caption: str = "") -> str:
    """A figure as an image inside the page; the figure is closed. `caption` is HTML."""
    import matplotlib.pyplot as plt

    file = io.BytesIO()
    figure.savefig(file, dpi=DPI, facecolor="white")
    width, height = (round(DPI * side) for side in figure.get_size_inches())
    plt.close(figure)
    data = base64.b64encode(file.getvalue()).decode()
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    return (
        f'<figure><img alt="{_text(name)}" width="{width}" height="{height}" src="data:image/png;base64,{data}">'
        f"{below}</figure>\n"
    )


def _text(value) -> str:
    return html.escape(str(value))
