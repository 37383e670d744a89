"""Groups of options that commands share: a command asks for a whole group with one argument."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, ClassVar, get_args, get_type_hints

from typer.core import TyperCommand

from gptrace.cli import options, streams
from gptrace.cli.output import Destination
from gptrace.errors import InputError
from gptrace.model.selection import DEFAULT_SEED, ModelSelection, select_model
from gptrace.text.prompts import PromptSource, parse_ids
from gptrace.text.source import SAMPLE, read_texts


@dataclass(frozen=True, slots=True)
class TextOptions:
    """What to run: texts, lines of stdin, or ids."""

    title: ClassVar = "Text"
    help: ClassVar = (
        "TEXT is one text or several, or '-' for stdin. "
        "Without TEXT: stdin if it is piped, else a sample prompt."
    )

    text: options.Text = None
    lines: options.Lines = False
    ids: options.Ids = None
    no_special: options.NoSpecial = False

    def given(self) -> PromptSource:
        """Read what the options name; say so where it is the sample prompt."""
        if self.ids is not None:
            if self.text or self.lines:
                raise InputError(
                    "--ids takes the place of text, and there is text too", "drop one of the two"
                )
            return PromptSource(rows=tuple(tuple(parse_ids(row)) for row in self.ids))
        found = read_texts(self.text or (), lines=self.lines)
        if found.is_sample:
            streams.write_notice(f'no text was given, so this is the sample prompt "{SAMPLE}"')
        return PromptSource(texts=found.texts, special=not self.no_special)


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which model to run, with which weights, where and in what."""

    title: ClassVar = "Model"

    model: options.Model = None
    weights: options.Weights = None
    seed: options.Seed = DEFAULT_SEED
    config: options.Config = None
    settings: options.Set = None
    device: options.Device = "cpu"
    dtype: options.Dtype = None
    threads: options.Threads = None

    def chosen(self) -> ModelSelection:
        """Return the model that the options mean, telling the person before anything is downloaded."""
        return select_model(
            self.model, weights=self.weights, config=self.config, settings=self.settings or (),
            seed=self.seed, device=self.device, dtype=self.dtype, threads=self.threads,
            say=streams.write_notice,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Format, place and width of what is printed."""

    title: ClassVar = "Output"

    form: options.Format = None
    json: options.Json = False
    output: options.Output = None
    width: options.Width = None

    def target(self) -> Destination:
        """Settle them, before any work is done."""
        return Destination.of(self.form, self.json, self.output, self.width)


class GroupedCommand(TyperCommand):
    """A command whose help lists its options group by group, its own first."""

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


def with_flat_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the command that Typer sees: with every option of a group in the place of the group.

    Typer reads options from a signature, so one is made; the function gets its groups whole.
    """
    hints = get_type_hints(function, include_extras=True)
    own = inspect.signature(function).parameters
    groups = {name: hints[name] for name in own if is_dataclass(hints[name])}
    parameters = []
    for name, parameter in own.items():
        if name in groups:
            parameters += _options_of(groups[name])
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))

    @wraps(function)
    def command(**given: Any) -> Any:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        return function(**given)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    notes = [group.help for group in groups.values() if hasattr(group, "help")]
    command.__doc__ = "\n\n".join([inspect.getdoc(function) or "", *notes])
    return command


def _options_of(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    found = []
    for field in fields(group):
        kind, info = get_args(hints[field.name])
        info = copy.copy(info)
        info.rich_help_panel = group.title
        found.append(
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default,
                annotation=Annotated[kind, info],
            )
        )  # fmt: skip
    return found
