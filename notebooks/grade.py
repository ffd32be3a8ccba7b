"""Grade a folder of lessons that were handed in: `python notebooks/grade.py FOLDER --out points.csv`. See GRADING.md.

Each notebook runs in a process of its own, with limits of time and memory. The table has one line for each exercise.
It is written whole after each notebook, so that an interrupted run leaves what is done.
"""

import argparse
import csv
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from exercises import points
from graded_run import Limits, Sheet, grade_notebook
from kerastl.files import written_whole
from sources import compose, read_lessons

LARGEST = 20 * 2**20  # bytes of a notebook; a lesson with all its pictures has one million


class Row(NamedTuple):
    """One line of the table."""

    file: str
    lesson: str
    exercise: str
    points: int
    of: int | str
    remark: str


def read_sheets() -> list[Sheet]:
    """What is asked in each lesson."""
    lessons = read_lessons()
    return [
        Sheet(lesson.name, compose(lesson, lessons, solved=False).cells, points(lesson.cells), lesson.digest)
        for lesson in lessons
    ]


def grade_folder(folder: Path, out: Path, sheets: list[Sheet], limits: Limits) -> list[Row]:
    """Run all notebooks of the folder, also those in its folders, and write the table."""
    # All are read before the first one runs: what runs could change the others.
    handed_in = {file: _content(file) for file in sorted(folder.rglob("*.ipynb")) if _is_wanted(file, folder)}
    rows = []
    for number, (file, content) in enumerate(handed_in.items(), 1):
        began, name = time.monotonic(), file.relative_to(folder).as_posix()
        new = [Row(name, "", "", 0, "", content)] if isinstance(content, str) else grade(name, content, sheets, limits)
        rows += new
        write_table(rows, out)
        total, remarks = sum(row.points for row in new), "; ".join({row.remark for row in new if row.remark})
        line = f"{number} of {len(handed_in)}  {name}: {total} points in {time.monotonic() - began:.0f} s  {remarks}"
        print(_plain(line), flush=True)
    return rows


def _is_wanted(file: Path, folder: Path) -> bool:
    """Not what JupyterLab keeps beside a notebook."""
    return not any(part.startswith(".") for part in file.relative_to(folder).parts)


def _content(file: Path) -> bytes | str:
    """What is in the file, or why it was not read."""
    if file.is_symlink() or not file.is_file():
        return "not a file"
    if file.stat().st_size > LARGEST:
        return f"larger than {LARGEST // 2**20} MB"
    return file.read_bytes()


def grade(name: str, content: bytes, sheets: list[Sheet], limits: Limits) -> list[Row]:
    """Run one notebook and judge its exercises. Whatever it does, this comes back in time."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        messages = list(_watch(content, sheets, limits, place))
    lesson = next((rest[0] for kind, *rest in messages if kind == "lesson"), None)
    judged = {title: verdict for kind, title, *verdict in messages if kind == "exercise"}
    stop = next((rest[0] for kind, *rest in messages if kind == "stop"), "")
    if lesson is None:
        return [Row(name, "", "", 0, "", stop)]
    worth = next(sheet.worth for sheet in sheets if sheet.lesson == lesson)
    rows = []
    for title, of in worth.items():
        right, remark = judged.get(title, (False, stop))
        rows.append(Row(name, lesson, title, of if right else 0, of, "" if right else remark or "not yet right"))
    return rows


def _watch(content: bytes, sheets: list[Sheet], limits: Limits, place: str):
    """The messages of `grade_notebook`, and the reason where it had to be stopped."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(place, send, content, sheets, limits), daemon=True)
    process.start()
    send.close()
    seen, end = {}, time.monotonic() + limits.seconds
    try:
        while True:
            if receive.poll(0.2):
                try:
                    yield receive.recv()
                except EOFError:
                    yield ("stop", "its process ended")
                    return
            seen |= {one.pid: one for one in _family(process.pid)}
            if time.monotonic() > end:
                yield ("stop", f"stopped after {limits.seconds} s")
                return
            if _memory(seen.values()) > limits.megabytes * 2**20:
                yield ("stop", f"stopped at {limits.megabytes} MB of memory")
                return
    finally:
        for one in (seen | {one.pid: one for one in _family(process.pid)}).values():
            try:
                one.kill()  # psutil sees to it that it is still the same process
            except psutil.Error:
                continue
        process.join()


def _work(place: str, send, content: bytes, sheets: list[Sheet], limits: Limits) -> None:
    """The new process: in a folder of its own, with an IPython profile of its own, and silent."""
    os.chdir(place)
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    os.environ["IPYTHONDIR"] = os.path.join(place, ".ipython")
    grade_notebook(send, content, sheets, limits)


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def _memory(processes) -> int:
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


def write_table(rows: list[Row], out: Path) -> None:
    """Write a CSV file, whole or not at all, that spreadsheets open as text and numbers."""
    with (
        written_whole(out) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8-sig", errors="replace") as file,
    ):
        table = csv.writer(file)
        table.writerow(Row._fields)
        table.writerows([_plain(value) if isinstance(value, str) else value for value in row] for row in rows)


def _plain(text: str) -> str:
    """One line without control characters, which no spreadsheet takes for a formula."""
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[:300]
    return f"'{text}" if text[:1] in tuple("=+-@") else text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with the notebooks, also in folders")
    parser.add_argument("--out", type=Path, required=True, help="the table to write, such as points.csv")
    parser.add_argument("--overwrite", action="store_true", help="write it even if it is there")
    parser.add_argument("--seconds", type=int, default=600, help="for a notebook (default: %(default)s)")
    parser.add_argument("--cell-seconds", type=int, default=120, help="for a cell (default: %(default)s)")
    parser.add_argument("--megabytes", type=int, default=6000, help="of memory for a notebook (default: %(default)s)")
    args = parser.parse_args()
    if not args.folder.is_dir():
        parser.error(f"Received {args.folder}. Expected a folder with notebooks.")
    if not args.out.absolute().parent.is_dir():
        parser.error(f"Received --out {args.out}. Expected a file in a folder that exists.")
    if args.out.exists() and not args.overwrite:
        parser.error(f"{args.out} is there already. Name another file, or add --overwrite.")
    if min(args.seconds, args.cell_seconds, args.megabytes) < 1:
        parser.error("Expected limits of at least 1.")
    rows = grade_folder(args.folder, args.out, read_sheets(), Limits(args.seconds, args.cell_seconds, args.megabytes))
    if not rows:
        parser.error(f"There is no notebook (.ipynb) in {args.folder}.")
    print(f"{len(rows)} lines in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
