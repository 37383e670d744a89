"""An exception of somebody's own code → the error that tells of it, with their line."""

from __future__ import annotations

import linecache
import os
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gptrace.errors import GptraceError, ModelCodeError
from gptrace.model.quiet_torch import torch

# Where an exception comes through on its way: nobody's own code. Then what may be, if nothing else is.
_OURS = (str(Path(__file__).parents[1]) + os.sep, str(Path(torch.__file__).parent) + os.sep, "<frozen")
_LIBRARIES = (*{sysconfig.get_path(kind) + os.sep for kind in ("stdlib", "purelib", "platlib")},)
_HINT = "this is an exception of the model's own code; GPTRACE_DEBUG=1 shows the whole traceback"


@contextmanager
def user_code_errors(where: str, hint: str = "") -> Iterator[None]:
    """Turn what somebody's own code raises into a ModelCodeError that shows their line."""
    try:
        yield
    except (GptraceError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit, and whatever else somebody made of it
        raise user_code_error(error, where, hint) from error


def user_code_error(error: BaseException, where: str, hint: str = "") -> ModelCodeError:
    """Return the error that tells of an exception of somebody's own code, with its line."""
    text = " ".join(str(error).split())
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    place = line_of(error)
    return ModelCodeError(f"{said}{f', at {place}' if place else ''} ({where})", hint or _HINT)


def line_of(error: BaseException) -> str:
    """Return file, line and source of the innermost frame that is somebody's own; "" where none is."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}, line {error.lineno}: {(error.text or '').strip()}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_OURS)]
    own = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)]
    # The model itself may be installed among the libraries.
    own = own or [frame for frame in frames if "site-packages" in frame.filename] or frames
    if not own:
        return ""
    source = own[-1].line or linecache.getline(own[-1].filename, own[-1].lineno or 0).strip()
    return f"{_short(own[-1].filename)}, line {own[-1].lineno}, in {own[-1].name}: {source}"


def _short(filename: str) -> str:
    try:
        return os.path.relpath(filename) if Path(filename).is_relative_to(Path.cwd()) else filename
    except (OSError, ValueError):
        return filename
