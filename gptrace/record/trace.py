"""`gptrace run`: every call of every module, with its inputs, its outputs and its cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from msgspec import Meta, field
from msgspec.structs import force_setattr

from gptrace.record.base import Count, Positive, Record, Report, Versions, about
from gptrace.record.model import Buffers, ModelInfo, ParameterTotals
from gptrace.record.tokens import Ids, Padding, PromptText, Token, Truncated
from gptrace.record.topk import Candidate, Temperature

if TYPE_CHECKING:
    from gptrace.record.page import Page

Shape = tuple[Count, ...]
Dims = Annotated[tuple[str, ...], about("names of the axes; a size in digits where nothing names it")]
Seconds = Annotated[float, Meta(ge=0)]
Macs = Annotated[Count | None, about("multiply-accumulates in matrix products, convolutions and attention")]
UnknownMacs = Annotated[tuple[str, ...], about("kernels of unknown cost, which are not in macs")]


class Statistics(Record, frozen=True):
    """Statistics of a tensor's finite numbers, null where there are none, and the count of the others."""

    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    nan: Count
    infinite: Count


class Origin(Record, frozen=True):
    """Where a tensor came from: from an operation or a call, from the caller, or from the module itself.

    `call` and `op` are the operation that made the tensor, or wrote into its memory last: number `op` among
    the `ops` of the call in which it ran. `call` alone is the innermost call that returned it, of whose
    inside nothing was recorded. A tensor from the caller has `input`, and a parameter or a buffer has
    `parameter`, of a tied one the first path. A tensor that is returned as it was given, as dropout does in
    evaluation, comes from there for all that follows in the same call.
    """

    call: Annotated[Count | None, about("index of the call")] = None
    op: Annotated[Count | None, about("number of the operation among the ops of the call, from 0")] = None
    output: Annotated[
        Count | None, about("number of the tensor among the outputs of its maker, where that has several")
    ] = None
    input: Annotated[str | None, about("name of the tensor among the inputs of the outermost call")] = None
    parameter: Annotated[str | None, about("path of the parameter or buffer")] = None
    also: Annotated[
        tuple[Origin, ...], about("who wrote other parts of it in place, where one alone did not make it")
    ] = ()


class TensorSpec(Record, frozen=True):
    """The name, axes, shape, dtype and device of a tensor when the trace saw it."""

    name: Annotated[str, about("where the tensor was: an argument's name, output, output.logits, output[1]")]
    shape: Shape
    dims: Dims
    dtype: str
    device: str
    local_shape: Annotated[Shape | None, about("this process's part of a tensor spread over several")] = None
    statistics: Statistics | None = None
    origin: Annotated[
        Origin | None,
        about(
            "where an input or the output of a call came from, if operations were recorded and it is known"
        ),
    ] = field(default=None, name="from")


class Cost(Record, frozen=True):
    """Multiply-accumulates (MACs); `unknown` names the kernels whose cost is not in `macs`."""

    macs: int
    unknown: tuple[str, ...] = ()


class _HasCost:
    """A record with the fields `macs` and `macs_unknown`."""

    __slots__ = ()
    macs: int | None
    macs_unknown: tuple[str, ...]

    @property
    def cost(self) -> Cost | None:
        """The MACs, where they were counted."""
        return None if self.macs is None else Cost(self.macs, self.macs_unknown)


class OpCall(Record, _HasCost, frozen=True):
    """One functional operation, between the calls of modules."""

    name: str
    place: Annotated[Count, about("index of the next call when it ran")]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    is_view: Annotated[bool, about("the output shares memory with an input")] = field(name="view")
    in_place: bool
    source: Annotated[str, about("file and line of the code that called it")]
    macs: Macs = None
    macs_unknown: UnknownMacs = ()
    failed: Annotated[bool, about("absent where it did not raise")] = False
    cell: Annotated[Positive | None, about("number of the cell, where the line is in a notebook")] = None


class ParameterCount(Record, frozen=True):
    """Parameters of a module: `own` without its children, `total` with them; each tensor counts once."""

    own: Count
    total: Count
    trainable: Annotated[Count, about("of total")]
    bytes: Annotated[Count, about("of total")]


class ModuleCall(Record, _HasCost, frozen=True):
    """One call of one module; a module called twice has two of these.

    Calls are in order of entry, so a parent stands before its children. Times, costs and memory include the
    children.
    """

    index: Count
    parent: Annotated[Count | None, about("index of the call that was open around it")]
    depth: Count
    path: str
    type: str
    call: Annotated[Positive, about("number among the calls of this module")]
    calls: Annotated[Positive, about("calls of this module")]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: ParameterCount
    seconds: Seconds
    macs: Macs = None
    macs_unknown: UnknownMacs = ()
    peak_bytes: Annotated[Count | None, about("peak memory of activations while it ran")] = None
    ops: tuple[OpCall, ...] = ()
    failed: Annotated[bool, about("absent where it did not raise")] = False


class FlowStep(Record, frozen=True):
    """One step of the main line: the tensor that leaves the module `at`."""

    at: str
    shape: Shape
    dims: Dims


class TracedPrompt(Record, frozen=True):
    """One prompt of the batch."""

    text: PromptText
    ids: Ids
    tokens: tuple[Token, ...]
    padding: Padding
    truncated: Truncated


class Prediction(Record, frozen=True):
    """The candidates for the token that follows `position` of prompt number `input`.

    There are none where the greatest logit is NaN or infinite, since these have no probabilities.
    """

    input: Count
    position: Count
    candidates: tuple[Candidate, ...]
    origin: Annotated[str, about("which operation made the NaN or Inf, where it is found")] = ""


class Failure(Record, frozen=True):
    """The exception that stopped the forward pass: in which module, with which inputs, and why."""

    path: str
    type: str
    message: str
    source: Annotated[str, about("file, line and code of the model's own")]
    cause: Annotated[str | None, about("a name for one of the usual causes")]
    diagnosis: Annotated[str | None, about("the likely cause in words")]
    inputs: tuple[TensorSpec, ...]


class Totals(Record, _HasCost, frozen=True):
    """Sums over the trace, as far as they were measured."""

    calls: Count
    modules: Count
    seconds: Seconds
    macs: Macs = None
    macs_unknown: UnknownMacs = ()
    peak_bytes: Annotated[Count | None, about("peak memory of activations")] = None
    ops: Annotated[Count | None, about("number of operations")] = None


class Trace(Report, frozen=True, tag_field="schema", tag="gptrace.trace/1"):
    """Everything that was recorded of a forward pass. `print(trace)` is the table."""

    items: ClassVar[str] = "calls"

    versions: Versions
    model: ModelInfo
    dims: Annotated[dict[str, Count], about("size of each axis name in this run")]
    inputs: tuple[TracedPrompt, ...]
    flow: tuple[FlowStep, ...]
    calls: tuple[ModuleCall, ...]
    uncalled: Annotated[tuple[str, ...], about("paths of modules that never ran")]
    temperature: Temperature
    predictions: tuple[Prediction, ...]
    totals: Totals
    notes: Annotated[tuple[str, ...], about("remarks on the trace, such as axes without a name")]
    error: Failure | None
    logits_per_position: Annotated[Count | None, about("number of logits at one position")] = None

    @classmethod
    def pending(cls) -> Trace:
        """Return an empty trace: `gptrace.watch` hands it out, and fills it when its block ends."""
        parameters = ParameterTotals(0, 0, 0, 0, ())
        model = ModelInfo(
            name="", class_name="", parameters=parameters, buffers=Buffers(0), dtype="", device=""
        )
        trace = cls({}, model, {}, (), (), (), (), 1.0, (), Totals(0, 0, 0.0), (), None)
        # A read of an empty slot reaches __getattr__, which says when the field is set.
        for name in cls.__struct_fields__:
            cls.__dict__[name].__delete__(trace)
        return trace

    def fill(self, trace: Trace) -> None:
        """Take over the fields of another trace; only a pending trace is filled, and only once."""
        for name in self.__struct_fields__:
            force_setattr(self, name, getattr(trace, name))

    def page(self, *, lang: str | None = None) -> Page:
        """Return the page of the trace: the model's map, the table of its calls, and its failure.

        `lang` is the language, "en" or "zh" (None: that of GPTRACE_LANG or the locale). `Session.page` makes
        a page with everything that can be measured on the model.
        """
        from gptrace.report.page import page_of_trace

        return page_of_trace(self, lang)

    def __getattr__(self, name: str) -> Any:
        # Reached for a field only while the trace is pending.
        if name in type(self).__struct_fields__:
            raise AttributeError(f"trace.{name} is set when the `with gptrace.watch(...)` block ends")
        raise AttributeError(f"a Trace has no attribute {name!r}")

    def __repr__(self) -> str:
        try:
            return f"<Trace of {self.model.class_name}: {self.totals.calls} calls>"
        except AttributeError:
            return "<Trace: still recording>"
