"""Prompts → rows of logits at chosen positions; the model is left as it was.

Shapes: B batch, T tokens, D emb_dim, V vocabulary, R rows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeGuard

from gptrace.errors import TRACE_SHOWS_CALL, GptraceError, NoLogitsError, RunError
from gptrace.model.build import LoadedModel
from gptrace.model.free_memory import as_memory_error, check_memory
from gptrace.model.fused_attention import fused_attention
from gptrace.model.gpt import GPTModel
from gptrace.model.gpt_parts import RunBlocks, attentions, has_standard_attention, hidden_states
from gptrace.model.hugging_face import is_hugging_face
from gptrace.model.interrupts import interrupts_allowed, interrupts_held
from gptrace.model.isolated_copy import isolated_copy
from gptrace.model.offloading import has_device_hooks
from gptrace.model.plain_blocks import PARTS, PlainBlocks, has_global_hooks, has_own_methods, plain_blocks
from gptrace.model.quiet_torch import torch
from gptrace.model.shared_beginning import SharedBeginning
from gptrace.model.tensor_versions import memory_state
from gptrace.model.user_code_errors import passed_through, user_code_error, user_code_errors
from gptrace.predict.blocks import block_error
from gptrace.predict.logits import find_logits, refuse_classes
from gptrace.predict.shared_beginnings import SHORTEST, shared_length
from gptrace.text.prompts import Prompt, padded_ids
from gptrace.tracing.one_at_a_time import one_at_a_time
from gptrace.tracing.statistics import has_numbers
from gptrace.tracing.undisturbed import undisturbed_evaluation
from gptrace.wording import one_line

Tensor = torch.Tensor
# Logits in memory at once, as rows times vocabulary: 8 MiB in float32.
_LOGITS_AT_ONCE = 1 << 21
# All classes in a GPTModel; but for its attention they see each token by itself.
_OWN_PARTS = {GPTModel, torch.nn.Embedding, *PARTS}
# Bytes for each logit of a row that is read: in float64, less its maximum, divided, and its softmax.
_READING = 4 * 8


class LogitRows(NamedTuple):
    """Logits (R, V), and for each row the prompt's number in its batch and the position in the prompt."""

    places: list[tuple[int, int]]
    logits: Tensor


def last_position(prompt: Prompt) -> range:
    """Return the position whose logits predict the token after the prompt."""
    return range(len(prompt.tokens) - 1, len(prompt.tokens))


def every_position(prompt: Prompt) -> range:
    """Return all positions of a prompt."""
    return range(len(prompt.tokens))


class Forward:
    """Runs prompts through a model as fast as it can, where nobody needs to see what happens inside.

    A GPTModel attends with PyTorch's fused kernel, its output head reads only the chosen positions (and where
    each prompt has one, its last block too), and what all prompts of a batch begin with is computed once.
    `may_pad`: prompts of different lengths can share a batch; see `ignores_padding`.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = isolated_model(loaded)
        self.may_pad = ignores_padding(self.loaded.module)
        self._blocks: PlainBlocks | None = None
        self._beginning: SharedBeginning | None = None  # of the last batch that shared one
        # What they were made of. The weights are held, so that no others can take their place in memory.
        self._weights: Sequence[Tensor] = ()
        self._states: list[tuple[int, int | None]] = []

    def read(
        self, prompts: Sequence[Prompt], positions: Sequence[range], reader: Callable[[LogitRows], None]
    ) -> None:
        """Run prompts as one batch, and call `reader` with the logits at the given positions of each.

        The reader is called once or several times, in order of the places, and must not keep the tensors.
        Raises a NoLogitsError where the model gives no logits there.
        """
        places = [(number, position) for number, row in enumerate(positions) for position in row]
        batch = batch_ids(self.loaded, prompts)
        model = self.loaded.module
        if not self.may_pad:
            is_last_alone = all(position == batch.shape[1] - 1 for _, position in places)
            with guarded_forward(self.loaded, batch), interrupts_allowed():
                logits = self._logits(batch, is_last_alone=is_last_alone)
                self._each(places, logits, reader, lambda rows: rows)
            return
        assert isinstance(model, GPTModel)
        at_once = _LOGITS_AT_ONCE // model.config.vocab_size
        shared = shared_length([prompt.ids for prompt in prompts]) if len(prompts) > 1 else 0
        shared = shared if shared >= SHORTEST else 0
        check_room(self.loaded, *batch.shape, rows=min(len(places), max(1, at_once)), shared=shared)
        with guarded_forward(self.loaded, batch), interrupts_allowed():
            self._notice_changes(model)
            hidden = self._hidden_states(model, batch, shared, _one_of_each(positions))
            self._each(places, hidden, reader, model.out_head)

    def _notice_changes(self, model: GPTModel) -> None:
        """Drop what was made of other weights: who reads a stream may train the model between two results."""
        weights = list(model.parameters())
        states = list(map(memory_state, weights))
        if states != self._states:
            self._blocks, self._beginning = plain_blocks(model), None
            self._weights, self._states = weights, states

    def _hidden_states(
        self, model: GPTModel, batch: Tensor, shared: int, positions: Sequence[int] | None
    ) -> Tensor:
        """Ids (B, T), the first `shared` of which are the same → what enters the output head (B, T, D).

        If one position of each prompt is all that is read, it may be returned alone: (B, 1, D).
        """
        blocks = self._blocks
        run_all: RunBlocks | None = None if blocks is None else blocks.run
        run_one: RunBlocks | None = None
        if blocks is not None and positions is not None and min(positions) >= shared:
            after = torch.tensor(positions, device=batch.device) - shared  # (B,)
            run_one = partial(blocks.run_at, positions=after)
        run_blocks = run_one or run_all
        if not shared:
            return hidden_states(model, batch, run_blocks=run_blocks)
        ids = tuple(batch[0, :shared].tolist())
        beginning = self._beginning
        if beginning is None or beginning.ids[:shared] != ids:
            beginning = self._beginning = SharedBeginning(model, ids, run_all)
        rest = beginning.hidden_states(model, batch[:, shared:], shared, run_blocks)
        if run_one is not None:
            return rest  # (B, 1, D)
        return torch.cat((beginning.hidden[:, :shared].expand(len(batch), -1, -1), rest), dim=1)

    def _each(
        self, places: list[tuple[int, int]], values: Tensor,
        reader: Callable[[LogitRows], None], finish: Callable[[Tensor], Tensor],
    ) -> None:  # fmt: skip
        """Read (B, T, …) at each place, some rows at a time; `finish` turns rows into logits."""
        rows_per_chunk = max(1, _LOGITS_AT_ONCE // (self.loaded.limits.vocab_size or values.shape[-1]))
        for start in range(0, len(places), rows_per_chunk):
            part = places[start : start + rows_per_chunk]
            numbers, positions = torch.tensor(part, device=values.device).T  # (R,), (R,)
            # A model may return the last position alone.
            rows = values[numbers, positions if values.shape[1] > 1 else -1]
            reader(LogitRows(part, finish(rows)))

    def _logits(self, batch: Tensor, *, is_last_alone: bool) -> Tensor:
        """Run a model that is not a GPTModel: (B, T) → (B, T, V), or (B, 1, V) if the last is enough."""
        arguments = self.loaded.arguments | (last_logits_alone(self.loaded.module) if is_last_alone else {})
        logits = extract_logits(self.loaded.module(batch, **arguments), self.loaded, batch)
        if logits.shape[1] < batch.shape[1] and not is_last_alone:
            raise NoLogitsError(
                f"{self.loaded.name} gives logits for the last position alone",
                "have its forward() return the logits of every position, [batch, seq_len, vocab_size]",
            )
        return logits


def _one_of_each(positions: Sequence[range]) -> list[int] | None:
    """Return the only position of each prompt; None where some prompt has none, or several."""
    return [row[0] for row in positions] if all(len(row) == 1 for row in positions) else None


def ignores_padding(module: torch.nn.Module) -> TypeGuard[GPTModel]:
    """Tell whether padding on the right changes none of the logits before it.

    That is known of a GPTModel alone. Another model, or a user's attention, norm, head or hook in a GPTModel,
    might mix tokens, so the prompts of a batch that predicts must all have one length.
    """
    if type(module) is not GPTModel or not has_standard_attention(module) or has_global_hooks():
        return False
    return all(map(_is_own, module.modules()))


def _is_own(module: torch.nn.Module) -> bool:
    """Tell whether a part of a GPTModel is as gpt.py makes it; torch's own hooks spread it over devices.

    An embedding that renormalises its rows writes into them.
    """
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    origins = [getattr(getattr(hook, "func", hook), "__module__", None) or "" for hook in hooks]
    are_of_torch = all(origin.startswith("torch.") for origin in origins)
    writes = isinstance(module, torch.nn.Embedding) and module.max_norm is not None
    return type(module) in _OWN_PARTS and not (writes or has_own_methods(module)) and are_of_torch


def last_logits_alone(module: torch.nn.Module) -> dict[str, int]:
    """Return the argument that makes a model of transformers compute only the logits of the last position."""
    can_choose = is_hugging_face(module) and "logits_to_keep" in inspect.signature(module.forward).parameters
    return {"logits_to_keep": 1} if can_choose else {}


def extract_logits(output: object, loaded: LoadedModel, batch: Tensor) -> Tensor:
    """Return the logits (B, T, V), or (B, 1, V), in the output of a model for a batch (B, T).

    Raises a NoLogitsError where there are none.
    """
    with user_code_errors(f" (in the output of {loaded.name})"):
        result = refuse_classes(find_logits(output, *batch.shape, module=loaded.module), largest_id(batch))
    if result.logits is None:
        raise NoLogitsError(
            f"{loaded.name} gives nothing to predict with: {result.reason}", "gptrace run shows its shapes"
        )
    if result.logits.is_meta and not batch.is_meta:
        raise NoLogitsError(
            f"{loaded.name} gives logits on device meta, without numbers", "gptrace run shows its shapes"
        )
    return result.logits


def batch_ids(loaded: LoadedModel, prompts: Sequence[Prompt]) -> Tensor:
    """Return the ids (B, T), padded on the right to the longest prompt."""
    return loaded.batch(padded_ids(prompts))


def largest_id(batch: Tensor) -> int:
    """Return the largest id of a batch (B, T); 0 where ids have no values, as on device meta."""
    return int(batch.max()) if has_numbers(batch) else 0


def isolated_model(loaded: LoadedModel, *, fused: bool = True) -> LoadedModel:
    """Return a GPTModel as a private copy that nobody else runs; any other model as it is.

    Where accelerate brings the weights in, its hooks stay with the original. So do parts and hooks of a
    user's own: they may write into buffers, which the copy shares, and methods may be bound to the original.
    """
    if not ignores_padding(loaded.module) or has_device_hooks(loaded.module):
        return loaded
    with interrupts_held(), one_at_a_time(loaded.module):  # while no trace stands around its calls
        return replace(loaded, module=isolated_copy(loaded.module, fused=fused), is_private=True)


@contextmanager
def guarded_forward(loaded: LoadedModel, batch: Tensor) -> Iterator[None]:
    """Leave the model undisturbed, and turn what it raises into a GptraceError that says where.

    Interrupts are held in the block, and allowed by it where the model runs.
    """
    undisturbed = loaded.without_gradients() if loaded.is_private else undisturbed_evaluation(loaded.module)
    with interrupts_held(), _explained_errors(loaded, _batch_text(*batch.shape)), undisturbed:
        yield


@contextmanager
def _explained_errors(loaded: LoadedModel, batch_text: str) -> Iterator[None]:
    model = loaded.module
    try:
        yield
    except (GptraceError, KeyboardInterrupt):
        raise
    except BaseException as error:  # the user's code may raise anything, SystemExit too
        if isinstance(error, GeneratorExit) and not passed_through(error, model):
            raise  # whoever reads the results has stopped
        short = as_memory_error(error, batch_text)
        if short is None and not loaded.is_built_in:
            if not passed_through(error, model):
                raise _own_error(error, loaded.name) from error
            where = f" (in the forward pass of {loaded.name})"
            not_a_model = block_error(loaded, error)
            raise not_a_model or user_code_error(error, where, usual_hint=TRACE_SHOWS_CALL) from error
        raise short or error from None


def _own_error(error: BaseException, name: str) -> RunError:
    return RunError(
        f"{name} is built in a way that gptrace cannot read: {type(error).__name__}: {one_line(error)}",
        "gptrace's own code raised this, not the model's; GPTRACE_DEBUG=1 shows the whole traceback",
    )


def check_room(loaded: LoadedModel, prompts: int, length: int, *, rows: int, shared: int = 0) -> None:
    """Raise a MemoryNeededError for a batch that a GPTModel on the CPU has no memory for.

    The batch is of `prompts` prompts of `length` tokens, the first `shared` of which are the same; `rows`
    rows of logits are in memory at once.
    """
    if loaded.has_numbers and loaded.device.type == "cpu" and isinstance(loaded.module, GPTModel):
        needed = _activation_bytes(loaded.module, prompts, length, rows)
        if shared:  # the keys and values of all layers, and of one layer for each prompt
            config = loaded.module.config
            needed += 4 * 2 * config.emb_dim * (config.n_layers * shared + prompts * length)
        check_memory(needed, _batch_text(prompts, length))


def _batch_text(prompts: int, length: int) -> str:
    return f"a batch of {prompts} × {length} tokens"


def _activation_bytes(model: GPTModel, prompts: int, length: int, rows: int) -> int:
    """Estimate the peak of a forward pass in float32, with one row of its logits read."""
    B, T, config = prompts, length, model.config
    logits = rows * config.vocab_size
    is_eager = any(attention.attend is not fused_attention for attention in attentions(model))
    scores = 3 * B * config.n_heads * T * T if is_eager else 0
    residual = 6 * B * T * config.emb_dim
    return 4 * (residual + max(logits, scores)) + _READING * config.vocab_size
