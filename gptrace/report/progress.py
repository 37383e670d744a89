"""The progress of long work: a bar on stderr, once the work has taken a second."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

Item = TypeVar("Item")
# Shorter work needs no bar.
_PATIENCE = 1.0  # seconds


def with_progress(items: Iterable[Item], stream: TextIO, what: str) -> Iterator[Item]:
    """Yield the items, and after a second show on `stream` how many there were and how many a second."""
    start = time.monotonic()
    iterator = iter(items)
    for count, item in enumerate(iterator, start=1):
        yield item
        if time.monotonic() - start > _PATIENCE:
            yield from _with_bar(iterator, stream, what, count)
            return


def _with_bar(items: Iterator[Item], stream: TextIO, what: str, done: int) -> Iterator[Item]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=stream, force_terminal=True, markup=False, highlight=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}/s", markup=False),
        TimeRemainingColumn(compact=True),
    )
    start, before = time.monotonic(), done
    # Redirecting would put rich between us and the real streams.
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as progress:
        task = progress.add_task(what, total=None, completed=done, rate="…")
        for item in items:
            done += 1
            rate = (done - before) / max(time.monotonic() - start, 1e-9)
            progress.update(task, completed=done, rate=f"{rate:.1f}")
            yield item
