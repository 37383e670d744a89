"""The views that a page cannot have, each with the reason, in English and in Chinese."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gptrace.errors import GptraceError
from gptrace.record import LeftOut
from gptrace.record.page import ViewName
from gptrace.translation import in_language, recorded


class ViewsLeftOut:
    """Gathers the reasons; the same one is kept once."""

    def __init__(self) -> None:
        self._reasons: dict[tuple[ViewName, str], LeftOut] = {}

    @property
    def records(self) -> tuple[LeftOut, ...]:
        """The views that are left out, in order."""
        return tuple(self._reasons.values())

    def add(self, view: ViewName, reason: str) -> None:
        """Leave out a view, or a part of it, for a reason: a sentence that has a Chinese template."""
        self._reasons[view, reason] = LeftOut(view, reason, in_language(recorded(reason), "zh"))

    @contextmanager
    def where_impossible(self, *views: ViewName) -> Iterator[None]:
        """Leave out the views if a GptraceError ends the block, for its reason."""
        try:
            yield
        except GptraceError as error:
            for view in views:
                self.add(view, error.message)
