"""The progress of long work: a bar on stderr, once the work has taken a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
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

    Without a stream it shows nothing. `width` returns the columns of the stream's terminal. A `with` removes
    the bar at its end; it comes again where the work goes on.
    """

    def __init__(self, stream: TextIO | None, what: str, width: Callable[[], int] = lambda: 80) -> None:
        self._stream, self._what, self._width = stream, what, width
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
        is_first = self._shown is None
        progress, task = self._shown = self._shown or self._begin(self._stream)
        progress.console.width = self._width()  # somebody may have made the window narrower
        rate = f"{done / max(seconds, 1e-9):.1f}"
        progress.update(task, completed=done, total=total, rate=rate, note=note, refresh=is_first)

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

        # Without a width, rich would ask the descriptors of this process, none of which may be the terminal.
        width = self._width()
        console = Console(file=stream, width=width, force_terminal=True, markup=False, highlight=False)
        # Of a number that has no room rich would show the beginning, so a narrow terminal has fewer columns.
        columns = [
            column
            for least_width, column in (
                (32, TextColumn("{task.description}", markup=False)),
                (60, BarColumn()),
                (0, MofNCompleteColumn()),
                (44, TextColumn("{task.fields[rate]}/s", markup=False)),
                (60, TimeRemainingColumn(compact=True)),
                (100, TextColumn("{task.fields[note]}", markup=False)),
            )
            if width >= least_width
        ]
        # Redirecting would put rich between us and the real streams.
        progress = Progress(
            *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._undo.enter_context(progress)
        return progress, progress.add_task(self._what, total=None, rate="0.0", note="")
