"""The message templates of the package, read from its syntax trees.

A message is a text for people that ends up in an error, a hint, a note or a record: every literal of prose
that is not documentation, help, a pattern or a text to compare with. Its holes are the replacement fields of
an f-string: f"k is {k}" is the template "k is {}". What reports say is made with `words`, whose first
argument is the template as it stands.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gptrace
from gptrace import errors

ROOT = Path(gptrace.__file__).parent
# What is said with these is a message, and be it one word.
_SPEAKERS = {name for name, value in vars(errors).items() if isinstance(value, type)} | {
    "_fail", "_wrong_value", "write_notice", "say",
}  # fmt: skip
# Calls whose arguments are no messages: help pages and schemas, which stay in English, and patterns.
_NOT_SAID = {
    "option", "about", "Option", "Argument", "Typer", "compile", "search", "match", "fullmatch", "sub",
    "split", "findall", "filterwarnings", "startswith", "endswith", "removeprefix", "removesuffix",
    "partition", "rpartition", "dict", "getattr", "import_module", "namedtuple", "Column", "AttributeError",
    "TypeError", "ValueError", "AssertionError", "NotImplementedError", "RuntimeError", "KeyError",
}  # fmt: skip
_PATTERN = re.compile(r"\\[\[(dwsSWbp]|\(\?|\(backend|\w\|\w")


@dataclass(frozen=True)
class Template:
    """A template and the place of its literal."""

    text: str
    place: str


@cache
def messages() -> tuple[Template, ...]:
    """Return the templates of messages."""
    return tuple(
        Template(text, f"{path.relative_to(ROOT)}:{line}")
        for path, tree in _sources()
        for line, text in _messages_of(tree)
    )


@cache
def report_templates() -> tuple[Template, ...]:
    """Return the templates of `words`, and the separators of `joined`."""
    return tuple(
        Template(text, f"{path.relative_to(ROOT)}:{line}")
        for path, tree in _sources()
        for line, text in _words_of(tree)
    )


@cache
def _sources() -> list[tuple[Path, ast.Module]]:
    sources = []
    for path in sorted(ROOT.rglob("*.py")):
        place = path.relative_to(ROOT).parts
        # Explanations and checks have catalogs of their own; the names of checks are options.
        has_own = place[:2] in [("predict", "explain"), ("verify", "check")] and path.name.startswith(
            ("english", "chinese")
        )
        is_for_programs = path.name == "junit.py"
        if (
            not has_own
            and not is_for_programs
            and place[:2] not in [("translation", "chinese"), ("translation", "words.py")]
        ):
            sources.append((path, ast.parse(path.read_text())))
    return sources


def messages_of(source: str) -> list[str]:
    """Return the templates of messages in a source."""
    return [text for _, text in _messages_of(ast.parse(source))]


def _messages_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    left_out = _left_out(tree)
    said = {id(part) for call in _calls(tree) if _name(call.func) in _SPEAKERS for part in _arguments(call)}
    for node in ast.walk(tree):
        if id(node) in left_out or not isinstance(node, ast.Constant | ast.JoinedStr):
            continue
        for text in templates_of(node):
            if _PATTERN.search(text):
                continue
            text = re.sub(r"\\[1-9]", "{}", text)  # a group of a pattern, which match.expand() puts in
            if is_prose(text) or (id(node) in said and re.search("[A-Za-z]{2}", text.replace("{}", ""))):
                yield node.lineno, text


def _left_out(tree: ast.Module) -> set[int]:
    """Return the literals that are no messages, and the parts of f-strings, which are not read alone."""
    nodes: list[ast.AST] = [literal for _, literal in _literals_of_words(tree)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            nodes += node.body[:1] if ast.get_docstring(node, clean=False) is not None else []
        if isinstance(node, ast.FunctionDef) and node.name == "__repr__":
            nodes.append(node)
        elif isinstance(node, ast.JoinedStr):
            nodes += _parts_of(node)
        elif isinstance(node, ast.Compare):
            nodes += [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and _name(node.func) in {*_NOT_SAID, "words", "joined"}:
            nodes.append(node)
        elif isinstance(node, ast.Subscript):
            nodes.append(node.slice)
    return {id(part) for node in nodes for part in ast.walk(node)}


def _parts_of(text: ast.JoinedStr) -> Iterator[ast.AST]:
    """Yield the literals of an f-string that are part of its template."""
    for part in text.values:
        if isinstance(part, ast.FormattedValue):
            yield from [part.value] * _is_choice(part)
            yield from [part.format_spec] if part.format_spec is not None else []
        else:
            yield part


def templates_of(node: ast.AST) -> list[str]:
    """Return the templates of a literal: several where a hole holds one of two texts.

    >>> templates_of(ast.parse("f'{n} {1 if n else 2} of {name}'", mode="eval").body)
    ['{} {} of {}']
    >>> templates_of(ast.parse("f'{n} {\\"a\\" if n else \\"b\\"}'", mode="eval").body)
    ['{} a', '{} b']
    """
    if isinstance(node, ast.Constant):
        return [_escaped(node.value)] if isinstance(node.value, str) else []
    assert isinstance(node, ast.JoinedStr)
    texts = [""]
    for part in node.values:
        choices = ["{}"]
        if isinstance(part, ast.Constant):
            choices = [_escaped(str(part.value))]
        elif isinstance(part, ast.FormattedValue) and _choices(part.value):
            choices = [_escaped(text) for text in _choices(part.value)]
        texts = [text + choice for text in texts for choice in choices]
    return texts


def _is_choice(part: ast.AST) -> bool:
    return isinstance(part, ast.FormattedValue) and bool(_choices(part.value))


def _choices(value: ast.AST) -> list[str]:
    """Return the texts that a value is one of: "a" if x else "b", or "a" * x."""
    branches: list[Any] = []
    if isinstance(value, ast.IfExp):
        branches = [value.body, value.orelse]
    elif isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult) and _is_text(value.left):
        branches = [value.left, ast.Constant("")]
    return [branch.value for branch in branches] if all(map(_is_text, branches)) else []


def is_prose(template: str) -> bool:
    """Tell whether a template holds words of a sentence.

    >>> [is_prose(text) for text in ("{} is empty", "; drop it", "emb_dim", "trf_blocks.{}", "a-b")]
    [True, True, False, False, False]
    """
    text = template.replace("{}", " 0 ")
    words = re.search(r"(?<![\w.'`/<-])([a-z]{2,}(?![\w(=./>-])|[A-Z][a-z]+:)", text)
    return " " in text.strip() and bool(words)


def _words_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for call, literal in _literals_of_words(tree):
        yield call.lineno, literal.value
    yield from ((call.lineno, ", ") for call in _calls(tree, "joined"))


def _literals_of_words(tree: ast.Module) -> Iterator[tuple[ast.Call, Any]]:
    """Yield each literal that is a template of `words` or a separator of `joined`, with the call."""
    for call in _calls(tree, "words"):
        literals = list(_literals_in(call.args[0], tree))
        assert literals, f"the template of words() in line {call.lineno} is not found"
        yield from ((call, literal) for literal in literals)
    for call in _calls(tree, "joined"):
        yield from ((call, argument) for argument in call.args[1:] if _is_text(argument))


def _literals_in(node: ast.AST, tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the literals that an expression may be: one, a choice, or a name that stands for such."""
    if isinstance(node, ast.IfExp):
        yield from _literals_in(node.body, tree)
        yield from _literals_in(node.orelse, tree)
    elif _is_text(node):
        yield node
    else:
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        for other in ast.walk(tree):
            yield from _literals_of_names(other, names, tree)


def _literals_of_names(node: ast.AST, names: set[str], tree: ast.Module) -> Iterable[ast.AST]:
    """Return the literals that a node gives to names: by assignment, or by a loop over texts."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        value = node.value
    elif isinstance(node, ast.comprehension | ast.For):
        targets, value = [node.target], node.iter
    else:
        return []
    given = {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    if not names & given or value is None:
        return []
    if isinstance(value, ast.IfExp | ast.Name):
        return _literals_in(value, tree)
    keys = {id(key) for part in ast.walk(value) if isinstance(part, ast.Dict) for key in part.keys}
    inside = {id(part) for call in _calls(value) for part in ast.walk(call)}
    return [part for part in ast.walk(value) if _is_text(part) and id(part) not in keys | inside]


def _calls(tree: ast.AST, name: str = "") -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name in ("", _name(node.func)):
            yield node


def _arguments(call: ast.Call) -> Iterator[ast.AST]:
    for argument in (*call.args, *(k.value for k in call.keywords if k.arg in ("message", "hint"))):
        yield from ast.walk(argument)


def _name(function: ast.AST) -> str:
    return getattr(function, "attr", "") or getattr(function, "id", "")


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
