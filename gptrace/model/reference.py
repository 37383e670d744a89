"""`FILE.py:OBJECT` and `package.module:OBJECT`: where somebody's own object lies. No torch here."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from gptrace.errors import ConfigError
from gptrace.wording import quoted_value

HOW_TO = "write FILE.py:OBJECT or package.module:OBJECT, as in model.py:GPT"
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """A name in a file, or in a module that can be imported; `text` is how it was written."""

    text: str
    name: str
    file: Path | None = None
    module: str | None = None


def is_reference(text: str) -> bool:
    """Tell whether a text means somebody's own object, well written or not.

    >>> is_reference("model.py:GPT"), is_reference("gpt2-small")
    (True, False)
    """
    return ":" in text or text.endswith(".py")


def parse_reference(text: str, option: str) -> ObjectReference:
    """Read a reference; raise ConfigError for one that cannot be meant, or for a file that is not there.

    >>> parse_reference("llms_from_scratch.ch04:GPTModel", "--model").module
    'llms_from_scratch.ch04'
    """
    place, colon, name = text.rpartition(":")
    if not colon or name.endswith(".py"):  # the colon of C:\model.py is none of ours
        file = Path(text)
        names = _names_in(_existing(file, option))
        found = f"it defines {', '.join(names[:8])}" if names else HOW_TO
        raise ConfigError(f"{option} {quoted_value(text)} does not say which object of the file", found)
    if not place or not _NAME.fullmatch(name):
        raise ConfigError(f"{option} {quoted_value(text)} names no object", HOW_TO)
    if place.endswith(".py"):
        return ObjectReference(text, name, file=_existing(Path(place), option))
    if not _NAME.fullmatch(place):
        raise ConfigError(
            f"{option} {quoted_value(text)}: {quoted_value(place)} is neither a .py file nor a module", HOW_TO
        )
    return ObjectReference(text, name, module=place)


def _existing(file: Path, option: str) -> Path:
    try:
        found = file.is_file()
        there = file.exists()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{option} {quoted_value(str(file))}: {error}", HOW_TO) from None
    if not found:
        what = "is not a file" if there else "is not there"
        raise ConfigError(f"{option}: the file {quoted_value(str(file))} {what}", HOW_TO)
    return file.resolve()


def _names_in(file: Path) -> list[str]:
    """Return the classes and functions that a file defines, without running it."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    kinds = (ast.ClassDef, ast.FunctionDef)
    return [f"{file.name}:{node.name}" for node in tree.body if isinstance(node, kinds)]
