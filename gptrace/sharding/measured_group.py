"""The processes that torchrun started, as one group that agrees on what failed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from gptrace import ranks
from gptrace.errors import GptraceError, OptionError, RunError
from gptrace.sharding.torch_distributed import distributed
from gptrace.wording import message_of, one_line, quoted_value

Result = TypeVar("Result")
Value = TypeVar("Value")
# The backend that carries the messages of a device; gloo also carries what the ranks tell each other.
BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
# How long a rank waits for the others: one that loads a large model from a slow disk may take minutes.
_TIMEOUT = timedelta(minutes=10)
# How long a rank that failed waits for the others to fail, too. Those that did not wait for it meanwhile.
_PATIENCE = 10.0  # seconds


@contextmanager
def measured_group(device_type: str) -> Iterator[None]:
    """Join the process group in the block, and leave it at the end; one that is there already stays.

    Raises an OptionError where the variables of a launcher are missing, a RunError where the processes do
    not find each other.
    """
    if distributed.is_initialized():
        yield
        return
    _check_rank()
    backends = dict.fromkeys(("cpu", device_type))
    try:
        distributed.init_process_group(
            ",".join(f"{each}:{BACKENDS[each]}" for each in backends), timeout=_TIMEOUT
        )
    except ValueError as error:
        hint = "start the processes with torchrun, or unset WORLD_SIZE to simulate one rank"
        raise OptionError(f"WORLD_SIZE is set, but the rest is not: {one_line(error)}", hint) from None
    except RuntimeError as error:
        hint = "are all of them running, and does MASTER_ADDR name the machine of rank 0?"
        raise RunError(f"the processes do not find each other: {one_line(error)}", hint) from error
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _check_rank() -> None:
    """Raise an OptionError for a rank that the others would wait for, for minutes: there is none like it."""
    number, size = os.environ.get("RANK", "0"), ranks.world_size()
    if not (number.isascii() and number.isdecimal() and len(number) < 10) or int(number) >= size:
        problem = f"RANK is {quoted_value(number)}, but WORLD_SIZE is {size}"
        raise OptionError(problem, f"number the processes from 0 to {size - 1}, as torchrun does")


def on_every_rank(work: Callable[[], Result]) -> Result:
    """Do the same work on every rank; raise on all of them where it raises on one.

    Otherwise the others would wait for the one that failed. The error of another rank names it.
    """
    result: Result | None = None
    raised: BaseException | None = None
    try:
        result = work()
    except BaseException as error:
        raised = error
    errors = everywhere(_told(raised))
    if isinstance(raised, GptraceError):
        raised.is_shared = True
    if raised is not None:
        raise raised
    failed = next((number for number, error in enumerate(errors) if error is not None), None)
    if failed is not None:
        message, hint, exit_code = errors[failed]
        shared = RunError(f"rank {failed}: {message}", hint)
        shared.exit_code, shared.is_shared = exit_code, True
        raise shared
    return result  # type: ignore[return-value]


def _told(error: BaseException | None) -> tuple[str, str, int] | None:
    if error is None:
        return None
    if isinstance(error, GptraceError):
        return error.message, error.hint, error.exit_code
    return f"{type(error).__name__}: {message_of(error)}", "", RunError.exit_code


def everywhere(value: object) -> Sequence[Any]:
    """Return the values that the ranks give, in their order; raise a RunError where one is gone."""
    values: list[Any] = [None] * distributed.get_world_size()
    with _explained():
        distributed.all_gather_object(values, value)
    return values


def from_first_rank(value: Value) -> Value:
    """Return the value that rank 0 gives; raise a RunError where a rank is gone."""
    values = [value]
    with _explained():
        distributed.broadcast_object_list(values, src=0)
    return values[0]


def have_all_failed() -> bool:
    """Tell that this rank has failed, and return whether all of them have by now, so that all can go on.

    Ranks that have not failed do not call this, and may wait in a message that this rank never answers. So
    it goes by the store where the processes found each other.
    """
    store = distributed.distributed_c10d._get_default_store()
    failed, size = store.add("gptrace/failed", 1), distributed.get_world_size()
    all_of_them = f"gptrace/failed/{(failed - 1) // size}"
    if failed % size == 0:
        store.set(all_of_them, "")
    deadline = time.monotonic() + _PATIENCE
    while not store.check([all_of_them]):  # store.wait() writes to stderr where it waits in vain
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        hint = "see what that process wrote; the ranks wait for each other for 10 minutes"
        raise RunError(f"another rank is gone: {one_line(error)}", hint) from error
