"""The groups of options that commands share: the text, the model and the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from gptrace.cli import streams
from gptrace.cli.options.display import PAGE_FILE, Theme
from gptrace.cli.options.option import option
from gptrace.cli.output import PICTURES, Destination
from gptrace.errors import InputError, OptionError
from gptrace.model.config import PRESETS
from gptrace.model.device_names import DEVICES
from gptrace.model.selection import (
    DEFAULT_MODEL,
    DEFAULT_SEED,
    DTYPES,
    ModelSelection,
    command_for,
    select_model,
    typed_options,
)
from gptrace.model.weights.packaged import TRAINED_MODEL, model_to_predict
from gptrace.report import FORMATS
from gptrace.report.safe_text import quoted
from gptrace.session import Session
from gptrace.text.prompt_source import PromptSource
from gptrace.text.prompts import parse_ids
from gptrace.text.stdin import SAMPLE, read_texts
from gptrace.translation import LANGUAGES

Truncate = Annotated[
    bool, option("--truncate", "Keep the last context_length tokens of a text that is too long.")
]
OutputFile = Annotated[
    Path | None,
    option(
        "--output -o FILE",
        "Write to FILE; .json, .jsonl, .csv, .md, .html, .svg or .txt selects the format, of a trace also "
        ".mmd or .dot. If the command fails, FILE is not changed; but run writes the trace of a model that "
        "raises.",
    ),
]


Language = Annotated[
    str | None,
    option(
        f"--lang {'|'.join(LANGUAGES)}", variable=True,
        help="Language of reports, notes and errors: English or Chinese; JSON, CSV and this help are in "
        "English.  [default: that of the locale, if it is one of these; else en]",
    ),
]  # fmt: skip


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
            streams.write_notice(f"no text was given, so this is the sample prompt {quoted(SAMPLE)}")
        return PromptSource(texts=texts.texts, special=not self.no_special)


@dataclass(frozen=True, slots=True)
class OptionalTextOptions:
    """A text or ids that may be given, where the command can do without."""

    title: ClassVar = "Text"
    help: ClassVar = "TEXT is one text, or '-' for stdin. Without TEXT the prompts are random ids."

    text: Annotated[list[str] | None, typer.Argument(metavar="TEXT", hidden=True)] = None
    ids: Annotated[str | None, option("--ids IDS", 'Token ids in place of text, as in "15496 11 314".')] = (
        None
    )
    no_special: Annotated[
        bool, option("--no-special", "Read <|endoftext|> in a text as plain characters.")
    ] = False

    def source(self) -> PromptSource | None:
        """Read the text or ids; None without."""
        if self.text is None and self.ids is None:
            return None
        return TextOptions(
            self.text, ids=None if self.ids is None else [self.ids], no_special=self.no_special
        ).source()


def _complete_model(incomplete: str) -> list[str]:
    return [name for name in PRESETS if name.startswith(incomplete)]


def _model_option(default: str) -> Any:
    return option(
        "--model -m NAME", variable=True, completion=_complete_model,
        help="A preset (`gptrace models` lists them); FILE.py:OBJECT, FILE.ipynb:OBJECT or "
        "package.module:OBJECT for a model of your own; hf:FOLDER or hf:OWNER/NAME for a model of "
        f"transformers.  [default: {default}]",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The model to run, with its weights, configuration, device and dtype."""

    title: ClassVar = "Model"

    model: Annotated[str | None, _model_option(f"{DEFAULT_MODEL}, or the model of the --weights file")] = None
    weights: Annotated[
        str | None,
        option(
            "--weights -w random|pretrained|PATH", variable=True,
            help="Random weights, the published ones, or the path of a GPT-2 checkpoint of Hugging Face, "
            "nanoGPT, minGPT or the course; for a model of your own, its state dict.  "
            "[default: random; small and hf: models have their own]",
        ),
    ] = None  # fmt: skip
    seed: Annotated[
        int, option("--seed INTEGER", "Seed of the random weights, and of sampling.", variable=True)
    ] = DEFAULT_SEED
    config: Annotated[
        str | None,
        option(
            "--config FILE|OBJECT", variable=True,
            help="A .json or .toml file of configuration keys, which replace the preset's; for a model of "
            "your own also FILE.py:NAME or FILE.ipynb:NAME, a dict, an object or a class.",
        ),
    ] = None  # fmt: skip
    settings: Annotated[
        list[str] | None,
        option("--set KEY=VALUE", "One configuration key, as in n_layers=2. Repeatable.", variable=True),
    ] = None
    device: Annotated[
        str,
        option(
            "--device NAME",
            f"One of {', '.join(DEVICES)}, cuda:N, or another device of torch.",
            variable=True,
        ),
    ] = "cpu"
    dtype: Annotated[
        str | None,
        option(
            "--dtype NAME", variable=True,
            help=f"One of {', '.join(DTYPES)}; auto measures for 20 ms whether bfloat16 is faster than "
            "float32.  [default: float32; a model of your own keeps its dtype]",
        ),
    ] = None  # fmt: skip
    threads: Annotated[
        int | None,
        option(
            "--threads INTEGER", least=1, variable=True,
            help="Processor threads that torch may use.  [default: one for each core]",
        ),
    ] = None  # fmt: skip

    def command(self, name: str, *options: str) -> str:
        """Return another command about the same model, as it is typed."""
        typed = typed_options(self.model, self.weights, self.config, self.settings or ())
        return command_for(typed, name, *options)

    def session(self) -> Session:
        """Return a session with the model; a notice is written before anything is downloaded."""
        return Session(self.selection())

    def selection(self) -> ModelSelection:
        """Return what selects the model; a notice is written before anything is downloaded."""
        return select_model(
            self._chosen(), weights=self.weights, config=self.config, settings=self.settings or (),
            seed=self.seed, device=self.device, dtype=self.dtype, threads=self.threads,
            say=streams.write_notice,
        )  # fmt: skip

    def _chosen(self) -> str | None:
        return self.model


@dataclass(frozen=True, slots=True)
class PredictingModelOptions(ModelOptions):
    """The same for a command that only predicts: where nothing selects a model, it is a trained one."""

    model: Annotated[
        str | None,
        _model_option(
            f"{TRAINED_MODEL}, which is trained; with --weights, --config or --set {DEFAULT_MODEL}, or the "
            "model of the --weights file"
        ),
    ] = None

    def _chosen(self) -> str | None:
        chosen: str | None = model_to_predict(self.model, self.weights, self.config, self.settings or ())
        return chosen


def _complete_format(incomplete: str) -> list[str]:
    return [name for name in (*FORMATS, *PICTURES) if name.startswith(incomplete)]


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """The format, the place, the width, the language and the colours of the output."""

    title: ClassVar = "Output"

    format: Annotated[
        str | None,
        option(
            "--format -f NAME",
            "One of table (or text), json, jsonl, csv, markdown, html, svg; of a trace also mermaid, dot.  "
            "[env var: GPTRACE_FORMAT; default: table]",
            completion=_complete_format,
        ),
    ] = None
    json: Annotated[bool, option("--json", "Short for --format json.")] = False
    file: OutputFile = None
    width: Annotated[
        int | None,
        option(
            "--width INTEGER", least=40, variable=True,
            help="Width of the table or the SVG in characters.  "
            "[default: the terminal's; 120 in an SVG; else, in a pipe or a file, as wide as the table needs]",
        ),
    ] = None  # fmt: skip
    lang: Language = None
    theme: Theme = None

    def page_destination(self) -> Destination:
        """Check the options for a page that is opened; without --output its file is gptrace.html."""
        file = Path(PAGE_FILE) if self.file is None else self.file
        given = "--json" if self.json else ""
        if self.format not in (None, "html"):
            given = f"--format {self.format}"
        elif file.suffix.lower() != ".html":
            given = f"--output {file}"
        if given:
            problem = f"--open opens an HTML file, but there is also {given}"
            raise OptionError(problem, f"drop {given}, or --open")
        return Destination.parse("html", False, file, self.width, self.lang, self.theme)

    def destination(self, more: Mapping[str, Sequence[str]] | None = None) -> Destination:
        """Check the options, before any work is done; `more` are formats of this command alone."""
        return Destination.parse(
            self.format, self.json, self.file, self.width, self.lang, self.theme, more=more
        )
