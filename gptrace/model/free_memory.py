"""How much memory is free, and the error where it is not enough."""

from __future__ import annotations

from pathlib import Path

from gptrace.errors import MemoryNeededError
from gptrace.model.quiet_torch import torch
from gptrace.wording import message_of, readable_bytes

_HINT = "pick a smaller model or fewer tokens, or use --device meta to see shapes only"


def check_memory(needed: int, what: str) -> None:
    """Raise MemoryNeededError if fewer than `needed` bytes are free; `what` needs them, in words.

    Linux grants more memory than it has and kills the process later, so this is checked in advance.
    """
    free = available_bytes()
    if free is not None and needed > free:
        raise memory_needed(needed, free, what, _HINT)


def memory_needed(needed: int, free: int, what: str, hint: str) -> MemoryNeededError:
    """Return the error that says how many bytes `what` needs, in words, and how many are free."""
    problem = f"{what} needs {readable_bytes(needed)}, but {readable_bytes(max(0, free))} is free"
    return MemoryNeededError(problem, hint)


def as_memory_error(error: BaseException, what: str) -> MemoryNeededError | None:
    """Return a MemoryNeededError for the failure of an allocator; None for any other. `what` needed it."""
    text = message_of(error)
    kinds = (MemoryError, torch.OutOfMemoryError)
    if isinstance(error, kinds) or "can't allocate memory" in text or "out of memory" in text:
        return MemoryNeededError(f"not enough memory for {what}", _HINT)
    return None


def available_bytes() -> int | None:
    """Return how many bytes this process can still allocate, or None where the system does not report it."""
    limits = [*_from_meminfo(), *_from_control_group()]
    return min(limits) if limits else None


def _from_meminfo() -> list[int]:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return []  # not Linux
    return [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]


def _from_control_group() -> list[int]:
    """Return the bytes that the limit of a container (cgroup version 2) leaves free; nothing without one."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text().strip()
        used = int((folder / "memory.current").read_text())
        # The file cache counts as used, but the kernel frees it when a process needs memory.
        statistics = dict(map(str.split, (folder / "memory.stat").read_text().splitlines()))
        return [] if limit == "max" else [int(limit) - used + int(statistics.get("inactive_file", 0))]
    except (OSError, ValueError):
        return []
