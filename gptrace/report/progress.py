"""The progress of long work: a bar on stderr, once the work has taken a second."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Item = TypeVar("Item")
# Shorter work needs no bar.
_PATIENCE = 1.0  # seconds


class ProgressBar:
    """Shows on `stream` how many of `what` are done, how many a second, and of how many if that is known.

    Without a stream it shows nothing. A `with` removes the bar at its end; it comes again where the work goes
    on.
    """

    def __init__(self, stream: TextIO | None, what: str) -> None:
        self._stream, self._what = stream, what
        self._start = time.monotonic()
        self._shown: tuple[Progress, TaskID] | None = None
        self._undo = ExitStack()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._shown = None
        self._undo.close()

    def show(self, done: int, total: int | None = None, note: str = "") -> None:
        """Show that so many are done; `note` stands behind."""
        seconds = time.monotonic() - self._start
        if self._stream is None or seconds <= _PATIENCE:
            return
        progress, task = self._shown = self._shown or self._begin(self._stream)
        progress.update(task, completed=done, total=total, rate=f"{done / max(seconds, 1e-9):.1f}", note=note)

    def around(self, items: Iterable[Item], *, counts: bool) -> Iterator[Item]:
        """Yield the items with the bar, which `counts` them or something else."""
        with self:
            for number, item in enumerate(items, start=1):
                yield item
                if counts:
                    self.show(number)

    def _begin(self, stream: TextIO) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(file=stream, force_terminal=True, markup=False, highlight=False)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}/s", markup=False),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}", markup=False),
        )
        # Redirecting would put rich between us and the real streams.
        progress = Progress(
            *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._undo.enter_context(progress)
        return progress, progress.add_task(self._what, total=None, rate="…", note="")
