"""The Typer application: the commands, and how a command line becomes a CommandResult."""

from __future__ import annotations

import inspect
import os
import pkgutil
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

import gptrace
from gptrace.cli import commands, streams
from gptrace.cli.grouped_command import GroupedCommand, Invocation, with_flat_options
from gptrace.cli.options.option import option
from gptrace.cli.output import CommandResult
from gptrace.errors import EXIT_DONE, EXIT_INTERRUPTED, InputError
from gptrace.translation import LANGUAGES, checked_language
from gptrace.wording import one_line

# \b keeps a paragraph's lines as they are.
_HELP = """See what a GPT does to a piece of text: every shape on the way, and the next tokens.

\b
gptrace run "Hello"         [batch, seq_len] → [batch, seq_len, vocab_size]
gptrace topk --k 5 "Hello"  the next tokens alone
gptrace check -m my.py:GPT  is this model right, and which line is not?
gptrace source -m my.py:GPT your code, each line with the shapes that it makes
gptrace diff a.json b.json  the first place where two traces differ
gptrace tokens "Hello"      ids, text and bytes of each token
"""

app = typer.Typer(
    # Rich's markup would eat [batch, seq_len] in help strings.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=_HELP,
    context_settings={"help_option_names": ["--help", "-h"]},
)
# The variable by which the script of a shell asks for completions, and what helps where it is wrong.
_COMPLETION = "_GPTRACE_COMPLETE"
_COMPLETION_HINT = (
    "completion works in bash, zsh, fish, powershell and pwsh; "
    "`_GPTRACE_COMPLETE=source_bash gptrace` prints the script for bash"
)
# The order of the help; a command that is not named here comes last.
_ORDER = (
    "run", "topk", "tokens", "explain", "check", "source", "loss", "generate", "lens", "diff", "show",
    "models", "pull", "schema",
)  # fmt: skip


def _command_names() -> tuple[str, ...]:
    """Return the names of the commands: each is a file in cli/commands with a function of its name."""
    names = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
    return tuple(sorted(names, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER)))


COMMANDS = _command_names()
for _name in COMMANDS:
    _command: Callable[..., CommandResult] = getattr(import_module(f"{commands.__name__}.{_name}"), _name)
    # The first line, whole: left to itself, Typer cuts it where the terminal ends.
    _summary = (inspect.getdoc(_command) or "").partition("\n")[0]
    app.command(cls=GroupedCommand, short_help=_summary)(with_flat_options(_command))


def call(arguments: Sequence[str]) -> CommandResult:
    """Parse and run a command line; return its result. Usage errors come as InputError."""
    parsed = parse(arguments)
    return parsed.run() if isinstance(parsed, Invocation) else parsed


def parse(arguments: Sequence[str]) -> Invocation | CommandResult:
    """Return the command of a command line, ready to be run; or the text that Typer answers itself."""
    with streams.captured() as (printed, complaints):
        parsed = _parse(arguments)
    if isinstance(parsed, Invocation):
        return parsed
    if parsed == EXIT_INTERRUPTED:  # Typer's exit code for Ctrl-C
        raise KeyboardInterrupt
    text = printed.getvalue()  # a help page, the version or a completion script
    if isinstance(parsed, int) and parsed != EXIT_DONE:
        # Typer ends like this for shell completion alone.
        problem = one_line(complaints.getvalue() or text).rstrip(".")
        raise InputError(problem[:1].lower() + problem[1:], _COMPLETION_HINT)
    return CommandResult(text)


def _parse(arguments: Sequence[str]) -> Any:
    """Return an Invocation, or the exit code of a command line that Typer answers itself."""
    try:
        return app(list(arguments), prog_name="gptrace", standalone_mode=False)
    except typer.TyperException as error:
        raise _usage_error(error) from None
    except typer.Abort:
        raise KeyboardInterrupt from None
    except SystemExit as error:  # how shell completion ends
        return error.code or EXIT_DONE
    except (KeyError, ValueError, IndexError) as error:
        if not os.environ.get(_COMPLETION):
            raise
        problem = f"shell completion cannot read the command line: {type(error).__name__}: {one_line(error)}"
        raise InputError(problem, _COMPLETION_HINT) from None


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", "-V", help="Show the version and exit.")] = False,
    lang: Annotated[
        str | None, option(f"--lang {'|'.join(LANGUAGES)}", "The same as after a command.")
    ] = None,
) -> object:
    if lang is not None:
        checked_language(lang)
    if version:
        typer.echo(f"gptrace {gptrace.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
    return None


def _usage_error(error: typer.TyperException) -> InputError:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "gptrace"
    message = one_line(error.format_message(), limit=None)
    hint = f"`{command} --help` lists the arguments and options"
    if "No such command" in message:
        hint = f'commands: {", ".join(COMMANDS)}; text goes after one of them, as in: gptrace run "Hello"'
    elif "No such option" in message and command != "gptrace":
        hint += "; text that starts with a dash goes after --"
    return InputError(message[0].lower() + message[1:].rstrip("."), hint)
