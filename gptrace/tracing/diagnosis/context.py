"""The facts about a failed call on which a diagnosis is based."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gptrace.tracing.span import Span
from gptrace.tracing.tensors import TensorInfo
from gptrace.wording import enumerated, one_line

_LONGEST_MESSAGE = 2000


@dataclass(frozen=True, slots=True)
class FailureContext:
    """The exception, and the innermost call that it went through.

    `root_inputs` are the inputs of the whole forward pass, the ids first. `operation_inputs` are those of the
    operation that failed, if operations are recorded. `sizes` are those that names of axes are made of, and
    `dims` the names of the axes of the first input of the call, as far as they are known. `calls` are
    those of the forward pass, in the order in which they began.
    """

    error: BaseException
    call: Span
    root_inputs: Sequence[TensorInfo]
    operation_inputs: Sequence[TensorInfo]
    sizes: Mapping[str, int] = field(default_factory=dict)
    dims: tuple[str, ...] = ()
    calls: Sequence[Span] = ()

    @property
    def message(self) -> str:
        """The message of the exception on one line, cut where it is far longer than those of torch.

        Some patterns take time that grows with the square of the length.
        """
        return one_line(self.error, limit=_LONGEST_MESSAGE)

    @property
    def name(self) -> str:
        """The failed module as a sentence names it."""
        return self.call.path or "the model itself"

    @property
    def first_input(self) -> TensorInfo | None:
        """The first tensor that the failed call got."""
        return self.call.inputs[0] if self.call.inputs else None

    @property
    def ids(self) -> TensorInfo | None:
        """The token ids that the forward pass got, if its first input is integer."""
        first = self.root_inputs[0] if self.root_inputs else None
        return first if first is not None and not first.dtype.is_floating_point else None

    def named_sizes(self, *sizes: int) -> list[str]:
        """Say which named sizes the model has at these numbers: ["emb_dim is 48"]."""
        facts = []
        for size in dict.fromkeys(sizes):
            names = [name for name, value in self.sizes.items() if value == size > 1]
            if names:
                facts.append(f"{enumerated(names, 3)} {'is' if len(names) == 1 else 'are'} {size}")
        return facts

    @property
    def seq_len(self) -> int | None:
        """The number of tokens in the prompt, if the forward pass got ids `[batch, seq_len]`."""
        return self.ids.shape[-1] if self.ids is not None and self.ids.shape else None
