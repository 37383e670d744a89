"""`gptrace explain`: why the last dimension is vocab_size, checked on live numbers."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

from gptrace import api
from gptrace.cli import options
from gptrace.cli.option_groups import ModelOptions, OutputOptions, TextOptions
from gptrace.cli.output import CommandResult
from gptrace.predict.validation import check_language, resolve_topics


def explain(
    text: TextOptions,
    model: ModelOptions,
    output: OutputOptions,
    topic: options.TopicName = None,
    lang: options.Lang = "en",
    truncate: options.Truncate = False,
    head: options.Head = None,
) -> CommandResult:
    """Explain on your own text why the last dimension is vocab_size, and how emb_dim turns into it.

    Every claim is measured on this text and this model: ✓ where it holds, ✗ where it does not.
    """
    target = output.target()
    topics = resolve_topics(topic or ())
    check_language(lang)
    chosen = model.chosen()
    given = text.given()
    with redirect_stdout(sys.stderr):
        found = api.explain(
            given, model=chosen, topics=topics, language=lang, seed=model.seed, truncate=truncate, head=head
        )
    return target.reply(found)
