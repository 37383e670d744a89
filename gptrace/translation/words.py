"""English text that can be shown in another language: it knows its template and the values in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import Formatter
from typing import Any

_PUNCTUATION = frozenset("，。；：？！、（）")


class _Translatable(str):
    """The English text, and how to make the Chinese one."""

    def chinese(self) -> str:
        """Return the text in Chinese."""
        raise NotImplementedError


class _Words(_Translatable):
    template: str
    values: tuple[Any, ...]

    def chinese(self) -> str:
        from gptrace.translation.matching import report_template

        values = [in_language(each, "zh") if isinstance(each, str) else each for each in self.values]
        return _filled(report_template(self.template), values)


class _Joined(_Translatable):
    parts: tuple[str, ...]
    separator: str

    def chinese(self) -> str:
        separator = in_language(words(self.separator), "zh")
        parts = [each for part in self.parts for each in (separator, in_language(part, "zh"))]
        return spaced(parts[1:])


class _Recorded(_Translatable):
    def chinese(self) -> str:
        from gptrace.translation.matching import translated

        return translated(str(self))


class Given(str):
    """A value that stays as it is, such as the name of a file: spaces around it tell where it ends."""


def spaced(parts: Iterable[str]) -> str:
    """Join parts of a Chinese text, with a space between a Chinese character and a letter or a digit alone.

    Chinese punctuation has room of its own.

    >>> spaced(["cfg", "是", "model.py", "，", "一个字典", "或类"])
    'cfg 是 model.py，一个字典或类'
    >>> spaced(["2 个模块", " 的 ", "调用"])
    '2 个模块的调用'
    >>> spaced(["没有 ", Given("模型.py:主模型"), " 这个名字"])
    '没有 模型.py:主模型 这个名字'
    >>> spaced(["在 ", "模型（GPT）", " 中"])
    '在模型（GPT）中'
    """
    text, is_given = "", False
    for part in filter(None, parts):
        is_beside_given, is_given = is_given or isinstance(part, Given), isinstance(part, Given)
        border = text.rstrip(" ")[-1:] + part.lstrip(" ")[:1]
        if not is_beside_given and len(border) == 2 and all(map(_is_wide, border)):
            text, part = text.rstrip(" "), part.lstrip(" ")
        border = text[-1:] + part[:1]
        text += " " * (any(map(_is_chinese, border)) and any(map(_is_latin, border))) + part
    return text


def _is_chinese(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"


def _is_wide(character: str) -> bool:
    """Tell whether a character needs no space beside a Chinese one: it is one, or Chinese punctuation."""
    return _is_chinese(character) or character in _PUNCTUATION


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _filled(template: str, values: Sequence[object]) -> str:
    """Put values into a Chinese template, with spaces around those in Latin letters."""
    parts: list[str] = []
    count = 0
    for literal, hole, form, _ in Formatter().parse(template):
        parts.append(literal)
        if hole is not None:
            parts.append(format(values[int(hole) if hole else count], form or ""))
            count += 1
    return spaced(parts)


def words(template: str, *values: object) -> str:
    """Return a text made of a template and of values that are no words, or are `words` of their own.

    >>> text = words("{} of {}", words("{} tokens", 2), "file")
    >>> text
    '2 tokens of file'
    >>> in_language(text, "zh")
    'file 的 2 个 token'
    """
    text = _Words(template.format(*values))
    text.template, text.values = template, values
    return text


def joined(parts: Iterable[str], separator: str = ", ") -> str:
    """Return texts with a separator between them, each in the language of the reader.

    >>> in_language(joined([words("same"), "x"]), "zh"), in_language(joined(["x", "y"], " and "), "zh")
    ('不变，x', 'x 和 y')
    """
    parts = tuple(parts)
    text = _Joined(separator.join(parts))
    text.parts, text.separator = parts, separator
    return text


def recorded(text: str) -> str:
    """Return a sentence of a record or an error, which is translated where its template is found.

    >>> in_language(recorded("the text is empty"), "zh")
    '文字是空的'
    """
    return _Recorded(text)


def in_language(text: str, language: str) -> str:
    """Return a text in a language; a text that does not know how, such as a name, stays as it is."""
    if not isinstance(text, _Translatable):
        return text
    return text.chinese() if language == "zh" else str(text)
