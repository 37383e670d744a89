"""What to run, as a caller or the command line gives it: texts, or rows of token ids."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from gptrace.errors import InputError, TextError
from gptrace.text.gpt2_tokenizer import GPT2
from gptrace.text.prompts import Prompt, from_ids, from_texts
from gptrace.text.tokenizer import Tokenizer
from gptrace.wording import one_line, quoted_value

_IDS_HINT = "give a list of ids, or a list of such lists"


@dataclass(frozen=True, slots=True)
class PromptSource:
    """Texts, or rows of token ids, before a tokenizer has read them: the model decides which one does.

    `special`: read "<|endoftext|>" in a text as the special token.
    """

    texts: tuple[str, ...] = ()
    rows: tuple[tuple[int, ...], ...] = ()
    special: bool = True

    @classmethod
    def from_arguments(cls, text: Text | None, ids: Ids | None, *, special: bool = True) -> PromptSource:
        """Check what a caller gave: one text or several, or ids. A PromptSource is returned as it is.

        Raises an InputError for anything else.

        >>> PromptSource.from_arguments(None, [15496, 11]).rows
        ((15496, 11),)
        """
        if isinstance(text, PromptSource):
            return text
        if (text is None) == (ids is None):
            raise InputError("give either text or ids", 'for example "Hello", or ids=[15496]')
        if ids is not None:
            return cls(rows=_id_rows(ids), special=special)
        return cls(texts=_texts(text), special=special)

    def prompts(self, tokenizer: Tokenizer = GPT2) -> tuple[Prompt, ...]:
        """Return the prompts, as that tokenizer reads them.

        >>> PromptSource(texts=("Hello",)).prompts()[0].ids
        (15496,)
        """
        if self.rows:
            return from_ids(self.rows, tokenizer)
        return from_texts(self.texts, tokenizer, special=self.special)


Text = str | Sequence[str] | PromptSource
Ids = Sequence[int] | Sequence[Sequence[int]]


def _texts(text: object) -> tuple[str, ...]:
    is_list = isinstance(text, Iterable) and not isinstance(text, str | bytes | Set | Mapping)
    texts: list[object] = list(text) if isinstance(text, Iterable) and is_list else [text]
    if not texts:
        raise InputError("the list of texts is empty", "give at least one text")
    for item in texts:
        if not isinstance(item, str):
            raise InputError(f"a text is of type {type(item).__name__}", "give a str, or a list of them")
    return tuple(map(str, texts))


def as_ids(value: object, prefix: str = "") -> tuple[int, ...]:
    """Return the ids in a list, an array or a tensor as plain ints.

    Raises a TextError, whose message begins with `prefix`, for any other value.
    """
    listed = _as_list(value)
    if not isinstance(listed, list):
        problem = f"{prefix}ids are {quoted_value(value)}, not a list of whole numbers"
        raise TextError(problem, "write them like [15496, 11]")
    for item in listed:
        is_whole = hasattr(item, "__index__") and not isinstance(item, bool)
        if not is_whole or abs(operator.index(item)) >= 1 << 63:
            raise TextError(f"{prefix}{quoted_value(item)} is not a token id", "token ids are whole numbers")
    return tuple(map(operator.index, listed))


def _id_rows(ids: object) -> tuple[tuple[int, ...], ...]:
    """Return the rows of a list of ids or a list of lists; arrays and tensors count as lists."""
    values = _as_list(ids)
    if not isinstance(values, list):
        raise InputError(f"ids are of type {type(ids).__name__}", _IDS_HINT)
    items = [_as_list(value) for value in values]  # once: a generator can be read only once
    rows = [item for item in items if isinstance(item, list)]
    if rows and len(rows) < len(items):
        raise InputError("ids and lists of ids are mixed", _IDS_HINT)
    return tuple(as_ids(row) for row in rows or [items])


def _as_list(value: object) -> object:
    """Return an ordered collection as a list, and any other value as it is."""
    if isinstance(value, str | bytes | Set | Mapping):
        return value
    if hasattr(value, "tolist"):  # arrays of numpy, tensors of torch
        try:
            return value.tolist()
        except RuntimeError as error:
            problem = f"ids cannot be read: {one_line(error, 100)}"
            raise TextError(problem, "give a dense tensor with numbers in it") from None
    return list(value) if isinstance(value, Iterable) else value
