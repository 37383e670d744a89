"""The options that commands share, each said once.

Options of a Typer callback would parse only before the command's name, hence aliases.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from gptrace.errors import OptionError
from gptrace.model.config import PRESETS
from gptrace.model.selection import DEVICES, DTYPES
from gptrace.predict.validation import TOPICS
from gptrace.report.columns import ALL_COLUMNS


def _complete_model(incomplete: str) -> list[str]:
    return [name for name in PRESETS if name.startswith(incomplete)]


# Typer's own messages do not repeat the value that was wrong.
def _whole(option: str, least: int | None = None) -> Callable[[str | int], int]:
    bound = "" if least is None else f" from {least} up"

    def parse(text: str | int) -> int:
        plain = re.fullmatch("[+-]?[0-9]{1,30}", str(text))  # int() takes 1_0 and digits of other scripts too
        number = int(text) if plain else None
        if number is None or (least is not None and number < least):
            raise OptionError(
                f"{option} {text} is not a whole number{bound}", f"write it like {option} {least or 5}"
            )
        return number

    return parse


def _number(option: str) -> Callable[[str | float], float]:
    def parse(text: str | float) -> float:
        with suppress(ValueError):
            if "_" not in str(text):
                return float(text)
        raise OptionError(f"{option} {text} is not a number", f"write it like {option} 0.7")

    return parse


# Typer would list the argument with its Python type; the help of each command describes it instead.
Text = Annotated[list[str] | None, typer.Argument(metavar="TEXT", hidden=True)]
Lines = Annotated[bool, typer.Option("--lines", help="Each line of stdin is a prompt.")]
Ids = Annotated[
    list[str] | None,
    typer.Option(
        "--ids", metavar="IDS", help='Token ids in place of text, as in "15496 11 314". Repeatable.'
    ),
]
NoSpecial = Annotated[
    bool, typer.Option("--no-special", help="Read <|endoftext|> in the text as plain characters.")
]
Truncate = Annotated[
    bool, typer.Option("--truncate", help="Keep the last context_length tokens of a text that is too long.")
]

Model = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="NAME", envvar="GPTRACE_MODEL", autocompletion=_complete_model,
        help="A preset (`gptrace models` lists them), FILE.py:OBJECT or package.module:OBJECT for a model of "
        "your own, hf:FOLDER or hf:OWNER/NAME for one of transformers.  "
        "[default: gpt2-small, unless --weights decide]",
    ),
]  # fmt: skip
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights", "-w", metavar="random|pretrained|PATH", envvar="GPTRACE_WEIGHTS",
        help="Random ones, the published ones, or a file or folder: Hugging Face GPT-2, nanoGPT, minGPT, the "
        "course's own; or a state dict for your own class.  [default: random; for hf: its own]",
    ),
]  # fmt: skip
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        metavar="INTEGER",
        parser=_whole("--seed"),
        envvar="GPTRACE_SEED",
        help="Seed of the random weights.",
    ),
]
Config = Annotated[
    str | None,
    typer.Option(
        "--config", metavar="FILE|OBJECT", envvar="GPTRACE_CONFIG",
        help="A .json or .toml file of configuration keys, which override the preset's; for a model of your "
        "own also FILE.py:NAME, a dict, an object or a class.",
    ),
]  # fmt: skip
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        envvar="GPTRACE_SET",
        help="One configuration key, as in n_layers=2. Repeatable.",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="NAME", envvar="GPTRACE_DEVICE", help=f"One of {', '.join(DEVICES)}, or cuda:N."
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        "--dtype", metavar="NAME", envvar="GPTRACE_DTYPE",
        help=f"One of {', '.join(DTYPES)}.  [default: float32; a model of your own stays as it is made]",
    ),
]  # fmt: skip

Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="INTEGER", parser=_whole("--threads", least=1), envvar="GPTRACE_THREADS",
        help="Processor threads that torch may use. Default: as many as there are cores.",
    ),
]  # fmt: skip

K = Annotated[
    int | None,
    typer.Option(
        "--k",
        "-k",
        metavar="INTEGER",
        parser=_whole("--k"),
        envvar="GPTRACE_K",
        help="How many next tokens to show (5).",
    ),
]
Temperature = Annotated[
    float,
    typer.Option(
        "--temperature",
        metavar="NUMBER",
        parser=_number("--temperature"),
        envvar="GPTRACE_TEMPERATURE",
        help="Divide the logits by this before the softmax.",
    ),
]

TopicName = Annotated[
    list[str] | None,
    typer.Option("--topic", metavar="NAME", help=f"One of {', '.join(TOPICS)}; all without. Repeatable."),
]
Lang = Annotated[
    str,
    typer.Option("--lang", metavar="en|zh", envvar="GPTRACE_LANG", help="The language: English or Chinese."),
]
Head = Annotated[
    str | None,
    typer.Option(
        "--head", metavar="PATH", help="The module that makes the logits, where it cannot be found."
    ),
]
Stride = Annotated[
    int | None,
    typer.Option(
        "--stride", metavar="INTEGER", parser=_whole("--stride", least=1),
        help="By how many tokens the window moves over a text longer than the context. Default: half a "
        "context; less takes longer, and gives each token more to go by.",
    ),
]  # fmt: skip
FullText = Annotated[bool, typer.Option("--full", help="Show every token of a long text.")]
MaxNewTokens = Annotated[
    int,
    typer.Option(
        "--max-new-tokens", "-n", metavar="INTEGER", parser=_whole("--max-new-tokens", least=1),
        envvar="GPTRACE_MAX_NEW_TOKENS", help="How many tokens to add at most.",
    ),
]  # fmt: skip
SamplingTemperature = Annotated[
    float | None,
    typer.Option(
        "--temperature", metavar="NUMBER", parser=_number("--temperature"), envvar="GPTRACE_TEMPERATURE",
        help="Sample, from the softmax of the logits divided by this; 0 takes the likeliest each time. "
        "Default: 0, or 1 with --top-k or --top-p.",
    ),
]  # fmt: skip
TopK = Annotated[
    int | None,
    typer.Option(
        "--top-k", metavar="INTEGER", parser=_whole("--top-k", least=1),
        help="Sample from the likeliest tokens, so many of them.",
    ),
]  # fmt: skip
TopP = Annotated[
    float | None,
    typer.Option(
        "--top-p", metavar="NUMBER", parser=_number("--top-p"),
        help="Sample from the fewest tokens whose probabilities come to this.",
    ),
]  # fmt: skip
Stop = Annotated[
    list[str] | None,
    typer.Option("--stop", metavar="TEXT", help="End before this text. Repeatable."),
]
NoCache = Annotated[
    bool,
    typer.Option(
        "--no-cache", help="Run all tokens again at each step; the text is the same, it takes longer."
    ),
]
TraceSteps = Annotated[
    bool,
    typer.Option(
        "--trace",
        help="Show the shapes of each step: with the cache, after the first one token goes in alone.",
    ),
]

InputFormat = Annotated[
    str | None,
    typer.Option(
        "--input-format", metavar="text|lines|jsonl",
        help="How stdin is read: as one prompt (text), a prompt on each line (lines, or --lines), or JSON "
        'Lines like {"text": "Hello"} or {"ids": [15496]}, whose other keys come out again.',
    ),
]  # fmt: skip
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", metavar="INTEGER", parser=_whole("--batch-size", least=1),
        envvar="GPTRACE_BATCH_SIZE",
        help="Prompts that run together. Default: as many as make some thousand tokens.",
    ),
]  # fmt: skip
Positions = Annotated[
    str,
    typer.Option(
        "--positions", metavar="last|all", help="Predict after the last token, or after every token."
    ),
]
TokenChosen = Annotated[
    list[str] | None,
    typer.Option(
        "--token", metavar="TEXT",
        help='Show the rank and probability of this next token too, as in --token " Paris". Repeatable.',
    ),
]  # fmt: skip
LogProbabilities = Annotated[
    bool, typer.Option("--logprobs", help="Show log-probabilities in the table too; JSON has them always.")
]

Full = Annotated[bool, typer.Option("--full", help="Show every call; fold no blocks that are the same.")]
Depth = Annotated[
    int | None,
    typer.Option(
        "--depth", metavar="INTEGER", parser=_whole("--depth", least=0),
        help="Show no deeper than this; sums still include what is below.",
    ),
]  # fmt: skip

Only = Annotated[
    str | None,
    typer.Option(
        "--only", metavar="GLOB",
        help="Show the modules with that name or path, as in att or 'trf_blocks.0.*', with what is in and "
        "around them.",
    ),
]  # fmt: skip
Type = Annotated[
    str | None,
    typer.Option(
        "--type",
        metavar="GLOB",
        help="Show the calls of that type, as in Linear, or with --ops that operation, as in softmax.",
    ),
]
Ops = Annotated[
    bool,
    typer.Option("--ops", help="Show the operations between the modules too, with the lines they are in."),
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns", metavar="NAMES", envvar="GPTRACE_COLUMNS",
        help=f"Columns of the table, with commas: {', '.join(ALL_COLUMNS)}; or all. What a column shows is "
        "measured, and is in the JSON too.",
    ),
]  # fmt: skip
Expect = Annotated[
    Path | None,
    typer.Option(
        "--expect", metavar="FILE",
        help="Compare with a kept trace, as `gptrace diff` does: exit code 1 where they part.",
    ),
]  # fmt: skip
Rtol = Annotated[
    float,
    typer.Option(
        "--rtol",
        metavar="NUMBER",
        parser=_number("--rtol"),
        help="How far values may part, relative to them.",
    ),
]
Atol = Annotated[
    float,
    typer.Option("--atol", metavar="NUMBER", parser=_number("--atol"), help="The same, absolute."),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format", "-f", metavar="NAME",
        help="One of table (the default; text means the same), json, jsonl, csv, markdown, html.  "
        "[env var: GPTRACE_FORMAT]",
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE",
        help="Write to FILE, whole or not at all; .json, .jsonl, .csv, .md, .html or .txt picks the format.",
    ),
]  # fmt: skip
Width = Annotated[
    int | None,
    typer.Option(
        "--width", metavar="INTEGER", parser=_whole("--width", least=40), envvar="GPTRACE_WIDTH",
        help="Columns of the table. Default: the terminal's; in a pipe or a file, as wide as it needs.",
    ),
]  # fmt: skip
