"""Parsers of option values. Typer's own error messages do not repeat the value that was wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress

from gptrace.errors import OptionError


def whole_number(option: str, least: int | None = None) -> Callable[[str | int], int]:
    """Return a parser of whole numbers, from `least` up where it is given.

    >>> whole_number("--k")("12")
    12
    """
    bound = "" if least is None else f" of at least {least}"

    def parse(text: str | int) -> int:
        plain = re.fullmatch("[+-]?[0-9]{1,30}", str(text))  # int() also takes 1_0 and other scripts
        number = int(text) if plain else None
        if number is None or (least is not None and number < least):
            raise OptionError(
                f"{option} {text} is not a whole number{bound}", f"write it like {option} {least or 5}",
                option=_parameter(option),
            )  # fmt: skip
        return number

    return parse


def number(option: str) -> Callable[[str | float], float]:
    """Return a parser of numbers.

    >>> number("--temperature")("0.7")
    0.7
    """

    def parse(text: str | float) -> float:
        with suppress(ValueError):
            if "_" not in str(text):
                return float(text)
        raise OptionError(
            f"{option} {text} is not a number", f"write it like {option} 0.7", option=_parameter(option)
        )

    return parse


def _parameter(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")
