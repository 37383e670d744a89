"""`gptrace check`: what must hold of a model, whether it does, and which line is wrong."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from gptrace.notebook_cells import shown_place
from gptrace.record.base import MeasuredNumber, Positive, Record, Report, Versions, about
from gptrace.record.model import ModelInfo


class SourceLine(Record, frozen=True):
    """A line of the model's own code; in a notebook, `line` is counted in its cell."""

    file: Annotated[
        str, about("its path, from the current folder if it is in there; of a cell, that of the notebook")
    ]
    line: Annotated[int, about("its number in the file, or in its cell")]
    text: Annotated[str, about("the line itself")]
    function: Annotated[str, about("name of the function that it is in")] = ""
    cell: Annotated[Positive | None, about("number of the cell, where the line is in a notebook")] = None

    @property
    def place(self) -> str:
        """The line as people read it: "leaky.py:21" or "ch04.ipynb, cell 4, line 12"."""
        return shown_place(self.file, self.line, self.cell)


class CheckResult(Record, frozen=True):
    """The outcome of one check; of the fields below `sentence`, those that are known."""

    name: Annotated[str, about("name of the check, as gptrace check --list shows it")]
    holds: Annotated[bool | None, about("null where the check does not apply or cannot be judged")]
    sentence: Annotated[str, about("what holds, or what was found instead")]
    figure: Annotated[MeasuredNumber, about("the number that was measured")] = None
    tolerance: Annotated[MeasuredNumber, about("the number that it was held against")] = None
    reason: Annotated[str, about("why the check does not apply or cannot be judged")] = ""
    path: Annotated[str, about("the module in which the operation runs")] = ""
    operation: Annotated[str, about("the first operation that breaks it")] = ""
    before: Annotated[tuple[str, ...], about("the axes of what goes into it")] = ()
    after: Annotated[tuple[str, ...], about("the axes of what comes out of it")] = ()
    source: Annotated[SourceLine | None, about("the line that breaks it, where one was found")] = None
    likely: Annotated[str, about("the likely mistake")] = ""
    instead: Annotated[str, about("what to write instead")] = ""


class Check(Report, frozen=True, tag_field="schema", tag="gptrace.check/1"):
    """The checks in their order; true if none of them fails, so that `assert gptrace.check(model)` works."""

    items: ClassVar[str] = "checks"

    versions: Versions
    model: Annotated[ModelInfo, about("the model that was checked")]
    language: Annotated[str, Meta(pattern="^(en|zh)$"), about("language of the sentences")]
    checks: Annotated[tuple[CheckResult, ...], about("the checks that were asked for")]
    notes: Annotated[tuple[str, ...], about("what a reader should know")] = ()

    def __bool__(self) -> bool:
        return not self.failed

    def __repr__(self) -> str:
        """Say which checks fail, and where: pytest shows this under a failed assertion."""
        if not self.failed:
            return f"<Check of {self.model.name}: {len(self.checks)} checks, none fails>"
        fails = ", ".join(f"{check.name}{_at(check)}" for check in self.failed)
        return f"<Check of {self.model.name}: ✗ {fails}>"

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if check.holds is False)


def _at(check: CheckResult) -> str:
    if check.source is None:
        return ""
    file = check.source.file.replace("\\", "/").rpartition("/")[2]
    return f" ({shown_place(file, check.source.line, check.source.cell)}: {check.source.text})"
