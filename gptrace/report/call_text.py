"""What one row of the tree says, in words: shared by the terminal's layouts and by Markdown."""

from __future__ import annotations

from gptrace.report.rows import Row
from gptrace.report.safe_text import visible
from gptrace.report.shapes import changes_last_axis, keeps_shape, names, sizes


class CallText:
    """The texts of one row, before a layout decides where they go.

    `names` is `entering → leaving`; `sizes` the same in numbers, empty where no axis has a name and the
    names are the numbers.
    """

    def __init__(self, row: Row) -> None:
        call = row.call
        self.row = row
        self.label = visible(row.label)
        self.type = visible(call.type) if row.guide else ""
        if row.folded:
            self.label += f", same as {visible(row.first_label)}"
            self.type = f"{len(row.folded)} × {self.type}"
        self.changed = changes_last_axis(call)
        self.entering, self.leaving = names(call.inputs), names(call.outputs)
        self.sizes = f"{sizes(call.inputs)} → {sizes(call.outputs)}"
        if call.failed:
            self.leaving = "raised"
            self.sizes = sizes(call.inputs)
        elif keeps_shape(call):
            self.leaving = "same"
            self.sizes = sizes(call.inputs)
        if sizes(call.inputs) == self.entering and (self.leaving in ("same", sizes(call.outputs))):
            self.sizes = ""
        self.names = f"{self.entering} → {self.leaving}"
        self.parameters = f"{row.parameters:,}" if row.parameters else "–"
        if call.call > 1 and row.parameters:
            self.parameters = "above"  # counted at the module's first call

    @property
    def module(self) -> str:
        """The label with the tree's lines before it."""
        return self.row.guide + self.label
