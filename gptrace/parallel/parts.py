"""The parts of the results of a run: how one is written, and how many results and errors all hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec

from gptrace.errors import OutputError


@dataclass(frozen=True, slots=True)
class Totals:
    """How many prompts have a result in a folder, and how many of these are errors."""

    prompts: int
    failed: int


class Parts(Protocol):
    """The format of parts."""

    @property
    def format(self) -> str:
        """Its name, which is the suffix of parts."""

    def facts(self) -> dict[str, Any]:
        """Return what a run must share to add to the folder."""

    def write(self, rows: Iterable[str], file: BinaryIO) -> None:
        """Write results, each as JSON."""

    def count(self, part: Path) -> Totals:
        """Count the results in a part."""


class LinesParts:
    """Parts that are JSON Lines: each line is a result."""

    format = "jsonl"

    def facts(self) -> dict[str, Any]:
        """Return what a run must share to add to the folder."""
        return {"format": self.format}

    def write(self, rows: Iterable[str], file: BinaryIO) -> None:
        """Write results, each as JSON."""
        for row in rows:
            file.write(row.encode() + b"\n")

    def count(self, part: Path) -> Totals:
        """Count the results in a part."""
        prompts = failed = 0
        with part.open("rb") as lines:
            for line in lines:
                prompts += 1
                failed += _row(line, f"line {prompts} of {part}").error is not None
        return Totals(prompts, failed)


class _Row(msgspec.Struct):
    error: Any = None


def _row(line: bytes, name: str) -> _Row:
    try:
        return msgspec.json.decode(line, type=_Row)
    except (msgspec.DecodeError, RecursionError):
        hint = "something else changed the file: run the prompts again, into a new folder"
        raise OutputError(f"{name} is no result", hint) from None


def totals(parts: Parts, folder: Path) -> Totals:
    """Count the results in a folder."""
    counts = [parts.count(part) for part in folder.glob(f"*.{parts.format}")]
    return Totals(sum(count.prompts for count in counts), sum(count.failed for count in counts))
