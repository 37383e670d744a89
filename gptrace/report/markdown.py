"""Neutral parts → GitHub Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from gptrace.report.parts import Claims, Facts, Line, Lines, Listing, Part, Table, Tree, plain
from gptrace.report.safe_text import code_spans, visible
from gptrace.report.table_data import Column, TableData


def to_markdown(parts: Sequence[Part]) -> str:
    """Return the parts one below the other."""
    return "\n\n".join(paragraph for part in parts for paragraph in _paragraphs(part)) + "\n"


def prose(text: str) -> str:
    r"""Escape a sentence, but keep what stands in backquotes as code.

    >>> prose("`tok_emb` is a_table")
    '`tok_emb` is a\\_table'
    """
    return "".join(code(span) if is_code else escaped(span) for span, is_code in code_spans(text))


def escaped(text: str) -> str:
    r"""Escape the characters that Markdown or HTML would read as markup.

    >>> escaped("a|b <c> [d] *e*")
    'a\\|b &lt;c&gt; \\[d\\] \\*e\\*'
    """
    text = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{character}" if character in "\\`*_[]|~#" else character for character in text)


def code(text: str) -> str:
    r"""Write the text of a table's cell as code: nothing in it is markup, only the bar needs an escape.

    >>> code("[batch, seq_len]"), code("a|b`c"), code("")
    ('`[batch, seq_len]`', '`` a\\|b`c ``', '')
    """
    text = visible(text).replace("|", "\\|")
    if not text:
        return ""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"`{text}`"


def _paragraphs(part: Part) -> list[str]:
    match part:
        case Lines(aligned=True):
            return ["```text\n" + "\n".join(map(plain, part.lines)) + "\n```"]
        case Lines():
            return [_line_of_prose(line) for line in part.lines]
        case Facts():
            return ["\n".join(f"- {escaped(name)}: {escaped(plain(line))}" for name, line in part.pairs)]
        case Table():
            title = [escaped(part.title)] if part.title else []
            legend = [escaped(part.legend.in_words)] if part.legend and part.legend.in_words else []
            table = [_table(part.data)] if part.data.columns else []
            return [*title, *legend, *(escaped(plain(line)) for line in part.lines), *table]
        case Tree():
            return [_tree(part)]
        case Listing():
            return [escaped(part.title), _listing(part)]
        case Claims():
            claims = [f"{claim.mark} {prose(claim.text)}\\\n{prose(claim.figures)}" for claim in part.claims]
            return [f"## {escaped(part.title)}", *claims]


def _line_of_prose(line: Line) -> str:
    """Return a line; the continuation of a text is marked, which Markdown's own marks cannot do anywhere."""
    marked = ((escaped(text), role) for text, role in line)
    return "".join(
        f"<strong>{text}</strong>" if role == "continuation" and text else text for text, role in marked
    )


def _table(table: TableData) -> str:
    columns = [column for column, _ in table.for_people(table.columns)]
    rows = [[_cell(column, value) for column, value in table.for_people(row)] for row in table.rows]
    titles = [escaped(column.title or "") for column in columns]
    return _grid(titles, [column.is_number for column in columns], rows)


def _cell(column: Column, value: Any) -> str:
    text = column.text(value)
    if column.is_prose:
        return prose(text)
    shown = escaped(text) if column.is_number else code(text)
    return f"{shown} {escaped(column.detail_of(value))}" if column.detail_of is not None else shown


def _listing(listing: Listing) -> str:
    """Return a block of Python code with the shapes in comments."""
    lines: list[str] = []
    for row in listing.rows:
        code = plain(row.code)
        shapes = ["  ".join(filter(None, pair)) for pair in row.shapes]
        runs = f" {row.runs}" if row.runs else ""
        notes = [f"{shapes[0] if shapes else ''}{runs}".strip(), *shapes[1:], *map(plain, row.remarks)]
        first, *others = notes
        lines.append(f"{code}  # {first}" if first else code)
        lines += [f"{' ' * len(code)}  # {note}" for note in others]
    text = "\n".join(lines)
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    fence = fence if len(fence) > 3 else "```"
    return f"{fence}python\n{text}\n{fence}"


def _tree(tree: Tree) -> str:
    texts = tree.text_columns()
    rows = [
        ["&emsp;" * row.depth + code(row.label), *(code(getattr(row, field)) for field in texts), *row.cells]
        for row in tree.rows
    ]
    titles = [tree.module_title, *texts.values(), *(title for title, _ in tree.columns)]
    numbers = [False] * (1 + len(texts)) + [is_number for _, is_number in tree.columns]
    return _grid(titles, numbers, rows)


def _grid(titles: Sequence[str], numbers: Sequence[bool], rows: Sequence[Sequence[str]]) -> str:
    lines = [_line(titles), _line("---:" if number else "---" for number in numbers)]
    return "\n".join(lines + [_line(row) for row in rows])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
