"""Ids so far → logits of the next token, computed for the new tokens only. Shapes: T new tokens, V logits."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gptrace.errors import GptraceError
from gptrace.model.architecture import Architecture, Resizing, Sizes
from gptrace.model.build import LoadedModel
from gptrace.model.cache import add_caches, remove_caches
from gptrace.model.config import GPTConfig
from gptrace.model.decoding_layout import DecodingLayout
from gptrace.model.gpt import GPTModel
from gptrace.model.gpt_parts import RunBlocks, hidden_states
from gptrace.model.hugging_face import is_hugging_face
from gptrace.model.interrupts import interrupts_allowed
from gptrace.model.plain_blocks import is_plain, plain_blocks
from gptrace.model.quiet_torch import torch
from gptrace.model.rope_changes import rope_changes
from gptrace.predict.candidates import allowed_rounding, as_float64
from gptrace.predict.forward import (
    check_room,
    extract_logits,
    guarded_forward,
    last_logits_alone,
)

Tensor = torch.Tensor
linear = torch.nn.functional.linear


class CachedArchitecture(Architecture):
    """How to build a GPTModel for a step with a cache, where all tokens are more than the new ones.

    >>> CachedArchitecture(GPTConfig(), cached=4, new=1).sizes["cached+seq_len"]
    5
    """

    _TOTAL = "cached+seq_len"
    # The cached length of the resized models: added to their seq_len, it equals none of their other sizes.
    _CACHED = 41

    def __init__(self, config: GPTConfig, cached: int, new: int) -> None:
        def build(changes: Mapping[str, int]) -> GPTModel:
            model = GPTModel(GPTConfig.from_mapping(changes, base=config))
            add_caches(model, model.config.context_length, length=self._CACHED if cached else 0)
            return model

        super().__init__(config.to_dict(), build)
        if cached:
            self.sizes = self.sizes | {self._TOTAL: cached + new}

    def sizes_after(self, resizing: Resizing) -> Sizes:
        """Return the sizes of Architecture, with that of the axis of all tokens."""
        total = {self._TOTAL: self._CACHED + resizing.seq_len} if self._TOTAL in self.sizes else {}
        return super().sizes_after(resizing) | total


class Steps:
    """Runs a model step by step: with its cache of keys and values, or else on all tokens each time.

    The model sees the last `context_length` tokens. Where the text grows beyond that, the position of every
    token changes at each step, so cached keys and values no longer hold, and each step runs all tokens.
    """

    manages_cache = False  # whether `cached` counts the only cache that the model may have

    def __init__(self, loaded: LoadedModel, context_length: int | None, *, use_cache: bool) -> None:
        self.loaded = loaded
        self.cached = 0
        self._last_whole = 0  # the length of the text when a step last ran all of its tokens
        self._context_length = context_length
        self._use_cache = use_cache

    def usable(self, ids: Sequence[int]) -> int:
        """Return how many of the cached tokens still hold in a step on the ids."""
        return self.cached if self._has_room(ids) else 0

    def logits(self, ids: Sequence[int]) -> Tensor:
        """Return the logits (V,) after the ids, which begin with the ids of the call before."""
        length, has_room = self._context_length, self._has_room(ids)
        if not (self._use_cache and has_room):
            self._clear_cache()
        new = ids[self.cached :] if has_room else ids[-(length or 0) :]
        batch = torch.tensor([list(new)], dtype=torch.int64, device=self.loaded.device)  # (1, T)
        with guarded_forward(self.loaded, batch), interrupts_allowed():
            logits = self._run(batch)
        if self._use_cache and has_room:
            self._last_whole = self._last_whole if self.cached else len(ids)
            self.cached = len(ids)
        return logits

    def _has_room(self, ids: Sequence[int]) -> bool:
        return self._context_length is None or len(ids) <= self._context_length

    def has_failed(self, ids: Sequence[int], logits: Tensor) -> bool:
        """Tell whether the logits after the ids turned out wrong; then the next call runs without a cache."""
        return False

    def give_up_cache(self, error: GptraceError) -> bool:
        """Tell whether the step that raised can be run again, because the next call runs without a cache."""
        return False

    def architecture(self, ids: Sequence[int]) -> Architecture | None:
        """Return how the model of the next step is built at other sizes, which names its axes."""
        return self.loaded.architecture

    def _run(self, batch: Tensor) -> Tensor:
        return extract_logits(self.loaded.module(batch, **self.loaded.arguments), self.loaded, batch)[0, -1]

    def _clear_cache(self) -> None:
        self.cached = 0


class GPTSteps(Steps):
    """Steps of a GPTModel, which must be a private copy: the caches are set on it.

    `every_position` computes the logits of every position, as a traced forward pass does. `layout` chooses
    that of the weights.
    """

    manages_cache = True

    def __init__(
        self, loaded: LoadedModel, context_length: int, capacity: int, layout: DecodingLayout, *,
        use_cache: bool, every_position: bool,
    ) -> None:  # fmt: skip
        super().__init__(loaded, context_length, use_cache=use_cache)
        assert isinstance(loaded.module, GPTModel)
        self._model = loaded.module
        self._every_position = every_position
        longest = min(capacity, context_length)
        check_room(loaded, 1, longest, rows=longest if every_position else 1)
        self._layout, self._longest = layout, longest
        self._run_blocks: RunBlocks | None = None
        self._run_head: Callable[[Tensor], Tensor] = self._model.out_head
        if use_cache:
            add_caches(self._model, longest)

    def _run(self, batch: Tensor) -> Tensor:
        if self._every_position:
            return super()._run(batch)
        if self._use_cache and not self.cached:
            self._choose_weights(steps=self._longest - batch.shape[1])
        hidden = hidden_states(self._model, batch, first_position=self.cached, run_blocks=self._run_blocks)
        return self._run_head(hidden[0, -1])

    def _choose_weights(self, steps: int) -> None:
        """Prepare for steps of one token, as many as `steps`."""
        blocks, head = plain_blocks(self._model), self._model.out_head
        if blocks is None or not is_plain(head):
            self._run_blocks = None if blocks is None else blocks.run
            return
        *groups, (head_weight,) = self._layout.chosen([*blocks.weights(), [head.weight]], steps)
        self._run_blocks = blocks.with_weights(groups).run
        self._run_head = partial(linear, weight=head_weight, bias=head.bias)

    def _clear_cache(self) -> None:
        super()._clear_cache()
        self._use_cache = False
        self._run_blocks, self._run_head = None, self._model.out_head
        remove_caches(self._model)

    def architecture(self, ids: Sequence[int]) -> Architecture | None:
        """Return the architecture with caches, as long as they are in use."""
        if not self._use_cache or len(ids) > self._model.config.context_length:
            return self.loaded.architecture
        return CachedArchitecture(self._model.config, self.cached, len(ids) - self.cached)


@dataclass(slots=True)
class CacheTrust:
    """What is known of a model's own cache: how many of its steps are still checked, or why it is not used.

    One is kept for all texts of a model.
    """

    unchecked: int = 2
    problem: str | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """The note for the report, where the cache failed."""
        if self.problem is None:
            return ()
        return (f"the model's own cache is not used: {self.problem}; each step runs all tokens",)


class HuggingFaceSteps(Steps):
    """Steps of a model of transformers, with its own cache.

    The cache is what its output holds under the name of an argument: past_key_values, cache_params, state.
    """

    manages_cache = True

    def __init__(
        self, loaded: LoadedModel, context_length: int | None, trust: CacheTrust, *, use_cache: bool
    ) -> None:
        super().__init__(loaded, context_length, use_cache=use_cache and trust.problem is None)
        self._trust = trust
        self._past: dict[str, Any] = {}
        self._rope = rope_changes(loaded.module)
        self._fixed_arguments = loaded.arguments | last_logits_alone(loaded.module)
        self._parameters = frozenset(inspect.signature(loaded.module.forward).parameters)

    def usable(self, ids: Sequence[int]) -> int:
        """Return 0 too where the model rotates the keys of a text of this length in another way."""
        return 0 if self._rope.differ(self.cached, len(ids)) else super().usable(ids)

    def logits(self, ids: Sequence[int]) -> Tensor:
        """Return the logits (V,); a cache that no longer holds is filled again, and is checked once more."""
        if self.cached and not self.usable(ids):
            self.cached, self._past = 0, {}
            self._trust.unchecked = max(self._trust.unchecked, 1)
        return super().logits(ids)

    def _run(self, batch: Tensor) -> Tensor:
        arguments = self._fixed_arguments | {"use_cache": self._use_cache} | self._past
        output = self.loaded.module(batch, **arguments)
        self._past = self._cache_in(output) if self._use_cache else {}
        if not self._past:
            self._use_cache = False  # without one, or with one that is passed in another way
        return extract_logits(output, self.loaded, batch)[0, -1]

    def _cache_in(self, output: object) -> dict[str, Any]:
        """Return the cache in an output under its name; nothing where it is unknown which one that is."""
        if not isinstance(output, Mapping):
            return {}
        names = self._parameters.intersection(output) - self._fixed_arguments.keys()
        caches = {name: output[name] for name in names}
        return caches if len(caches) == 1 and None not in caches.values() else {}

    def _clear_cache(self) -> None:
        super()._clear_cache()
        self._past = {}
        self._use_cache = False

    def has_failed(self, ids: Sequence[int], logits: Tensor) -> bool:
        """Check the first steps with the cache against a run of all tokens."""
        if not (self._past and self._trust.unchecked and self.cached > self._last_whole):
            return False
        self._trust.unchecked -= 1
        plain = HuggingFaceSteps(self.loaded, self._context_length, self._trust, use_cache=False)
        plain_logits = plain.logits(ids)
        expected, actual = as_float64(plain_logits), as_float64(logits)
        if torch.allclose(actual, expected, rtol=0, atol=allowed_rounding(plain_logits), equal_nan=True):
            return False
        difference = float((actual - expected).abs().nan_to_num().max())
        self._distrust(f"with it the logits differ by up to {difference:.3g}")
        return True

    def give_up_cache(self, error: GptraceError) -> bool:
        """Go on without the cache, where a step with it raised."""
        if not self._use_cache:
            return False
        self._distrust(f"a step with it failed: {error.message}")
        return True

    def _distrust(self, problem: str) -> None:
        self._trust.problem = problem
        self._clear_cache()


def steps_for(
    loaded: LoadedModel, context_length: int | None, capacity: int, trust: CacheTrust,
    layout: DecodingLayout, *, use_cache: bool, every_position: bool,
) -> Steps:  # fmt: skip
    """Return the steps of a model; `capacity` is the largest number of tokens that it will see.

    A GPTModel with parts of a user's own is no private copy (see `isolated_model`): it runs whole, with what
    the user has hooked into it, and no cache can be added to it.
    """
    if type(loaded.module) is GPTModel and loaded.is_private:
        assert context_length is not None
        return GPTSteps(
            loaded, context_length, capacity, layout, use_cache=use_cache, every_position=every_position
        )
    if is_hugging_face(loaded.module):
        return HuggingFaceSteps(loaded, context_length, trust, use_cache=use_cache)
    return Steps(loaded, context_length, use_cache=False)
