"""The model and the prompt that an explanation is about, run once, with what it takes to measure more."""

from __future__ import annotations

from collections.abc import Sequence

from gptrace.errors import RunError
from gptrace.model.blame import theirs
from gptrace.model.build import LoadedModel
from gptrace.model.quiet_torch import torch
from gptrace.predict.anatomy import Anatomy, anatomy_of
from gptrace.predict.capture import Captured, captured
from gptrace.predict.explain.facts import Parts
from gptrace.predict.logits import find_logits
from gptrace.predict.reading import Reading
from gptrace.record import Prompt, Token, Trace
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.watching import watch_as

Tensor = torch.Tensor
Module = torch.nn.Module
_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-4}
_LOW_PRECISION = 5e-2


class Subject:
    """What was seen of one forward pass. Shapes: T tokens, D emb_dim, V vocabulary.

    `logits` (T, V) are the model's own. `head_input` (T, D) and `weight` (V, D) are None where the output
    head could not be found, or is no matrix.
    """

    def __init__(self, loaded: LoadedModel, tokenizer: Tokenizer, prompt: Prompt, head: str | None) -> None:
        self.loaded, self.prompt = loaded, prompt
        self.module = loaded.module
        self.ids = torch.tensor([list(prompt.ids)], dtype=torch.int64, device=loaded.device)
        with watch_as(self.module, loaded.architecture, by_copy=True) as trace:
            whole = self.run(self.ids)
        self.trace: Trace = trace
        self.anatomy: Anatomy = anatomy_of(trace, self.module, tuple(whole.shape), head)
        self.seen: Captured = self._looked_into()
        self.logits = whole[0]
        self.reading = Reading(tokenizer, whole.shape[-1], given_as_ids=prompt.given_as_ids)
        self.tolerance = _ROUNDING.get(whole.dtype, _LOW_PRECISION)
        self.scale = max(1e-9, float(self.logits.abs().max()))
        self.head = self.module_at(self.anatomy.head)
        self.head_input, self.weight = self._head_facts()

    def run(self, ids: Tensor) -> Tensor:
        """Run the model: (1, T) → (1, T, V)."""
        output = self.module(ids, **self.loaded.arguments)
        with theirs(f"in the output of {self.loaded.name}"):
            found = find_logits(output, *ids.shape)
        if found.logits is None:
            raise RunError(
                f"{self.loaded.name} has no logits to explain: {found.reason}", "gptrace run shows its shapes"
            )
        return found.logits.detach()

    def module_at(self, path: str) -> Module | None:
        """Return a submodule, or None for ""."""
        return self.module.get_submodule(path) if path else None

    def token(self, token_id: int | Tensor) -> Token:
        """Return a token in the words of the tokenizer that fits the model."""
        return self.reading.tokenizer.token(int(token_id))

    def best(self, row: Tensor) -> Token:
        """Return the likeliest token of a row of logits (V,)."""
        return self.token(row[: self.reading.count].argmax())

    def with_more(self, more: Sequence[int]) -> Tensor | None:
        """Return the ids with some more at the end, or None where the context has no room for them."""
        room = self.loaded.limits.context_length
        if room is not None and self.ids.shape[1] + len(more) > room:
            return None
        added = torch.tensor([list(more)], dtype=torch.int64, device=self.ids.device)
        return torch.cat([self.ids, added], dim=1)

    def parts(self) -> Parts:
        """Return what the parts are called."""
        anatomy = self.anatomy
        architecture = self.loaded.architecture
        return Parts(
            token_embedding=anatomy.token_embedding,
            position_embedding=anatomy.position_embedding,
            first_block=anatomy.blocks[0] if anatomy.blocks else "",
            last_block=anatomy.blocks[-1] if anatomy.blocks else "",
            norm=anatomy.between[-1] if anatomy.between else "",
            head=anatomy.head,
            width_name=(architecture.width if architecture is not None else None) or "emb_dim",
            vocabulary_name=(architecture.vocabulary if architecture is not None else None) or "vocab_size",
        )

    def _looked_into(self) -> Captured:
        anatomy = self.anatomy
        paths = [
            anatomy.token_embedding, anatomy.position_embedding, *anatomy.blocks, *anatomy.between,
            anatomy.head,
        ]  # fmt: skip
        with captured(self.module, [path for path in paths if path]) as seen:
            self.run(self.ids)
        return seen

    def _head_facts(self) -> tuple[Tensor | None, Tensor | None]:
        given = self.seen.inputs.get(self.anatomy.head)
        weight = getattr(self.head, "weight", None)
        fits = (
            given is not None
            and isinstance(weight, Tensor)
            and tuple(weight.shape) == (self.logits.shape[-1], given.shape[-1])
        )
        if given is None or not fits:
            return None, None
        return given[0], weight.detach() if isinstance(weight, Tensor) else None
