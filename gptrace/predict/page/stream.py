"""The residual stream of a prompt, as a page shows it."""

from __future__ import annotations

from gptrace.errors import RunError
from gptrace.predict.model_structure import block_calls
from gptrace.predict.page.stream_recorder import StreamRun, run_with_stream
from gptrace.predict.page.subject import Subject
from gptrace.record import StreamPoint
from gptrace.text.prompts import Prompt

_HINT = "gptrace run shows what it has"


def stream_points(subject: Subject, prompt: Prompt) -> tuple[StreamPoint, ...]:
    """Return the norms of the stream after each call that adds to it; none where no stream is found."""
    with subject.left_out.where_impossible("stream"):
        name = subject.loaded.name
        blocks = [call.path for call in block_calls(subject.trace.calls)]
        if not blocks:
            raise RunError(f"{name} has no list of blocks that are called one after the other", _HINT)
        run = subject.run_alone(
            prompt, lambda run, ids: run_with_stream(subject.loaded.module, blocks, lambda: run(ids))
        )
        _check(run, name, len(prompt.tokens))
        if run.whole_blocks:
            subject.left_out.add(
                "stream",
                f"in {len(run.whole_blocks)} of the {len(blocks)} blocks of {name}, the vectors added by "
                "attention and feed-forward cannot be told apart: each of these blocks shows how much it "
                "changes the stream",
            )
        return tuple(
            StreamPoint(
                each.call.path, subject.index_of(each.call), tuple(each.norms), tuple(each.added)
            )
            for each in run.sums
        )  # fmt: skip
    return ()


def _check(run: StreamRun, name: str, length: int) -> None:
    """Raise a RunError if the sums that were followed are not a stream with one vector for each token."""
    if run.whole_blocks and not run.is_chain:
        raise RunError(
            f"the blocks of {name} are not sums, and do not take the output of the block before them", _HINT
        )
    positions = {len(each.norms) for each in run.sums}
    if positions != {length}:
        raise RunError(f"the blocks of {name} have {min(positions)} positions for {length} tokens", _HINT)
