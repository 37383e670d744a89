"""A trace: every call of every module, what went in and came out, and what that came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gptrace.printable import Printable
from gptrace.record.model import ModelInfo
from gptrace.record.predictions import Prediction
from gptrace.record.tokens import Prompt


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of a tensor's finite numbers; None where there are none. `nan` and `infinite` count the others."""

    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    nan: int
    infinite: int


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a tensor looked like at the moment it was seen.

    `name` tells where it sat: an argument's name, `output`, `output.logits`, `output[1]`.
    `dims` has one entry for each axis: its name, or its size as a string where nothing names it.
    `local_shape` is the part that this process holds of a tensor that is spread over several.
    """

    name: str
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    dtype: str
    device: str
    statistics: Statistics | None = None
    local_shape: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """Multiply-accumulates: `macs` are those that are known, `unknown` names what else multiplied.

    Counted are matrix products, convolutions and attention.
    """

    macs: int
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpCall:
    """One functional operation, between the calls of modules.

    `place` is the index of the next call of a module when it ran: it stands before that one, and after those
    with a lower index. `is_view`: the output is another look at the memory of an input. `source` is the line
    that asked for it.
    """

    name: str
    place: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    is_view: bool
    in_place: bool
    source: str
    cost: Cost | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class ParameterCount:
    """Parameters of a module: `own` without its children, `total` with them, each counted once.

    `trainable` are those of `total` that a gradient reaches, `bytes` what `total` takes.
    """

    own: int
    total: int
    trainable: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class ModuleCall:
    """One call of one module. A module called twice has two of these.

    `index` is the order of entry, so a parent stands before its children; `parent` is the index of the
    call that was open around it. `call` of `calls` numbers the calls of the same module, from 1.
    `seconds`, `cost` and `peak_bytes` (the most memory of activations alive while it ran) include the
    children. `failed` marks a call that raised.
    """

    index: int
    parent: int | None
    depth: int
    path: str
    type: str
    call: int
    calls: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: ParameterCount
    seconds: float
    failed: bool = False
    cost: Cost | None = None
    peak_bytes: int | None = None
    ops: tuple[OpCall, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowStep:
    """One step of the main line: the tensor that leaves `at`."""

    at: str
    shape: tuple[int, ...]
    dims: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """What stopped the forward pass, in which module, and what had come in.

    `source` is the line of somebody's own code that it was in. `cause` names one of the usual causes, and
    `diagnosis` tells of it in words; both are None for another.
    """

    path: str
    type: str
    message: str
    inputs: tuple[TensorSpec, ...]
    source: str = ""
    cause: str | None = None
    diagnosis: str | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the trace, as far as they were measured; `peak_bytes` is of activations."""

    calls: int
    modules: int
    seconds: float
    cost: Cost | None = None
    peak_bytes: int | None = None
    ops: int | None = None


@dataclass(frozen=True)
class Trace(Printable):
    """Everything that a trace saw. `print(trace)` is the table, `trace.to_dict()` the JSON object.

    `dims` maps each axis name to its size in this run. `uncalled` lists modules that never ran.
    `temperature` is what the logits were divided by for the predictions. `notes` are what a reader should
    know of how the trace came about: which axes could not be named, why there are no predictions. `scores` is
    the number of logits at one position.
    """

    versions: dict[str, str]
    model: ModelInfo
    dims: dict[str, int]
    inputs: tuple[Prompt, ...]
    flow: tuple[FlowStep, ...]
    calls: tuple[ModuleCall, ...]
    uncalled: tuple[str, ...]
    predictions: tuple[Prediction, ...]
    totals: Totals
    error: Failure | None = None
    temperature: float = 1.0
    notes: tuple[str, ...] = ()
    scores: int | None = None

    def __getattr__(self, name: str) -> Any:
        # Reached for a field only while `gptrace.watch` is still recording into this object.
        if name in Trace.__dataclass_fields__:
            raise AttributeError(f"trace.{name} is there once the `with gptrace.watch(...)` block has ended")
        raise AttributeError(f"a Trace has no attribute {name!r}")

    def __repr__(self) -> str:
        if not vars(self):
            return "<Trace: still recording>"
        return f"<Trace of {self.model.class_name}: {self.totals.calls} calls>"
