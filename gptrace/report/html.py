"""Neutral parts → an HTML document, or an element for a notebook: escaped, and without scripts."""

from __future__ import annotations

from collections.abc import Sequence

from gptrace.report.html_tables import listing_table, scrolling, table, tree_table
from gptrace.report.html_text import escaped, labelled_mark, prose, span, spans
from gptrace.report.parts import Claims, ClaimText, Facts, Line, Lines, Listing, Part, Table, Tree, plain
from gptrace.report.stylesheet import class_of, policy, style_of_element, style_of_page
from gptrace.translation import in_language, words

_PAGE = """<!doctype html>
<html lang="{language}"{theme}>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="{schemes}">
<title>{title}</title>
<style>{style}</style>
</head>
<body class="gptrace">
<main>
<h1>{title}</h1>
{content}</main>
</body>
</html>
"""


def to_html(parts: Sequence[Part], language: str = "en", theme: str | None = None) -> str:
    """Return one <div> element with a stylesheet that reaches nothing outside of it.

    Without a theme it has that of the notebook, where it is known, or else of the reader's system.
    """
    chosen = f' data-theme="{theme}"' if theme else ""
    content = f"<style>{style_of_element()}</style>\n{_content(parts, language)}"
    return f'<div class="gptrace"{chosen}>\n{content}</div>\n'


def to_page(parts: Sequence[Part], title: str, language: str = "en", theme: str | None = None) -> str:
    """Return a document of its own, in the theme of the reader's system unless one is given."""
    return _PAGE.format(
        language="zh-CN" if language == "zh" else language,
        theme=f' data-theme="{theme}"' if theme else "",
        policy=policy(),
        schemes=theme or "light dark",
        title=escaped(title),
        style=style_of_page(),
        content=_content(parts, language),
    )


def _content(parts: Sequence[Part], language: str) -> str:
    return "".join(_element(part, language) for part in parts)


def _element(part: Part, language: str) -> str:
    match part:
        case Lines():
            return _lines(part, language)
        case Facts():
            return _facts(part, language)
        case Table():
            return _table_section(part, language)
        case Tree():
            name = in_language(words("Calls"), language)
            return scrolling(tree_table(part, name), name)
        case Listing():
            return _heading(part.title) + scrolling(listing_table(part, language), part.title)
        case Claims():
            claims = "".join(_claim(claim, language) for claim in part.claims)
            return f"<section>\n{_heading(part.title)}<ul>\n{claims}</ul>\n</section>\n"


def _heading(title: str) -> str:
    return f"<h2>{escaped(title)}</h2>\n" if title else ""


def _lines(part: Lines, language: str) -> str:
    """Aligned lines keep their columns, and scroll; the others break at the width of the page."""
    if part.aligned:
        code = "\n".join(map(spans, part.lines))
        return scrolling(f"<pre>{code}</pre>", in_language(words("Shapes"), language))
    return "".join(f"<p{_kind(line)}>{spans(line)}</p>\n" for line in part.lines)


def _kind(line: Line) -> str:
    is_passage = any(role == "continuation" for _, role in line)
    return ' class="passage"' if is_passage else ' class="keep"'


def _facts(facts: Facts, language: str) -> str:
    """Return a list of names and values; a value without a name belongs to the name before it."""
    groups: list[list[str]] = []
    for name, line in facts.pairs:
        value = _value(line, language)
        if name or not groups:
            mark, rest = labelled_mark(name, language)
            groups.append([f"<dt>{mark}{escaped(rest)}</dt>", value])
        else:
            groups[-1].append(value)
    items = "\n".join(f"<div>{''.join(group)}</div>" for group in groups)
    is_finding = any(role == "fails" for _, line in facts.pairs for _, role in line)
    kind = ' class="finding"' if is_finding else ""
    return f"<dl{kind}>\n{items}\n</dl>\n"


def _value(line: Line, language: str) -> str:
    if line and all(role == "code" for _, role in line):
        name = in_language(words("Code"), language)
        code = scrolling(f"<pre>{escaped(plain(line).strip())}</pre>", name)
        return f'<dd class="guilty">{code}</dd>'
    return f"<dd>{spans(line, is_prose=True)}</dd>"


def _table_section(part: Table, language: str) -> str:
    tinted = "".join(_tinted(piece.text, piece.role, piece.figures) for piece in part.tinted)
    lines = "".join(f"<p{_kind(line)}>{spans(line)}</p>\n" for line in part.lines)
    name = part.title or part.name
    content = (
        f'<p class="tinted">{tinted}</p>\n' if tinted else "",
        _legend(part) if part.legend is not None else "",
        lines,
        scrolling(table(part, name, language), name) if part.data.columns else "",
    )
    return f"<section>\n{_heading(part.title)}{''.join(content)}</section>\n"


def _tinted(text: str, role: str, figures: str) -> str:
    title = f' title="{escaped(figures)}"' if figures else ""
    return span(text, role, title) if title or role else escaped(text)


def _legend(part: Table) -> str:
    assert part.legend is not None
    tints = " ".join(
        f'<span class="tint {class_of(role)}">{escaped(label)}</span>' for label, role in part.legend.tints
    )
    return f'<p class="legend"><span>{escaped(part.legend.text.strip())}</span> {tints}</p>\n'


def _claim(claim: ClaimText, language: str) -> str:
    mark, _ = labelled_mark(claim.mark, language, claim.role)
    figures = f'<p class="{"quiet" if claim.role == "quiet" else "figures"}">{prose(claim.figures)}</p>'
    return f"<li>{mark}<p>{prose(claim.text)}</p>{figures if claim.figures else ''}</li>\n"
