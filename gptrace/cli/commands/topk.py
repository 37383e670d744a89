"""`gptrace topk`: the most likely next tokens, of one prompt, of several, or of a stream without end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace

from msgspec import structs

from gptrace import api
from gptrace.cli import options, streams
from gptrace.cli.option_groups import ModelOptions, OutputOptions, TextOptions
from gptrace.cli.output import CommandResult
from gptrace.errors import InputError, OptionError, RunError
from gptrace.record import TopKResult
from gptrace.report import View
from gptrace.report.progress import with_progress
from gptrace.text.lines import PromptLines

_INPUT_FORMATS = ("text", "lines", "jsonl")


def topk(
    text: TextOptions,
    model: ModelOptions,
    output: OutputOptions,
    input_format: options.InputFormat = None,
    truncate: options.Truncate = False,
    k: options.K = None,
    temperature: options.Temperature = 1.0,
    token: options.TokenChosen = None,
    positions: options.Positions = "last",
    logprobs: options.LogProbabilities = False,
    batch_size: options.BatchSize = None,
) -> CommandResult:
    """Show the most likely next tokens of one prompt, or of a stream of them.

    With --lines or --input-format jsonl each line of stdin is a prompt. Its result is written as soon as it
    is there, in the order of the lines, however many come; with --format jsonl each is a line. A line that
    cannot be a prompt has an error for a result, and the exit code is 1 at the end.
    """
    target = output.target()
    view = View(log_probabilities=logprobs)
    reads = _input_format(input_format, text)
    chosen = model.chosen()
    if reads == "text":
        given = text.given()
        with redirect_stdout(sys.stderr):
            whole = api.topk(
                given, model=chosen, k=k, temperature=temperature, truncate=truncate, positions=positions,
                tokens=token or (), batch_size=batch_size,
            )  # fmt: skip
        return target.reply(whole, view)
    with redirect_stdout(sys.stderr):
        stream = api.topk_stream(
            PromptLines(is_json=reads == "jsonl"), model=chosen, special=not text.no_special, k=k,
            temperature=temperature, truncate=truncate, positions=positions, tokens=token or (),
            batch_size=batch_size,
        )  # fmt: skip
    counted = _Counted(stream.results)
    results: Iterator[TopKResult] = counted.results()
    if streams.can_show_progress():
        results = with_progress(results, sys.stderr, "prompts")
    return replace(
        target.reply(structs.replace(stream, results=results), view), live=True, ending=counted.ending
    )


def _input_format(named: str | None, text: TextOptions) -> str:
    reads = named or ("lines" if text.lines else "text")
    if reads not in _INPUT_FORMATS:
        raise OptionError(f"--input-format is {named!r}", f"pick one of {', '.join(_INPUT_FORMATS)}")
    if text.lines and reads != "lines":
        raise OptionError(f"--lines and --input-format {reads} are both given", "drop one of the two")
    if reads != "text" and (text.text not in (None, [], ["-"]) or text.ids):
        other = text.text[0] if text.text else f"--ids {text.ids[0] if text.ids else ''}"
        raise InputError(
            f"prompts come from the lines of stdin, but there is also {other!r}", "drop one of the two"
        )
    return reads


class _Counted:
    """Counts the prompts that have no result as they go by."""

    def __init__(self, results: Iterator[TopKResult]) -> None:
        self._results = results
        self._all = self._failed = 0

    def results(self) -> Iterator[TopKResult]:
        for result in self._results:
            self._all += 1
            self._failed += result.problem is not None
            yield result

    def ending(self) -> RunError | None:
        """Return the error to end with."""
        if not self._failed:
            return None
        counts = f"{self._failed} of {self._all} prompts"
        return RunError(f"{counts} have no result; each says why in its place", "")
