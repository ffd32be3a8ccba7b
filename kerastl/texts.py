"""Load texts: docstrings of the installed packages, a folder of class folders, or a table -> TextData."""

import os
import warnings
from pathlib import Path

import numpy as np

from kerastl.checks import list_some
from kerastl.data import TextData, make_dataset
from kerastl.docstrings import PACKAGES, read_task
from kerastl.folders import find_places, folders_in, nearest_parent
from kerastl.reading import warn_of_files
from kerastl.sources import PART_NAMES, number_labels
from kerastl.splitting import check_splitting, draw_places, set_parts_aside
from kerastl.tables import read_columns, read_text, refuse_rows

DOCSTRINGS = "docstrings"


def load_texts(
    source: str | os.PathLike,
    *,
    batch_size: int = 32,
    validation_split: float = 0.1,
    test_split: float = 0.2,
    seed: int = 0,
) -> TextData:
    """Load labelled texts: the first step of the workflow, as `load_images` is for pictures.

    Args:
        source: one of
            - "docstrings": what five packages (Keras, Matplotlib, NumPy, SciPy and scikit-learn) say
              of their modules, classes, functions and methods; the class is the package. Their files are read, nothing
              in them is run. Names that would give a package away are taken out (`kerastl.docstrings.prose`). The texts
              of one file are all in one part. Other versions of the packages have other texts.
            - a folder with one folder of `.txt` files (UTF-8) for each class, or with such folders below `train` and,
              if you have them, `validation` and `test`;
            - a table, `.csv` (UTF-8), with the columns `text` and `label`.
            Of a folder or table each text is taken once, and not at all where it has two labels (a warning says so):
            else it could be in two parts.
        batch_size: texts in a batch, here and in all training on these data.
        validation_split, test_split, seed: as in `load_images`.

    Returns:
        `TextData(train, validation, test, class_names)`: `tf.data` datasets of batches (texts, labels), strings and
        int64, both (batch,). The model makes token ids of the texts.

    Raises:
        FileNotFoundError: the folder or table is not there.
        ValueError: no class folders, or only one; an empty text; a table without the two columns, or with a row without
            a label or with a value too many; a file that is not UTF-8; too few texts in a class.
        TypeError: no name of a source.
        ImportError: "docstrings", and one of the packages is not installed.

    Example:
        >>> load_texts("docstrings").class_names
        ['keras', 'matplotlib', 'numpy', 'scipy', 'sklearn']
    """
    check_splitting(batch_size, validation_split, test_split, seed)
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"Received {type(source).__name__}. Expected {DOCSTRINGS!r}, a folder or a .csv file.")
    if not os.fspath(source):
        raise ValueError(f"Received an empty name. Expected {DOCSTRINGS!r}, a folder or a .csv file.")
    path = Path(source).expanduser()
    if path.is_dir():
        texts, labels, rows, class_names = _once(*_read_folder(path))
    elif path.is_file():
        texts, labels, rows, class_names = _once(*_read_table(path))
    elif os.fspath(source) == DOCSTRINGS:
        texts, labels, rows, class_names = _read_docstrings(validation_split, test_split, seed)
    else:
        raise FileNotFoundError(
            f"There is no folder or table {str(path)!r}. Expected {DOCSTRINGS!r}, a folder with one folder of .txt "
            f"files for each class, or a .csv file. {nearest_parent(path)}"
        )
    texts, labels = np.array(texts, object), np.array(labels, np.int64)
    shares = {"validation": validation_split, "test": test_split}
    set_parts_aside(rows, labels, draw_places(texts, seed), np.arange(len(texts)), shares, class_names, "texts")
    return TextData(
        *(make_dataset(texts, labels, batch_size, part == "train", rows[part]) for part in PART_NAMES), class_names
    )


def _once(texts: list, labels: list, rows: dict, class_names: list[str]) -> tuple:
    """The same, with each text once, and without those that have two labels."""
    first, classes = {}, {}
    for number, (text, label) in enumerate(zip(texts, labels, strict=True)):
        first.setdefault(text, number)
        classes.setdefault(text, set()).add(label)
    kept = [number for text, number in first.items() if len(classes[text]) == 1]
    if len(kept) < len(texts):
        unclear = len(first) - len(kept)
        warnings.warn(
            f"{len(texts) - len(kept):,} of {len(texts):,} texts are left out: copies, and {unclear:,} with more than "
            "one label. A copy among the test texts would be a leak.",
            stacklevel=3,
        )
    return texts, labels, {part: numbers[np.isin(numbers, kept)] for part, numbers in rows.items()}, class_names


def _read_docstrings(validation_split: float, test_split: float, seed: int) -> tuple:
    """All texts of one file go to one part: a file often says nearly the same of several things."""
    docstrings, texts, labels = read_task()
    files = [docstring.file for docstring in docstrings]
    every = np.random.default_rng(seed).permutation(sorted(set(files)))
    ends = np.cumsum([round(share * len(every)) for share in (validation_split, test_split)])
    parts = dict(zip(("validation", "test", "train"), np.split(every, ends), strict=True))
    rows = {part: np.flatnonzero(np.isin(files, held)) for part, held in parts.items()}
    return texts, labels, rows, list(PACKAGES)


def _read_folder(folder: Path) -> tuple:
    places = find_places(folder, "texts")
    inside = {place: folders_in(place) for classes in places.values() for place in classes.values()}
    deeper = [
        f"{str(place)!r} holds folders ({list_some([entry.name for entry in found])})"
        for place, found in inside.items()
        if found
    ]
    if deeper:
        warn_of_files("Folders inside class folders are left out", deeper, ["Move those texts up that belong to it."])
    texts, labels, rows = [], [], {}
    for part, classes in places.items():
        start = len(texts)
        for label, place in enumerate(classes.values()):
            files = _find_texts(place)
            if not files:
                raise ValueError(f"{str(place)!r} holds no .txt file. Add texts, or remove the folder.")
            for file in files:
                text = read_text(file)
                if not text.strip():
                    raise ValueError(f"{str(file)!r} holds no text. Write one into it, or remove the file.")
                texts.append(text)
                labels.append(label)
        rows[part] = np.arange(start, len(texts))
    return texts, labels, rows, list(places["train"])


def _find_texts(folder: Path) -> list[Path]:
    """The texts of a class, sorted. Hidden files are none: a Mac puts one of its own beside each into an archive."""
    files = [entry for entry in folder.iterdir() if entry.suffix.lower() == ".txt" and not entry.name.startswith(".")]
    return sorted(file for file in files if not file.is_dir())


def _read_table(file: Path) -> tuple:
    columns = read_columns(file)
    if not {"text", "label"} <= columns.keys():
        raise ValueError(
            f"{str(file)!r} has the columns {list_some(list(columns) or ['none'])}. Expected a .csv file with commas, "
            "and in its first line the names of the columns: one text, one label."
        )
    for name in ("text", "label"):
        advice = "Expected a text and a label in each: fill them in, or remove the rows."
        refuse_rows(repr(str(file)), [not value for value in columns[name]], f"have no {name}", advice)
    labels, class_names = number_labels(columns["label"], repr(str(file)))
    return columns["text"], labels, {"train": np.arange(len(labels))}, class_names
