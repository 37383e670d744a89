"""Run a model once, and put the tensors that each line made beside the source of its functions."""

from __future__ import annotations

import linecache
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from types import CodeType
from typing import NamedTuple

from msgspec.structs import replace

from gptrace.errors import GptraceError
from gptrace.measures import Measures
from gptrace.model.build import LoadedModel
from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import short_path
from gptrace.notebook_cells import Cell, cell_of, code_file
from gptrace.predict.run import notes_on_output, traced_forward
from gptrace.record import CheckResult, CodeFile, CodeLine, HiddenFile, Source, TensorSpec, Trace
from gptrace.text.prompts import Prompt
from gptrace.tracing.line_recorder import ARGUMENTS, ASSIGNED, RESULTS, RETURNED, LineRecorder, files_of
from gptrace.verify.source.code import Function, SourceFile, Transitions, calls_by_line
from gptrace.verify.source.comments import without_comments
from gptrace.wording import enumerated

_CHANGED = "the file has changed since the model was loaded"
_IN_NO_FILE = "this code is in no file"


class Place(NamedTuple):
    """A line of a file of code, which a cell of a notebook is, too."""

    file: str
    line: int


@dataclass
class _Tensors:
    """The different tensors of one line, in the order in which they came, by how they came."""

    by_kind: dict[str, dict[TensorSpec, None]] = field(default_factory=lambda: defaultdict(dict))

    def made(self) -> tuple[TensorSpec, ...]:
        """Return what the line assigned or returned; where it did neither, what its last operation made."""
        kinds = [kind for kind in (ASSIGNED, RETURNED) if kind in self.by_kind] or list(self.by_kind)
        return tuple(spec for kind in kinds if kind in RESULTS for spec in self.by_kind[kind])


def run_source(loaded: LoadedModel, prompts: Sequence[Prompt], checks: Sequence[CheckResult] = ()) -> Source:
    """Run the prompts as one batch, and return the functions that ran with the tensors of their lines.

    `checks` are failed checks, whose lines are marked. Where the model fails, the error's `source` shows its
    code up to there.
    """
    lines = LineRecorder(files_of(loaded.module))
    try:
        forward = traced_forward(loaded, prompts, measures=Measures(ops=True), lines=lines)
    except GptraceError as error:
        if isinstance(error.trace, Trace):
            error.source = _source(loaded, error.trace, lines, checks, _failed_place(error, lines))
            error.trace = None
        raise
    notes = notes_on_output(loaded, forward, prompts)
    trace = replace(forward.trace, notes=(*forward.trace.notes, *notes))
    return _source(loaded, trace, lines, checks, None)


def _source(
    loaded: LoadedModel, trace: Trace, lines: LineRecorder, checks: Sequence[CheckResult],
    failed: Place | None,
) -> Source:  # fmt: skip
    tensors, ran = _tensors_by_place(trace), _codes_by_file(lines)
    guilty: defaultdict[str, defaultdict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for check in checks:
        if check.source is not None:
            file_of_line = code_file(check.source.file, check.source.cell)
            guilty[file_of_line][check.source.line].append(check.name)
    files: list[CodeFile] = []
    hidden: list[HiddenFile] = []
    for name, codes in ran.items():
        if not linecache.getlines(name):
            hidden.append(HiddenFile(short_path(name), _IN_NO_FILE))
            continue
        try:
            file = SourceFile.parse(linecache.getlines(name), name, codes[0][0])
        except (SyntaxError, ValueError):
            file = SourceFile(())
        if not all(file.has(code) for code, _ in codes):
            hidden.append(HiddenFile(short_path(name), _CHANGED))
            continue
        shown = _ShownLines(name, file, codes, guilty[short_path(name)])
        files.append(CodeFile(short_path(name), tuple(shown.lines(tensors, failed))))
    return Source(
        versions=trace.versions,
        model=trace.model,
        dims=trace.dims,
        inputs=trace.inputs,
        files=tuple(files),
        notes=(*trace.notes, *_notes(loaded, hidden, ran)),
        error=trace.error,
        checks=tuple(checks),
        not_shown=tuple(hidden),
    )


def _notes(loaded: LoadedModel, hidden: Sequence[HiddenFile], ran: Mapping[str, object]) -> Iterator[str]:
    for why in (_CHANGED, _IN_NO_FILE):
        if names := [each.file for each in hidden if each.why == why]:
            yield f"lines of {enumerated(names, 5)} are not shown: {why}"
    if isinstance(loaded.module, torch.jit.ScriptModule):
        yield "TorchScript runs this model without Python, so no line of it can be followed"
    elif not ran and not files_of(loaded.module):
        yield "no line of the model's own code ran: all its modules are those of torch"
    elif not ran:
        yield "no line of the model's own code ran"


def _failed_place(error: GptraceError, lines: LineRecorder) -> Place | None:
    """Return the innermost line of the followed files that an exception went through."""
    raised, place = error.__cause__ or error, None
    traceback = raised.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if id(code) in lines.transitions:
            place = Place(code.co_filename, traceback.tb_lineno)
        traceback = traceback.tb_next
    return place


def _tensors_by_place(trace: Trace) -> dict[Place, _Tensors]:
    """Return the tensors of each line, from the operations that stand for lines."""
    tensors: defaultdict[Place, _Tensors] = defaultdict(_Tensors)
    for call in trace.calls:
        for operation in call.ops:
            if operation.name in RESULTS or operation.name == ARGUMENTS:
                file, _, line = operation.source.rpartition(":")
                place = Place(code_file(file, operation.cell), int(line))
                of_kind = tensors[place].by_kind[operation.name]
                of_kind.update(dict.fromkeys(operation.outputs))
    return dict(tensors)


def _codes_by_file(lines: LineRecorder) -> dict[str, list[tuple[CodeType, Transitions]]]:
    """Return the code that ran in each file, the file that ran first in front.

    The cells of a notebook stand together, in its order.
    """
    by_file: defaultdict[str, list[tuple[CodeType, Transitions]]] = defaultdict(list)
    for code, counts in lines.transitions.values():
        by_file[code.co_filename].append((code, counts))
    cells = {file: cell_of(file) for file in by_file}
    notebooks = {file: file if cell is None else _notebook(cell) for file, cell in cells.items()}
    first: dict[str, int] = {}
    for file in by_file:
        first.setdefault(notebooks[file], len(first))
    in_order = sorted(by_file, key=lambda file: (first[notebooks[file]], getattr(cells[file], "number", 0)))
    return {file: by_file[file] for file in in_order}


def _notebook(cell: Cell) -> str:
    """Return what the cells of one notebook have in common: of the one that runs this code, no path."""
    return cell.file if PurePath(cell.file).suffix == ".ipynb" else ""


class _ShownLines:
    """The lines of one file that are shown: the functions that ran, and the heads around them."""

    def __init__(
        self, name: str, file: SourceFile, codes: Sequence[tuple[CodeType, Transitions]],
        guilty: Mapping[int, list[str]],
    ) -> None:  # fmt: skip
        self._name, self._file, self._guilty = name, file, guilty
        self._texts = [line.rstrip("\r\n") for line in without_comments(file.lines)]
        self._calls: dict[int, int] = {}
        self._functions: dict[int, Function] = {}  # those that ran, by the line of their `def`
        self._shown: set[int] = set()
        for code, counts in codes:
            function = file.function_of(code)
            if function is not None:
                self._functions[function.line] = function
                self._calls |= calls_by_line(function, code, counts)
                self._show(function)
        for code, counts in codes:  # a lambda in a function that did not run itself
            ran = {line for _, _, line in code.co_lines() if line is not None} - self._shown
            if file.function_of(code) is None and ran:
                self._show_lines(range(min(ran), max(ran) + 1), file.around(min(ran)))
                begun = sum(count for (before, _), count in counts.items() if not before)
                self._calls |= dict.fromkeys(ran, begun)
        for line in guilty:
            around = file.around(line)
            if around is None:
                self._shown.add(line)
            elif line not in self._shown:
                self._show(around)

    def _show(self, function: Function) -> None:
        self._show_lines(range(function.first, function.last + 1), function)

    def _show_lines(self, lines: Iterable[int], function: Function | None) -> None:
        self._shown.update(lines)
        for first, last in function.around if function is not None else ():
            self._shown.update(range(first, last + 1))

    def lines(self, tensors: Mapping[Place, _Tensors], failed: Place | None) -> Iterator[CodeLine]:
        """Yield the record of each line that is shown."""
        nothing = _Tensors()
        for number in sorted(self._shown):
            if not 0 < number <= len(self._texts):
                continue
            place = Place(self._name, number)
            function = self._functions.get(number)
            arguments: tuple[TensorSpec, ...] = ()
            if function is not None:
                begin = tensors.get(Place(self._name, function.first), nothing)
                arguments = tuple(begin.by_kind.get(ARGUMENTS, ()))
            yield CodeLine(
                line=number,
                text=self._texts[number - 1],
                made=tensors.get(place, nothing).made(),
                failed=place == failed,
                calls=self._calls_of(number),
                function="" if function is None else function.name,
                arguments=arguments,
                checks=tuple(self._guilty.get(number, ())),
            )

    def _calls_of(self, number: int) -> int | None:
        """Return how often a line ran; None for a comment, a blank line, and what never runs by itself."""
        text = self._texts[number - 1].strip()
        if not text or text.startswith("#"):
            return None
        if text.startswith(("else:", "finally:")):  # as often as what follows it
            return next((self._calls[line] for line in sorted(self._calls) if line > number), None)
        return self._calls.get(number)
