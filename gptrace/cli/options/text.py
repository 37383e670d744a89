"""The texts, lines or ids to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from gptrace.cli import streams
from gptrace.cli.options.option import option
from gptrace.errors import InputError
from gptrace.text.prompt_source import PromptSource
from gptrace.text.prompts import parse_ids
from gptrace.text.source import SAMPLE, read_texts

Truncate = Annotated[
    bool, option("--truncate", "Keep the last context_length tokens of a text that is too long.")
]


@dataclass(frozen=True, slots=True)
class TextOptions:
    """The texts, lines of stdin, or ids to run."""

    title: ClassVar = "Text"
    help: ClassVar = (
        "TEXT is one text or several, or '-' for stdin. "
        "Without TEXT, stdin is read if it is piped; else a sample prompt is used."
    )

    # Typer would list the argument with its Python type; `help` above describes it instead.
    text: Annotated[list[str] | None, typer.Argument(metavar="TEXT", hidden=True)] = None
    lines: Annotated[bool, option("--lines", "Read each line of stdin as a prompt.")] = False
    ids: Annotated[
        list[str] | None, option("--ids IDS", 'Token ids in place of text, as in "15496 11 314". Repeatable.')
    ] = None
    no_special: Annotated[
        bool, option("--no-special", "Read <|endoftext|> in a text as plain characters.")
    ] = False

    def source(self) -> PromptSource:
        """Read the texts or ids; write a notice where the sample prompt is used."""
        if self.ids is not None:
            if self.text or self.lines:
                raise InputError("--ids and text are both given", "drop one of the two")
            return PromptSource(rows=tuple(tuple(parse_ids(row)) for row in self.ids))
        texts = read_texts(self.text or (), lines=self.lines)
        if texts.is_sample:
            streams.write_notice(f'no text was given, so this is the sample prompt "{SAMPLE}"')
        return PromptSource(texts=texts.texts, special=not self.no_special)
