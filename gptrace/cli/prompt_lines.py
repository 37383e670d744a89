"""The lines of stdin as prompts: which format they have, where a run goes on, and what had no result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from gptrace.cli import streams
from gptrace.cli.options.groups import TextOptions
from gptrace.cli.output import CommandResult, Destination
from gptrace.errors import InputError, OptionError, RunError
from gptrace.record import Report
from gptrace.record.schema import item_type, report_type
from gptrace.report import View
from gptrace.report.progress import with_progress
from gptrace.text.lines import PromptLines

_INPUT_FORMATS = ("text", "lines", "jsonl")
_LONGEST_ROW = 256 << 20  # bytes of a line in a file to continue; a longer one is none of ours


@dataclass(frozen=True, slots=True)
class PromptStreamOptions:
    """The prompts on the lines of stdin, and how many of them have a result in the file already.

    `kept_bytes` is the length of these results; None: the file is written anew.
    """

    is_json: bool
    start: int = 0
    kept_bytes: int | None = None

    @classmethod
    def parse(
        cls, output: str, text: TextOptions, input_format: str | None, resume: bool, destination: Destination
    ) -> PromptStreamOptions | None:
        """Check the options of the command that makes the `output`; return None where stdin is no stream.

        Raises an InputError for options that do not go together, or a file that cannot be continued.
        """
        lines_format = _input_format(input_format, text)
        if not resume:
            return None if lines_format == "text" else cls(lines_format == "jsonl")
        if lines_format == "text":
            raise OptionError(
                "--resume continues a stream, and there is none", "add --lines or --input-format jsonl"
            )
        if destination.file is None or destination.format != "jsonl":
            raise OptionError("--resume needs an output file in JSON Lines", "add --output FILE.jsonl")
        start, kept_bytes = _rows_in(destination.file, output)
        return cls(lines_format == "jsonl", start, kept_bytes)

    @property
    def prompts(self) -> PromptLines:
        """The prompts on stdin."""
        return PromptLines(is_json=self.is_json, start=self.start)

    def result(self, destination: Destination, stream: Report, view: View | None = None) -> CommandResult:
        """Return the result that writes each item of a stream as it comes, and then says what failed."""
        counter = _ProblemCounter()
        results = counter.counted(getattr(stream, stream.items))
        stderr = streams.stderr()
        if stderr is not None and streams.can_show_progress():
            results = with_progress(results, stderr, "prompts")
        force_setattr(stream, stream.items, iter(results))
        return replace(
            destination.result(stream, view), is_live=True, final_error=counter.error,
            kept_bytes=self.kept_bytes,
        )  # fmt: skip


def _input_format(name: str | None, text: TextOptions) -> str:
    """Return the format of the prompts; raise an InputError for options that do not go together."""
    input_format = name or ("lines" if text.lines else "text")
    if input_format not in _INPUT_FORMATS:
        raise OptionError(f"--input-format is {name!r}", f"pick one of {', '.join(_INPUT_FORMATS)}")
    if text.lines and input_format != "lines":
        raise OptionError(f"--lines and --input-format {input_format} are both given", "drop one of the two")
    if input_format != "text" and (text.text not in (None, [], ["-"]) or text.ids):
        other = text.text[0] if text.text else f"--ids {text.ids[0] if text.ids else ''}"
        raise InputError(
            f"prompts come from the lines of stdin, but there is also {other!r}", "drop one of the two"
        )
    return input_format


def _rows_in(file: Path, output: str) -> tuple[int, int]:
    """Return how many whole results a file holds, and their length in bytes; a torn last line is left out.

    Raises an OptionError where a line is not the result of its prompt.
    """
    if not file.exists():
        return 0, 0
    if not file.is_file():
        raise OptionError(f"--resume: {file} is no regular file", "it can only be written from the beginning")
    needed = _keys_of_results(output)
    count = length = 0
    with file.open("rb") as rows:
        while raw := rows.readline(_LONGEST_ROW):
            if not raw.endswith(b"\n") and len(raw) < _LONGEST_ROW:
                break
            if not _is_row(raw, count, needed):
                raise OptionError(
                    f"--resume: line {count + 1} of {file} is not result {count} of gptrace {output}",
                    "give the file that this command wrote, or another one",
                )
            count, length = count + 1, length + len(raw)
    return count, length


def _is_row(raw: bytes, index: int, needed: frozenset[str]) -> bool:
    try:
        row: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and row.get("index") == index and needed <= row.keys()


def _keys_of_results(output: str) -> frozenset[str]:
    """Return the keys that each result of an output has."""
    item = item_type(report_type(output))
    assert item is not None, output
    return frozenset(field.encode_name for field in msgspec.structs.fields(item) if field.required)


class _ProblemCounter:
    """Counts the prompts of a stream, and those without a result."""

    def __init__(self) -> None:
        self._prompts = self._problems = 0

    def counted(self, results: Iterator[Any]) -> Iterator[Any]:
        for result in results:
            self._prompts += 1
            self._problems += result.problem is not None
            yield result

    def error(self) -> RunError | None:
        """Return the error to end with, where a prompt had no result."""
        if not self._problems:
            return None
        return RunError(
            f"{self._problems} of {self._prompts} prompts have no result; the output holds the error of each",
            "",
        )
