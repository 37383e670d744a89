"""The processes that torchrun started, as one group that agrees on what failed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from gptrace import ranks
from gptrace.errors import GptraceError, OptionError, RunError
from gptrace.sharding.torch_distributed import distributed, excepthook_kept, forget_shardings
from gptrace.wording import message_of, one_line, quoted_value

Result = TypeVar("Result")
Value = TypeVar("Value")
# The backend that carries the messages of a device; gloo also carries what the ranks tell each other.
BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
# How long a rank waits for the others: one that loads a large model from a slow disk may take minutes.
_TIMEOUT = timedelta(minutes=10)
# How long a rank that failed waits for rank 0 to fail as well, and to tell it for all.
_GRACE = timedelta(seconds=2)
_FIRST_FAILED, _FAILURES = "gptrace/first_rank_failed", "gptrace/failures"


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
    with excepthook_kept():
        _join(device_type)
        try:
            with _told_once():
                yield
        finally:
            forget_shardings()
            distributed.destroy_process_group()


def _join(device_type: str) -> None:
    """Join the process group; raise as `measured_group` does."""
    backend = BACKENDS["cpu"]
    if device_type != "cpu":
        backend = f"cpu:{backend},{device_type}:{BACKENDS[device_type]}"
    try:
        distributed.init_process_group(backend, timeout=_TIMEOUT)
    except ValueError as error:
        hint = "start the processes with torchrun, or unset WORLD_SIZE to simulate one rank"
        raise OptionError(
            f"WORLD_SIZE is set, but other variables of a launcher are not: {one_line(error)}", hint
        ) from None
    except RuntimeError as error:
        hint = "are all of them running, and does MASTER_ADDR name the machine of rank 0?"
        raise RunError(f"the processes do not find each other: {one_line(error)}", hint) from error


@contextmanager
def _told_once() -> Iterator[None]:
    """Let one rank alone tell a failure: rank 0 if it fails by itself, otherwise the first that fails.

    While one rank fails, others may be in a collective with it. They cannot be asked then, and go on only
    when the process of that rank has ended: with an error of their own, which says nothing of the reason.
    What a rank needs to know of the others is in the store in which they found each other.
    """
    try:
        yield
    except GptraceError as error:
        if not error.is_shared:
            error.is_told = _is_told_by_another()
            if error.is_told:
                error.trace = None  # its failure is not the one that is told
        raise


def _is_told_by_another() -> bool:
    store = distributed.distributed_c10d._get_default_store()
    try:
        if distributed.get_rank() == 0:
            store.set(_FIRST_FAILED, "")
            return bool(store.add(_FAILURES, 1) > 1)
        if store.add(_FAILURES, 0) == 0:
            try:
                store.wait([_FIRST_FAILED], _GRACE)
            except RuntimeError:  # rank 0 has not failed
                return bool(store.add(_FAILURES, 1) > 1)
        return True
    except RuntimeError:  # rank 0 held the store, and is gone
        return True


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
    """Return the values that the ranks give, in their order; raise a RunError where one has ended."""
    values: list[Any] = [None] * distributed.get_world_size()
    with _explained():
        distributed.all_gather_object(values, value)
    return values


def from_first_rank(value: Value) -> Value:
    """Return the value that rank 0 gives; raise a RunError where a rank has ended."""
    values = [value]
    with _explained():
        distributed.broadcast_object_list(values, src=0)
    return values[0]


def wait_for_every_rank() -> None:
    """Wait until all ranks have come here; raise a RunError where one is gone."""
    with _explained():
        distributed.barrier()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        hint = "read the output of that process; the ranks wait for each other for 10 minutes"
        raise RunError(f"another rank has ended: {one_line(error)}", hint) from error
