"""References to the user's own objects: `FILE.py:OBJECT`, `FILE.ipynb:OBJECT`, `package.module:OBJECT`.

Nothing here imports torch.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from gptrace.errors import ConfigError, InputError
from gptrace.input_files import InputFile
from gptrace.model.notebooks.ipython_syntax import without_magics
from gptrace.model.notebooks.reading import read_code_cells
from gptrace.wording import quoted_value

_HOW_TO = "write FILE.py:OBJECT, FILE.ipynb:OBJECT or package.module:OBJECT, as in model.py:GPT"
SUFFIXES = (".py", ".ipynb")
_LARGEST_CODE = 16 << 20  # bytes; the largest files of the standard library have half a MiB
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """The name of an object in a file or in an importable module.

    `text` is the reference as written, and `option` the option that it was given with.
    """

    text: str
    name: str
    file: Path | None = None
    module: str | None = None
    option: str = "--model"


def is_reference(text: str) -> bool:
    """Tell whether `text` is meant as a reference to an object, whether or not it is a valid one.

    >>> is_reference("model.py:GPT"), is_reference("gpt2-small")
    (True, False)
    """
    return ":" in text or text.endswith(SUFFIXES)


def parse_reference(text: str, option: str) -> ObjectReference:
    """Read the reference that was given with `option`, as in "--model".

    Raises ConfigError for text that is not a reference, or for a file that does not exist.

    >>> parse_reference("llms_from_scratch.ch04:GPTModel", "--model").module
    'llms_from_scratch.ch04'
    """
    container, colon, name = text.rpartition(":")
    if not colon or name.endswith(SUFFIXES):  # the colon of C:\model.py separates no object
        names = _names_in(_existing(Path(text), option))
        hint = f"it defines {', '.join(names[:8])}" if names else _HOW_TO
        raise ConfigError(f"{option} {quoted_value(text)} does not say which object of the file", hint)
    if not container or not _NAME.fullmatch(name):
        raise ConfigError(f"{option} {quoted_value(text)} names no object", _HOW_TO)
    if container.endswith(SUFFIXES):
        return ObjectReference(text, name, file=_existing(Path(container), option), option=option)
    if not _NAME.fullmatch(container):
        problem = f"{quoted_value(container)} is neither a .py file nor a notebook nor a module"
        raise ConfigError(f"{option} {quoted_value(text)}: {problem}", _HOW_TO)
    return ObjectReference(text, name, module=container, option=option)


def _existing(file: Path, option: str) -> Path:
    name = quoted_value(str(file))
    try:
        exists = file.exists()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{option} {name}: {error}", _HOW_TO) from None
    if not exists:
        raise ConfigError(
            f"{option}: {name} does not exist", f"looked in {file.absolute().parent}; {_HOW_TO}"
        )
    # Python reads a file of code as a whole; the limit of a notebook, which may hold pictures, is its own.
    limit = _LARGEST_CODE if file.suffix == ".py" else None
    InputFile(file, f"{option} {name}", _HOW_TO, ConfigError).size(limit)
    return file.resolve()


def _names_in(file: Path) -> list[str]:
    """Return references to the classes and functions that a file defines, without running it."""
    try:
        sources = _sources(file)
        nodes = [node for source in sources for node in ast.parse(source).body]
    except (OSError, InputError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    kinds = (ast.ClassDef, ast.FunctionDef)
    return [f"{file.name}:{node.name}" for node in nodes if isinstance(node, kinds)]


def _sources(file: Path) -> list[str | bytes]:
    if file.suffix == ".py":
        return [file.read_bytes()]
    codes = (without_magics(cell.source) for cell in read_code_cells(file, file.name))
    return [code.text for code in codes if not code.cell_magic]
