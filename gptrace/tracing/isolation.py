"""Run a copy of the user's model, or the model at other sizes, unheard by others and with bounded work.

Streams, logs, warnings and global hooks belong to the whole process. While such a run goes on, a stand-in for
each asks which thread is calling: it does nothing in a thread that runs isolated, and what it stands for in
any other. The stand-ins go when the last isolated run ends, in whatever order the runs end.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from gptrace.model.forked_children import can_take, in_forked_child
from gptrace.model.interrupts import interrupts_held
from gptrace.model.quiet_torch import torch
from gptrace.model.random_state import exclusive_random_state, seed_generators

_SEED = 123
_isolated = threading.local()
_lock = threading.RLock()
_open_blocks = 0
_stand_ins: list[_StandIn] = []
# Code here ends by itself, and most of the lines run are here: its lines are not counted, only its calls.
_TRUSTED = (torch.__file__.rpartition("/")[0], __file__.rpartition("/gptrace/")[0] + "/gptrace/")

# Where Python's `import` finds and runs a module that it does not have yet.
_IMPORT = "<frozen importlib._bootstrap>"


class WorkLimitError(BaseException):
    """A run did more work than its limit. No Exception, so that `except Exception` in it does not go on."""


@contextmanager
def isolated_run(*, inference: bool = True, seed: int = _SEED) -> Iterator[None]:
    """Run the block on the CPU; nobody hears of it, and nothing is left behind.

    Prints, warnings, logs and global hooks of this thread do nothing. Random numbers are those of the `seed`,
    and are put back. The block runs in `inference` mode, or may compute gradients.
    """
    with exclusive_random_state(), _silence(), torch.device("cpu"), torch.inference_mode(inference):
        seed_generators(seed)
        yield


@contextmanager
def work_limit(limit: int) -> Iterator[list[int]]:
    """Raise WorkLimitError in the block at more than `limit` lines and calls of Python; yield what is left.

    Work is counted and time is not, so that the outcome is the same on a busy machine. Imports are not
    counted, since only the first run that needs a library imports it. The exception is raised by the line
    that is one too many, in this thread and inside the block.
    """
    left, before = [limit], sys.gettrace()
    imports = 0  # that are going on

    def count_call(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal imports
        code = frame.f_code
        if code.co_name == "_find_and_load" and code.co_filename == _IMPORT:
            imports += 1
            return end_import
        if imports:
            return None
        count_line(frame, event, argument)
        return None if code.co_filename.startswith(_TRUSTED) else count_line

    def count_line(frame: FrameType, event: str, argument: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise WorkLimitError
        return count_line

    def end_import(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal imports
        imports -= event == "return"
        return end_import

    try:
        sys.settrace(count_call)
        yield left
    finally:
        sys.settrace(before)


@contextmanager
def _silence() -> Iterator[None]:
    """Make the stand-ins do nothing in this thread while the block runs."""
    global _open_blocks
    depth = getattr(_isolated, "depth", 0)
    with _lock:
        if not _open_blocks:
            _install_stand_ins()
        _open_blocks += 1
    try:
        _isolated.depth = depth + 1
        yield
    finally:
        _isolated.depth = depth
        with interrupts_held(), _lock:
            _open_blocks -= 1
            while not _open_blocks and _stand_ins:
                _stand_ins.pop().remove()


@in_forked_child
def _end_blocks_of_other_threads() -> None:
    global _lock, _open_blocks
    if not can_take(_lock):
        _lock = threading.RLock()
    _open_blocks = getattr(_isolated, "depth", 0)
    while not _open_blocks and _stand_ins:
        _stand_ins.pop().remove()


def _is_isolated() -> bool:
    return getattr(_isolated, "depth", 0) > 0


class _StandIn:
    """A replacement of one attribute or item, which is removed only if it is still in its place."""

    def __init__(self, read: Callable[[], Any], write: Callable[[Any], None], replacement: Any) -> None:
        self._read, self._write = read, write
        self._original, self._replacement = read(), replacement
        write(replacement)

    def remove(self) -> None:
        if self._read() is self._replacement:
            self._write(self._original)


def _install_stand_ins() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is not None:
            _replace_attribute(sys, name, _thread_stream(getattr(sys, name)))
    # All records of all loggers pass the first; Python and C code show their warnings with the second.
    for owner, name in ((logging.Logger, "callHandlers"), (warnings, "_showwarnmsg")):
        _replace_attribute(owner, name, _unless_isolated(getattr(owner, name)))
    # `register_module_forward_pre_hook` and `register_module_forward_hook` fill these two dictionaries; torch
    # has no public way to read or replace the hooks.
    global_hooks = torch.nn.modules.module
    for hooks in (global_hooks._global_forward_pre_hooks, global_hooks._global_forward_hooks):
        for key, hook in list(hooks.items()):
            _replace_item(hooks, key, _unless_isolated(hook))


def _replace_attribute(owner: Any, name: str, replacement: Any) -> None:
    def write(value: Any) -> None:
        setattr(owner, name, value)

    _stand_ins.append(_StandIn(lambda: getattr(owner, name, None), write, replacement))


def _replace_item(items: dict[Any, Any], key: Any, replacement: Any) -> None:
    def write(value: Any) -> None:
        items[key] = value

    _stand_ins.append(_StandIn(lambda: items.get(key), write, replacement))


def _unless_isolated(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        return None if _is_isolated() else function(*arguments, **keywords)

    return call


class _ThreadStream:
    """A stream that takes nothing from isolated threads, and is the original stream to all others."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def write(self, text: Any) -> Any:
        return len(text) if _is_isolated() else self.original.write(text)

    def writelines(self, lines: Any) -> None:
        if not _is_isolated():
            self.original.writelines(lines)

    def flush(self) -> None:
        if not _is_isolated():
            self.original.flush()

    def close(self) -> None:
        if not _is_isolated():
            self.original.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


def _thread_stream(original: Any) -> _ThreadStream:
    """Return the stand-in for a stream, the same each time, and keep it when it has been removed.

    CPython's `print` holds no reference to the stream that it writes to, and other threads may still do so.
    """
    kept = next((stream for stream in _thread_streams if stream.original is original), None)
    if kept is None:
        kept = _ThreadStream(original)
        _thread_streams.append(kept)
    return kept


_thread_streams: deque[_ThreadStream] = deque(maxlen=8)
