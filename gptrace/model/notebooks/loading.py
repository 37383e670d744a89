"""A notebook as a Python module: statements that make a name without work run, the others are left out."""

from __future__ import annotations
import __future__

import ast
import linecache
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.abc import Loader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from gptrace.model.notebooks.constants import Judge
from gptrace.model.notebooks.ipython_syntax import PythonCode, without_magics
from gptrace.model.notebooks.line_limit import TooManyLinesError, line_limit
from gptrace.model.notebooks.names import bound_names
from gptrace.model.notebooks.reading import CodeCell, read_code_cells
from gptrace.notebook_cells import cell_file
from gptrace.wording import one_line, shortened

_FUTURE_FLAG = __future__.annotations.compiler_flag  # other features of `__future__` are the rule by now
# Functions that make sizes, tables and vocabularies run some thousands; this many take about a second.
LARGEST_WORK = 1_000_000  # lines, for one statement
_NO_CODE = (SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A statement of a notebook that did not run.

    why    what the statement does, as in "calls train"
    text   its first line
    called, argument
           the names in `called(argument)`, where it assigns the result of such a call, or ""
    """

    cell: int
    line: int
    why: str
    text: str
    called: str = ""
    argument: str = ""

    def __str__(self) -> str:
        return f"cell {self.cell}, line {self.line} ({self.text}) was left out: it {self.why}"


class NotebookLoader(Loader):
    """Runs the imports, definitions, classes and constants of a notebook.

    `left_out` holds the statement that would have made each name that is missing.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self.left_out: dict[str, LeftOut] = {}

    def exec_module(self, module: ModuleType) -> None:
        """Run the notebook in a module; raise a ConfigError for a file that is no notebook."""
        cells = read_code_cells(self.path, self.name)
        codes = [without_magics(cell.source) for cell in cells]
        run = _Run(module, str(self.path), self.left_out)
        for cell, code in zip(cells, codes, strict=True):
            run.cell(cell, code)
        # Where a class is defined, `inspect` looks for it in the file of its module.
        linecache.cache[str(self.path)] = _cache_entry(str(self.path), run.text)
        run.number_classes()


class _Run:
    """The state of one run: flags of `from __future__`, and the text of the cells that were run."""

    def __init__(self, module: ModuleType, path: str, left_out: dict[str, LeftOut]) -> None:
        self.text = ""
        self._module = module
        self._path = path
        self._left_out = left_out
        self._judge = Judge(vars(module))
        self._flags = 0
        self._first_lines: list[tuple[type, int]] = []

    def cell(self, cell: CodeCell, code: PythonCode) -> None:
        """Run what may run of a cell."""
        file, lines = cell_file(self._path, cell.number), code.text.split("\n")
        try:
            tree = compile(code.text, file, "exec", ast.PyCF_ONLY_AST | self._flags, dont_inherit=True)
        except _NO_CODE as error:
            self._leave_out_broken(cell, lines, error)
            return
        linecache.cache[file] = _cache_entry(file, code.text)
        before = self.text.count("\n")
        if code.cell_magic:
            for node in tree.body:
                self._note(cell, lines, node, f"is in a cell that begins with {code.cell_magic}")
            return
        self.text += code.text + "\n"
        self._judge.read(tree, file)
        self._block(cell, lines, tree.body, before)

    def number_classes(self) -> None:
        """Since Python 3.13 a class knows its line: let it be that in the file of its module."""
        for defined, line in self._first_lines:
            if "__firstlineno__" in vars(defined):
                defined.__firstlineno__ = line  # type: ignore[attr-defined]  # new in 3.13

    def _block(self, cell: CodeCell, lines: Sequence[str], nodes: Sequence[ast.stmt], before: int) -> None:
        for node in nodes:
            is_import = isinstance(node, ast.Import | ast.ImportFrom)  # its code is not the notebook's
            try:
                with nullcontext() if is_import else line_limit(self._path, LARGEST_WORK):
                    objection = self._statement(cell, lines, node, before)
            except (Exception, SystemExit) as error:
                objection = f"raised {type(error).__name__}: {one_line(error, 200)}"
                cause = self._left_out.get(getattr(error, "name", None) or "")
                if isinstance(error, NameError) and cause is not None:
                    objection = f"needs {error.name}, and {cause}"
            except TooManyLinesError:
                objection = f"runs more than {LARGEST_WORK:,} lines of code"
            if objection:
                self._note(cell, lines, node, objection)

    def _statement(self, cell: CodeCell, lines: Sequence[str], node: ast.stmt, before: int) -> str:
        """Run a statement, or return why it may not run."""
        if isinstance(node, ast.ClassDef):
            objection = self._judge.class_head(node)
            self._leave_out_of_class(cell, lines, node, node.name)
        else:
            objection = self._judge.statement(node)
        if isinstance(node, ast.If) and not self._judge.expression(node.test):
            # Only the branch that is taken has to be safe.
            is_true = self._run(ast.Expression(node.test), cell)
            self._block(cell, lines, node.body if is_true else node.orelse, before)
            return ""
        if not objection:
            self._run(ast.Module([node], []), cell)
            self._note_made(node, before)
        return objection

    def _leave_out_of_class(
        self, cell: CodeCell, lines: Sequence[str], node: ast.ClassDef, name: str
    ) -> None:
        """Take the statements of a class that may not run out of it, and note them."""
        for attribute in [each for each in self._left_out if each.startswith(f"{name}.")]:
            del self._left_out[attribute]
        kept: list[ast.stmt] = []
        local: list[str] = []
        for statement in node.body:
            if isinstance(statement, ast.ClassDef):
                objection = self._judge.class_head(statement, local)
                self._leave_out_of_class(cell, lines, statement, f"{name}.{statement.name}")
            else:
                objection = self._judge.statement(statement, local, in_class=True)
            if objection:
                self._note(cell, lines, statement, objection, f"{name}.")
            else:
                kept.append(statement)
            local += bound_names(statement)
        node.body = kept or [ast.copy_location(ast.Pass(), node)]

    def _run(self, node: ast.Module | ast.Expression, cell: CodeCell) -> Any:
        file = cell_file(self._path, cell.number)
        mode = "exec" if isinstance(node, ast.Module) else "eval"
        code: CodeType = compile(node, file, mode, self._flags, dont_inherit=True)
        self._flags |= code.co_flags & _FUTURE_FLAG
        return eval(code, vars(self._module))

    def _note_made(self, node: ast.stmt, before: int) -> None:
        for name in bound_names(node):
            self._left_out.pop(name, None)
        if isinstance(node, ast.ClassDef):
            defined = vars(self._module).get(node.name)
            if isinstance(defined, type) and defined.__module__ == self._module.__name__:
                first = min((node.lineno, *(each.lineno for each in node.decorator_list)))
                self._first_lines.append((defined, before + first))

    def _note(self, cell: CodeCell, lines: Sequence[str], node: ast.stmt, why: str, owner: str = "") -> None:
        """Note the names of a statement that did not run; `owner` begins those of a class."""
        called, argument = _simple_call(node)
        text = shortened(lines[node.lineno - 1].strip(), 80)
        left_out = LeftOut(cell.number, node.lineno, why, text, called, argument)
        for name in bound_names(node):
            if owner or name not in vars(self._module):
                self._left_out[owner + name] = left_out

    def _leave_out_broken(self, cell: CodeCell, lines: Sequence[str], error: BaseException) -> None:
        """Note the names of a cell that is no Python code, as far as its lines show them."""
        number = (error.lineno or 1) if isinstance(error, SyntaxError) else 1
        message = error.msg if isinstance(error, SyntaxError) else one_line(error, 200)
        why = f"is no Python code: {message}"
        text = shortened(lines[min(number, len(lines)) - 1].strip(), 80)
        for name in _names_by_lines(lines):
            if name not in vars(self._module):
                self._left_out[name] = LeftOut(cell.number, number, why, text)


def _cache_entry(file: str, text: str) -> tuple[int, None, list[str], str]:
    # Without a time of change, `linecache` keeps the text for good.
    return len(text), None, [f"{line}\n" for line in text.split("\n")], file


def _simple_call(node: ast.stmt) -> tuple[str, str]:
    """Return the names in `name = called(argument)`, without an argument also `called` alone."""
    match node:
        case ast.Assign(value=ast.Call(func=ast.Name(id=called), args=[ast.Name(id=argument)], keywords=[])):
            return called, argument
        case ast.Assign(value=ast.Call(func=ast.Name(id=called), args=[], keywords=[])):
            return called, ""
    return "", ""


def _names_by_lines(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        words = line.split()
        if len(words) > 1 and words[0] in ("class", "def"):
            yield words[1].partition("(")[0].partition(":")[0]
        elif len(words) > 1 and words[1] == "=" and not line[0].isspace():
            yield words[0]
