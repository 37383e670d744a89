"""Files of prompts: where they are, and their lines."""

from __future__ import annotations

import glob
import json
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec

from gptrace.errors import InputError
from gptrace.text.lines import LINE_LIMIT, PromptLine, read_line

_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip")
PROMPT_KEYS = ("text", "ids")
STEP = 64
_PATTERN_HINT = "quote the pattern, as in 'prompts/*.jsonl'"


@dataclass(frozen=True, slots=True)
class FileLine:
    """A line of a file.

    file     where it stands
    number   counted from 1
    raw      its bytes without the line break; None for a line that is too long
    """

    file: PromptFile
    number: int
    raw: bytes | None

    @property
    def where(self) -> str:
        """Its place in messages, as "line 3 of prompts.jsonl"."""
        return self.file.place(self.number)

    def prompt(self) -> PromptLine:
        """Return the prompt on the line, or its problem."""
        return read_line(self.raw, self.where, is_json=True)

    def keys(self) -> dict[str, Any]:
        """Return what is on the line beside text and ids; {} if it is not an object."""
        try:
            value = msgspec.json.decode(self.raw or b"null")
        except (msgspec.DecodeError, RecursionError):
            # Many times slower than msgspec, but right for NaN, and for halves of surrogate pairs.
            return self.prompt().extra
        extra = value.items() if isinstance(value, dict) else ()
        return {key: item for key, item in extra if key not in PROMPT_KEYS}

    def id(self, key: str) -> str:
        """Return its id as JSON, so that 7 and "7" differ; its place if it has none."""
        found = self.keys().get(key)
        return json.dumps(found) if is_id(found) else f"{_text(self.file.path)}:{self.number}"


def _text(path: Path) -> str:
    """Return a path as text that any program can read, although names of files may hold any bytes."""
    return os.fsencode(path).decode(errors="backslashreplace")


def is_id(value: object) -> bool:
    """Tell whether a value can be an id: a number or a text."""
    return isinstance(value, int | str) and not isinstance(value, bool)


class PromptFile(Protocol):
    """A file of prompts."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def name(self) -> str:
        """Its path in messages."""

    @property
    def step(self) -> int:
        """The least number of lines in a piece, so that a read is worth its cost."""

    def place(self, number: int) -> str:
        """Return the place of a line in messages."""

    def check(self, id_key: str) -> None:
        """Raise an InputError if no line can be right."""

    def schema(self) -> Any:
        """Return the types of its columns, if all lines share them."""

    def lines(
        self, first: int = 1, offset: int = 0, columns: list[str] | None = None
    ) -> Iterator[tuple[FileLine, int]]:
        """Yield each line from line `first` on, which begins at `offset`, and the offset of its end.

        Offsets are in bytes. `columns` are those that are needed; None for all.
        """


@dataclass(frozen=True, slots=True)
class LinesFile:
    """A file of JSON Lines."""

    path: Path
    name: str

    @property
    def step(self) -> int:
        """The least number of lines in a piece, so that a read is worth its cost."""
        return STEP

    def place(self, number: int) -> str:
        """Return the place of a line in messages."""
        return f"line {number} of {self.name}"

    def check(self, id_key: str) -> None:
        """Raise nothing: each line may be wrong by itself."""

    def schema(self) -> Any:
        """Return None: a line may have any keys."""
        return None

    def lines(
        self, first: int = 1, offset: int = 0, columns: list[str] | None = None
    ) -> Iterator[tuple[FileLine, int]]:
        """Yield each line from line `first` on, which begins at byte `offset`, and the offset of its end."""
        with self._opened() as opened:
            opened.seek(offset)
            for number in count(first):
                raw, size = _next_line(opened)
                if not size:
                    return
                offset += size
                yield FileLine(self, number, raw), offset

    def _opened(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise InputError(f"{self.name}: {error.strerror}", "give files that can be read") from None


def _next_line(opened: BinaryIO) -> tuple[bytes | None, int]:
    """Read a line; return it without its line break, None if it is too long, and its size in bytes."""
    line = opened.readline(LINE_LIMIT + 1)
    size = len(line)
    raw = line.removesuffix(b"\n")
    if len(raw) <= LINE_LIMIT:
        return raw, size
    while line and not line.endswith(b"\n"):
        line = opened.readline(1 << 16)
        size += len(line)
    return None, size


def find_files(patterns: Sequence[str], folder: Path) -> list[PromptFile]:
    """Return the files that the patterns match, in order, but for those in the `folder` of results.

    Raises an InputError for a pattern that matches no file, and for a file that is compressed.
    """
    results = folder.resolve()
    paths: set[Path] = set()
    for pattern in patterns:
        # A name is a pattern that matches itself, unless it has brackets.
        names = [pattern] if os.path.isfile(pattern) else glob.glob(pattern, recursive=True)
        matched = {Path(name).resolve() for name in names if os.path.isfile(name)}
        matched = {path for path in matched if results not in path.parents}
        if not matched:
            raise _no_file(pattern, folders=names)
        paths |= matched
    above = os.path.commonpath([path.parent for path in paths])
    return [_file(path, _text(path.relative_to(above))) for path in sorted(paths)]


def _no_file(pattern: str, *, folders: list[str]) -> InputError:
    if os.path.isdir(pattern):
        inside = shlex.quote(os.path.join(pattern, "*.jsonl"))
        return InputError(f"--from {pattern}: it is a folder", f"write --from {inside}")
    if folders:
        problem = f"--from {pattern}: it matches only folders or results of this run"
        return InputError(problem, "name files of prompts")
    return InputError(f"--from {pattern}: no file has such a name", _PATTERN_HINT)


def _file(path: Path, name: str) -> PromptFile:
    if path.suffix in _COMPRESSED:
        raise InputError(f"{name} is compressed", "decompress it, or write its prompts as Parquet")
    if path.suffix != ".parquet":
        return LinesFile(path, name)
    from gptrace.parallel.parquet_file import RowsFile  # it imports pyarrow

    return RowsFile(path, name)
