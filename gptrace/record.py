"""What flows from the tracer to the reports: frozen records, without torch.

A fact that was not measured is None here and absent in JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gptrace.printable import Printable


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
class Token:
    """One token. `text` is None where its bytes are only part of a UTF-8 character.

    `bytes` is None for an id that the tokenizer does not know (a model may have more rows than that).
    """

    id: int
    text: str | None
    bytes: bytes | None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as the model sees it. `text` is None where the ids are not valid UTF-8.

    `padding` counts the positions added on the right to make the batch rectangular; `truncated` the
    tokens dropped on the left to fit the context. `given_as_ids`: there was no text to begin with.
    """

    text: str | None
    tokens: tuple[Token, ...]
    padding: int = 0
    truncated: int = 0
    given_as_ids: bool = field(default=False, compare=False)

    @property
    def ids(self) -> tuple[int, ...]:
        """The token ids, without padding."""
        return tuple(token.id for token in self.tokens)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible next token: `log_probability` is natural, `rank` starts at 1."""

    rank: int
    token: Token
    logit: float
    probability: float
    log_probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The candidates for what follows `position` of prompt number `input`."""

    input: int
    position: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class ParameterTotals:
    """A model's parameters. `total` counts a tensor once for each name, `unique` once; bytes are of `unique`.

    `tied` lists the names that share one tensor; `without_out_head` is `unique` less the output head's own.
    """

    total: int
    unique: int
    trainable: int
    bytes: int
    tied: tuple[tuple[str, ...], ...] = ()
    without_out_head: int | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model ran: its name for people, its class, and where its weights came from."""

    name: str
    class_name: str
    parameters: ParameterTotals
    buffer_bytes: int
    dtype: str
    device: str
    config: dict[str, Any] | None = None
    weights: dict[str, Any] | None = None


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


@dataclass(frozen=True, slots=True)
class TopKResult:
    """The candidates for the token after one prompt."""

    index: int
    prompt: Prompt
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class TopK(Printable):
    """The next tokens of each prompt."""

    versions: dict[str, str]
    model: ModelInfo
    k: int
    temperature: float
    results: tuple[TopKResult, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tokens(Printable):
    """The tokens of each prompt."""

    versions: dict[str, str]
    encoding: str
    vocab_size: int
    results: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class Preset:
    """A model that can be named: its configuration and its size in float32.

    `pretrained` tells whether its published weights are at hand; None where there are none.
    """

    name: str
    aliases: tuple[str, ...]
    config: dict[str, Any]
    parameters: int
    without_out_head: int
    bytes: int
    pretrained: bool | None = None


@dataclass(frozen=True, slots=True)
class Presets(Printable):
    """The models that `--model` knows by name."""

    versions: dict[str, str]
    models: tuple[Preset, ...]
