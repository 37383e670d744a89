"""The Typer application: which commands there are, and how a call of one becomes a CommandResult."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Annotated

import typer

import gptrace
from gptrace.cli import streams
from gptrace.cli.commands.diff import diff
from gptrace.cli.commands.explain import explain
from gptrace.cli.commands.generate import generate
from gptrace.cli.commands.lens import lens
from gptrace.cli.commands.look_up import models, pull, schema
from gptrace.cli.commands.loss import loss
from gptrace.cli.commands.run import run
from gptrace.cli.commands.tokens import tokens
from gptrace.cli.commands.topk import topk
from gptrace.cli.option_groups import GroupedCommand, with_flat_options
from gptrace.cli.output import CommandResult
from gptrace.errors import EXIT_DONE, InputError

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
_ALL = (run, topk, tokens, explain, loss, generate, lens, diff, models, pull, schema)
for command in _ALL:
    app.command(cls=GroupedCommand)(with_flat_options(command))
COMMANDS = tuple(command.__name__ for command in _ALL)


def call(arguments: Sequence[str]) -> object:
    """Parse and run; return the command's CommandResult, or an exit code. Usage errors come as InputError."""
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
    return (
        reply
        if isinstance(reply, CommandResult) or not printed.getvalue()
        else CommandResult(printed.getvalue())
    )


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
