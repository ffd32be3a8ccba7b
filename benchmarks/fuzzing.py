"""What both fuzz programs share: another process that works on damaged files, and what came of it."""

import collections
import json
import multiprocessing
import resource
from collections.abc import Iterable
from pathlib import Path

from common import write_results


def peak_mib() -> float:
    """The most memory of this process. (`ru_maxrss` also counts what the process had from which it was started.)"""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_another_process(files, serve, seconds: int) -> tuple[dict[Path, str], float]:
    """{file: what `serve` says of it in a process of its own, "hung" or "crashed"}, and the peak of memory in MiB."""
    context, outcomes, worker, peak = multiprocessing.get_context("spawn"), {}, None, 0.0
    for file in files:
        if worker is None or not worker.is_alive():
            ours, theirs = context.Pipe()
            worker = context.Process(target=serve, args=(theirs,), daemon=True)
            worker.start()
            theirs.close()
        ours.send(file)
        try:
            outcomes[file], reached = ours.recv() if ours.poll(seconds) else ("hung", 0.0)
            peak = max(peak, reached)
        except EOFError:
            outcomes[file] = "crashed"
        if outcomes[file] in ("hung", "crashed"):
            worker.kill()
            worker.join()
    worker.kill()
    return outcomes, peak


def count_failures(result: dict, good: Iterable[str], others: dict[str, int]) -> dict[str, int]:
    """{what must not be: how many files}; `good` are the outcomes that may be."""
    found = collections.Counter({said: int(count) for said, count in others.items()})
    for counts in result["outcomes"].values():
        found.update({said: count for said, count in counts.items() if said not in good})
    return dict(+found)


def rows(result: dict, good: tuple[str, str]) -> list[str]:
    """A row for each kind of damage: how many files, and how many of each outcome that may be."""
    return [
        f"| {damage} | {sum(counts.values()):,} | {counts.get(good[0], 0):,} | {counts.get(good[1], 0):,} |"
        for damage, counts in result["outcomes"].items()
    ]


def finish(out: Path, result: dict, lines: list[str], failed: dict[str, int]) -> None:
    """Write the result, print its table, and end the program with an error when something failed."""
    write_results(out, result)
    print("\n".join(lines))
    print(json.dumps({name: value for name, value in result.items() if name != "outcomes"}))
    if failed:
        raise SystemExit(f"Not as it should be: {failed}")
