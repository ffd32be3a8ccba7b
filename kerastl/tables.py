"""Tables of file names and labels: a .csv or .tsv file, or a DataFrame of pandas or Polars."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kerastl.checks import list_some
from kerastl.reading import UnreadableError, read_image
from kerastl.sources import PART_NAMES, Listing, find_part_names, number_labels

# What a column may be called, in capitals, too. The first that is there is taken.
FILE_COLUMNS = ("file", "filename", "file_name", "path", "filepath", "image")
LABEL_COLUMNS = ("label", "class")
PART_COLUMNS = ("split", "part")
LIKE_PART_COLUMNS = ("subset", "set", "fold")  # not taken, since they often hold something else


def list_table(table, groups: str | None = None) -> Listing:
    """The pictures of a DataFrame; paths that are not absolute count from the working directory."""
    names = _clean_names([str(name) for name in table.columns], "The table")
    columns = ([_strip(value) for value in table[name]] for name in table.columns)
    return _list_columns(dict(zip(names, columns, strict=True)), Path(), "The table", groups)


def list_table_file(file: Path, groups: str | None = None) -> Listing:
    """The pictures of a .csv or .tsv file; paths that are not absolute count from its folder."""
    return _list_columns(read_columns(file), file.parent, repr(str(file)), groups)


def read_columns(file: Path) -> dict[str, list[str]]:
    """The columns of a .csv file (commas), or of a .tsv file (tabs), by their names in the first line.

    Raises:
        ValueError: not UTF-8, no table, two columns of one name, or rows that are longer or shorter than the first.
    """
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    table = csv.reader(io.StringIO(read_text(file), newline=""), strict=True, delimiter=delimiter)
    try:
        names, *rows = [row for row in table if row] or [[]]
    except csv.Error as error:
        raise ValueError(
            f"{str(file)!r} is no table: {error} (line {table.line_num}). A quotation mark inside a text is written "
            'twice, and the text between two of them: "She said ""no"".".'
        ) from None
    where = repr(str(file))
    names = _clean_names(names, where)
    refuse_rows(
        where,
        [len(row) > len(names) for row in rows],
        "have more values than there are columns",
        "Put a value with a comma between quotation marks.",
    )
    rows = [row + [""] * (len(names) - len(row)) for row in rows]
    return {name: [row[place].strip() for row in rows] for place, name in enumerate(names)}


def _clean_names(names: list[str], where: str) -> list[str]:
    """The names of columns without blanks around them. Capitals tell no two apart."""
    names = [name.strip() for name in names]
    if len({name.lower() for name in names}) < len(names):
        raise ValueError(
            f"{where} has the columns {list_some(names)}. Expected each name once, in small letters or capitals. Take "
            "a column out, or name it otherwise."
        )
    return names


def _strip(value):
    """A text without blanks around it; anything else as it is."""
    return value.strip() if isinstance(value, str) else value


def read_text(file: Path) -> str:
    """What a file in UTF-8 holds. Raises ValueError when it is another one."""
    try:
        with open(file, encoding="utf-8-sig", newline="") as opened:
            text = opened.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{str(file)!r} is not UTF-8 ({error.reason}). Save it as UTF-8.") from None
    except OSError as error:
        raise ValueError(f"{str(file)!r} cannot be read ({error.strerror}). Mend it, or remove it.") from None
    if "\0" in text:
        raise ValueError(f"{str(file)!r} holds bytes of 0, so it is no text in UTF-8. Save it as UTF-8.")
    return text


def refuse_rows(where: str, wrong: list[bool], what: str, advice: str) -> None:
    """Raise ValueError that names the rows of a table that are wrong, if there are any."""
    found = [str(number) for number, is_wrong in enumerate(wrong, start=1) if is_wrong]
    if found:
        raise ValueError(
            f"{len(found)} of {len(wrong)} rows in {where} {what} (row {list_some(found)}, counted from 1 below "
            f"the names). {advice}"
        )


def _list_columns(columns: Mapping[str, Sequence], folder: Path, where: str, groups: str | None) -> Listing:
    files = [str(file) for file in _take(columns, where, "file", FILE_COLUMNS)]
    labels, class_names = number_labels(_take(columns, where, "label", LABEL_COLUMNS), where)
    paths = [folder / file for file in files]
    if not any(path.is_file() for path in paths):
        raise FileNotFoundError(
            f"Of the {len(paths):,} files in {where} none is there (first: {str(paths[0])!r}). Expected paths that "
            f"count from {str(folder.absolute())!r}, or absolute ones."
        )

    def read(number: int, size: tuple[int, int], resize: str) -> np.ndarray:
        try:
            return read_image(paths[number], size, resize)
        except FileNotFoundError as error:
            raise UnreadableError(str(paths[number]), str(error), "each file of the table to be there") from None

    rows = {"train": np.arange(len(files))}
    if _find(columns, PART_COLUMNS):
        rows = _find_parts([str(part) for part in _take(columns, where, "split", PART_COLUMNS)], where)
    if groups is not None:
        groups = _take(columns, where, groups, (groups.strip().lower(),))
    names = [Path(file).as_posix() for file in files]
    return Listing(read, labels, rows, class_names, names, groups, _unused_parts(columns))


def _unused_parts(columns: Mapping[str, Sequence]) -> list[str]:
    """A line on a column that seems to hold the parts, but is not named so, where no other one is."""
    known = {name for names in PART_NAMES.values() for name in names}
    column = None if _find(columns, PART_COLUMNS) else _find(columns, LIKE_PART_COLUMNS)
    if column is None or not all(str(value).lower() in known for value in columns[column]):
        return []
    return [f"The column {column!r} seems to hold the parts. Name it 'split' to use it, or take it out."]


def _find(columns: Mapping[str, Sequence], names: Sequence[str]) -> str | None:
    """The column with the first of these names that there is."""
    known = {column.lower(): column for column in columns}
    return next((known[name] for name in names if name in known), None)


def _take(columns: Mapping[str, Sequence], where: str, wanted: str, names: Sequence[str]) -> list:
    """What a column holds, a value in each row."""
    column = _find(columns, names)
    if column is None:
        raise ValueError(
            f"{where} has the columns {list_some(list(columns) or ['none'])}. Expected one named {wanted!r}"
            f"{f' (or {list_some(names[1:])})' if names[1:] else ''}; a table of pictures has one column of files "
            "and one of labels."
        )
    empty = [_is_missing(value) for value in columns[column]]
    refuse_rows(where, empty, f"have no {column}", "Fill it in, or remove the rows.")
    return list(columns[column])


def _is_missing(value) -> bool:
    """Whether there is nothing: an empty text; in a DataFrame None, NaN, or what pandas has for it."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or str(value) in ("nan", "NaT", "<NA>")


def _find_parts(parts: list[str], where: str) -> dict[str, np.ndarray]:
    names = find_part_names(set(parts), where)
    strange = sorted(set(parts) - set(names.values()))
    if strange or "train" not in names:
        raise ValueError(
            f"{where} has the parts {list_some(sorted(set(parts)))}. Expected train, validation and test, or no such "
            "column: then some pictures of each class are set aside."
        )
    return {part: np.flatnonzero(np.array(parts) == name) for part, name in names.items()}
