"""The model and the prompt that an explanation is about, run once, with what it takes to measure more."""

from __future__ import annotations

from gptrace.model.build import LoadedModel
from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import exact, rounding
from gptrace.predict.capture import Captured, captured
from gptrace.predict.explain.facts import Parts
from gptrace.predict.forward import extract_logits
from gptrace.predict.logit_decoder import LogitDecoder
from gptrace.predict.model_structure import ModelStructure, find_model_structure
from gptrace.record import Prompt, Token, Trace
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.watching import record_trace

Tensor = torch.Tensor
Module = torch.nn.Module


class Subject:
    """What was seen of one forward pass. Shapes: T tokens, D emb_dim, V vocabulary.

    `logits` (T, V) are the model's own. `head_input` (T, D) and `weight` (V, D) are None where the output
    head could not be found, or is no matrix.
    """

    def __init__(self, loaded: LoadedModel, tokenizer: Tokenizer, prompt: Prompt, head: str | None) -> None:
        self.loaded, self.prompt = loaded, prompt
        self.module = loaded.module
        self.ids = torch.tensor([list(prompt.ids)], dtype=torch.int64, device=loaded.device)
        with record_trace(self.module, loaded.architecture, by_copy=True) as trace:
            whole = self.run(self.ids)
        self.trace: Trace = trace
        self.anatomy: ModelStructure = find_model_structure(trace, self.module, tuple(whole.shape), head)
        self.seen: Captured = self._looked_into()
        self.logits = whole[0]
        self.reading = LogitDecoder(tokenizer, whole.shape[-1], given_as_ids=prompt.given_as_ids)
        self.tolerance = rounding(whole.dtype)
        self.scale = max(1e-9, float(self.logits.abs().max()))
        self.head = self.module_at(self.anatomy.head)
        self.head_input, self.weight = self._head_facts()

    def run(self, ids: Tensor) -> Tensor:
        """Run the model: (1, T) → (1, T, V)."""
        output = self.module(ids, **self.loaded.arguments)
        return extract_logits(output, self.loaded, ids).detach()

    def run_longer(self, more: int) -> Tensor | None:
        """Run the model with one more token at the end: (1, T + 1, V); None where it has no room for it."""
        room = self.loaded.limits.context_length
        if room is not None and self.ids.shape[1] >= room:
            return None
        added = torch.tensor([[more]], dtype=torch.int64, device=self.ids.device)
        try:
            return self.run(torch.cat([self.ids, added], dim=1))
        except Exception:  # what somebody's own model says where its context ends
            if room is not None and self.loaded.limits.is_certain:
                raise
            return None

    def module_at(self, path: str) -> Module | None:
        """Return a submodule, or None for ""."""
        return self.module.get_submodule(path) if path else None

    def token(self, token_id: int | Tensor) -> Token:
        """Return a token in the words of the tokenizer that fits the model."""
        return self.reading.tokenizer.token(int(token_id))

    def best(self, row: Tensor) -> Token:
        """Return the likeliest token of a row of logits (V,)."""
        return self.token(row[: self.reading.token_count].argmax())

    def parts(self) -> Parts:
        """Return what the parts are called."""
        anatomy = self.anatomy
        architecture = self.loaded.architecture
        return Parts(
            token_embedding=anatomy.token_embedding,
            position_embedding=anatomy.position_embedding,
            first_block=anatomy.blocks[0] if anatomy.blocks else "",
            norm=self.norm,
            head=anatomy.head,
            width_name=(architecture.width if architecture is not None else None) or "emb_dim",
            vocabulary_name=(architecture.vocabulary if architecture is not None else None) or "vocab_size",
        )

    @property
    def head_makes_the_logits(self) -> bool:
        """Tell whether the logits are what leaves the head, and nothing is done to them after."""
        made = self.seen.outputs.get(self.anatomy.head)
        if made is None or made[0].shape[-1] != self.logits.shape[-1]:
            return False
        difference = exact(made[0, -self.logits.shape[0] :]) - exact(self.logits)
        return float(difference.abs().max()) <= self.tolerance * self.scale

    @property
    def norm(self) -> str:
        """The last module before the head that is a norm, by its class; "" where there is none."""
        kinds = {path: type(self.module.get_submodule(path)).__name__ for path in self.anatomy.between}
        return next((path for path in reversed(kinds) if "norm" in kinds[path].lower()), "")

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
