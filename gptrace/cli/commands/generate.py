"""`gptrace generate`: the continuation of a text."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from gptrace.cli import streams
from gptrace.cli.options import prediction
from gptrace.cli.options.groups import OutputOptions, PredictingModelOptions, TextOptions
from gptrace.cli.output import CommandResult, Destination
from gptrace.cli.prompt_lines import PromptStreamOptions
from gptrace.predict.validation import DEFAULT_NEW_TOKENS
from gptrace.record import Generation
from gptrace.report import View
from gptrace.text.prompts import Prompt

if TYPE_CHECKING:
    from gptrace.report.live_text import LiveText


def generate(
    text: TextOptions, model: PredictingModelOptions, output: OutputOptions,
    input_format: prediction.InputFormat = None, resume: prediction.Resume = False,
    max_new_tokens: prediction.MaxNewTokens = DEFAULT_NEW_TOKENS,
    temperature: prediction.SamplingTemperature = None,
    top_k: prediction.TopK = None, top_p: prediction.TopP = None, stop: prediction.Stop = None,
    no_cache: prediction.NoCache = False, trace: prediction.TraceSteps = False,
) -> CommandResult:  # fmt: skip
    """Continue a text, with the most likely tokens or by sampling.

    If a text is longer than the context, the model sees only its last tokens. With --lines or --input-format
    jsonl each line of stdin is a text, whose continuation is written as soon as it is ready.
    """
    destination = output.destination()
    lines = PromptStreamOptions.parse("generate", text, input_format, resume, destination)
    session = model.session()
    if lines is not None:
        stream = session.generate_stream(
            lines.prompts, special=not text.no_special, max_new_tokens=max_new_tokens,
            temperature=temperature, top_k=top_k, top_p=top_p, stop=stop or (), cache=not no_cache,
            trace=trace,
        )  # fmt: skip
        return lines.result(destination, stream)
    source = text.source()
    writer = _LiveWriter(destination.language) if _is_live(destination, trace) else None
    with writer or nullcontext():
        record = session.generate(
            source, max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, top_p=top_p,
            stop=stop or (), cache=not no_cache, trace=trace, listener=writer,
        )  # fmt: skip
    return destination.result(record) if writer is None else CommandResult(writer.ending(record))


def _is_live(destination: Destination, trace: bool) -> bool:
    """Tell whether the text is written as it comes: at a terminal, where no table waits for the end."""
    is_terminal = destination.file is None and streams.stdout_is_terminal()
    return is_terminal and destination.format == "table" and not trace


class _LiveWriter:
    """Writes the report to the terminal while the text comes: the same lines, in the same order."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._live: LiveText | None = None

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """End the open line where something went wrong, so that the error begins a line of its own."""
        if error is not None and self._live is not None:
            streams.write_stdout("\n")

    def begin(self, head: Generation, prompt: Prompt) -> None:
        from gptrace.report.live_text import LiveText

        if self._live is None:
            view = View(
                width=streams.stdout_width(), color=streams.stdout_wants_color(), lang=self._language,
                encoding=streams.stdout_encoding(),
            )  # fmt: skip
            self._live = LiveText(view)
            streams.write_stdout(self._live.head(head))
        else:
            streams.write_stdout(self.ending(head))
        streams.write_stdout(self._live.prompt(prompt.text, prompt.ids))

    def text(self, piece: str) -> None:
        assert self._live is not None
        if piece:
            streams.write_stdout(self._live.continuation(piece))

    def ending(self, record: Generation) -> str:
        """Return what follows the text of the last result."""
        assert self._live is not None
        return self._live.ending(record.results[-1], record.notes)
