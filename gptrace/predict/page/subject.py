"""The model and the trace that a page is made of, and runs of one prompt alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from gptrace.model.build import LoadedModel
from gptrace.model.quiet_torch import torch
from gptrace.predict.forward import batch_ids, guarded_forward
from gptrace.predict.open_calls import CallOf
from gptrace.predict.page.left_out import ViewsLeftOut
from gptrace.record import Trace
from gptrace.text.prompts import Prompt, padded
from gptrace.text.tokenizer import Tokenizer

Tensor = torch.Tensor
_Followed = TypeVar("_Followed")


@dataclass(eq=False)
class Subject:
    """The model and the trace that the views are measured on; `left_out` notes views that cannot be had."""

    loaded: LoadedModel
    tokenizer: Tokenizer
    trace: Trace
    left_out: ViewsLeftOut = field(default_factory=ViewsLeftOut)

    def __post_init__(self) -> None:
        self._indexes = {(call.path, call.call): call.index for call in self.trace.calls}

    def index_of(self, call: CallOf) -> int:
        """Return the index of a call in the trace; that of the whole model for one that is not in it."""
        return self._indexes.get(call, 0)

    def run_alone(
        self, prompt: Prompt, follow: Callable[[Callable[[Tensor], object], Tensor], _Followed]
    ) -> _Followed:
        """Let `follow` run the model, by the function that it gets, on one prompt (1, T) without padding."""
        loaded = self.loaded
        batch = batch_ids(loaded, padded([prompt]))  # (1, T)
        with guarded_forward(loaded, batch):
            return follow(lambda ids: loaded.module(ids, **loaded.arguments), batch)
