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
from typing import Any

# How often one line of a function followed another; 0 stands for the begin of a call.
Transitions = Mapping[tuple[int, int], int]
_FUTURE = reduce(or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names))
_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_Definition = _FunctionNode | ast.ClassDef


@dataclass(frozen=True)
class Statement:
    """The lines of a simple statement, or of the head of a compound one, and the first one in its body."""

    first: int
    last: int
    body: Statement | None = None
    is_loop: bool = False


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
    """Return how often a statement ran: of a loop, how often its body did.

    The head of a loop or of a `with` runs once more when it ends.
    """
    lines = range(statement.first, statement.last + 1)
    count = sum(n for (before, after), n in transitions.items() if after in lines and before not in lines)
    inside = 0 if statement.body is None or not statement.is_loop else _runs(statement.body, transitions)
    return inside or count


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
        return Statement(first, node.subject.end_lineno or first)
    body = getattr(node, "body", None)
    if not (isinstance(body, list) and body):
        return Statement(first, last)
    inner = None if isinstance(node, _Definition) else _statement(body[0])
    is_loop = isinstance(node, ast.For | ast.AsyncFor | ast.While | ast.With | ast.AsyncWith)
    return Statement(first, _head_end(node), inner, is_loop)


def _head(node: ast.ExceptHandler | ast.match_case) -> Statement:
    """Return the lines of `except …:` or `case …:`; a `case` that is reached has run, taken or not."""
    first = node.lineno if isinstance(node, ast.ExceptHandler) else node.pattern.lineno
    return Statement(first, max(first, _first_line(node.body[0]) - 1))


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
