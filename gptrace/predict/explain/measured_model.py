"""A model that has run on a prompt: the tensors that claims are measured on, and ways to run it again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from gptrace.graph.uses import TensorUses
from gptrace.measures import Measures
from gptrace.model.build import LoadedModel
from gptrace.model.interrupts import interrupts_allowed
from gptrace.model.offloading import numbers_of
from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import CHUNK_SIZE, as_float64, check_probabilities_exist, rounding_tolerance
from gptrace.predict.capture import CapturedTensors, capture_tensors
from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.predict.explain.table_roles import TableRoles, find_table_roles
from gptrace.predict.forward import extract_logits
from gptrace.predict.logit_decoder import LogitDecoder
from gptrace.predict.model_structure import ModelStructure, find_model_structure
from gptrace.predict.output_head import find_output_head
from gptrace.predict.sampling import next_id
from gptrace.record import Token, Trace
from gptrace.text.prompts import Prompt
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.watching import record_trace

Tensor = torch.Tensor
Module = torch.nn.Module
ParametrizationList = torch.nn.utils.parametrize.ParametrizationList


class MeasuredModel:
    """A model that has run on one prompt. Shapes: T tokens, D emb_dim, V vocabulary.

    `ids` (1, T) went in, `logits` (T, V) came out; (1, V) from a model that returns the last row alone.
    `captured` holds what passed the modules of `structure`. `head_input` (T, D) and `head_weight` (V, D) are
    None where the output head was not found, or is not a matrix. `tolerance` is the relative rounding error
    of the least precise dtype that a module computes in, `logit_tolerance` how far two computations of the
    same logits may differ, and `head_tolerance` two of the head's scores: the model may change these before
    it returns them as logits.

    Raises a RunError where the greatest logit at a position is NaN or infinite.
    """

    def __init__(
        self, loaded: LoadedModel, tokenizer: Tokenizer, prompt: Prompt, *, head: str | None, seed: int
    ) -> None:
        self.loaded, self.tokenizer, self.prompt, self.seed = loaded, tokenizer, prompt, seed
        self.module = loaded.module
        self.ids = torch.tensor([list(prompt.ids)], dtype=torch.int64, device=loaded.device)
        # Without an architecture: no claim says the name of an axis, and resized runs take the most time.
        recording = record_trace(self.module, None, measures=Measures(ops=True))
        with recording as trace, interrupts_allowed():
            logits = self.run(self.ids)
        self._trace = trace
        shape = tuple(logits.shape)
        output_head = find_output_head(trace, self.module, head, shape, self._run_again)
        self.tables: TableRoles = find_table_roles(
            self.module, self.ids, self.run, loaded.limits.context_length
        )
        self.structure: ModelStructure = find_model_structure(
            trace, self.module, shape, output_head, self.tables.of_ids
        )
        # The logits of the same run: a model that draws random numbers returns others each time.
        self.captured, logits = self._capture()
        self.logits = logits[0]
        self.decoder = LogitDecoder(loaded, tokenizer, logits, prompt)
        check_probabilities_exist(self.logits[:, : self.decoder.token_count])
        self.tolerance = max(map(rounding_tolerance, (logits.dtype, *_dtypes_of(trace))))
        self.logit_tolerance = self.tolerance * largest(self.logits)
        self.head = self.submodule(self.structure.head)
        self.head_input, self.head_weight = self._head_matrix()
        self.head_tolerance = self._head_tolerance()
        self.greedy_id = next_id(self.last_logits, torch.Generator())
        names = loaded.architecture  # of D and V: emb_dim, hidden_size, n_embd
        self._figures = {
            "prompt": self.decoder.displayable(prompt).tokens, "ids": self.ids, "logits": logits,
            "width": (names and names.width) or "emb_dim",
            "vocabulary": (names and names.vocabulary) or "vocab_size",
            "table": self.structure.token_embedding, "head": self.structure.head,
            "block": next(iter(self.structure.blocks), ""),
        }  # fmt: skip

    def claim(self, key: str, holds: bool | None, /, **figures: object) -> MeasuredClaim:
        """Return a claim with its figures and the figures that any sentence may use."""
        return MeasuredClaim(key, holds, self._figures | figures)

    def run(self, ids: Tensor) -> Tensor:
        """Run the model: (1, T) → (1, T, V)."""
        output = self.module(ids, **self.loaded.arguments)
        return extract_logits(output, self.loaded, ids).detach()

    def _run_again(self) -> Tensor:
        with interrupts_allowed():
            return self.run(self.ids)

    def run_with(self, token_id: int) -> Tensor | None:
        """Run the model with one more token at the end: (1, T + 1, V); None where its context is full."""
        context_length = self.loaded.limits.context_length
        if context_length is not None and self.ids.shape[1] >= context_length:
            return None
        added = torch.tensor([[token_id]], dtype=torch.int64, device=self.ids.device)
        try:
            return self.run(torch.cat([self.ids, added], dim=1))
        except Exception:
            # A user's model may not say how long its context is, and raises any exception where it ends.
            if context_length is not None and self.loaded.limits.is_certain:
                raise
            return None

    def run_beginning(self, length: int) -> Tensor | None:
        """Run the model on the first tokens: (1, length, V); None where it does not run on so few."""
        try:
            return self.run(self.ids[:, :length])
        except Exception:  # a user's model may raise anything for another length
            return None

    @property
    def last_logits(self) -> Tensor:
        """The last row of logits (V,), without those that only pad the vocabulary."""
        return self.logits[-1, : self.decoder.token_count]

    @property
    def head_makes_the_logits(self) -> bool:
        """Whether the model returns the output of its head unchanged."""
        output = self.captured.outputs.get(self.structure.head)
        if output is None or output[0].shape[-1] != self.logits.shape[-1]:
            return False
        return largest_difference(output[0, -len(self.logits) :], self.logits) <= self.logit_tolerance

    @property
    def others_with_head_weight(self) -> list[str]:
        """The paths of the other modules that hold the head's weight, as the token embedding may."""
        weight = getattr(self.head, "weight", None)
        return [
            path for path, submodule in self.module.named_modules()
            if weight is not None and submodule is not self.head
            and any(share_memory(each, weight) for each in submodule.parameters(recurse=False))
        ]  # fmt: skip

    @property
    def position_embedding(self) -> str:
        """The path of the table whose rows are taken one after the other; "" where there is none."""
        tables = (path for path in self.structure.other_embeddings if path in self.tables.of_positions)
        return next(tables, "")

    def width_of(self, vectors: Tensor) -> str:
        """Return the name of the last axis of vectors (…, D); its size, where it is not the model's width."""
        architecture, size = self.loaded.architecture, vectors.shape[-1]
        name = str(self._figures["width"])
        width = architecture.sizes.get(name) if architecture else None
        if width is None:
            entering = self.captured.first_inputs.get(next(iter(self.structure.blocks), self.structure.head))
            width = size if entering is None else entering.shape[-1]
        return name if size == width else str(size)

    @property
    def modules_named_norm(self) -> list[str]:
        """The modules between the blocks and the head whose class, or a base of it, is named after a norm.

        Those that compute a weight from another are not among them.
        """
        submodules = {
            f"{path}.{name}".removesuffix("."): submodule
            for path in self.structure.between
            for name, submodule in self.module.get_submodule(path).named_modules()
        }
        of_weights = {
            part
            for submodule in submodules.values()
            if isinstance(submodule, ParametrizationList)
            for part in submodule.modules()
        }
        return [
            path
            for path, submodule in submodules.items()
            if submodule not in of_weights
            and any("norm" in each.__name__.lower() for each in type(submodule).__mro__)
        ]

    @cached_property
    def is_random(self) -> bool:
        """Whether the model returns other logits when it runs on the prompt again."""
        return largest_difference(self.run(self.ids)[0], self.logits) > 0

    def is_read(self, path: str) -> bool:
        """Tell whether anything that the model returns was made of what the module at `path` returned."""
        uses = self._uses
        return any(uses.reaches_the_end(call.index) for call in uses.calls if call.path == path)

    @cached_property
    def _uses(self) -> TensorUses:
        return TensorUses(self._trace)

    def submodule(self, path: str) -> Module | None:
        """Return a submodule; None for ""."""
        return self.module.get_submodule(path) if path else None

    def weight_of(self, path: str) -> Tensor | None:
        """Return the weight of a submodule; None for "", and for a module without one."""
        weight = getattr(self.submodule(path), "weight", None)
        return numbers_of(self.module, weight).detach() if isinstance(weight, Tensor) else None

    def token(self, token_id: int | Tensor) -> Token:
        """Return a token, with its text where the tokenizer fits the model."""
        return self.decoder.tokenizer.token(int(token_id))

    def likeliest(self, logits: Tensor) -> Token:
        """Return the likeliest token of a row of logits (V,)."""
        return self.token(logits[: self.decoder.token_count].argmax())

    def _capture(self) -> tuple[CapturedTensors, Tensor]:
        structure = self.structure
        paths = [
            structure.token_embedding, *structure.other_embeddings, *structure.before, *structure.blocks,
            *structure.between, *self.modules_named_norm, structure.head,
        ]  # fmt: skip
        with capture_tensors(self.module, [path for path in paths if path], structure.numbers) as tensors:
            logits = self.run(self.ids)
        return tensors, logits

    def _head_tolerance(self) -> float:
        scores = self.captured.outputs.get(self.structure.head)
        largest = 0.0 if scores is None else float(scores.abs().max())
        if self.head_input is not None and self.head_weight is not None:
            # Terms of a sum may be larger than the sum, and so are their rounding errors.
            terms = as_float64(self.head_input[-1]).abs() @ as_float64(self.head_weight).abs().T
            largest = max(largest, float(terms.max()))
        return self.tolerance * max(1e-9, largest)

    def _head_matrix(self) -> tuple[Tensor | None, Tensor | None]:
        head_input = self.captured.inputs.get(self.structure.head)
        weight = self.weight_of(self.structure.head)
        if head_input is None or weight is None:
            return None, None
        if tuple(weight.shape) != (self.logits.shape[-1], head_input.shape[-1]):
            return None, None
        return head_input[0], weight


def _dtypes_of(trace: Trace) -> Iterator[torch.dtype]:
    """Yield the floating-point dtypes of what the modules returned; logits may be converted after that."""
    names = {spec.dtype for call in trace.calls for spec in call.outputs}
    dtypes = (getattr(torch, name) for name in names)
    yield from (dtype for dtype in dtypes if dtype.is_floating_point)


def share_memory(tensor: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors are one or have one memory, as after `head.weight.data = emb.weight.data`."""
    return tensor is other or (not tensor.is_meta and tensor.data_ptr() == other.data_ptr())


def largest_difference(a: Tensor, b: Tensor) -> float:
    """Return the largest absolute difference of two tensors, in float64; equal infinities differ by 0."""
    shape = torch.broadcast_shapes(a.shape, b.shape)  # type: ignore[no-untyped-call]  # torch has not typed it
    flat = (values.expand(shape).reshape(-1) for values in (a, b))
    # All logits of a long text in float64 take gigabytes.
    chunks = [map(as_float64, torch.split(values, CHUNK_SIZE)) for values in flat]
    differences = [
        (x - y).masked_fill_((x == y) & x.isinf(), 0).abs_().max() for x, y in zip(*chunks, strict=True)
    ]
    return float(torch.stack(differences).max())


def largest(values: Tensor) -> float:
    """Return the largest finite absolute value, by which differences are judged; not zero.

    A model may give minus infinity to ids that it must not predict.
    """
    return max(1e-9, float(values.abs().nan_to_num_(0, 0, 0).max()))
