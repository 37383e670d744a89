"""What one row of the tree says, in words: shared by the terminal's layouts and by Markdown."""

from __future__ import annotations

from pathlib import PurePath

from gptrace.record import OpCall
from gptrace.report.rows import Row
from gptrace.report.safe_text import visible
from gptrace.report.shapes import changes_last_axis, keeps_shape, names, sizes


class CallText:
    """The texts of one row, before a layout decides where they go.

    `names` is `entering → leaving`; `sizes` the same in numbers, empty where no axis has a name and the
    names are the numbers.
    """

    def __init__(self, row: Row) -> None:
        of = row.op or row.call
        sign = _SIGNS.get(row.op.name, ", ") if row.op else ", "
        self.row = row
        self.label = visible(row.label)
        self.type = _source(row.op) if row.op else visible(row.call.type) if row.guide else ""
        if row.folded:
            self.label += f", same as {visible(row.first_label)}"
            self.type = f"{len(row.folded)} × {self.type}"
        self.changed = row.op is None and changes_last_axis(of)
        self.entering, self.leaving = names(of.inputs, sign), names(of.outputs)
        entering_sizes, leaving_sizes = sizes(of.inputs, sign), sizes(of.outputs)
        self.sizes = f"{entering_sizes} → {leaving_sizes}"
        if of.failed:
            self.leaving = "raised"
            self.sizes = entering_sizes
        elif keeps_shape(of):
            self.leaving = "same"
            self.sizes = entering_sizes
        if entering_sizes == self.entering and self.leaving in ("same", leaving_sizes):
            self.sizes = ""
        self.names = f"{self.entering} → {self.leaving}"
        if row.op is not None and not row.op.inputs:  # made out of nothing: a mask, positions
            self.names = f"→ {self.leaving}"
            self.sizes = f"→ {leaving_sizes}"

    @property
    def module(self) -> str:
        """The label with the tree's lines before it."""
        return self.row.guide + self.label


# How an operation on two tensors is written.
_SIGNS = {"matmul": " @ ", "mm": " @ ", "bmm": " @ ", "add": " + ", "sub": " - ", "mul": " × "}


def _source(op: OpCall) -> str:
    """Say where an operation was asked for, and whether it made anything new."""
    file, _, line = op.source.rpartition(":")
    where = f"{PurePath(file).name}:{line}" if file else ""
    kind = "view" if op.is_view else "in place" if op.in_place else ""
    return visible(", ".join(part for part in (where, kind) if part))
