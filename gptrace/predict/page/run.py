"""The page of a trace → the same page with the data of all views, measured on the model."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from gptrace.model.build import LoadedModel
from gptrace.predict.explain.run import explanations_of, measured_model
from gptrace.predict.explain.topics import TOPICS
from gptrace.predict.lens import run_lens
from gptrace.predict.loss import run_loss
from gptrace.predict.model_structure import block_calls
from gptrace.predict.page.attention_maps import attention_maps
from gptrace.predict.page.budget import fitted
from gptrace.predict.page.projection import projection_of
from gptrace.predict.page.stream import stream_points
from gptrace.predict.page.subject import Subject
from gptrace.predict.prompt_stream import PromptStream
from gptrace.record import Explanation, LensResult, LossResult, Page, PagePrompt, Projection
from gptrace.record.page import ViewName
from gptrace.text.prompts import Prompt
from gptrace.text.tokenizer import Tokenizer
from gptrace.translation import LANGUAGES

# Candidates in a cell of the lens, and in all cells together: they are most of the bytes of a long page.
_MOST_CELL_CANDIDATES, _MOST_LENS_CANDIDATES = 5, 4_000
# Each holds all logits of a position: more would not fit into a page.
_MOST_PROJECTIONS = 4
_MEASURED_VIEWS: tuple[ViewName, ...] = ("why", "attention", "lens", "stream", "loss")


def measure_views(
    page: Page, loaded: LoadedModel, tokenizer: Tokenizer, prompts: Sequence[Prompt], *, k: int | None,
    seed: int,
) -> Page:  # fmt: skip
    """Return the page with the data of each prompt; a view that this model cannot have is left out."""
    subject = Subject(loaded, tokenizer, page.trace)
    if loaded.device.type == "meta":
        for view in _MEASURED_VIEWS:
            subject.left_out.add(view, "the model is on device meta: it has shapes, but no numbers")
        return replace(page, left_out=subject.left_out.records)
    lens, loss = _lens(subject, prompts, k), _loss(subject, prompts)
    explanations, projections = _projections(subject, prompts, seed)
    page = replace(
        page,
        prompts=tuple(
            PagePrompt(
                attention=attention_maps(subject, prompt),
                stream=stream_points(subject, prompt),
                projection=projections[number],
                lens=lens[number],
                loss=loss[number],
            )
            for number, prompt in enumerate(prompts)
        ),
        explanations=explanations,
    )
    page = fitted(page, subject.left_out)
    return replace(page, left_out=subject.left_out.records)


def _lens(subject: Subject, prompts: Sequence[Prompt], k: int | None) -> Sequence[LensResult | None]:
    with subject.left_out.where_impossible("lens"):
        stream, cell_k = PromptStream.of(prompts), _cell_candidates(subject, prompts)
        lens = run_lens(subject.loaded, subject.tokenizer, stream, k=k, head=None, cell_k=cell_k)
        return lens.whole().results
    return [None] * len(prompts)


def _cell_candidates(subject: Subject, prompts: Sequence[Prompt]) -> int:
    """Return how many candidates each cell of the lens has: fewer, the more cells there are."""
    positions = sum(len(prompt.tokens) for prompt in prompts)
    cells = positions * max(1, len(block_calls(subject.trace.calls)))
    return max(1, min(_MOST_CELL_CANDIDATES, _MOST_LENS_CANDIDATES // cells))


def _loss(subject: Subject, prompts: Sequence[Prompt]) -> Sequence[LossResult | None]:
    loaded = subject.loaded
    with subject.left_out.where_impossible("loss"):
        stream, length = PromptStream.of(prompts), loaded.limits.context_length
        return run_loss(loaded, subject.tokenizer, stream, context_length=length).whole().results
    return [None] * len(prompts)


def _projections(
    subject: Subject, prompts: Sequence[Prompt], seed: int
) -> tuple[tuple[Explanation, ...], list[Projection | None]]:
    """Return the explanations of the first prompt, in each language, and the projection of each prompt."""
    explanations: tuple[Explanation, ...] = ()
    projections: list[Projection | None] = [None] * len(prompts)
    for number, prompt in enumerate(prompts[:_MOST_PROJECTIONS]):
        run = measured_model(subject.loaded, subject.tokenizer, prompt, head=None, seed=seed)
        with subject.left_out.where_impossible("why"), run as model:
            with subject.left_out.where_impossible("why"):
                candidates = next(
                    (each.candidates for each in subject.trace.predictions if each.input == number), ()
                )
                projections[number] = projection_of(model, [each.id for each in candidates])
            if not number:
                explanations = explanations_of(model, tuple(TOPICS), LANGUAGES)
    if any(projections) and len(prompts) > _MOST_PROJECTIONS:
        subject.left_out.add(
            "why", f"the logits of the first {_MOST_PROJECTIONS} of {len(prompts)} prompts are shown here"
        )
    if explanations and len(prompts) > 1:
        subject.left_out.add("why", "the claims are about the first prompt only")
    return explanations, projections
