"""The prompts of one run: all known, or read one by one; each is right or has its problem. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from gptrace.errors import TextError
from gptrace.model.selection import Limits
from gptrace.predict.validation import fit_prompts
from gptrace.record import Problem, PromptResult
from gptrace.text.lines import PromptLines, as_lines
from gptrace.text.prompts import Prompt
from gptrace.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class StreamedPrompt:
    """One prompt of many, or the problem that it has; `extra` are the other keys of its JSON line.

    `line_size` is the length of its line in bytes.
    """

    index: int
    prompt: Prompt
    problem: Problem | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    line_size: int = 0

    def size(self, bytes_per_token: int) -> int:
        """Return about how many bytes it takes to hold it and its result."""
        text = self.line_size or len(self.prompt.text or "")
        return text + bytes_per_token * len(self.prompt.tokens)


@dataclass(frozen=True, slots=True)
class PromptStream:
    """The prompts of one run.

    `continue_on_error`: a prompt that the model fails at gets a problem as its result; else the error is
    raised. `is_idle` tells that no prompt is waiting to be read.
    """

    prompts: Iterable[StreamedPrompt]
    is_idle: Callable[[], bool] = lambda: False
    continue_on_error: bool = False

    @property
    def known(self) -> list[Prompt] | None:
        """All prompts, where they are known."""
        prompts = self.prompts
        return [streamed.prompt for streamed in prompts] if isinstance(prompts, list) else None

    @classmethod
    def of(cls, prompts: Iterable[Prompt]) -> PromptStream:
        """Return a stream of prompts that are all known, and checked."""
        return cls([StreamedPrompt(index, prompt) for index, prompt in enumerate(prompts)])

    @classmethod
    def reading(
        cls, result: type[PromptResult], prompts: Iterable[object] | PromptLines, tokenizer: Tokenizer,
        limits: Limits | None, *, special: bool, truncate: bool = False, allow_windows: bool = False,
    ) -> PromptStream:  # fmt: skip
        """Return a stream that reads and checks each prompt when it is needed.

        `limits` are those of the model; None without one. A prompt of any length is right with
        `allow_windows`. The other keys of a line are copied into its
        `result`, so they cannot be those of a result.
        """
        reserved = result.own_keys() - {"text", "ids"}

        def checked(index: int, line: Any) -> StreamedPrompt:
            taken = sorted(reserved.intersection(line.extra))
            if taken:
                extra = {key: value for key, value in line.extra.items() if key not in reserved}
                message = f"the prompt has the key {taken[0]!r}, which is reserved for results"
                problem = Problem(message, "rename the key")
                return StreamedPrompt(index, Prompt(line.text, ()), problem, extra, line.size)
            if line.problem is not None:
                return StreamedPrompt(index, Prompt(None, ()), line.problem, line.extra, line.size)
            try:
                prompt = line.prompt(tokenizer, special=special)
                if limits is not None:
                    (prompt,) = fit_prompts(
                        limits, [prompt], tokenizer, truncate=truncate, allow_windows=allow_windows
                    )
            except TextError as error:
                problem = Problem(error.message, error.hint)
                return StreamedPrompt(index, Prompt(line.text, ()), problem, line.extra, line.size)
            return StreamedPrompt(index, prompt, None, line.extra, line.size)

        start = prompts.start if isinstance(prompts, PromptLines) else 0
        numbered = enumerate(as_lines(prompts))
        streamed = (checked(index, line) for index, line in numbered if index >= start)
        is_idle = prompts.is_idle if isinstance(prompts, PromptLines) else lambda: False
        return cls(streamed, is_idle, continue_on_error=True)
