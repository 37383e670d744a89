"""A page → one HTML file that needs no network: it contains its script and styles, allowed by hash."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from functools import cache
from importlib.resources import files

from gptrace.record import Page
from gptrace.record.writing import deflated
from gptrace.report.page.without_script import to_plain_html
from gptrace.report.safe_text import visible
from gptrace.report.titles import title_of

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_DOCUMENT = """<!doctype html>
<html lang="{language}"{theme}>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<div id="gptrace"></div>
<noscript>
{plain}</noscript>
<script type="application/octet-stream" id="gptrace-page">{data}</script>
<script>{script}</script>
</body>
</html>
"""
_FRAME = (
    '<iframe srcdoc="{}" sandbox="allow-scripts allow-downloads" title="{}" '
    'style="width:100%;height:min(80vh,760px);border:0"></iframe>\n'
)


def to_document(page: Page, theme: str | None = None, *, is_ascii: bool = False) -> str:
    """Return the page as an HTML file.

    Without a theme, "light" or "dark", it follows the reader's system. With `is_ascii`, its script and styles
    are ASCII: an encoding that lacks a character would otherwise change them, and so their hashes.
    """
    script, style = _built("page.js"), _built("page.css")
    if is_ascii:
        script, style = _NOT_ASCII.sub(_in_script, script), _NOT_ASCII.sub(_in_style, style)
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash(script)}",
            f"style-src {_hash(style)}",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    return _DOCUMENT.format(
        language="zh-CN" if page.language == "zh" else page.language,
        theme="" if theme is None else f' data-theme="{theme}"',
        policy=policy,
        title=_title(page),
        style=style,
        plain=to_plain_html(page),
        data=base64.b64encode(deflated(page)).decode(),
        script=script,
    )


def to_frame(page: Page) -> str:
    """Return the page as an element of another page, such as a notebook; its script reaches nothing there."""
    source = to_document(page).replace("&", "&amp;").replace('"', "&quot;")
    return _FRAME.format(source, _title(page))


def _title(page: Page) -> str:
    return html.escape(" ".join(visible(title_of(page)).split()))


def _in_script(character: re.Match[str]) -> str:
    return json.dumps(character[0])[1:-1]


def _in_style(character: re.Match[str]) -> str:
    return f"\\{ord(character[0]):x} "


@cache
def _built(name: str) -> str:
    """Return a file that `make web` builds."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
