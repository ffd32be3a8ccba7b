"""Draw the small pictures of GLOSSARY.md: `python notebooks/pictures.py` writes notebooks/pictures/*.svg.

One picture for each word, one idea in each; drawings/ tells what is in them. Nothing is measured or left to chance, and
the same version of Matplotlib writes the same bytes.
"""

import io
import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from drawings import HEIGHT, PICTURES, WIDTH, networks, results, tasks, texts, training  # noqa: F401 (they fill PICTURES)
from kerastl.plots.sketch import canvas
from kerastl.plots.workflow import plot_workflow

HERE = Path(__file__).parent


def draw(name: str) -> str:
    """One picture, as SVG: one of `PICTURES`, "workflow" or "two-words"."""
    written = io.StringIO()
    # Text stays text: a reader can search it, and the files are small.
    with plt.style.context("default"), mpl.rc_context({"svg.hashsalt": "kerastl", "svg.fonttype": "none"}):
        if name in PICTURES:
            PICTURES[name](canvas(WIDTH, HEIGHT))
        else:
            {"workflow": plot_workflow, "two-words": results.two_words}[name]()
        plt.gcf().savefig(written, format="svg", metadata={"Date": None})
        plt.close()
    return re.sub(r"(\.\d\d)\d+", r"\1", written.getvalue())  # half as large, and nobody can see it


def draw_all() -> dict[str, str]:
    """{name of the file: SVG} of all pictures."""
    return {f"{name}.svg": draw(name) for name in ("workflow", *PICTURES, "two-words")}


if __name__ == "__main__":
    for name, text in draw_all().items():
        (HERE / "pictures" / name).write_text(text, encoding="utf-8")
        print(f"notebooks/pictures/{name}")
