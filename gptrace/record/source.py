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

    line: Annotated[Positive, about("its number in the file, from 1")]
    text: Annotated[str, about("the line without its end")]
    made: Made
    failed: Annotated[bool, about("whether the exception that ended the run was raised here")]
    calls: Annotated[Count | None, about("how often it ran; absent for lines that cannot run")] = None
    function: Annotated[str, about("the function that begins on this line")] = ""
    arguments: Annotated[tuple[TensorSpec, ...], about("each different tensor that the function got")] = ()
    checks: Annotated[tuple[str, ...], about("the failed checks of gptrace check that name this line")] = ()


class CodeFile(Record, frozen=True):
    """The functions of one file that ran, line by line."""

    file: Annotated[str, about("its path, from the current folder if it is in there; or the name of a cell")]
    lines: Annotated[tuple[CodeLine, ...], about("the lines that are shown, in the order of the file")]


class HiddenFile(Record, frozen=True):
    """A file of code that ran, whose lines cannot be shown."""

    file: Annotated[str, about("its path or name, as that of the files that are shown")]
    why: Annotated[str, about("why its lines are not shown, in words")]


class Source(Report, frozen=True, tag_field="schema", tag="gptrace.source/1"):
    """The functions that ran in one forward pass."""

    items: ClassVar[str] = "files"

    versions: Versions
    model: Annotated[ModelInfo, about("the model that ran")]
    dims: Annotated[dict[str, Count], about("size of each axis name in this run")]
    inputs: Annotated[tuple[TracedPrompt, ...], about("the prompts of the batch")]
    files: Annotated[
        tuple[CodeFile, ...],
        about("the files, the one that ran first in front, the cells of a notebook in their order"),
    ]
    notes: Annotated[tuple[str, ...], about("what a reader should know")]
    error: Annotated[Failure | None, about("the exception that ended the run, or null")]
    checks: Annotated[tuple[CheckResult, ...], about("the checks that failed, if they were asked for")] = ()
    not_shown: Annotated[tuple[HiddenFile, ...], about("the files that ran and cannot be shown")] = ()
