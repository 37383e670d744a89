"""A notebook file → the text of its code cells. Outputs are not read; no torch here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gptrace.errors import ConfigError
from gptrace.input_files import InputFile
from gptrace.wording import one_line, quoted_value, readable_bytes

# Most of a large notebook are its pictures. Nothing of them is kept, but the file is read as a whole.
_LARGEST = 256 << 20  # bytes
_LARGEST_CODE = 2 << 20  # characters; the syntax trees take a few hundred times as much
# Python writes NaN into outputs, which is no JSON. What reads it makes objects of all outputs.
_LARGEST_WITH_NAN = 32 << 20
_HINT = "give a notebook as Jupyter saves it: FILE.ipynb:OBJECT"
_CONVERT = "open it in Jupyter and save it, which converts it"


@dataclass(frozen=True, slots=True)
class CodeCell:
    """The source of a code cell; `number` is its place among all cells, from 1."""

    number: int
    source: str


class _Editor(msgspec.Struct):
    """What VS Code says about a cell."""

    languageId: str = "python"  # noqa: N815 - the name in the file


class _CellMetadata(msgspec.Struct):
    vscode: _Editor = msgspec.field(default_factory=_Editor)


class _Cell(msgspec.Struct):
    cell_type: str
    source: str | list[str] = ""
    metadata: _CellMetadata = msgspec.field(default_factory=_CellMetadata)


class _Kernel(msgspec.Struct):
    language: str | None = None


class _Language(msgspec.Struct):
    name: str | None = None


class _Metadata(msgspec.Struct):
    kernelspec: _Kernel = msgspec.field(default_factory=_Kernel)
    language_info: _Language = msgspec.field(default_factory=_Language)


class _Notebook(msgspec.Struct):
    """The fields of a notebook that are read: the decoder skips the others, such as outputs."""

    cells: list[_Cell] | None = None
    nbformat: int = 4
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


def read_code_cells(path: Path, name: str) -> tuple[CodeCell, ...]:
    """Return the cells of Python code of a notebook; `name` is what errors call the file.

    Raises a ConfigError for a file that is no notebook, is damaged, too large, older than nbformat 4, in
    another language, or without code.
    """
    text = InputFile(path, name, _HINT, ConfigError).text(_LARGEST)
    notebook = _parsed(text, name)
    if notebook.nbformat < 4:
        raise ConfigError(f"{name} has the old nbformat {quoted_value(notebook.nbformat)}", _CONVERT)
    if notebook.cells is None:
        raise ConfigError(f"{name} is JSON, but no notebook: it has no cells", _HINT)
    language = notebook.metadata.kernelspec.language or notebook.metadata.language_info.name or "python"
    if not language.lower().startswith("python"):
        problem = f"{name} is a notebook of the language {quoted_value(language)}"
        raise ConfigError(problem, "give a notebook of Python code")
    cells = tuple(_code_cells(notebook.cells))
    if not cells:
        raise ConfigError(f"{name} has no cells of Python code", "give a notebook that defines the model")
    if sum(len(cell.source) for cell in cells) > _LARGEST_CODE:
        problem = f"the code in {name} is larger than {readable_bytes(_LARGEST_CODE)}"
        raise ConfigError(problem, "put the model into a notebook or a .py file of its own")
    return cells


def _parsed(text: str, name: str) -> _Notebook:
    try:
        return msgspec.json.decode(text, type=_Notebook)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name} is damaged: {one_line(error)}", _HINT) from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        if "NaN" in text or "Infinity" in text:
            return _parsed_with_nan(text, name)
        raise ConfigError(f"{name} is not JSON: {one_line(error)}", _HINT) from None


def _parsed_with_nan(text: str, name: str) -> _Notebook:
    if len(text) > _LARGEST_WITH_NAN:
        hint = "clear its outputs in Jupyter, and save it again"
        raise ConfigError(f"{name} is not JSON: its outputs hold NaN or Infinity", hint)
    try:
        value: Any = json.loads(text, parse_constant=lambda _: None)
        return msgspec.convert(value, _Notebook)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name} is damaged: {one_line(error)}", _HINT) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name} is not JSON: {one_line(error)}", _HINT) from None


def _code_cells(cells: list[_Cell]) -> Iterator[CodeCell]:
    for number, cell in enumerate(cells, start=1):
        source = cell.source if isinstance(cell.source, str) else "".join(cell.source)
        if cell.cell_type == "code" and cell.metadata.vscode.languageId == "python" and source.strip():
            yield CodeCell(number, source.replace("\r\n", "\n").replace("\r", "\n"))
