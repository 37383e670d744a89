"""How much memory is left, and the error for too little of it."""

from __future__ import annotations

from pathlib import Path

from gptrace.errors import MemoryNeededError

_HINT = "pick a smaller model or fewer tokens, or use --device meta for shapes alone"


def check_memory(needed: int, what: str) -> None:
    """Raise MemoryNeededError when `needed` bytes for `what` are more than what is free.

    Asking first matters: Linux hands out memory that it does not have, and kills the process later.
    """
    free = available_bytes()
    if free is not None and needed > free:
        raise MemoryNeededError(
            f"{what} needs {readable_bytes(needed)}, and {readable_bytes(max(0, free))} is free", _HINT
        )


def as_memory_error(error: BaseException, what: str) -> MemoryNeededError | None:
    """Return the MemoryNeededError that an allocator's failure stands for, or None for any other error."""
    text = str(error)
    if isinstance(error, MemoryError) or "can't allocate memory" in text or "out of memory" in text:
        return MemoryNeededError(f"not enough memory for {what}", _HINT)
    return None


def available_bytes() -> int | None:
    """Return the bytes that this process can still take, or None where the system does not tell."""
    limits = [*_from_meminfo(), *_from_control_group()]
    return min(limits) if limits else None


def readable_bytes(count: int) -> str:
    """Write a number of bytes for people.

    >>> readable_bytes(652038144), readable_bytes(512)
    ('621.8 MiB', '512 B')
    """
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"


def _from_meminfo() -> list[int]:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return []  # not Linux
    return [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]


def _from_control_group() -> list[int]:
    """Read the limit of a container (cgroup version 2)."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text().strip()
        used = int((folder / "memory.current").read_text())
        # File cache counts as used, and is given back when it is needed.
        cache = {
            key: int(value)
            for key, value in map(str.split, (folder / "memory.stat").read_text().splitlines())
        }
    except (OSError, ValueError):
        return []
    return [] if limit == "max" else [int(limit) - used + cache.get("inactive_file", 0)]
