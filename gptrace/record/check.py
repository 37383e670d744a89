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
    applies: Annotated[bool, about("false where the model has nothing that the check is about")] = True

    def __str__(self) -> str:
        """Return the outcome in some lines: the sentence, the line of code, the mistake and the remedy."""
        if self.holds is None:
            return f"– {self.name} {'cannot be judged' if self.applies else 'does not apply'}: {self.reason}"
        lines = [f"{'✓' if self.holds else '✗'} {self.name}: {self.sentence}"]
        if self.source is not None:
            lines += [f"  {self.source.place}", f"    {self.source.text}"]
        return "\n".join([*lines, *(f"  {text}" for text in (self.likely, self.instead) if text)])


class Check(Report, frozen=True, tag_field="schema", tag="gptrace.check/1"):
    """The checks in their order; true if one of them holds and none fails.

    `assert gptrace.check(model)` works in pytest, which shows the lines that are wrong. Elsewhere a failed
    assertion says nothing: there, `raise_for_failures` says what is wrong.
    """

    items: ClassVar[str] = "checks"

    versions: Versions
    model: Annotated[ModelInfo, about("the model that was checked")]
    language: Annotated[str, Meta(pattern="^(en|zh)$"), about("language of the sentences")]
    checks: Annotated[tuple[CheckResult, ...], about("the checks that were asked for")]
    notes: Annotated[tuple[str, ...], about("what a reader should know")] = ()

    def __bool__(self) -> bool:
        return not self.failed and any(check.holds for check in self.checks)

    def __repr__(self) -> str:
        """Say which checks fail, and where: pytest shows this under a failed assertion."""
        if self:
            return f"<Check of {self.model.name}: {len(self.checks)} checks, none fails>"
        if not self.failed:
            return f"<Check of {self.model.name}: none of {len(self.checks)} checks could be judged>"
        fails = ", ".join(f"{check.name}{_at(check)}" for check in self.failed)
        return f"<Check of {self.model.name}: ✗ {fails}>"

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if check.holds is False)

    def raise_for_failures(self) -> None:
        """Raise an AssertionError that says which checks fail, and where; or that none could be judged.

        >>> import gptrace
        >>> gptrace.check("tiny", only=["causal"]).raise_for_failures()
        """
        if not self:
            raise AssertionError("\n".join(map(str, self.failed or self.checks)))


def _at(check: CheckResult) -> str:
    if check.source is None:
        return ""
    file = check.source.file.replace("\\", "/").rpartition("/")[2]
    return f" ({shown_place(file, check.source.line, check.source.cell)}: {check.source.text})"
