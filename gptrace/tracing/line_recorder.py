"""The lines of the model's own code as they run, and the tensors that each one leaves behind.

Python tells a trace function about each line. A tensor that a local variable did not hold before belongs to
the line that ran in between. A line that binds nothing, such as `x.add_(y)`, made what its last operation,
module or helper returned. These tensors are recorded as operations of the call that is open, so their axes
get names as those of any operation do.
"""

from __future__ import annotations

import dataclasses
import inspect
import linecache
import sys
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any, NamedTuple, Protocol

from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import LIBRARIES, NEVER_USER_CODE
from gptrace.tracing.operations import PASSED_THROUGH, Operation, OperationMode
from gptrace.tracing.tensors import TensorInfo, describe_tensors

Infos = tuple[TensorInfo, ...]
Mixed = frozenset[tuple[str, str]]  # see `Operation`


class Made(Protocol):
    """What made tensors: an `Operation`, a `Span`, or a helper that returned."""

    @property
    def outputs(self) -> Infos:
        """Its tensors."""

    @property
    def mixed(self) -> Mixed:
        """Those that have no lane for each token."""


class _Returned(NamedTuple):
    outputs: Infos
    mixed: Mixed


def _none_mixed(side: str, infos: Sequence[TensorInfo], value: object) -> Mixed:
    return frozenset()


TraceFunction = Callable[[FrameType, str, Any], Any]  # as sys.settrace takes them
# The names of the recorded operations; no torch function has a name like these.
ARGUMENTS, ASSIGNED, MADE, RETURNED = "<arguments>", "<assigned>", "<made>", "<returned>"
RESULTS = frozenset({ASSIGNED, MADE, RETURNED})
_COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>")
_WITHOUT_NAMED_ARGUMENTS = (*_COMPREHENSIONS, "<genexpr>", "<lambda>")
# Frames between a call of a module, or an operation, and the line that asked for it.
_BETWEEN = (
    *PASSED_THROUGH, f"{NEVER_USER_CODE[1]}nn/modules/module.py", __file__.rpartition("line_recorder")[0]
)  # fmt: skip
_VARIABLE_ARGUMENTS = (inspect.CO_VARARGS, inspect.CO_VARKEYWORDS)  # code that takes *args, **kwargs


def files_of(module: torch.nn.Module) -> frozenset[str]:
    """Return the files that define the classes of a module and of its submodules, without those of torch."""
    files: set[str] = set()
    for kind in {type(each) for each in module.modules()}:
        file = getattr(sys.modules.get(kind.__module__), "__file__", None)
        files.update([file] if file else [])
        # Below its decorators, which a library may define. The forward of TorchScript is no function.
        forward = inspect.getattr_static(kind, "forward", None)
        code = getattr(inspect.unwrap(forward) if callable(forward) else forward, "__code__", None)
        if isinstance(code, CodeType):
            files.add(code.co_filename)
    return frozenset(file for file in files if not file.startswith(NEVER_USER_CODE[1:]))


class LineRecorder:
    """Follows the lines of some `files`, and of all files that belong to no library.

    `transitions` counts for each code object that ran how often a line of it followed another one; 0 stands
    for the begin of a call. Only the thread that enters the recorder is followed.
    """

    def __init__(self, files: Collection[str]) -> None:
        self.transitions: dict[int, tuple[CodeType, Counter[tuple[int, int]]]] = {}
        self._files = files
        self._follows: dict[str, bool] = {}
        self._mode: OperationMode | None = None
        self._position: Callable[[], tuple[Any, int]] | None = None
        self._previous: Any = None
        # Tells which tensors of a value have no lane for each token, where these are followed.
        self.mixed: Callable[[str, Sequence[TensorInfo], object], Mixed] = _none_mixed

    def start(self, mode: OperationMode, position: Callable[[], tuple[Any, int]]) -> None:
        """Begin to follow this thread; what is recorded joins the operations of `mode`."""
        self._mode, self._position, self._previous = mode, position, sys.gettrace()
        for file in self._files:
            _read_lines(file)
        sys.settrace(self._begin)

    def stop(self) -> None:
        """Give the thread its own trace function back."""
        sys.settrace(self._previous)
        self._mode = self._position = self._previous = None

    def follows(self, file: str) -> bool:
        """Tell whether the lines of a file are followed."""
        known = self._follows.get(file)
        if known is None:
            is_own = not file.startswith((*NEVER_USER_CODE, *LIBRARIES)) and bool(_read_lines(file))
            known = self._follows[file] = file in self._files or is_own
        return known

    def note(self, frame: FrameType | None, made: Made) -> None:
        """Note what an operation, a module or a helper returned, for the line that called it.

        What is called by the code of a library is no value of a line that is followed.
        """
        while frame is not None and frame.f_code.co_filename.startswith(_BETWEEN):
            frame = frame.f_back
        watch = getattr(frame.f_trace, "__self__", None) if frame is not None else None
        if isinstance(watch, _FrameWatch):
            watch.last = made

    def record(self, name: str, code: CodeType, line: int, infos: Infos, mixed: Mixed) -> None:
        """Record the tensors of a line as an operation."""
        if self._mode is None or self._position is None or not infos:
            return
        operation = Operation(name, *self._position(), (), f"{code.co_filename}:{line}")
        operation.outputs, operation.mixed = infos, frozenset(each for each in mixed if each[0] == "output")
        self._mode.operations.append(operation)

    def _begin(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Follow a call if its file is followed; a trace function of before sees all that it would have."""
        # A function in C, such as that of coverage, would take the place of this one when it is called.
        is_python = isinstance(self._previous, FunctionType | MethodType)
        before = self._previous(frame, event, argument) if is_python else None
        code = frame.f_code
        if self._mode is None or code.co_name == "<module>" or not self.follows(code.co_filename):
            return before
        watch = getattr(frame.f_trace, "__self__", None)
        if not isinstance(watch, _FrameWatch):
            _, counts = self.transitions.setdefault(id(code), (code, Counter()))
            watch = _FrameWatch(self, code, counts, before)
            with torch._C.DisableTorchFunction():
                watch.enter(frame)
        return watch.trace  # of a generator that goes on, it is the same again


class _FrameWatch:
    """One call of a function that is followed: the line that runs, and the tensors of its variables."""

    def __init__(
        self,
        recorder: LineRecorder,
        code: CodeType,
        counts: Counter[tuple[int, int]],
        before: TraceFunction | None,
    ) -> None:
        self.last: Made | None = None  # what the line that runs made so far
        self._recorder = recorder
        self._code = code
        self._counts = counts
        self._before = before
        self._line = 0
        self._values: dict[str, object] = {}

    def enter(self, frame: FrameType) -> None:
        """Record the arguments of the call."""
        self._bound(frame)
        code = self._code
        if code.co_name in _WITHOUT_NAMED_ARGUMENTS:
            return
        count = code.co_argcount + code.co_kwonlyargcount
        count += sum(bool(code.co_flags & flag) for flag in _VARIABLE_ARGUMENTS)
        names = [name for name in code.co_varnames[:count] if name in self._values]
        self._recorder.record(ARGUMENTS, code, code.co_firstlineno, *self._described(names))

    def trace(self, frame: FrameType, event: str, argument: Any) -> TraceFunction:
        """Python calls this at each line, and where the call returns, yields or raises."""
        if self._before is not None:
            self._before = self._before(frame, event, argument)
        if event == "line":
            with torch._C.DisableTorchFunction():
                self._settle(frame)
            self._counts[self._line, frame.f_lineno] += 1
            self._line = frame.f_lineno
        elif event == "exception":
            self.last = None
        elif event == "return":
            with torch._C.DisableTorchFunction():
                self._leave(frame, argument)
        return self.trace

    def _settle(self, frame: FrameType) -> None:
        """Record what the line that has just run left behind."""
        bound, last = self._bound(frame), self.last
        self.last = None
        if bound:
            self._recorder.record(ASSIGNED, self._code, self._line, *self._described(bound))
        elif last is not None:
            self._recorder.record(MADE, self._code, self._line, last.outputs, last.mixed)

    def _described(self, names: Sequence[str]) -> tuple[Infos, Mixed]:
        """Return the tensors of some variables, and which of them are mixed."""
        infos: list[TensorInfo] = []
        mixed: Mixed = frozenset()
        for name in names:
            of_name = describe_tensors(name, self._values[name])
            infos += of_name
            mixed |= self._recorder.mixed("output", of_name, self._values[name])
        return tuple(infos), mixed

    def _leave(self, frame: FrameType, returned: Any) -> None:
        infos = describe_tensors("output", returned) if _may_hold_tensors(returned) else ()
        name = self._code.co_name
        mixed = self._recorder.mixed("output", infos, returned) if infos else frozenset()
        if infos and name not in _COMPREHENSIONS:
            self.last = None
            self._settle(frame)
            kind = MADE if name == "<genexpr>" else RETURNED
            self._recorder.record(kind, self._code, self._line, infos, mixed)
        else:
            self._settle(frame)
        if infos:
            self._recorder.note(frame.f_back, _Returned(infos, mixed))
        if not self._code.co_flags & inspect.CO_GENERATOR:  # a generator may go on
            self._values.clear()

    def _bound(self, frame: FrameType) -> list[str]:
        """Return the names of the variables that hold other tensors than before."""
        values = {
            name: value
            for name, value in frame.f_locals.items()
            if not name.startswith(".") and _may_hold_tensors(value)
        }
        before, self._values = self._values, values
        return [name for name, value in values.items() if before.get(name) is not value]


def _read_lines(file: str) -> list[str]:
    """Read a file as it is now: `linecache` may know an older text, and a model may change it."""
    linecache.checkcache(file)
    return linecache.getlines(file)


def _may_hold_tensors(value: object) -> bool:
    """Tell whether a value is a tensor, or a container whose items count as made where it is."""
    if isinstance(value, torch.Tensor | list | tuple | dict):
        return True
    return dataclasses.is_dataclass(value) and not isinstance(value, type)
