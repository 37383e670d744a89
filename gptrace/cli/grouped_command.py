"""Commands that take a whole group of options as one argument, and how Typer gets to see them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from gptrace.cli.output import CommandResult, variable_origin
from gptrace.errors import InputError

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command and its parsed options: parsing comes first, so that nothing is run while Typer may print."""

    command: Callable[..., CommandResult]
    arguments: dict[str, Any]
    context: typer.Context

    def run(self) -> CommandResult:
        """Run the command."""
        with _naming_options(self.context):
            return self.command(**self.arguments)

    def typed(self) -> dict[str, str]:
        """Return what was typed, and not left to a variable or a default: a name for each parameter."""
        return {
            option.name: _flag(option) or option.name for option in self.context.command.params
            if _source(self.context, option.name) == "COMMANDLINE"
        }  # fmt: skip


class GroupedCommand(TyperCommand):
    """A command whose help lists its options group by group, the command's own first."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; an error says where a wrong value came from."""
        lang = ctx.parent.params.get("lang") if ctx.parent is not None else None
        if lang is not None:  # given before the name of the command
            args = [f"--lang={lang}", *args]
        with _naming_options(ctx):
            return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each group."""
        sections: dict[str, list[Any]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                panel = getattr(parameter, "rich_help_panel", None)
                sections.setdefault(panel or "Options", []).append(record)
        for title in ["Options", *(title for title in sections if title != "Options")]:
            with formatter.section(title):
                formatter.write_dl(sections.get(title, []))


def with_flat_options(function: Callable[..., CommandResult]) -> Callable[..., Invocation]:
    """Return the function for Typer: every option of a group stands in the place of the group.

    Typer reads options from a signature, so one is made. The function returns an Invocation, in which the
    options of a group are one argument again.
    """
    hints = get_type_hints(function, include_extras=True)
    signature = inspect.signature(function)
    groups = {name: hints[name] for name in signature.parameters if is_dataclass(hints[name])}
    parameters = [inspect.Parameter("context", _KEYWORD, annotation=typer.Context)]
    for name, parameter in signature.parameters.items():
        if name in groups:
            parameters += _options_of(groups[name])
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=_KEYWORD))

    @wraps(function)
    def parsed(context: typer.Context, **arguments: Any) -> Invocation:
        for name, group in groups.items():
            arguments[name] = group(**{field.name: arguments.pop(field.name) for field in fields(group)})
        return Invocation(function, arguments, context)

    parsed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
    parsed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    notes = [group.help for group in groups.values() if hasattr(group, "help")]
    parsed.__doc__ = "\n\n".join([inspect.getdoc(function) or "", *notes])
    return parsed


def _options_of(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    parameters = []
    for field in fields(group):
        kind, info = get_args(hints[field.name])
        info = copy.copy(info)
        info.rich_help_panel = group.title
        default = field.default
        parameters.append(
            inspect.Parameter(field.name, _KEYWORD, default=default, annotation=Annotated[kind, info])
        )
    return parameters


@contextmanager
def _naming_options(context: Any) -> Iterator[None]:
    """Let an InputError name the option as it is typed, and the variable that the wrong value came from."""
    try:
        yield
    except InputError as error:
        options = {parameter.name: parameter for parameter in context.command.params}
        option = options.get(error.option)
        if option is None:
            raise
        flag = _flag(option)
        if flag is not None and error.message.startswith(f"{error.option} is "):
            error.message = flag + error.message.removeprefix(str(error.option))
        if _source(context, error.option) == "ENVIRONMENT":
            error.hint += variable_origin(option.envvar)
        raise


def _flag(option: Any) -> str | None:
    return next((name for name in option.opts if name.startswith("--")), None)


def _source(context: Any, parameter: str | None) -> str:
    """Return where the value of a parameter comes from, as in "COMMANDLINE"."""
    # Typer has no public name for the parameter sources, whose members are called as in Click.
    source = context.get_parameter_source(parameter)
    return "" if source is None else str(source.name)
