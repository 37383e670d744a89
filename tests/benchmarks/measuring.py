"""Measure competitors in turn, and put medians and their ratio into a table."""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import time
from collections.abc import Callable

from rich.table import Table


def process(command: list[str]) -> tuple[float, float]:
    """Run a whole process; return its seconds and its peak memory in MiB."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GPTRACE_")}
    start = time.perf_counter()
    nowhere = subprocess.DEVNULL
    child = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return seconds, usage.ru_maxrss / 1024


def alternate(competitors: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Let each have its turn in each round, after one round that does not count."""
    found: dict[str, list[float]] = {name: [] for name in competitors}
    for number in range(rounds + 1):
        for name, turn in competitors.items():
            result = turn()
            if number:
                found[name].append(result)
    return found


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """Return a turn that does the work and tells its seconds."""

    def turn() -> float:
        gc.collect()
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return turn


def row(
    table: Table,
    what: str,
    ours: list[float],
    reference: list[float],
    unit: str,
    goal: str,
    against: str,
) -> None:
    """Add medians, their ratio pair by pair where the turns are pairs, and the goal."""
    mine, other = statistics.median(ours), statistics.median(reference)
    pairs = zip(ours, reference, strict=True) if len(ours) == len(reference) else [(mine, other)]
    ratio = statistics.median(a / b for a, b in pairs)
    digits = 3 if unit == "s" else 1
    table.add_row(
        what, f"{mine:.{digits}f} {unit}", f"{other:.{digits}f} {unit}", f"{ratio:.3f}", goal, against
    )
