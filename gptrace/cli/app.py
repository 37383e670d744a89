"""The commands. Each parses, calls one function of `gptrace.api`, and returns what is to be written."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Annotated

import typer

import gptrace
from gptrace import api
from gptrace.cli import options, streams
from gptrace.errors import EXIT_DONE, GptraceError, InputError, OptionError
from gptrace.model.choice import DEFAULT_SEED, choose
from gptrace.model.config import suggestion
from gptrace.model.weights import hub
from gptrace.record import Printable, Trace
from gptrace.report import FORMATS, View, render
from gptrace.report.columns import measures_for, parse_columns
from gptrace.report.json_report import to_json
from gptrace.report.schemas import SCHEMAS
from gptrace.text.prompts import Given, parse_ids
from gptrace.text.source import SAMPLE, read_texts

_SUFFIXES = {".json": "json", ".jsonl": "jsonl", ".csv": "csv", ".md": "markdown", ".txt": "table"}

# \b keeps a paragraph's lines as they are.
_HELP = """See what a GPT does to a piece of text: every shape on the way, and the next tokens.

\b
gptrace run "Hello"         [batch, seq_len] → [batch, seq_len, vocab_size]
gptrace topk --k 5 "Hello"  the next tokens alone
gptrace tokens "Hello"      ids, text and bytes of each token
"""

app = typer.Typer(
    # Rich's markup would eat [batch, seq_len] in help strings.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=_HELP,
    context_settings={"help_option_names": ["--help", "-h"]},
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command wants written: a record in some form, or text; to `output`, or else to stdout.

    `error` is told of when that is done.
    """

    content: Printable | str
    form: str = "table"
    output: Path | None = None
    width: int | None = None
    full: bool = False
    depth: int | None = None
    columns: tuple[str, ...] = ()
    error: GptraceError | None = None

    def text(self) -> str:
        """Render for where it goes: a terminal gets its own width and colour."""
        if isinstance(self.content, str):
            return self.content
        to_stdout = self.output is None
        view = View(
            width=self.width or (streams.stdout_width() if to_stdout else None),
            color=to_stdout and streams.stdout_wants_color(),
            full=self.full,
            depth=self.depth,
            columns=self.columns,
        )
        return render(self.content, self.form, view)


def call(arguments: Sequence[str]) -> object:
    """Parse and run; return the command's Reply, or an exit code. Usage errors come as InputError."""
    # Typer prints help pages itself; they take the same way out as all else. What a command prints
    # while it works is not data.
    printed = StringIO()
    try:
        with redirect_stdout(printed):
            reply = app(list(arguments), prog_name="gptrace", standalone_mode=False)
    except typer.TyperException as error:
        raise _usage_error(error) from None
    except typer.Abort:
        raise KeyboardInterrupt from None
    except SystemExit as error:  # how shell completion ends
        streams.write_stdout(printed.getvalue())
        return error.code or EXIT_DONE
    return reply if isinstance(reply, Reply) or not printed.getvalue() else Reply(printed.getvalue())


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", "-V", help="Show the version and exit.")] = False,
) -> object:
    if version:
        typer.echo(f"gptrace {gptrace.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
    return None


@app.command(
    help=f"Trace the shapes through every submodule and show the next tokens.\n\n{options.TEXT_HELP}"
)
def run(
    text: options.Text = None,
    lines: options.Lines = False,
    ids: options.Ids = None,
    no_special: options.NoSpecial = False,
    truncate: options.Truncate = False,
    model: options.Model = None,
    weights: options.Weights = None,
    seed: options.Seed = DEFAULT_SEED,
    config: options.Config = None,
    settings: options.Set = None,
    device: options.Device = "cpu",
    dtype: options.Dtype = None,
    k: options.K = None,
    temperature: options.Temperature = 1.0,
    ops: options.Ops = False,
    columns: options.Columns = None,
    full: options.Full = False,
    depth: options.Depth = None,
    form: options.Format = None,
    json: options.Json = False,
    output: options.Output = None,
    width: options.Width = None,
) -> Reply:
    target = _Target.of(form, json, output, width)
    shown = parse_columns(columns) if columns is not None else ()
    chosen = choose(
        model, weights=weights, config=config, settings=settings or (), seed=seed, device=device, dtype=dtype,
        say=streams.write_notice,
    )  # fmt: skip
    given = _read_given(text, lines, ids, no_special)
    failed: GptraceError | None = None
    try:
        with redirect_stdout(sys.stderr):
            trace = api.trace_given(
                given, chosen, k=k, temperature=temperature, truncate=truncate,
                measures=measures_for(shown, ops=ops),
            )  # fmt: skip
    except GptraceError as error:
        if not isinstance(error.trace, Trace):
            raise
        trace, failed = error.trace, error  # up to where it broke
    reply = target.reply(trace, full=full, depth=depth, columns=shown)
    return replace(reply, error=failed)


@app.command(help=f"Show the most likely next tokens of one prompt or several.\n\n{options.TEXT_HELP}")
def topk(
    text: options.Text = None,
    lines: options.Lines = False,
    ids: options.Ids = None,
    no_special: options.NoSpecial = False,
    truncate: options.Truncate = False,
    model: options.Model = None,
    weights: options.Weights = None,
    seed: options.Seed = DEFAULT_SEED,
    config: options.Config = None,
    settings: options.Set = None,
    device: options.Device = "cpu",
    dtype: options.Dtype = None,
    k: options.K = None,
    temperature: options.Temperature = 1.0,
    form: options.Format = None,
    json: options.Json = False,
    output: options.Output = None,
    width: options.Width = None,
) -> Reply:
    target = _Target.of(form, json, output, width)
    chosen = choose(
        model, weights=weights, config=config, settings=settings or (), seed=seed, device=device, dtype=dtype,
        say=streams.write_notice,
    )  # fmt: skip
    given = _read_given(text, lines, ids, no_special)
    with redirect_stdout(sys.stderr):
        result = api.topk_given(given, chosen, k=k, temperature=temperature, truncate=truncate)
    return target.reply(result)


@app.command(help=f"Show ids, text and bytes of each token; loads no model.\n\n{options.TEXT_HELP}")
def tokens(
    text: options.Text = None,
    lines: options.Lines = False,
    ids: options.Ids = None,
    no_special: options.NoSpecial = False,
    form: options.Format = None,
    json: options.Json = False,
    output: options.Output = None,
    width: options.Width = None,
) -> Reply:
    target = _Target.of(form, json, output, width)
    return target.reply(api.tokens_of(_read_given(text, lines, ids, no_special)))


@app.command()
def models(
    form: options.Format = None,
    json: options.Json = False,
    output: options.Output = None,
    width: options.Width = None,
) -> Reply:
    """List the models that --model knows by name, with their sizes."""
    return _Target.of(form, json, output, width).reply(api.presets())


@app.command(help=f"Fetch published weights, once. NAME is one or more of {', '.join(hub.PUBLISHED)}.")
def pull(names: Annotated[list[str], typer.Argument(metavar="NAME", hidden=True)]) -> Reply:
    known = [hub.published(name) for name in names]
    return Reply("".join(f"{hub.fetch(name, streams.write_notice)}\n" for name in known))


@app.command(
    help=f"Print the JSON Schema of an output. NAME is one of {', '.join(SCHEMAS)}; without it: all."
)
def schema(
    name: Annotated[str | None, typer.Argument(metavar="NAME", hidden=True)] = None,
    output: options.Output = None,
) -> Reply:
    if name is not None and name not in SCHEMAS:
        raise OptionError(f"{name!r} is not an output with a schema", suggestion(name, SCHEMAS))
    wanted = SCHEMAS if name is None else SCHEMAS[name]
    return Reply(to_json(wanted, indent=2) + "\n", output=_checked(output))


@dataclass(frozen=True, slots=True)
class _Target:
    """Format, place and width of an output, checked before any work is done."""

    form: str
    output: Path | None
    width: int | None

    @classmethod
    def of(cls, form: str | None, json: bool, output: Path | None, width: int | None) -> _Target:
        output = _checked(output)
        if json and form not in (None, "json"):
            raise OptionError(f"--json and --format {form} are both given", "drop one of the two")
        if json:
            form = "json"
        if form is None and output is not None:
            form = _SUFFIXES.get(output.suffix.lower())
            if form is None:
                known = ", ".join(_SUFFIXES)
                raise OptionError(
                    f"--output {output}: its suffix names no format", f"use {known}, or --format"
                )
        form = form or os.environ.get("GPTRACE_FORMAT") or "table"
        if form not in FORMATS:
            raise OptionError(f"{form!r} is not a format", suggestion(form, FORMATS))
        return cls(form, output, width)

    def reply(
        self,
        record: Printable,
        *,
        full: bool = False,
        depth: int | None = None,
        columns: tuple[str, ...] = (),
    ) -> Reply:
        return Reply(record, self.form, self.output, self.width, full, depth, columns)


def _checked(output: Path | None) -> Path | None:
    """Find out now whether a file could not be written later; "-" is stdout."""
    if output is None or str(output) == "-":
        return None
    streams.check_writable(output)
    return output


def _read_given(text: list[str] | None, lines: bool, ids: list[str] | None, no_special: bool) -> Given:
    if ids is not None:
        if text or lines:
            raise InputError("--ids takes the place of text, and there is text too", "drop one of the two")
        return Given(rows=tuple(tuple(parse_ids(row)) for row in ids))
    found = read_texts(text or (), lines=lines)
    if found.is_sample:
        streams.write_notice(f'no text was given, so this is the sample prompt "{SAMPLE}"')
    return Given(texts=found.texts, special=not no_special)


def _usage_error(error: typer.TyperException) -> InputError:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "gptrace"
    message = " ".join(error.format_message().split())
    hint = f"`{command} --help` lists what there is"
    if "No such command" in message:
        hint = f'commands: {", ".join(COMMANDS)}; text goes after one of them, as in: gptrace run "Hello"'
    elif "No such option" in message and command != "gptrace":
        hint += "; text that starts with a dash goes after --"
    return InputError(message[0].lower() + message[1:].rstrip("."), hint)


COMMANDS = tuple(command.callback.__name__ for command in app.registered_commands if command.callback)
