"""`gptrace topk`: the most likely next tokens of one prompt, of several, or of a stream without end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from msgspec import structs

from gptrace.cli import streams
from gptrace.cli.options.display import LogProbabilities
from gptrace.cli.options.groups import ModelOptions, OutputOptions, TextOptions, Truncate
from gptrace.cli.options.prediction import BatchSize, InputFormat, K, NextTokens, Positions, Temperature
from gptrace.cli.output import CommandResult
from gptrace.errors import InputError, OptionError, RunError
from gptrace.record import TopKResult
from gptrace.report import View
from gptrace.report.progress import with_progress
from gptrace.text.lines import PromptLines

_INPUT_FORMATS = ("text", "lines", "jsonl")


def topk(
    text: TextOptions, model: ModelOptions, output: OutputOptions,
    input_format: InputFormat = None, truncate: Truncate = False, k: K = None,
    temperature: Temperature = 1.0, tokens: NextTokens = None, positions: Positions = "last",
    logprobs: LogProbabilities = False, batch_size: BatchSize = None,
) -> CommandResult:  # fmt: skip
    """Show the most likely next tokens of prompts, or of a stream.

    With --lines or --input-format jsonl each line of stdin is a prompt. Results are written as soon as they
    are ready, in the order of the lines, for any number of lines; with --format jsonl each result is a line.
    A line that cannot be a prompt gets an error as its result, and the exit code is 1 at the end.
    """
    destination = output.destination()
    view = View(log_probabilities=logprobs)
    lines_format = _input_format(input_format, text)
    session = model.session()
    if lines_format == "text":
        record = session.topk(
            text.source(), k=k, temperature=temperature, truncate=truncate, positions=positions,
            tokens=tokens or (), batch_size=batch_size,
        )  # fmt: skip
        return destination.result(record, view)
    stream = session.topk_stream(
        PromptLines(is_json=lines_format == "jsonl"), special=not text.no_special, k=k,
        temperature=temperature, truncate=truncate, positions=positions, tokens=tokens or (),
        batch_size=batch_size,
    )  # fmt: skip
    counter = _ProblemCounter()
    results = counter.counted(stream.results)
    stderr = streams.stderr()
    if stderr is not None and streams.can_show_progress():
        results = with_progress(results, stderr, "prompts")
    result = destination.result(structs.replace(stream, results=results), view)
    return replace(result, is_live=True, final_error=counter.error)


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
    """Counts the prompts of a stream, and those without a result."""

    def __init__(self) -> None:
        self._prompts = self._problems = 0

    def counted(self, results: Iterator[TopKResult]) -> Iterator[TopKResult]:
        for result in results:
            self._prompts += 1
            self._problems += result.problem is not None
            yield result

    def error(self) -> RunError | None:
        """Return the error to end with, where a prompt had no result."""
        if not self._problems:
            return None
        counts = f"{self._problems} of {self._prompts} prompts"
        return RunError(f"{counts} have no result; each says why in its place", "")
