"""The predictions to make: next tokens, windows, samples."""

from __future__ import annotations

from typing import Annotated

import typer

from gptrace.cli.options.parsers import number, whole_number
from gptrace.predict.validation import LANGUAGES, TOPICS

K = Annotated[
    int | None,
    typer.Option(
        "--k", "-k", metavar="INTEGER", parser=whole_number("--k"), envvar="GPTRACE_K",
        help="Number of next tokens to show.  [default: 5]",
    ),
]  # fmt: skip
Temperature = Annotated[
    float,
    typer.Option(
        "--temperature", metavar="NUMBER", parser=number("--temperature"), envvar="GPTRACE_TEMPERATURE",
        help="Divide the logits by this before the softmax.",
    ),
]  # fmt: skip
Positions = Annotated[
    str,
    typer.Option(
        "--positions", metavar="last|all", help="Predict after the last token, or after every token."
    ),
]
NextTokens = Annotated[
    list[str] | None,
    typer.Option(
        "--token", metavar="TEXT",
        help='Also show the rank and probability of this next token, as in --token " Paris". Repeatable.',
    ),
]  # fmt: skip
InputFormat = Annotated[
    str | None,
    typer.Option(
        "--input-format", metavar="text|lines|jsonl",
        help="Read stdin as one prompt (text), a prompt on each line (lines, or --lines), or JSON Lines like "
        '{"text": "Hello"} or {"ids": [15496]}, whose other keys are kept in the results.',
    ),
]  # fmt: skip
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", metavar="INTEGER", parser=whole_number("--batch-size", least=1),
        envvar="GPTRACE_BATCH_SIZE",
        help="Number of prompts in a batch.  [default: as many as make some thousand tokens]",
    ),
]  # fmt: skip
Stride = Annotated[
    int | None,
    typer.Option(
        "--stride", metavar="INTEGER", parser=whole_number("--stride", least=1),
        help="Tokens from one window to the next, where a text is longer than the context. A smaller stride "
        "takes longer and gives each token more context.  [default: half a context]",
    ),
]  # fmt: skip

Head = Annotated[
    str | None,
    typer.Option(
        "--head", metavar="PATH", help="The module that makes the logits, where it cannot be found."
    ),
]
Topics = Annotated[
    list[str] | None,
    typer.Option("--topic", metavar="NAME", help=f"One of {', '.join(TOPICS)}. Repeatable.  [default: all]"),
]
Language = Annotated[
    str,
    typer.Option(
        "--lang", metavar="|".join(LANGUAGES), envvar="GPTRACE_LANG",
        help="Language of the explanation: English or Chinese.",
    ),
]  # fmt: skip

MaxNewTokens = Annotated[
    int,
    typer.Option(
        "--max-new-tokens", "-n", metavar="INTEGER", parser=whole_number("--max-new-tokens", least=1),
        envvar="GPTRACE_MAX_NEW_TOKENS", help="Number of tokens to add at most.",
    ),
]  # fmt: skip
SamplingTemperature = Annotated[
    float | None,
    typer.Option(
        "--temperature", metavar="NUMBER", parser=number("--temperature"), envvar="GPTRACE_TEMPERATURE",
        help="Sample from the softmax of the logits divided by this; 0 picks the most likely token.  "
        "[default: 0, or 1 with --top-k or --top-p]",
    ),
]  # fmt: skip
TopK = Annotated[
    int | None,
    typer.Option(
        "--top-k", metavar="INTEGER", parser=whole_number("--top-k", least=1),
        help="Sample from this many of the most likely tokens.",
    ),
]  # fmt: skip
TopP = Annotated[
    float | None,
    typer.Option(
        "--top-p", metavar="NUMBER", parser=number("--top-p"),
        help="Sample from the fewest tokens whose probabilities reach this sum.",
    ),
]  # fmt: skip
Stop = Annotated[
    list[str] | None, typer.Option("--stop", metavar="TEXT", help="End before this text. Repeatable.")
]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Run all tokens again at each step: the same text, but slower.")
]
TraceSteps = Annotated[
    bool,
    typer.Option(
        "--trace", help="Show the shapes of each step: after the first, the cache leaves one token to run."
    ),
]
