"""The lines of stdin as prompts: which format they have, where a run goes on, and what had no result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from msgspec.structs import force_setattr
from msgspec.structs import replace as replaced

from gptrace.cli import streams
from gptrace.cli.language import spoken
from gptrace.cli.options.groups import TextOptions
from gptrace.cli.output import CommandResult, Destination
from gptrace.cli.resumed import KeptResults, unusual_dtype
from gptrace.errors import InputError, OptionError, RunError
from gptrace.record import Report
from gptrace.report import View
from gptrace.report.progress import ProgressBar
from gptrace.text.lines import PromptLines
from gptrace.translation import words

_INPUT_FORMATS = ("text", "lines", "jsonl")


@dataclass(frozen=True, slots=True)
class PromptStreamOptions:
    """The prompts on the lines of stdin; `kept` are the results in the file that is continued, if one is."""

    is_json: bool
    kept: KeptResults | None = None

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
        return cls(lines_format == "jsonl", KeptResults.read(destination.file, output))

    @property
    def prompts(self) -> PromptLines:
        """The prompts on stdin."""
        return PromptLines(is_json=self.is_json, start=self.kept.start if self.kept else 0)

    def result(
        self, destination: Destination, stream: Report, view: View | None = None,
        bar: ProgressBar | None = None,
    ) -> CommandResult:  # fmt: skip
        """Return the result that writes each item of a stream as it comes, and then says what failed.

        `bar` shows the progress of the work; without one, the prompts are counted.
        """
        counter = _ProblemCounter(self.kept)
        results = getattr(stream, stream.items)
        dtype = unusual_dtype(stream)
        if dtype and destination.format == "jsonl":  # which has no header that says so, and --resume asks
            results = (replaced(result, dtype=dtype) for result in results)
        if self.kept is not None:
            results = self.kept.after_the_same(stream, results)
        shown = bar or progress_bar(words("prompts"), is_stream=True)
        results = shown.around(counter.counted(results), counts=bar is None)
        force_setattr(stream, stream.items, results)
        return replace(
            destination.result(stream, view), is_live=True, final_error=counter.error,
            kept=self.kept,
        )  # fmt: skip


def progress_bar(what: str, *, is_stream: bool) -> ProgressBar:
    """Return a bar on stderr that counts `what`, which `words` has made.

    It shows nothing where no line there may move. The results of a stream come while the bar moves, and so
    must not go to the same terminal.
    """
    stderr = streams.stderr() if streams.can_show_progress(is_stream=is_stream) else None
    if stderr is None:
        return ProgressBar(None, what)
    return ProgressBar(stderr, spoken(what, stderr), partial(streams.terminal_width, stderr))


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


class _ProblemCounter:
    """Counts the prompts of a stream, and those without a result; the kept ones too."""

    def __init__(self, kept: KeptResults | None) -> None:
        self._prompts, self._problems = (0, 0) if kept is None else (kept.count, kept.problems)

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
            f"{self._problems} of {self._prompts} prompts failed; the output holds the error of each",
            "",
        )
