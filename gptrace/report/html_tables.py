"""Tables, trees and listings → tables of HTML, whose first column with a title heads the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gptrace.report.html_text import escaped, labelled_mark, prose, span, spans
from gptrace.report.palette import LOOKS
from gptrace.report.parts import Listing, ListingRow, Table, Tree, TreeRow, plain
from gptrace.report.stylesheet import class_of
from gptrace.report.table_data import Column
from gptrace.translation import in_language, words


def scrolling(content: str, name: str) -> str:
    """Return a region that scrolls where its content is wider, also by the keyboard."""
    return f'<div class="scroll" role="region" aria-label="{escaped(name)}" tabindex="0">\n{content}</div>\n'


def table(part: Table, name: str, language: str) -> str:
    """Return the table of a part, with its name as the caption."""
    data = part.data
    columns = [column for column, _ in data.for_people(data.columns)]
    heading_rows = next((i for i, column in enumerate(columns) if column.title), 0)
    heads = [_head(str(column.title), is_number=column.is_number) for column in columns]
    rows = [
        [
            _cell(column, value, language, heads_row=i == heading_rows)
            for i, (column, value) in enumerate(data.for_people(row))
        ]
        for row in data.rows
    ]
    kind = "grid" if any(column.detail_of is not None for column in columns) else ""
    return _table(name, heads, rows, kind)


def tree_table(tree: Tree, name: str) -> str:
    """Return a tree as a table; the drawing of its branches is not read aloud."""
    texts = tree.text_columns()
    heads = [_head(title) for title in (tree.module_title, *texts.values())]
    heads += [_head(title, is_number=is_number) for title, is_number in tree.columns]
    return _table(name, heads, [_tree_cells(tree, row, list(texts)) for row in tree.rows], "tree")


def listing_table(listing: Listing, language: str) -> str:
    """Return code with its line numbers, how often each line ran, and its shapes."""
    has_runs = any(row.runs for row in listing.rows)
    has_shapes = any(row.shapes for row in listing.rows)
    titles = [words("Line"), *([words("Runs")] if has_runs else []), words("Code")]
    titles += [words("Shapes")] if has_shapes else []
    heads = [_head(in_language(title, language), is_number=i == 0) for i, title in enumerate(titles)]
    rows: list[list[str]] = []
    kinds: list[str] = []
    for row in listing.rows:
        rows.append(_listing_cells(row, has_runs=has_runs, has_shapes=has_shapes))
        kinds.append("wrong" if row.role == "failed" else "")
        for remark in row.remarks:
            before, after = ["<td></td>"] * (1 + has_runs), ["<td></td>"] * has_shapes
            rows.append([*before, f'<td class="remark">{spans(remark)}</td>', *after])
            kinds.append("wrong")
    return _table(listing.title, heads, rows, "listing", kinds)


def _table(
    name: str, heads: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "", kinds: Sequence[str] = ()
) -> str:
    caption = f"<caption>{escaped(name)}</caption>\n" if name else ""
    kind = f' class="{kind}"' if kind else ""
    tags = [f'<tr class="{each}">' if each else "<tr>" for each in kinds or [""] * len(rows)]
    body = "\n".join(f"{tag}{''.join(cells)}</tr>" for tag, cells in zip(tags, rows, strict=True))
    head = f"<thead><tr>{''.join(heads)}</tr></thead>\n"
    return f"<table{kind}>\n{caption}{head}<tbody>\n{body}\n</tbody>\n</table>\n"


def _head(title: str, *, is_number: bool = False) -> str:
    kind = ' class="number"' if is_number else ""
    return f'<th scope="col"{kind}>{escaped(title)}</th>' if title else "<td></td>"


def _cell(column: Column, value: Any, language: str, *, heads_row: bool) -> str:
    role = column.role_of(value) if column.role_of is not None else column.role
    is_tinted = bool(LOOKS[role].background)
    content = _content(column, value, role if not is_tinted else "", language)
    if column.detail_of is not None:
        content += f'<br><span class="detail">{escaped(column.detail_of(value))}</span>'
    kinds = [
        *(["number"] if column.is_number else []),
        *(["sentence"] if column.is_prose else []),
        *(["units"] if column.units_of is not None else []),
        *(["mono"] if _is_code(column) else []),
        *([class_of(role)] if is_tinted else []),
    ]
    tag, scope = ("th", ' scope="row"') if heads_row else ("td", "")
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    return f"<{tag}{scope}{kind}>{content}</{tag}>"


def _is_code(column: Column) -> bool:
    """Tell whether the texts of a column are names, tokens and shapes, whose characters count."""
    is_text = column.is_prose or column.share_of is not None or not column.title
    return not (column.is_number or is_text)


def _content(column: Column, value: Any, role: str, language: str) -> str:
    if column.share_of is not None:
        return _bar(column.share_of(value), role)
    if column.units_of is not None:
        return " ".join(span(unit, role) for unit in column.units_of(value))
    text = column.text(value)
    if not column.title:
        mark, rest = labelled_mark(text, language, role)
        return mark or span(rest, role)
    return prose(text) if column.is_prose else span(text, role)


def _bar(share: float, role: str) -> str:
    """Return a bar that fills a share of its place; the figure beside it says the same."""
    width = f"{100 * share:.4g}"
    return (
        f'<svg class="bar {class_of(role)}" viewBox="0 0 100 10" preserveAspectRatio="none" '
        f'aria-hidden="true"><rect width="{width}" height="10"/></svg>'
    )


def _tree_cells(tree: Tree, row: TreeRow, fields: Sequence[str]) -> list[str]:
    roles: dict[str, str] = {"type": "quiet", "shapes": row.shapes_role}
    guide = f'<span class="quiet" aria-hidden="true">{escaped(row.guide)}</span>' if row.guide else ""
    cells = [f'<th scope="row" class="mono">{guide}{span(row.label, row.role)}</th>']
    cells += [f'<td class="mono">{span(getattr(row, field), roles.get(field, ""))}</td>' for field in fields]
    for text, (_, is_number) in zip(row.cells, tree.columns, strict=True):
        cells.append(f'<td class="{"number" if is_number else "mono"}">{escaped(text)}</td>')
    return cells


def _listing_cells(row: ListingRow, *, has_runs: bool, has_shapes: bool) -> list[str]:
    code = span(plain(row.code), row.role) if row.role else spans(row.code)
    shapes = "<br>".join(
        " ".join(span(text, role) for text, role in zip(pair, ("figures", "quiet"), strict=True) if text)
        for pair in row.shapes
    )
    number = f'<th scope="row" class="mono">{escaped(row.number)}</th>' if row.number else "<td></td>"
    runs = f'<td class="runs">{escaped(row.runs)}</td>'
    return [
        number,
        *([runs] if has_runs else []),
        f"<td><code>{code}</code></td>",
        *([f'<td class="mono shapes">{shapes}</td>'] if has_shapes else []),
    ]
