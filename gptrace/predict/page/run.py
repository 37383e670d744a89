"""The page of a trace → the same with what its views show beside it, measured on the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec.structs import replace

from gptrace.errors import RunError
from gptrace.model.build import LoadedModel
from gptrace.predict.explain.run import explanations_of, measured_model
from gptrace.predict.explain.topics import TOPICS
from gptrace.predict.forward import batch_ids, guarded_forward
from gptrace.predict.lens import run_lens
from gptrace.predict.loss import run_loss
from gptrace.predict.model_structure import block_calls
from gptrace.predict.page.attention_maps import attention_maps
from gptrace.predict.page.left_out import ViewsLeftOut
from gptrace.predict.page.projection import projection_of
from gptrace.predict.page.stream import run_with_stream
from gptrace.predict.prompt_stream import PromptStream
from gptrace.record import (
    AttentionMap,
    Explanation,
    LensResult,
    LossResult,
    Page,
    PagePrompt,
    Projection,
    StreamPoint,
    Trace,
)
from gptrace.record.page import ViewName
from gptrace.text.prompts import Prompt, padded
from gptrace.text.tokenizer import Tokenizer
from gptrace.translation import LANGUAGES

_Followed = TypeVar("_Followed")
# Candidates in a cell of the lens, and in all cells together: they are most of the bytes of a long page.
MOST_CELL_CANDIDATES, MOST_LENS_CANDIDATES = 5, 4_000

MEASURED_VIEWS: tuple[ViewName, ...] = ("why", "attention", "lens", "stream", "loss")
_HINT = "gptrace run shows what it has"


def measure_views(
    page: Page,
    loaded: LoadedModel,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    *,
    k: int | None,
    seed: int,
) -> Page:
    """Return the page with what each prompt made; a view that this model cannot have is left out."""
    views = _Views(loaded, tokenizer, prompts, page.trace, k=k, seed=seed)
    if loaded.device.type == "meta":
        for view in MEASURED_VIEWS:
            views.left_out.add(view, "the model is on device meta: it has shapes, but no numbers")
        return replace(page, left_out=views.left_out.records)
    return replace(
        page, prompts=views.prompts(), explanations=views.explanations, left_out=views.left_out.records
    )


class _Views:
    """Measures what the views of a page show, on the prompts of a trace; what fails is left out."""

    def __init__(
        self, loaded: LoadedModel, tokenizer: Tokenizer, prompts: Sequence[Prompt], trace: Trace, *,
        k: int | None, seed: int,
    ) -> None:  # fmt: skip
        self.left_out = ViewsLeftOut()
        self.explanations: tuple[Explanation, ...] = ()
        self._loaded, self._tokenizer, self._trace = loaded, tokenizer, trace
        self._prompts, self._k, self._seed = prompts, k, seed
        self._calls = {(call.path, call.call): call.index for call in trace.calls}
        self._blocks = tuple(call.path for call in block_calls(trace.calls))

    def prompts(self) -> tuple[PagePrompt, ...]:
        """Return what each prompt made."""
        lens, loss = self._lens(), self._loss()
        return tuple(
            PagePrompt(
                attention=self._attention(prompt),
                stream=self._stream(prompt),
                projection=self._projection(number),
                lens=lens[number],
                loss=loss[number],
            )
            for number, prompt in enumerate(self._prompts)
        )

    def _lens(self) -> Sequence[LensResult | None]:
        with self.left_out.where_impossible("lens"):
            stream = PromptStream.of(self._prompts)
            lens = run_lens(
                self._loaded, self._tokenizer, stream, k=self._k, head=None, cell_k=self._cell_k()
            )
            return lens.whole().results
        return [None] * len(self._prompts)

    def _cell_k(self) -> int:
        """Return how many candidates each cell of the lens has: fewer, the more cells there are."""
        longest = max(len(prompt.tokens) for prompt in self._prompts)
        cells = len(self._prompts) * longest * max(1, len(self._blocks))
        return max(1, min(MOST_CELL_CANDIDATES, MOST_LENS_CANDIDATES // cells))

    def _loss(self) -> Sequence[LossResult | None]:
        with self.left_out.where_impossible("loss"):
            length = self._loaded.limits.context_length
            stream = PromptStream.of(self._prompts)
            return run_loss(self._loaded, self._tokenizer, stream, context_length=length).whole().results
        return [None] * len(self._prompts)

    def _projection(self, number: int) -> Projection | None:
        """Return how the logits of a prompt are made; the first prompt is explained, too."""
        projection = None
        run = measured_model(self._loaded, self._tokenizer, self._prompts[number], head=None, seed=self._seed)
        with self.left_out.where_impossible("why"), run as model:
            if not number:
                self.explanations = explanations_of(model, tuple(TOPICS), LANGUAGES)
            predictions = [each for each in self._trace.predictions if each.input == number]
            projection = projection_of(model, [each.id for each in predictions[0].candidates])
        return projection

    def _attention(self, prompt: Prompt) -> tuple[AttentionMap, ...]:
        maps: tuple[AttentionMap, ...] = ()
        with self.left_out.where_impossible("attention"):
            maps = self._run_alone(
                prompt,
                lambda run: attention_maps(
                    self._loaded.module, run, len(prompt.tokens), self._calls, self.left_out
                ),
            )
            if not maps:
                raise RunError(f"no attention is found in {self._loaded.name}", _HINT)
        return maps

    def _stream(self, prompt: Prompt) -> tuple[StreamPoint, ...]:
        points: tuple[StreamPoint, ...] = ()
        with self.left_out.where_impossible("stream"):
            name = self._loaded.name
            if not self._blocks:
                raise RunError(f"{name} has no list of blocks that are called one after the other", _HINT)
            run = self._run_alone(prompt, lambda run: run_with_stream(self._loaded.module, self._blocks, run))
            positions = {len(each.norms) for each in run.sums}
            if positions != {len(prompt.tokens)}:
                raise RunError(
                    f"the blocks of {name} have {min(positions)} positions for {len(prompt.tokens)} tokens",
                    _HINT,
                )
            points = tuple(
                StreamPoint(
                    each.call.path, self._calls.get(each.call, 0), tuple(each.norms), tuple(each.added)
                )
                for each in run.sums
            )
            if run.whole_blocks:
                self.left_out.add(
                    "stream", _about_whole_blocks(len(run.whole_blocks), len(self._blocks), name)
                )
        return points

    def _run_alone(self, prompt: Prompt, follow: Callable[[Callable[[], object]], _Followed]) -> _Followed:
        """Follow a run of one prompt, without padding, that leaves the model undisturbed."""
        loaded = self._loaded
        batch = batch_ids(loaded, padded([prompt]))  # (1, T)
        with guarded_forward(loaded, batch):
            return follow(lambda: loaded.module(batch, **loaded.arguments))


def _about_whole_blocks(count: int, all_blocks: int, name: str) -> str:
    return (
        f"what attention and feed-forward add cannot be told apart in {count} of the {all_blocks} blocks of "
        f"{name}: there each block shows by how much it changes the stream"
    )
