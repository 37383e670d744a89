"""Python code → spans with the roles of its words; nothing is run, and any text will do."""

from __future__ import annotations

from collections.abc import Sequence

from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType

from gptrace.report.parts import Line
from gptrace.report.safe_text import visible
from gptrace.wording import shortened

_TAB = 8
_LONGEST = 500  # characters of a line; a longer one is data rather than code
_ROLES: Sequence[tuple[_TokenType, str]] = (
    (Keyword, "keyword"),
    (Operator.Word, "keyword"),
    (Comment, "comment"),
    (String, "string"),
    (Number, "literal"),
    (Name.Function, "definition"),
    (Name.Class, "definition"),
    (Name.Decorator, "definition"),
)


def colored(lines: Sequence[str]) -> list[Line]:
    """Return lines of code that follow each other, safe to show, as spans with roles."""
    safe = [visible(shortened(line.expandtabs(_TAB), _LONGEST)) for line in lines]
    spans: list[list[tuple[str, str]]] = [[]]
    for kind, value in PythonLexer(stripnl=False, ensurenl=False).get_tokens("\n".join(safe)):
        role = next((role for of_role, role in _ROLES if kind in of_role), "")
        first, *others = value.split("\n")
        spans[-1].append((first, role))
        spans += [[(text, role)] for text in others]
    spans += [[] for _ in range(len(safe) - len(spans))]
    return [tuple((text, role) for text, role in line if text) for line in spans[: len(safe)]]
