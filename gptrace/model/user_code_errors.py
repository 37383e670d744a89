"""An exception of user code → a ModelCodeError that shows the user's line."""

from __future__ import annotations

import linecache
import os
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gptrace.errors import OWN_CODE_RAISED, GptraceError, ModelCodeError
from gptrace.model.exception_hints import exception_hint
from gptrace.model.failed_conditions import indivisible_hint
from gptrace.model.notebooks.missing import missing_name_hint
from gptrace.model.quiet_torch import torch
from gptrace.notebook_cells import cell_of, shown_place
from gptrace.wording import one_line, shortened

# Frames of gptrace and torch are never user code; frames of other libraries are if there are no others.
_OWN_CODE = str(Path(__file__).parents[1]) + os.sep
NEVER_USER_CODE = (
    _OWN_CODE,
    str(Path(torch.__file__).parent) + os.sep,
    "<frozen",
    "<eval_with_key>",  # code that torch.fx writes
)
# Between a module's caller and the module while a trace runs, as torch itself is.
_CALLS = _OWN_CODE + os.path.join("tracing", "module_calls.py")
LIBRARIES = (*{sysconfig.get_path(kind) + os.sep for kind in ("stdlib", "purelib", "platlib")},)


@contextmanager
def user_code_errors(
    where: str, hint: str = "", settings: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[None]:
    """Turn an exception of user code in the block into a ModelCodeError that shows the user's line.

    `where` ends the message and says when it happened, as in " (while Model was built)"; `hint` is for
    exceptions that nothing more is known about. `settings` are those of the model that is built. Errors of
    gptrace, KeyboardInterrupt and GeneratorExit pass unchanged.
    """
    try:
        yield
    except (GptraceError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # user code may raise SystemExit, or derive from BaseException
        raise user_code_error(error, where, hint, settings=settings) from error


def user_code_error(
    error: BaseException, where: str, hint: str = "", usual_hint: str = OWN_CODE_RAISED,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> ModelCodeError:  # fmt: skip
    """Return the ModelCodeError for an exception of user code.

    `usual_hint` is the hint where there is no other; see `user_code_errors`.
    """
    line = line_of(error)
    # The text of a SyntaxError ends with the file and the line, which `line_of` says.
    has_place = isinstance(error, SyntaxError) and bool(error.filename)
    text = one_line(getattr(error, "msg", error) if has_place else error, 1000)
    message = f"{type(error).__name__}: {text}" if text else type(error).__name__
    known = missing_name_hint(error) or indivisible_hint(error, settings) or exception_hint(error)
    return ModelCodeError(f"{message}{f', at {line}' if line else ''}{where}", known or hint or usual_hint)


def passed_through(error: BaseException, model: torch.nn.Module) -> bool:
    """Tell whether an exception left a call of the model: only then is it the model's own."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    # Reading `f_locals` stores them in the frame. Those of gptrace's frames hold the exception: a cycle.
    others = (frame for frame in frames if not frame.f_code.co_filename.startswith(_OWN_CODE))
    return any(frame.f_locals.get("self") is model for frame in others)


def is_of_user_code(error: BaseException) -> bool:
    """Tell whether user code raised an exception, or called the library that did; else it is a fault of ours.

    The innermost frame that is either user code or gptrace decides.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == _CALLS:
            continue
        if frame.filename.startswith(_OWN_CODE):
            return False
        if not frame.filename.startswith((*NEVER_USER_CODE, *LIBRARIES, "<")):
            return True
    return False


def line_of(error: BaseException) -> str:
    """Return file, line number and source of the innermost frame of user code; "" where there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return (
            f"{short_path(error.filename)}, line {error.lineno}: {shortened((error.text or '').strip(), 200)}"
        )
    every = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in every if not frame.filename.startswith(NEVER_USER_CODE)]
    outside = [frame for frame in frames if not frame.filename.startswith(LIBRARIES)]
    # Where no frame is outside the libraries, the model itself may be an installed package.
    candidates = outside or [frame for frame in frames if "site-packages" in frame.filename] or frames
    if not candidates:
        return ""
    frame = candidates[-1]
    source = frame.line or linecache.getline(frame.filename, frame.lineno or 0).strip()
    return f"{short_path(frame.filename)}, line {frame.lineno}, in {frame.name}: {shortened(source, 200)}"


def short_place(filename: str, line: int) -> str:
    """Return a line of code as people read it, as in "model.py:21" or "ch04.ipynb, cell 4, line 12"."""
    cell = cell_of(filename)
    if cell is None:
        return shown_place(short_path(filename), line)
    return shown_place(short_path(cell.file), line, cell.number)


def short_path(filename: str) -> str:
    """Return the path of a file from the current folder, if it is in there; else as it is.

    A cell of the notebook that runs this code has no path: it is called "cell 4".
    """
    cell = cell_of(filename)
    if cell is not None and cell.file == filename:
        return f"cell {cell.number}"
    try:
        return os.path.relpath(filename) if Path(filename).is_relative_to(Path.cwd()) else filename
    except (OSError, ValueError):
        return filename
