"""Neutral parts → an HTML element or page, with inline styles that can be read on light and on dark."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from gptrace.report.parts import Claims, Facts, Line, Lines, Listing, Part, Table, Tree
from gptrace.report.safe_text import code_spans, visible
from gptrace.report.table_data import TableData

# The page's own background shows through, so the colours have to be legible on white and on black.
_STYLES = {
    "strong": "font-weight:bold",
    "quiet": "opacity:.7",
    "changed": "font-weight:bold;color:#b5338a",
    "operation": "color:#1f8299",
    "bar": "color:#b5338a",
    "error": "color:#c0392b",
    "failed": "font-weight:bold;color:#c0392b",
    "holds": "font-weight:bold;color:#1e8449",
    "fails": "font-weight:bold;color:#c0392b",
    "figures": "color:#1f8299",
    "rank 1": "font-weight:bold;color:#1e8449",
    "rank 10": "color:#1f8299",
    "rank 100": "color:#9a6b00",
    "likely": "color:#1e8449",
    "fairly likely": "color:#1f8299",
    "unlikely": "color:#9a6b00",
    "very unlikely": "color:#c0392b",
    "keyword": "color:#b5338a",
    "string": "color:#1e8449",
    "comment": "opacity:.7",
    "literal": "color:#1f8299",
    "definition": "font-weight:bold",
}
_ROOT = "overflow-x:auto;line-height:1.3;font-family:ui-monospace,Menlo,Consolas,monospace"
_PAGE = """<!doctype html>
<html lang="{}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{}</title>
</head>
<body>
{}</body>
</html>
"""
# Aligned texts keep their lines, and the element scrolls; sentences break at the width of the page.
_CELL = "text-align:{};padding:0 1em 0 0;white-space:{};vertical-align:top;border:0"


def to_html(parts: Sequence[Part]) -> str:
    """Return one <div> element, with every character of the report's text escaped."""
    return f'<div style="{_ROOT}">\n' + "".join(_element(part) for part in parts) + "</div>\n"


def to_page(parts: Sequence[Part], title: str, language: str = "en") -> str:
    """Return the element of `to_html` in a page of its own."""
    return _PAGE.format(
        "zh-CN" if language == "zh" else language, _escaped(" ".join(title.split())), to_html(parts)
    )


def _element(part: Part) -> str:
    match part:
        case Lines():
            spaces = "pre" if part.aligned else "pre-wrap"
            return f"<p{_style(f'white-space:{spaces}')}>{_lines(part.lines)}</p>\n"
        case Facts():
            rows = (
                [_cell(name, role="quiet", is_head=True), _line_cell(line, "pre-wrap")]
                for name, line in part.pairs
            )
            return _table([], rows)
        case Table():
            title = f"<p>{_span(part.title, 'strong')}</p>\n" if part.title else ""
            lines = f"<p{_style('white-space:pre-wrap')}>{_lines(part.lines)}</p>\n" if part.lines else ""
            return title + lines + (_data_table(part.data) if part.data.columns else "")
        case Tree():
            return _tree(part)
        case Listing():
            return f"<p>{_span(part.title, 'strong')}</p>\n" + _listing(part)
        case Claims():
            items = "".join(
                f"<p>{_span(claim.mark, claim.role)} {_prose(claim.text)}<br>"
                f"<span{_style(_STYLES['figures'])}>{_prose(claim.figures)}</span></p>\n"
                for claim in part.claims
            )
            return f"<h3>{_escaped(part.title)}</h3>\n{items}"


def _data_table(table: TableData) -> str:
    columns = [column for column, _ in table.for_people(table.columns)]
    heads = [_cell(column.title or "", is_number=column.is_number, is_head=True) for column in columns]
    rows = (
        [
            _cell(
                column.text(value),
                role=column.role_of(value) if column.role_of is not None else column.role,
                is_number=column.is_number,
            )
            for column, value in table.for_people(row)
        ]
        for row in table.rows
    )
    return _table(heads, rows)


def _tree(tree: Tree) -> str:
    texts = tree.text_columns()
    heads = [_cell(title, is_head=True) for title in (tree.module_title, *texts.values())]
    heads += [_cell(title, is_number=is_number, is_head=True) for title, is_number in tree.columns]
    rows = []
    for row in tree.rows:
        roles = {"type": "quiet", "shapes": row.shapes_role}
        cells = [_line_cell(((row.guide, "quiet"), (row.label, row.role)))]
        cells += [_cell(getattr(row, field), role=roles.get(field, "")) for field in texts]
        numbers = zip(row.cells, tree.columns, strict=True)
        cells += [_cell(text, is_number=is_number) for text, (_, is_number) in numbers]
        rows.append(cells)
    return _table(heads, rows)


def _listing(listing: Listing) -> str:
    rows = []
    for row in listing.rows:
        code = tuple((text, row.role or role) for text, role in row.code)
        shapes = "\n".join("  ".join(filter(None, pair)) for pair in row.shapes)
        cells = [_cell(row.number, role="quiet", is_number=True), _cell(row.runs, role="quiet")]
        rows.append([*cells, _line_cell(code), _cell(shapes, role="figures")])
        rows += [[_cell(""), _cell(""), _line_cell(remark, "pre-wrap"), _cell("")] for remark in row.remarks]
    return _table([], rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = f"<thead><tr>{''.join(heads)}</tr></thead>\n" if heads else ""
    body = "\n".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    style = _style("border-collapse:collapse;border:0;margin:.5em 0")
    return f"<table{style}>\n{head}<tbody>\n{body}\n</tbody></table>\n"


def _cell(text: str, *, role: str = "", is_number: bool = False, is_head: bool = False) -> str:
    tag = "th" if is_head else "td"
    style = _CELL.format("right" if is_number else "left", "pre")
    return f"<{tag}{_style(style)}>{_span(text, role)}</{tag}>"


def _line_cell(line: Line, spaces: str = "pre") -> str:
    return f"<td{_style(_CELL.format('left', spaces))}>{_spans(line)}</td>"


def _lines(lines: Sequence[Line]) -> str:
    return "\n".join(map(_spans, lines))


def _spans(line: Line) -> str:
    return "".join(_span(text, role) for text, role in line)


def _span(text: str, role: str) -> str:
    style = _STYLES.get(role, "")
    return f"<span{_style(style)}>{_escaped(text)}</span>" if style and text.strip() else _escaped(text)


def _prose(text: str) -> str:
    """Escape a sentence; what stands in backquotes is code."""
    code = f"<code{_style('font:inherit;font-weight:bold')}>"
    return "".join(
        f"{code}{_escaped(span)}</code>" if is_code else _escaped(span) for span, is_code in code_spans(text)
    )


def _style(style: str) -> str:
    return f' style="{style}"'


def _escaped(text: str) -> str:
    return html.escape("\n".join(map(visible, text.split("\n"))))
