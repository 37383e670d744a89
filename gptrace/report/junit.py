"""The checks of a model as JUnit XML, which continuous integration shows as tests."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from gptrace.record import Check, CheckResult
from gptrace.report.safe_text import visible


def to_junit(check: Check) -> str:
    """Return one test case for each check: a failure holds the line, a skipped one the reason."""
    skipped = sum(result.holds is None for result in check.checks)
    name = _attribute(f"gptrace check {check.model.name}")
    head = (
        f'<testsuite name={name} tests="{len(check.checks)}" '
        f'failures="{len(check.failed)}" skipped="{skipped}" errors="0">'
    )
    cases = [_case(result) for result in check.checks]
    xml = "\n".join(['<?xml version="1.0"?>', head, *cases, "</testsuite>"]) + "\n"
    return xml.encode("ascii", "xmlcharrefreplace").decode()  # so that it is right in every encoding


def _case(result: CheckResult) -> str:
    source = result.source
    place = "" if source is None else f' file={_attribute(source.file)} line="{source.line}"'
    case = f'  <testcase classname="gptrace.check" name={_attribute(result.name)}{place}'
    if result.holds:
        return f"{case}/>"
    if result.holds is None:
        return f"{case}><skipped message={_attribute(result.reason)}/></testcase>"
    lines = [] if source is None else [source.place, f"    {source.text}"]
    lines += [text for text in (result.likely, result.instead) if text]
    body = escape("\n".join(map(visible, lines)))
    return f"{case}><failure message={_attribute(result.sentence)}>{body}</failure></testcase>"


def _attribute(text: str) -> str:
    return quoteattr(visible(text))
