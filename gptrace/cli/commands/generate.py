"""`gptrace generate`: how a model goes on with a text."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING

from gptrace import api
from gptrace.cli import options, streams
from gptrace.cli.option_groups import ModelOptions, OutputOptions, TextOptions
from gptrace.cli.output import CommandResult, Destination
from gptrace.predict.validation import DEFAULT_NEW_TOKENS
from gptrace.record import Generation
from gptrace.report import View
from gptrace.text.prompts import Prompt

if TYPE_CHECKING:
    from gptrace.report.live_text import LiveText


def generate(
    text: TextOptions,
    model: ModelOptions,
    output: OutputOptions,
    max_new_tokens: options.MaxNewTokens = DEFAULT_NEW_TOKENS,
    temperature: options.SamplingTemperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    stop: options.Stop = None,
    no_cache: options.NoCache = False,
    trace: options.TraceSteps = False,
) -> CommandResult:
    """Continue a text: with the likeliest token each time, or with sampled ones.

    A prompt longer than the context slides: the model sees its last tokens.
    """
    target = output.target()
    chosen = model.chosen()
    given = text.given()
    reader = _Reader() if _is_watched(target, trace) else None
    with redirect_stdout(sys.stderr), reader or nullcontext():
        found = api.generate(
            given, model=chosen, max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k,
            top_p=top_p, stop=stop or (), seed=model.seed, cache=not no_cache, trace=trace, listener=reader,
        )  # fmt: skip
    return target.reply(found) if reader is None else CommandResult("".join(reader.end(found)))


def _is_watched(target: Destination, trace: bool) -> bool:
    """Tell whether somebody sees the text come: at a terminal, where no table waits for the end."""
    return target.form == "table" and target.output is None and not trace and streams.stdout_is_terminal()


class _Reader:
    """Writes the report to the terminal while the text comes: the same lines, in the same order."""

    def __init__(self) -> None:
        self._live: LiveText | None = None

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """End the line that is open where something went wrong: the error is to begin one."""
        if error is not None and self._live is not None:
            streams.write_stdout("\n")

    def begin(self, head: Generation, prompt: Prompt) -> None:
        from gptrace.report.live_text import LiveText

        if self._live is None:
            view = View(width=streams.stdout_width(), color=streams.stdout_wants_color())
            self._live = LiveText(view)
            streams.write_stdout(self._live.head(head))
        else:
            streams.write_stdout("".join(self.end(head)))
        streams.write_stdout(self._live.prompt(prompt.text, prompt.ids))

    def text(self, piece: str) -> None:
        assert self._live is not None
        if piece:
            streams.write_stdout(self._live.continuation(piece))

    def end(self, found: Generation) -> Iterator[str]:
        """Return what follows the text of the last result."""
        assert self._live is not None
        yield self._live.ending(found.results[-1], found.notes)
