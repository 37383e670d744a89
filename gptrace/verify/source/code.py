"""The functions and statements of one source file, by their lines, and how often each line ran."""

from __future__ import annotations
import __future__

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from types import CodeType
from typing import Any, Literal

# How often one line of a function followed another; 0 stands for the begin of a call.
Transitions = Mapping[tuple[int, int], int]
_FUTURE = reduce(or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names))
_REPEATS: dict[type[ast.stmt], Literal["for", "while", "with"]] = {
    ast.For: "for", ast.AsyncFor: "for", ast.While: "while", ast.With: "with", ast.AsyncWith: "with",
}  # fmt: skip
_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_Definition = _FunctionNode | ast.ClassDef


@dataclass(frozen=True)
class Statement:
    """The lines of a simple statement, or of the head of a compound one, and the first one in its body.

    `end` is the last line of all of it. `repeats` is the kind of a statement whose head runs again after its
    body.
    """

    first: int
    last: int
    end: int
    body: Statement | None = None
    repeats: Literal["", "for", "while", "with"] = ""


@dataclass(frozen=True)
class Function:
    """A function: the line of its first decorator, of its `def`, the last of its head, and its last one.

    `around` are the first and last lines of the heads of the classes and functions that it is in.
    """

    name: str
    first: int
    line: int
    head: int
    last: int
    statements: Sequence[Statement]
    around: Sequence[tuple[int, int]]


@dataclass
class SourceFile:
    """The lines of a file and its functions; `codes` are the code objects that Python makes of it."""

    lines: Sequence[str]
    functions: list[Function] = field(default_factory=list)
    codes: set[CodeType] = field(default_factory=set)

    @classmethod
    def parse(cls, lines: Sequence[str], name: str, ran: CodeType) -> SourceFile:
        """Read the lines of a file, with their ends; raise SyntaxError for a text that is no Python.

        `ran` is code of the file that ran. A notebook may have compiled it with imports from __future__ that
        are in another cell.
        """
        text, file = "".join(lines), cls(lines)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, name)
            # Notebooks compile each statement alone: a call of a module that the same text imports has other
            # code then.
            for compiled in (tree, *(ast.Module([statement], []) for statement in tree.body)):
                module = compile(compiled, name, "exec", ran.co_flags & _FUTURE, dont_inherit=True)
                file.codes.update(_codes_in(module))
        file.functions.extend(_functions(tree, "", ()))
        return file

    def has(self, code: CodeType) -> bool:
        """Tell whether a code object was made of this very text: else the file has changed since."""
        return code in self.codes

    def function_of(self, code: CodeType) -> Function | None:
        """Return the function of a code object; None for a lambda or a comprehension."""
        return next(
            (each for each in self.functions if (each.first, each.name.rpartition(".")[2]) == _key(code)),
            None,
        )

    def around(self, line: int) -> Function | None:
        """Return the innermost function that a line is in."""
        functions = [each for each in self.functions if each.first <= line <= each.last]
        return max(functions, key=lambda each: each.first, default=None)


def calls_by_line(function: Function, code: CodeType, transitions: Transitions) -> dict[int, int]:
    """Return how often each line of a function ran, without the lines on which nothing can run."""
    can_run = {line for _, _, line in code.co_lines() if line is not None}
    begun = sum(count for (before, _), count in transitions.items() if not before)
    calls = dict.fromkeys(range(function.line, function.head + 1), begun)
    for statement in function.statements:
        if not can_run.isdisjoint(range(statement.first, statement.last + 1)):
            count = _runs(statement, transitions)
            for line in range(statement.first, statement.last + 1):
                calls.setdefault(line, count)
    return calls


def _runs(statement: Statement, transitions: Transitions) -> int:
    """Return how often a statement ran: of a loop, how often its body did."""
    body, head = statement.body, range(statement.first, statement.last + 1)
    if body is None or not statement.repeats:
        return _entries(head, head, transitions)
    begun = _entries(head, range(statement.first, statement.end + 1), transitions)
    if body.first in head:  # all in one line, to which a loop jumps back
        back = transitions.get((statement.first, statement.first), 0)
        if statement.repeats == "for":
            return back or begun
        # The test of a `while` is at the end of its body, too, and jumps to its beginning.
        return back + 1 if statement.repeats == "while" and begun == 1 else begun
    inside = range(body.first, body.last + 1)
    into_body = sum(n for (before, after), n in transitions.items() if before in head and after in inside)
    if statement.repeats == "while" and into_body <= begun:  # `while True` has no test that would run
        is_loop = body.repeats in ("for", "while")
        others = range(body.first, body.end + 1) if is_loop else inside
        again = _runs(body, transitions) if body.repeats == "with" else _entries(inside, others, transitions)
        into_body = max(into_body, again)
    return into_body or begun


def _entries(lines: range, others: range, transitions: Transitions) -> int:
    """Return how often one of these lines ran after a line that is none of the others."""
    return sum(n for (before, after), n in transitions.items() if after in lines and before not in others)


def _key(code: CodeType) -> tuple[int, str]:
    return code.co_firstlineno, code.co_name


def _functions(node: ast.AST, prefix: str, around: tuple[tuple[int, int], ...]) -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _Definition):
            yield from _functions(child, prefix, around)
            continue
        name = f"{prefix}{child.name}"
        head = (_first_line(child), _head_end(child))
        if isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{name}.", (*around, head))
            continue
        statements = list(_statements(child.body))
        last = child.end_lineno or child.lineno
        yield Function(name, head[0], child.lineno, head[1], last, statements, around)
        yield from _functions(child, f"{name}.<locals>.", (*around, head))


def _statements(nodes: Iterable[ast.stmt]) -> Iterator[Statement]:
    """Yield the statements of a function, without those of functions and classes inside it."""
    for node in nodes:
        statement = _statement(node)
        yield statement
        if isinstance(node, _Definition):
            continue
        for _, value in ast.iter_fields(node):
            blocks = value if isinstance(value, list) else []
            for item in blocks:
                if isinstance(item, ast.stmt):
                    yield from _statements([item])
                elif isinstance(item, ast.ExceptHandler | ast.match_case):
                    yield _head(item)
                    yield from _statements(item.body)


def _statement(node: ast.stmt) -> Statement:
    first, last = _first_line(node), node.end_lineno or node.lineno
    if isinstance(node, ast.Match):
        return Statement(first, node.subject.end_lineno or first, last)
    body = getattr(node, "body", None)
    if not (isinstance(body, list) and body):
        return Statement(first, last, last)
    inner = None if isinstance(node, _Definition) else _statement(body[0])
    return Statement(first, _head_end(node), last, inner, _REPEATS.get(type(node), ""))


def _head(node: ast.ExceptHandler | ast.match_case) -> Statement:
    """Return the lines of `except …:` or `case …:`; a `case` that is reached has run, taken or not."""
    first = node.lineno if isinstance(node, ast.ExceptHandler) else node.pattern.lineno
    last = max(first, _first_line(node.body[0]) - 1)
    return Statement(first, last, last)


def _head_end(node: Any) -> int:
    """Return the last line of what stands before the body of a compound statement."""
    line: int = node.lineno
    return max(line, _first_line(node.body[0]) - 1)


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes_in(constant)
