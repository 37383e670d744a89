"""The predictions to make: next tokens, windows, samples."""

from __future__ import annotations

from typing import Annotated

from gptrace.cli.options.option import option
from gptrace.predict.validation import TOPICS

K = Annotated[
    int | None, option("--k -k INTEGER", "Number of next tokens to show.  [default: 5]", variable=True)
]
Temperature = Annotated[
    float, option("--temperature NUMBER", "Divide the logits by this before the softmax.", variable=True)
]
Positions = Annotated[
    str, option("--positions last|all", "Predict after the last token, or after every token.")
]
NextTokens = Annotated[
    list[str] | None,
    option(
        "--token TEXT",
        'Also show the rank and probability of this next token, as in --token " Paris". Repeatable.',
    ),
]
InputFormat = Annotated[
    str | None,
    option(
        "--input-format text|lines|jsonl",
        "Read stdin as one prompt (text), a prompt on each line (lines, or --lines), or JSON Lines like "
        '{"text": "Hello"} or {"ids": [15496]}, whose other keys are kept in the results.',
    ),
]
Resume = Annotated[
    bool,
    option(
        "--resume",
        "Continue --output FILE.jsonl: keep its results, skip the lines of stdin that they came from, and "
        "add each new result as it comes.",
    ),
]
BatchSize = Annotated[
    int | None,
    option(
        "--batch-size INTEGER", least=1, variable=True,
        help="Number of prompts in a batch; of windows for loss.  [default: as many as fit into 1,024 tokens "
        "on a CPU, 16,384 elsewhere]",
    ),
]  # fmt: skip
Stride = Annotated[
    int | None,
    option(
        "--stride INTEGER", least=1,
        help="Tokens from one window to the next, where a text is longer than the context. A smaller stride "
        "takes longer and gives each token more context.  [default: half a context]",
    ),
]  # fmt: skip

Head = Annotated[str | None, option("--head PATH", "Path of the output head, if gptrace does not find it.")]


def _complete_topic(incomplete: str) -> list[str]:
    return [name for name in TOPICS if name.startswith(incomplete)]


Topics = Annotated[
    list[str] | None,
    option(
        "--topic NAME", f"One of {', '.join(TOPICS)}. Repeatable.  [default: all]", completion=_complete_topic
    ),
]

MaxNewTokens = Annotated[
    int, option("--max-new-tokens -n INTEGER", "Maximum number of new tokens.", least=1, variable=True)
]
SamplingTemperature = Annotated[
    float | None,
    option(
        "--temperature NUMBER", variable=True,
        help="Sample from the softmax of the logits divided by this; 0 picks the most likely token.  "
        "[default: 0, or 1 with --top-k or --top-p]",
    ),
]  # fmt: skip
TopK = Annotated[
    int | None, option("--top-k INTEGER", "Sample from this many of the most likely tokens.", least=1)
]
TopP = Annotated[
    float | None,
    option(
        "--top-p NUMBER",
        "Sample from the fewest of the most likely tokens whose probabilities reach this sum.",
    ),
]
Stop = Annotated[list[str] | None, option("--stop TEXT", "Stop generating before this text. Repeatable.")]
NoCache = Annotated[
    bool, option("--no-cache", "Run all tokens again at each step: the same text, but slower.")
]
TraceSteps = Annotated[
    bool,
    option("--trace", "Show the shapes of each step; from the second step on, only the newest token is run."),
]
