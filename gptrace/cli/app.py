"""The commands. Each parses, calls one function of `gptrace.api`, and returns what is to be written."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer

import gptrace
from gptrace import api
from gptrace.cli import options, streams
from gptrace.cli.reply import Reply, Target, checked
from gptrace.comparison import (
    DEFAULT_ATOL,
    DEFAULT_RTOL,
    Difference,
    compare,
    measured,
    read_trace,
    read_trace_file,
)
from gptrace.errors import EXIT_DONE, EXIT_FAILED, GptraceError, InputError, OptionError
from gptrace.measures import Measures
from gptrace.model.choice import DEFAULT_SEED, ModelChoice, choose
from gptrace.model.config import suggestion
from gptrace.model.weights import hub
from gptrace.record import Trace
from gptrace.report import View
from gptrace.report.columns import measures_for, parse_columns
from gptrace.report.json_report import to_json
from gptrace.report.schemas import SCHEMAS
from gptrace.text.prompts import Given, parse_ids
from gptrace.text.source import SAMPLE, read_stdin, read_texts

# \b keeps a paragraph's lines as they are.
_HELP = """See what a GPT does to a piece of text: every shape on the way, and the next tokens.

\b
gptrace run "Hello"         [batch, seq_len] → [batch, seq_len, vocab_size]
gptrace topk --k 5 "Hello"  the next tokens alone
gptrace diff a.json b.json  the first place where two traces part
gptrace tokens "Hello"      ids, text and bytes of each token
"""

app = typer.Typer(
    # Rich's markup would eat [batch, seq_len] in help strings.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=_HELP,
    context_settings={"help_option_names": ["--help", "-h"]},
)


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
    only: options.Only = None,
    kind: options.Type = None,
    full: options.Full = False,
    depth: options.Depth = None,
    expect: options.Expect = None,
    rtol: options.Rtol = DEFAULT_RTOL,
    atol: options.Atol = DEFAULT_ATOL,
    form: options.Format = None,
    json: options.Json = False,
    output: options.Output = None,
    width: options.Width = None,
) -> Reply:
    target = Target.of(form, json, output, width)
    shown = parse_columns(columns) if columns is not None else ()
    if expect is not None and output is not None and expect.resolve() == output.resolve():
        raise OptionError(f"--output {output} would replace the trace to compare with", "name another file")
    expected = read_trace_file(expect) if expect is not None else None
    measures = _measures(shown, ops, expected)
    chosen = _chosen(
        model, weights=weights, config=config, settings=settings, seed=seed, device=device, dtype=dtype
    )
    given = _read_given(text, lines, ids, no_special)
    failed: GptraceError | None = None
    try:
        with redirect_stdout(sys.stderr):
            trace = api.trace_given(
                given, chosen, k=k, temperature=temperature, truncate=truncate,
                measures=measures,
            )  # fmt: skip
    except GptraceError as error:
        if not isinstance(error.trace, Trace):
            raise
        trace, failed = error.trace, error  # up to where it broke
    if expected is not None and failed is None:
        difference = compare(expected, trace.to_dict(), names=(str(expect), "now"), rtol=rtol, atol=atol)
        return _reply_of(difference, target)
    reply = target.reply(trace, View(full=full, depth=depth, columns=shown, only=only, kind=kind))
    return replace(reply, error=failed)


def _chosen(model: str | None, *, settings: list[str] | None, **options: Any) -> ModelChoice:
    """Return the model that the options mean, telling the person before anything is downloaded."""
    return choose(model, settings=settings or (), say=streams.write_notice, **options)


def _measures(columns: Sequence[str], ops: bool, expected: Mapping[str, Any] | None) -> Measures:
    """Return what to measure: what is shown, and what a kept trace has to be compared with."""
    needed = measures_for(columns, ops=ops)
    if expected is None:
        return needed
    kept = measured(expected)
    return replace(
        needed, macs=needed.macs or "macs" in kept, statistics=needed.statistics or "statistics" in kept
    )


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
    target = Target.of(form, json, output, width)
    chosen = _chosen(
        model, weights=weights, config=config, settings=settings, seed=seed, device=device, dtype=dtype
    )
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
    target = Target.of(form, json, output, width)
    return target.reply(api.tokens_of(_read_given(text, lines, ids, no_special)))


@app.command(
    help="Compare two traces: calls added, removed or changed, and the first whose values part.\n\n"
    "A and B are files that `gptrace run --json` wrote; one of them may be '-', stdin. Exit code 0: the "
    "same, 1: different."
)
def diff(
    a: Annotated[str, typer.Argument(metavar="A", hidden=True)],
    b: Annotated[str, typer.Argument(metavar="B", hidden=True)],
    rtol: options.Rtol = DEFAULT_RTOL,
    atol: options.Atol = DEFAULT_ATOL,
    form: options.Format = None,
    json: options.Json = False,
    output: options.Output = None,
    width: options.Width = None,
) -> Reply:
    target = Target.of(form, json, output, width)
    if a == b == "-":
        raise InputError("'-' stands for stdin, and is given twice", "stdin can be read only once")
    read = [
        read_trace(read_stdin(), "stdin") if name == "-" else read_trace_file(Path(name)) for name in (a, b)
    ]
    difference = compare(*read, names=(a, b), rtol=rtol, atol=atol)
    return _reply_of(difference, target)


def _reply_of(difference: Difference, target: Target) -> Reply:
    return replace(target.reply(difference), code=EXIT_DONE if difference.is_same else EXIT_FAILED)


@app.command()
def models(
    form: options.Format = None,
    json: options.Json = False,
    output: options.Output = None,
    width: options.Width = None,
) -> Reply:
    """List the models that --model knows by name, with their sizes."""
    return Target.of(form, json, output, width).reply(api.presets())


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
    return Reply(to_json(wanted, indent=2) + "\n", output=checked(output))


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
