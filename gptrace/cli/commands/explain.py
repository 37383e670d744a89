"""`gptrace explain`: attention, and why the last dimension is vocab_size, checked on live numbers."""

from __future__ import annotations

from dataclasses import replace

from gptrace.cli.options.groups import ModelOptions, OutputOptions, TextOptions, Truncate
from gptrace.cli.options.prediction import Head, Topics
from gptrace.cli.output import CommandResult
from gptrace.errors import EXIT_DONE, EXIT_FAILED
from gptrace.predict.validation import resolve_topics


def explain(
    text: TextOptions, model: ModelOptions, output: OutputOptions,
    topics: Topics = None, truncate: Truncate = False, head: Head = None,
) -> CommandResult:  # fmt: skip
    """Explain attention, and why the last dimension is vocab_size.

    Every claim about the way from the text to vocab_size scores is checked on this text and this model: ✓
    where it holds, ✗ where it does not; then the exit code is 1.
    """
    destination = output.destination()
    # Checked before the model is selected, which may download it.
    names = resolve_topics(topics or ())
    session = model.session()
    record = session.explain(
        text.source(), topics=names, lang=destination.language, truncate=truncate, head=head
    )
    fails = any(claim.holds is False for topic in record.topics for claim in topic.claims)
    return replace(destination.result(record), exit_code=EXIT_FAILED if fails else EXIT_DONE)
