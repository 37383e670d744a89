"""A stream of prompts, read one by one: lines of text, JSON Lines, or the values that a program passes."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from gptrace.errors import TextError
from gptrace.record import Problem
from gptrace.text.prompt_source import as_ids
from gptrace.text.prompts import Prompt, from_ids, from_texts
from gptrace.text.stdin import check_not_shared, decode_utf8, empty_stdin
from gptrace.text.tokenizer import Tokenizer
from gptrace.wording import quoted_value

# The longest line in bytes. A longer one is skipped without being kept in memory.
LINE_LIMIT = 16 * 1024 * 1024
_KEYS = ("text", "ids")
# Encoding a deeper value as JSON again would exceed Python's recursion limit.
_MAX_DEPTH = 100
_FORMAT_HINT = 'write it like {"text": "Hello"} or {"ids": [15496]}'


@dataclass(frozen=True, slots=True)
class PromptLine:
    """One prompt of a stream: a text, ids, or the problem with it.

    `extra` holds the other keys of its JSON object, which are copied into the result. `size` is the length of
    the line in bytes, 0 for a value of a program.
    """

    text: str | None = None
    ids: tuple[int, ...] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    problem: Problem | None = None
    size: int = 0

    def prompt(self, tokenizer: Tokenizer, *, special: bool) -> Prompt:
        """Return the prompt that `tokenizer` makes of it; raise TextError if it cannot."""
        if self.ids is not None:
            return from_ids([self.ids], tokenizer)[0]
        return from_texts([self.text or ""], tokenizer, special=special)[0]


class PromptLines:
    """The prompts on the lines of stdin; a line that is no prompt has a `problem`.

    `is_json`: each line is a JSON object. `stdin` is a file descriptor. The first `start` lines have a result
    already, so they are not run. Raises TextError where several processes share stdin, and when an empty
    stdin is read.
    """

    def __init__(self, *, is_json: bool = False, stdin: int = 0, start: int = 0) -> None:
        check_not_shared()
        self.start = start
        self._is_json = is_json
        self._stdin = stdin
        # Lines that were read, the next one last; None stands for one that is too long.
        self._ready: list[bytes | None] = []
        self._rest = b""
        self._is_skipping = False
        self._has_ended = False
        with suppress(OSError):
            # The parent process may have set it to non-blocking; then reading before data comes would fail.
            os.set_blocking(stdin, True)

    def __iter__(self) -> Iterator[PromptLine]:
        number = 0
        while self._ready or not self._has_ended:
            if self._ready:
                number += 1
                yield read_line(self._ready.pop(), f"line {number}", is_json=self._is_json)
            else:
                self._read()
        if not number:
            raise empty_stdin()

    def is_idle(self) -> bool:
        """Tell whether reading the next line would block, because its writer has not sent it yet."""
        if self._ready or self._has_ended:
            return False
        try:
            return not select.select([self._stdin], [], [], 0)[0]
        except (OSError, ValueError):
            return False

    def _read(self) -> None:
        try:
            chunk = os.read(self._stdin, 1 << 16)
        except OSError as error:
            raise TextError(f"stdin cannot be read: {error.strerror}", "give text another way") from None
        self._has_ended = not chunk
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        ready: list[bytes | None] = [line if len(line) <= LINE_LIMIT else None for line in lines]
        if self._is_skipping and ready:
            ready[0], self._is_skipping = None, False
        if self._is_skipping or len(self._rest) > LINE_LIMIT:
            self._rest, self._is_skipping = b"", True
        if self._has_ended and (self._rest or self._is_skipping):
            ready.append(None if self._is_skipping else self._rest)
        self._ready = ready[::-1]


def read_line(raw: bytes | None, what: str, *, is_json: bool) -> PromptLine:
    r"""Return the prompt on a line, which is a JSON object or the text itself.

    `raw` is None for a line that is too long. `what` names the line in the message of a problem.

    >>> read_line(b'{"text": "Hello", "id": 7}', "line 1", is_json=True).extra
    {'id': 7}
    """
    try:
        text = _text_of(raw, what)
        line = _line_of_object(_parsed(text, what), what) if is_json else PromptLine(text=text)
        return replace(line, size=len(raw or b""))
    except TextError as error:
        return PromptLine(problem=Problem(error.message, error.hint))


def _text_of(raw: bytes | None, what: str) -> str:
    if raw is None:
        raise TextError(f"{what} is longer than {LINE_LIMIT >> 20} MiB", "split it")
    raw = raw.removesuffix(b"\r")
    if not raw:
        raise TextError(f"{what} is empty", "drop empty lines, for example with: grep .")
    return decode_utf8(raw, what)


def _parsed(text: str, what: str) -> object:
    try:
        value = json.loads(text)
        if _depth(value) <= _MAX_DEPTH:
            return value
    except RecursionError:
        pass
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise TextError(f"{what} is not JSON: {reason}", _FORMAT_HINT) from None
    raise TextError(f"{what} is nested too deeply", f"{_MAX_DEPTH} levels at most")


def _depth(value: object) -> int:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, items), default=0)


def _line_of_object(value: object, what: str) -> PromptLine:
    if not isinstance(value, Mapping):
        raise TextError(f"{what} is not an object with either text or ids", _FORMAT_HINT)
    extra = {str(key): item for key, item in value.items() if key not in _KEYS}
    if sum(key in value for key in _KEYS) != 1:
        problem = Problem(f"{what} is not an object with either text or ids", _FORMAT_HINT)
        return PromptLine(extra=extra, problem=problem)
    if "text" in value and isinstance(value["text"], str):
        return PromptLine(text=value["text"], extra=extra)
    try:
        if "ids" in value:
            return PromptLine(ids=as_ids(value["ids"], f"{what}: "), extra=extra)
        raise TextError(f"{what}: text is {quoted_value(value['text'])}, not a string", _FORMAT_HINT)
    except TextError as error:
        return PromptLine(extra=extra, problem=Problem(error.message, error.hint))


def as_lines(prompts: Iterable[object]) -> Iterator[PromptLine]:
    """Yield a PromptLine for each text, list of ids, or mapping; one for another value has a `problem`.

    >>> next(as_lines([{"ids": [1, 2], "name": "a"}]))
    PromptLine(text=None, ids=(1, 2), extra={'name': 'a'}, problem=None, size=0)
    """
    for value in prompts:
        try:
            if isinstance(value, PromptLine):
                yield value
            elif isinstance(value, str):
                yield PromptLine(text=value)
            elif isinstance(value, Mapping):
                yield _line_of_object(value, "the prompt")
            else:
                yield PromptLine(ids=as_ids(value, "the prompt: "))
        except TextError as error:
            yield PromptLine(problem=Problem(error.message, error.hint))
