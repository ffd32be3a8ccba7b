"""Labelled texts that are on every machine: what the installed packages say of themselves, read and never imported."""

import ast
import importlib.util
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# They come with kerastl[text]. To pre-train, no text of theirs was used.
PACKAGES = ("keras", "matplotlib", "numpy", "scipy", "sklearn")
LEAST_WORDS = 8  # in a text: "Return the result." could be anywhere

_NAMES = {*PACKAGES, "np", "scikit", "mpl", "plt", "pyplot", "tf", "tensorflow", "mpl_toolkits"}
# Folders and files: code for tests, and copies of somebody else's code.
_SKIPPED = re.compile(r"(^|/)(tests?|testing|_?examples|externals?|_?vendor|_?vendored|extern)/|_test\.py$|(^|/)test_")
_KINDS = {ast.Module: "module", ast.ClassDef: "class", ast.FunctionDef: "function", ast.AsyncFunctionDef: "function"}
_HEADING = re.compile(r"\n[ \t]*(?:[-=~^]{3,}[ \t]*(?:\n|$)|\.\. |>>> |```|(?:[A-Z]\w*)(?: \w+)?:[ \t]*\n)")
_ROLE = re.compile(r":[\w:]+:(?=`)")  # as in :class:`Figure`


class Docstring(NamedTuple):
    """What a package says of one thing in it."""

    text: str  # as it stands in the file, its indentation removed
    name: str  # of what it describes
    kind: str  # module, class, function or method
    file: str  # relative to the folder of packages, with slashes


def read_docstrings(package: Path) -> Iterator[Docstring]:
    """All docstrings of a package, a folder or a `.py` file, in the order of its files. Nothing is imported or run."""
    files = [package] if package.is_file() else sorted(package.rglob("*.py"))
    for file in files:
        place = file.relative_to(package.parent).as_posix()
        if not _SKIPPED.search(place):
            yield from _read_file(file, place)


def _read_file(file: Path, place: str) -> Iterator[Docstring]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of backslashes in somebody's strings
            tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):  # written for another Python, or a template
        return
    in_classes = {id(child) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for child in node.body}
    for node in ast.walk(tree):
        kind = _KINDS.get(type(node))
        text = ast.get_docstring(node) if kind else None
        if text:
            kind = "method" if kind == "function" and id(node) in in_classes else kind
            yield Docstring(text, getattr(node, "name", file.stem), kind, place)


def plain(text: str) -> str:
    """A text without the marks of reStructuredText and Markdown, as one line."""
    return " ".join(re.sub(r"[`*|]+|_(?=\s)", "", _ROLE.sub("", text)).split())


def prose(docstring: Docstring) -> str:
    """The sentences at the beginning, before any list of parameters or example, as one line.

    What would give its package away is taken out: the packages' names, dotted names, and the name of the thing itself.
    """
    text = docstring.text
    heading = _HEADING.search("\n" + text)
    if heading:
        before = ("\n" + text)[: heading.start()]
        underlined = re.match(r"\n[ \t]*[-=~^]", heading.group())  # then the line above it is the heading
        text = before.rpartition("\n")[0] if underlined else before
    words = [word for word in plain(text).split() if not _gives_away(word, docstring.name)]
    return " ".join(words)


def _gives_away(word: str, name: str) -> bool:
    parts = re.findall(r"\w+", word)
    dotted = "." in word.strip(".,:;()")
    return dotted or name in parts or not _NAMES.isdisjoint(part.lower() for part in parts)


def read_task(packages=PACKAGES) -> tuple[list[Docstring], list[str], list[int]]:
    """Docstrings for the task "of which package?": (docstrings, their prose, numbers of their packages).

    A text that several things share is taken once, and not at all where two packages have it.
    """
    found = {}
    for label, name in enumerate(packages):
        spec = importlib.util.find_spec(name)  # of a top-level package, it imports nothing
        if spec is None:
            raise ImportError(
                f"The docstrings of {name} are part of this task. Install it: `pip install 'kerastl[text]'`."
            )
        for docstring in read_docstrings(Path(spec.origin).parent):
            text = prose(docstring)
            if len(text.split()) >= LEAST_WORDS:
                found.setdefault(text.lower(), {}).setdefault(label, (docstring, text))
    kept = [(*entry, label) for labels in found.values() if len(labels) == 1 for label, entry in labels.items()]
    docstrings, texts, labels = map(list, zip(*kept, strict=True))
    return docstrings, texts, labels
