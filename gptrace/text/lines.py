"""A stream of prompts, read as they are needed: lines of text, JSON Lines, or the values of a program."""

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

# No prompt is that long; a line that goes on is skipped without being kept.
LINE_LIMIT = 16 * 1024 * 1024
_KEYS = ("text", "ids")
_MOST_LEVELS = 100
# What a result is made of: a line that has one of these of its own would lose it.
_OURS = frozenset({"index", "padding", "truncated", "candidates", "chosen", "positions", "error"})
_HOW = 'write it like {"text": "Hello"} or {"ids": [15496]}'


@dataclass(frozen=True, slots=True)
class PromptLine:
    """What one prompt of a stream is: a text, ids, or a problem; `extra` are the other keys of its object."""

    text: str | None = None
    ids: tuple[int, ...] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    problem: Problem | None = None

    def prompt(self, tokenizer: Tokenizer, *, special: bool) -> Prompt:
        """Return the prompt, as a tokenizer reads it; raise a TextError for one that is none."""
        if self.ids is not None:
            return from_ids([self.ids], tokenizer)[0]
        return from_texts([self.text or ""], tokenizer, special=special)[0]


def line_of(value: object, what: str = "the prompt") -> PromptLine:
    """Read a text, a list of ids, or a mapping with either of them; raise a TextError for anything else.

    >>> line_of({"ids": [1, 2], "name": "a"})
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
    """The prompts on the lines of stdin. A line that is none has a `problem`, and the rest go on.

    Raises a TextError where there is no line at all.
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

    def waits(self) -> bool:
        """Tell whether the next line is still to come: somebody writes them one by one."""
        return self._source.waits()

    def _line(self, raw: bytes | None, what: str) -> PromptLine:
        try:
            text = _text_of(raw, what)
            return _line_of_object(_parsed(text, what), what) if self._is_json else PromptLine(text=text)
        except TextError as error:
            return PromptLine(problem=Problem(error.message, error.hint))


def _text_of(raw: bytes | None, what: str) -> str:
    if raw is None:
        raise TextError(f"{what} is longer than {LINE_LIMIT >> 20} MiB", "no model reads so much: split it")
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
        raise TextError(f"{what} is nested too deeply", _HOW) from None
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise TextError(f"{what} is not JSON: {reason}", _HOW) from None
    if _is_deep(value):  # it has to be written again
        raise TextError(f"{what} is nested too deeply", f"{_MOST_LEVELS} levels at most")
    return value


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(_MOST_LEVELS):
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(level)


def _line_of_object(value: object, what: str) -> PromptLine:
    if not isinstance(value, Mapping) or sum(key in value for key in _KEYS) != 1:
        raise TextError(f"{what} is no object with either text or ids", _HOW)
    extra = {str(key): item for key, item in value.items() if key not in _KEYS}
    taken = sorted(_OURS.intersection(extra))
    if taken:
        raise TextError(f"{what} has the key {taken[0]!r}, which a result has too", "give it another name")
    if "ids" in value:
        return PromptLine(ids=_ids(value["ids"], what), extra=extra)
    if not isinstance(value["text"], str):
        raise TextError(f"{what}: text is {quoted_value(value['text'])}, no string", _HOW)
    return PromptLine(text=value["text"], extra=extra)


def _ids(value: object, what: str) -> tuple[int, ...]:
    listed = value.tolist() if hasattr(value, "tolist") else value  # numpy and torch
    if not isinstance(listed, Sequence) or isinstance(listed, str | bytes):
        raise TextError(f"{what}: ids are {quoted_value(value)}, no list of whole numbers", _HOW)
    ids = []
    for one in listed:
        is_whole = hasattr(one, "__index__") and not isinstance(one, bool)
        if not is_whole or abs(operator.index(one)) >= 1 << 63:
            raise TextError(f"{what}: {quoted_value(one)} is not a token id", "token ids are whole numbers")
        ids.append(operator.index(one))
    return tuple(ids)


class _StdinLines:
    """The lines of stdin as bytes, without their ends; None for one that is longer than anybody's prompt."""

    def __init__(self, stdin: int) -> None:
        self._stdin = stdin
        self._ready: list[bytes | None] = []  # the next one last
        self._rest = b""
        self._is_skipping = False
        self._has_ended = False
        with suppress(OSError):
            # A parent may have left it non-blocking, where "nothing yet" would look like an error.
            os.set_blocking(stdin, True)

    def __iter__(self) -> Iterator[bytes | None]:
        while self._ready or not self._has_ended:
            if self._ready:
                yield self._ready.pop()
            else:
                self._read()

    def waits(self) -> bool:
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
        found: list[bytes | None] = [line if len(line) <= LINE_LIMIT else None for line in lines]
        if self._is_skipping and found:
            found[0], self._is_skipping = None, False
        if self._is_skipping or len(self._rest) > LINE_LIMIT:
            self._rest, self._is_skipping = b"", True
        if self._has_ended and (self._rest or self._is_skipping):
            found.append(None if self._is_skipping else self._rest)
        self._ready = found[::-1]


def as_lines(prompts: Iterable[object]) -> Iterator[PromptLine]:
    """Yield a PromptLine for each prompt of a program's; one that is none has a `problem`."""
    for one in prompts:
        try:
            yield line_of(one)
        except TextError as error:
            yield PromptLine(problem=Problem(error.message, error.hint))
