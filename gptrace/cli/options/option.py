"""How one option is declared, and read where it is a number."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import typer

from gptrace.errors import OptionError


def option(
    spelling: str, help: str, *, least: int | None = None, variable: bool = False,
    completion: Callable[[str], list[str]] | None = None,
) -> Any:  # fmt: skip
    """Declare an option for Typer.

    spelling    its names and, unless it is a flag, the name of its value: "--k -k INTEGER". The value of
                INTEGER is a whole number, of `least` or more where that is given; of NUMBER, any number
    variable    take the default from the environment: that of "--batch-size" is GPTRACE_BATCH_SIZE
    completion  returns the values that a shell may complete an incomplete one to
    """
    names = [part for part in spelling.split() if part.startswith("-")]
    value = next((part for part in spelling.split() if part not in names), None)
    # Typer's own error messages do not repeat the value that was wrong.
    parser = {"INTEGER": whole_number(names[0], least), "NUMBER": number(names[0])}.get(value or "")
    envvar = f"GPTRACE_{_parameter(names[0]).upper()}" if variable else None
    return typer.Option(
        *names, metavar=value, help=help, parser=parser, envvar=envvar, autocompletion=completion
    )


def whole_number(option: str, least: int | None = None) -> Callable[[str | int], int]:
    """Return a parser of whole numbers, from `least` up where it is given.

    >>> whole_number("--k")("12")
    12
    """
    kind = "whole number" if least is None else f"whole number of at least {least}"

    def parse(text: str | int) -> int:
        plain = re.fullmatch("[+-]?[0-9]{1,30}", str(text))  # int() also takes 1_0 and other scripts
        number = int(text) if plain else None
        if number is None or (least is not None and number < least):
            raise _wrong_value(option, text, kind, least or 5)
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
        raise _wrong_value(option, text, "number", 0.7)

    return parse


def _wrong_value(name: str, value: object, kind: str, example: float) -> OptionError:
    problem, hint = f"{name} {value} is not a {kind}", f"write it like {name} {example}"
    return OptionError(problem, hint, option=_parameter(name))


def _parameter(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")
