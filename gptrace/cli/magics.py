"""`%load_ext gptrace` in a notebook: `%gptrace` asks a model of the notebook what a command asks.

The words and options are those of the command line. The model is a name of the notebook: of a model, or of a
class or a function that builds one with the options of a model:

    %gptrace check model
    %gptrace run model "Hello, I am" --ops
    %gptrace topk GPTModel "Hello, I am" --weights model.pt

`%%gptrace` runs a cell and shows the shapes of the models that it calls, with options of `gptrace run`:

    %%gptrace --depth 1
    loss = model(ids).sum()
"""

from __future__ import annotations

import ast
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import FrameType
from typing import Any

from gptrace.cli import output_file, streams
from gptrace.cli.app import COMMANDS, parse
from gptrace.cli.grouped_command import Invocation
from gptrace.cli.language import language_of, set_language, spoken
from gptrace.cli.options.file_run import FileRunOptions
from gptrace.cli.options.groups import ModelOptions, TextOptions
from gptrace.cli.output import CommandResult
from gptrace.errors import GptraceError, InputError
from gptrace.measures import Measures
from gptrace.model.on_demand import is_module
from gptrace.model.selection import check_seed, typed_options
from gptrace.notebook_cells import cell_of
from gptrace.record import Page, Report
from gptrace.report import View
from gptrace.report.columns import measures_for, parse_columns
from gptrace.report.notebook import Shown
from gptrace.report.safe_text import visible
from gptrace.session import Session
from gptrace.text.stdin import SAMPLE
from gptrace.translation import recorded, words
from gptrace.wording import quoted_value, suggestion

# Commands that ask one model; the name of the model comes first.
_OF_A_MODEL = ("run", "topk", "explain", "check", "source", "loss", "generate", "lens")
_KNOWN = tuple(name for name in COMMANDS if name in _OF_A_MODEL)
_HOW_TO = 'write it like %gptrace run model "Hello", or %gptrace check model'
# Those of them that draw random numbers from a model, whatever its weights.
_SAMPLING = ("run", "explain", "check", "source", "generate")
# Parameters that a notebook has settled, or that need the stdin or the files of a process.
_REFUSED = {"model", "lines", "input_format", "resume", *(field.name for field in fields(FileRunOptions))}
_OF_A_CELL = {"ops", "columns", "depth", "only", "kind", "full", "lang"}
_HOW_TO_OF_CELL = "its options are --ops, --columns, --depth, --only, --type, --full and --lang"


class MagicError(Exception):
    """An error whose message a notebook shows without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return str(self).split("\n")


@dataclass(frozen=True, slots=True)
class _NotebookModel(ModelOptions):
    """The model options of a command about `given`, which has a name in the notebook."""

    given: Any = None
    name: str = ""
    title = ModelOptions.title

    @classmethod
    def of(cls, options: ModelOptions, given: Any, name: str) -> _NotebookModel:
        """Return the options with this model in place of theirs."""
        values = {each.name: getattr(options, each.name) for each in fields(ModelOptions)}
        return cls(**values | {"model": None}, given=given, name=name)

    @property
    def is_built(self) -> bool:
        """Whether there is nothing to build with the other options."""
        return is_module(self.given)

    def command(self, name: str, *options: str) -> str:
        """Return another line about the same model, as it is typed."""
        typed = typed_options(None, self.weights, self.config, self.settings or ())
        own = "" if self.is_built else typed
        return " ".join(filter(None, ("%gptrace", name, self.name, own, *options)))

    def session(self) -> Session:
        """Return a session with the model of the notebook."""
        if not self.is_built:
            return ModelOptions.session(self)  # super() does not know the class that slots make
        check_seed(self.seed)
        session = Session(self.given)
        session.seed = self.seed  # of sampling
        return session

    def _chosen(self) -> Any:
        return self.given


def load(shell: Any) -> None:
    """Give an IPython shell the magic `%gptrace`."""

    def gptrace(line: str) -> None:
        """Ask a model of this notebook what a command of gptrace asks: %gptrace COMMAND MODEL [TEXT]."""
        try:
            _show(_result(line, shell.user_ns))
        except GptraceError as error:
            raise _magic_error(error) from None

    def gptrace_cell(line: str, cell: str) -> None:
        """Run the cell, and show the shapes of the models that it calls: %%gptrace [OPTIONS]."""
        __tracebackhide__ = True
        try:
            view, measures = _cell_options(line)
        except GptraceError as error:
            raise _magic_error(error) from None
        from gptrace.tracing.root_calls import watch_root_calls

        with watch_root_calls(measures) as found:
            try:
                _run_cell(shell, cell)
            finally:
                _show_traces(found, view)

    shell.register_magic_function(gptrace, "line", "gptrace")
    shell.register_magic_function(gptrace_cell, "cell", "gptrace")


def _cell_options(line: str) -> tuple[View, Measures]:
    """Return what the options of `%%gptrace` show and measure."""
    parsed = parse(["run", *_split(line)])
    if not isinstance(parsed, Invocation) or not parsed.typed().keys() <= _OF_A_CELL:
        raise InputError(f"%%gptrace {visible(line)}: not for a cell", _HOW_TO_OF_CELL)
    given = parsed.arguments
    destination = given["output"].destination()
    columns = parse_columns(given["columns"]) if given["columns"] is not None else ()
    view = View(
        full=given["full"], depth=given["depth"], columns=columns, only=given["only"], type=given["kind"],
        lang=destination.language, theme=destination.theme,
    )  # fmt: skip
    return view, measures_for(columns, ops=given["ops"])


def _run_cell(shell: Any, cell: str) -> None:
    """Run code as a cell of the notebook, whose first line is that of the magic; show its last value,
    unless a semicolon ends it."""
    __tracebackhide__ = "__ipython_bottom__"  # a traceback begins below
    empty_lines = 1 + len(cell) - len(cell.lstrip("\n"))  # IPython leaves those at the start out
    text = "\n" * empty_lines + shell.transform_cell(cell)
    file = shell.compile.cache(text, _number_of_cell(shell), text)
    tree = shell.transform_ast(shell.compile.ast_parse(text, filename=file))
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(shell.compile(tree, file, "exec"), shell.user_global_ns, shell.user_ns)
    if last is None:
        return
    if shell.displayhook.semicolon_at_end_of_expression(cell):
        exec(shell.compile(ast.Module([last], []), file, "exec"), shell.user_global_ns, shell.user_ns)
    else:
        exec(shell.compile(ast.Interactive([last]), file, "single"), shell.user_global_ns, shell.user_ns)


def _number_of_cell(shell: Any) -> int:
    """Return the number of the cell that runs; IPython may count on before it does."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        cell = cell_of(frame.f_code.co_filename)
        if cell is not None:
            return cell.number
        frame = frame.f_back
    return int(shell.execution_count)


def _show_traces(found: Any, view: View) -> None:
    from IPython.display import display

    for trace in found.traces:
        display(Shown(trace, view))
    if not found.traces:
        streams.write_notice("no module was called in this cell")
    if found.others:
        streams.write_notice(f"{found.others} further calls are not shown: the first one of each module is")


def _result(line: str, names: dict[str, Any]) -> CommandResult:
    command, *arguments = _split(line) or [""]
    if command not in _KNOWN:
        hint = suggestion(command, _KNOWN) if command else _HOW_TO
        raise InputError(f"{quoted_value(command)} is no command for a model of a notebook", hint)
    if not arguments or arguments[0].startswith("-"):
        raise InputError(f"%gptrace {command} names no model", _HOW_TO)
    given = _model(arguments[0], names)
    parsed = parse([command, *arguments[1:]])
    if isinstance(parsed, CommandResult):
        return parsed
    return _in_notebook(parsed, command, arguments[0], given).run()


def _split(line: str) -> list[str]:
    """Return the words of a line, in whose language errors are from here on."""
    set_language(language_of(()))
    try:
        split = shlex.split(line)
    except ValueError as error:  # a quotation without an end
        raise InputError(f"{quoted_value(line)} cannot be read as words: {error}", _HOW_TO) from None
    set_language(language_of(split))
    return split


def _model(name: str, names: dict[str, Any]) -> Any:
    from gptrace.model.user_code_errors import user_code_errors  # it imports torch

    root, *attributes = name.split(".")
    if root not in names:
        raise InputError(f"this notebook has no {quoted_value(name)}", _models_hint(name, names))
    model = names[root]
    for attribute in attributes:
        with user_code_errors(f" (while {name} was read)"):  # a property may raise anything
            has_attribute = hasattr(model, attribute)
            value = getattr(model, attribute, None)
        if not has_attribute:
            raise InputError(
                f"{quoted_value(name)} has no attribute {attribute}", "check the spelling of the name"
            )
        model = value
    if not (callable(model) or isinstance(model, str)):
        problem = f"{quoted_value(name)} is of type {type(model).__name__}, and builds no module"
        raise InputError(problem, _models_hint(name, names))
    return model


def _models_hint(name: str, names: Mapping[str, Any]) -> str:
    own = [each for each, value in names.items() if not each.startswith("_") and hasattr(value, "forward")]
    return suggestion(name, own) if own else "run the cell that makes the model first"


def _in_notebook(invocation: Invocation, command: str, name: str, given: Any) -> Invocation:
    """Return the command with the notebook's model, and with the sample prompt in place of stdin.

    Raises an InputError for an option that a notebook has settled, or that would change nothing.
    """
    arguments, typed = dict(invocation.arguments), invocation.typed()
    refused = [option for parameter, option in typed.items() if parameter in _REFUSED]
    if refused or _reads_stdin(arguments):
        raise InputError(f"{refused[0] if refused else '-'} is not for a notebook", _HOW_TO)
    for argument, value in arguments.items():
        if isinstance(value, ModelOptions):
            arguments[argument] = model = _NotebookModel.of(value, given, name)
            if model.is_built:
                _check_built(typed, command)
        elif isinstance(value, TextOptions) and not value.text and value.ids is None:
            arguments[argument] = replace(value, text=[SAMPLE])
    return replace(invocation, arguments=arguments)


def _reads_stdin(arguments: Mapping[str, Any]) -> bool:
    return "-" in (*(arguments["text"].text or ()), str(arguments.get("expect")))


def _check_built(typed: Mapping[str, str], command: str) -> None:
    """Raise an InputError for options that build a model."""
    used = ("seed",) if command in _SAMPLING else ()
    options = [each.name for each in fields(ModelOptions) if each.name in typed and each.name not in used]
    if options:
        names = ", ".join(typed[option] for option in options)
        hint = f"drop {names}, or name a class or a function that builds the model"
        raise InputError(f"{names} cannot be set for a model that is built already", hint)


def _show(result: CommandResult) -> None:
    from IPython.display import display

    destination = result.destination
    if destination.file is not None:
        output_file.write_file(destination.file, result.pieces())
    elif isinstance(result.content, Report) and destination.format == "table":
        view = replace(result.view, lang=destination.language, theme=destination.theme)
        display(Shown(result.content, view))
    elif isinstance(result.content, Page) and destination.format == "html":
        display(result.content)
    else:
        streams.write_stdout_pieces(result.pieces())
    error = result.final_error()
    if error is not None:
        raise error


def _magic_error(error: GptraceError) -> MagicError:
    lines: Sequence[str] = (
        words("error: {}", recorded(visible(error.message))),
        words("hint: {}", recorded(visible(error.hint))),
    )
    return MagicError("\n".join(spoken(line, sys.stdout) for line in lines))
