"""What every whole report can do: print as a table, show itself in a notebook, turn into JSON."""

from __future__ import annotations

from typing import Any


class Printable:
    """A record that is a whole report: it prints as a table and turns into JSON.

    The one place that looks to the right, at `gptrace.report`, so that `print(trace)` shows something.
    """

    __slots__ = ()

    def __str__(self) -> str:
        from gptrace.report import render

        return render(self, "table").rstrip("\n")

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from gptrace.report import render

        return render(self, "html")

    def to_dict(self) -> dict[str, Any]:
        """Return what the command's `--json` prints, as plain dicts and lists."""
        from gptrace.report import to_dict

        return to_dict(self)

    def to_json(self) -> str:
        """Return `to_dict()` as JSON text: ASCII only, never NaN or Infinity."""
        from gptrace.report import render

        return render(self, "json").rstrip("\n")
