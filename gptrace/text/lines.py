"""A stream of prompts, read one by one: lines of text, JSON Lines, or the values that a program passes."""

from __future__ import annotations

import json
import operator
import os
import select
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from gptrace.errors import TextError
from gptrace.record import Problem
from gptrace.text.prompts import Prompt, from_ids, from_texts
from gptrace.text.source import empty_stdin, not_utf8
from gptrace.text.tokenizer import Tokenizer
from gptrace.wording import quoted_value

# The longest line in bytes. A longer one is skipped without being kept in memory.
LINE_LIMIT = 16 * 1024 * 1024
_KEYS = ("text", "ids")
_MAX_DEPTH = 100
# Keys of a result. A line with the same key would lose it, since its other keys are copied into the result.
_RESULT_KEYS = frozenset({"index", "padding", "truncated", "candidates", "chosen", "positions", "error"})
_FORMAT_HINT = 'write it like {"text": "Hello"} or {"ids": [15496]}'


@dataclass(frozen=True, slots=True)
class PromptLine:
    """One prompt of a stream: a text, ids, or the problem with it.

    `extra` holds the other keys of its JSON object, which are copied into the result.
    """

    text: str | None = None
    ids: tuple[int, ...] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    problem: Problem | None = None

    def prompt(self, tokenizer: Tokenizer, *, special: bool) -> Prompt:
        """Return the prompt that `tokenizer` makes of it; raise TextError if it cannot."""
        if self.ids is not None:
            return from_ids([self.ids], tokenizer)[0]
        return from_texts([self.text or ""], tokenizer, special=special)[0]


def prompt_line(value: object, what: str = "the prompt") -> PromptLine:
    """Read a text, a list of ids, or a mapping with one of the two.

    `what` names the value in messages. Raises TextError for any other value.

    >>> prompt_line({"ids": [1, 2], "name": "a"})
    PromptLine(text=None, ids=(1, 2), extra={'name': 'a'}, problem=None)
    """
    if isinstance(value, PromptLine):
        return value
    if isinstance(value, Mapping):
        return _line_of_object(value, what)
    if isinstance(value, str):
        return PromptLine(text=value)
    return PromptLine(ids=_ids(value, what))


class PromptLines:
    """The prompts on the lines of stdin; a line that is no prompt has a `problem`.

    `is_json`: each line is a JSON object. `stdin` is a file descriptor. Iterating over an empty stdin raises
    TextError.
    """

    def __init__(self, *, is_json: bool = False, stdin: int = 0) -> None:
        self._is_json = is_json
        self._source = _StdinLines(stdin)

    def __iter__(self) -> Iterator[PromptLine]:
        number = 0
        for number, raw in enumerate(self._source, start=1):
            yield self._line(raw, f"line {number}")
        if not number:
            raise empty_stdin()

    def is_idle(self) -> bool:
        """Tell whether reading the next line would block, because its writer has not sent it yet."""
        return self._source.is_idle()

    def _line(self, raw: bytes | None, what: str) -> PromptLine:
        try:
            text = _text_of(raw, what)
            return _line_of_object(_parsed(text, what), what) if self._is_json else PromptLine(text=text)
        except TextError as error:
            return PromptLine(problem=Problem(error.message, error.hint))


def _text_of(raw: bytes | None, what: str) -> str:
    if raw is None:
        raise TextError(f"{what} is longer than {LINE_LIMIT >> 20} MiB", "split it")
    raw = raw.removesuffix(b"\r")
    if not raw:
        raise TextError(f"{what} is empty", "drop empty lines, for example with: grep .")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise not_utf8(what, raw, error) from None


def _parsed(text: str, what: str) -> object:
    try:
        value = json.loads(text)
    except RecursionError:
        raise TextError(f"{what} is nested too deeply", _FORMAT_HINT) from None
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise TextError(f"{what} is not JSON: {reason}", _FORMAT_HINT) from None
    if _is_deep(value):  # encoding it as JSON again would exceed Python's recursion limit
        raise TextError(f"{what} is nested too deeply", f"{_MAX_DEPTH} levels at most")
    return value


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            item
            for container in level
            if isinstance(container, dict | list)
            for item in (container.values() if isinstance(container, dict) else container)
        ]
    return bool(level)


def _line_of_object(value: object, what: str) -> PromptLine:
    if not isinstance(value, Mapping) or sum(key in value for key in _KEYS) != 1:
        raise TextError(f"{what} is not an object with either text or ids", _FORMAT_HINT)
    extra = {str(key): item for key, item in value.items() if key not in _KEYS}
    reserved = sorted(_RESULT_KEYS.intersection(extra))
    if reserved:
        raise TextError(f"{what} has the key {reserved[0]!r}, which a result has too", "give it another name")
    if "ids" in value:
        return PromptLine(ids=_ids(value["ids"], what), extra=extra)
    if not isinstance(value["text"], str):
        raise TextError(f"{what}: text is {quoted_value(value['text'])}, not a string", _FORMAT_HINT)
    return PromptLine(text=value["text"], extra=extra)


def _ids(value: object, what: str) -> tuple[int, ...]:
    listed = value.tolist() if hasattr(value, "tolist") else value  # numpy and torch
    if not isinstance(listed, Sequence) or isinstance(listed, str | bytes):
        raise TextError(f"{what}: ids are {quoted_value(value)}, not a list of whole numbers", _FORMAT_HINT)
    for token_id in listed:
        is_whole = hasattr(token_id, "__index__") and not isinstance(token_id, bool)
        if not is_whole or abs(operator.index(token_id)) >= 1 << 63:
            raise TextError(
                f"{what}: {quoted_value(token_id)} is not a token id", "token ids are whole numbers"
            )
    return tuple(map(operator.index, listed))


class _StdinLines:
    """The lines of stdin as bytes, without line breaks; None for one that is longer than LINE_LIMIT."""

    def __init__(self, stdin: int) -> None:
        self._stdin = stdin
        self._ready: list[bytes | None] = []  # in reverse: the next line is the last item
        self._rest = b""
        self._is_skipping = False
        self._has_ended = False
        with suppress(OSError):
            # The parent process may have set it to non-blocking; then reading before data comes would fail.
            os.set_blocking(stdin, True)

    def __iter__(self) -> Iterator[bytes | None]:
        while self._ready or not self._has_ended:
            if self._ready:
                yield self._ready.pop()
            else:
                self._read()

    def is_idle(self) -> bool:
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


def as_lines(prompts: Iterable[object]) -> Iterator[PromptLine]:
    """Yield a PromptLine for each value that a program passes; one that is no prompt has a `problem`."""
    for value in prompts:
        try:
            yield prompt_line(value)
        except TextError as error:
            yield PromptLine(problem=Problem(error.message, error.hint))
