"""A document as GitHub Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gptrace.report.call_text import CallText
from gptrace.report.claims import mark
from gptrace.report.columns import COLUMNS, DEFAULT_COLUMNS
from gptrace.report.safe_text import visible
from gptrace.report.sheet import Sheet

if TYPE_CHECKING:
    from gptrace.report.document import Document
    from gptrace.report.rows import Row


def to_markdown(document: Document, columns: Sequence[str] = DEFAULT_COLUMNS) -> str:
    """Return the parts one below the other."""
    parts = []
    if document.flow:
        parts.append("```text\n" + "\n".join(line.plain for line in document.flow) + "\n```")
    if document.facts:
        parts.append("\n".join(f"- {name}: {escaped(said.plain)}" for name, said in document.facts))
    if document.tree:
        parts.append(_tree(document.tree, columns))
    parts += [escaped(note.plain) for note in document.notes]
    for sheet in document.sheets:
        parts += [escaped(sheet.title)] * bool(sheet.title)
        parts += [escaped(line.plain) for line in sheet.lines]
        parts += [_sheet(sheet)] * bool(sheet.columns)
    parts += [escaped(problem.plain) for problem in document.problems]
    for topic in document.topics:
        parts.append(f"## {escaped(topic.title)}")
        parts += [f"{mark(one)} {prose(one.text)}\\\n{escaped(one.measured)}" for one in topic.claims]
    return "\n\n".join(parts) + "\n"


def prose(text: str) -> str:
    r"""Escape a sentence, but keep what stands in it as code.

    >>> prose("`tok_emb` is a_table")
    '`tok_emb` is a\\_table'
    """
    pieces = text.split("`")
    return "".join(code(piece) if number % 2 else escaped(piece) for number, piece in enumerate(pieces))


def escaped(text: str) -> str:
    r"""Escape what Markdown or HTML would read as its own.

    >>> escaped("a|b <c> [d] *e*")
    'a\\|b &lt;c&gt; \\[d\\] \\*e\\*'
    """
    text = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{one}" if one in "\\`*_[]|~#" else one for one in text)


def code(text: str) -> str:
    r"""Write a table's cell as code: nothing in it is markup, only the bar needs an escape.

    >>> code("[batch, seq_len]"), code("a|b`c"), code("")
    ('`[batch, seq_len]`', '`` a\\|b`c ``', '')
    """
    text = visible(text).replace("|", "\\|")
    if not text:
        return ""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"`{text}`"


def _sheet(sheet: Sheet) -> str:
    columns = [column for column, _ in sheet.for_people(sheet.columns)]
    rows = [
        [
            column.show(value) if column.is_number else code(column.show(value))
            for column, value in sheet.for_people(row)
        ]
        for row in sheet.rows
    ]
    return _grid([column.title or "" for column in columns], [column.is_number for column in columns], rows)


def _tree(rows: Sequence[Row], names: Sequence[str]) -> str:
    extras = [COLUMNS[name] for name in names if name in COLUMNS]
    cells = []
    for row in rows:
        text = CallText(row)
        depth = row.call.depth + (row.op is not None)
        words = [code(text.type), code(text.names), code(text.sizes)]
        numbers = [column.show(row) for column in extras]
        cells.append(["&emsp;" * depth + code(text.label), *words, *numbers])
    titles = ["Module", "Type", "Input → output", "Sizes", *(column.title for column in extras)]
    return _grid(titles, [False] * 4 + [column.is_number for column in extras], cells)


def _grid(titles: Sequence[str], numbers: Sequence[bool], rows: Sequence[Sequence[str]]) -> str:
    lines = [_line(titles), _line("---:" if number else "---" for number in numbers)]
    return "\n".join(lines + [_line(row) for row in rows])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
