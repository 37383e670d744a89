"""`gptrace source`: the model's own code as it ran, each line with the tensors that it makes."""

from __future__ import annotations

from typing import Annotated, ClassVar

from gptrace.record.base import Count, Positive, Record, Report, Versions, about
from gptrace.record.check import CheckResult
from gptrace.record.model import ModelInfo
from gptrace.record.trace import Failure, TensorSpec, TracedPrompt

Made = Annotated[
    tuple[TensorSpec, ...],
    about("each different tensor that the line bound, returned or made; the name is that of the variable"),
]


class CodeLine(Record, frozen=True):
    """One line of a file, without the shape comments that gptrace wrote into it."""

    line: Positive
    text: str
    made: Made
    failed: Annotated[bool, about("whether the exception that ended the run was raised here")]
    calls: Annotated[Count | None, about("how often it ran; absent for lines that cannot run")] = None
    function: Annotated[str, about("the function that begins on this line")] = ""
    arguments: Annotated[tuple[TensorSpec, ...], about("each different tensor that the function got")] = ()
    checks: Annotated[tuple[str, ...], about("the failed checks of gptrace check that name this line")] = ()


class CodeFile(Record, frozen=True):
    """The functions of one file that ran, line by line."""

    file: str
    lines: tuple[CodeLine, ...]


class Source(Report, frozen=True, tag_field="schema", tag="gptrace.source/1"):
    """The functions that ran in one forward pass; `checks` are those that failed, where checks were run."""

    items: ClassVar[str] = "files"

    versions: Versions
    model: ModelInfo
    dims: Annotated[dict[str, Count], about("size of each axis name in this run")]
    inputs: tuple[TracedPrompt, ...]
    files: tuple[CodeFile, ...]
    notes: tuple[str, ...]
    error: Failure | None
    checks: tuple[CheckResult, ...] = ()
