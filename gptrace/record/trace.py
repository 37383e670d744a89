"""`gptrace run`: every call of every module, with its inputs, its outputs and its cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from msgspec import Meta, field
from msgspec.structs import force_setattr

from gptrace.record.base import Count, Positive, Record, Report, Versions, about
from gptrace.record.cost import HasCost, Macs, UnknownMacs
from gptrace.record.mesh import Here, Mesh
from gptrace.record.model import Buffers, ModelInfo, ParameterTotals
from gptrace.record.tokens import Ids, Padding, PromptText, Token, Truncated
from gptrace.record.topk import Candidate, Temperature

if TYPE_CHECKING:
    from gptrace.record.page import Page

Shape = tuple[Count, ...]
Dims = Annotated[tuple[str, ...], about("names of the axes; a size in digits where nothing names it")]
SplitBy = Annotated[
    tuple[tuple[str, ...], ...],
    about("for each axis, the mesh dimensions that split it, the outermost first; empty if none is split"),
]
Seconds = Annotated[float, Meta(ge=0)]
OfThisRank = Annotated[Here | None, about("the part of this rank, where the model is spread over several")]


class Statistics(Record, frozen=True):
    """Statistics of a tensor's finite numbers, null where there are none, and the count of the others."""

    mean: Annotated[float | None, about("mean of the finite values")]
    std: Annotated[float | None, about("standard deviation of the finite values")]
    min: Annotated[float | None, about("least finite value")]
    max: Annotated[float | None, about("greatest finite value")]
    nan: Annotated[Count, about("number of values that are NaN")]
    infinite: Annotated[Count, about("number of values that are infinite")]


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
    shape: Annotated[Shape, about("sizes of the axes")]
    dims: Dims
    dtype: Annotated[str, about("dtype, as torch calls it")]
    device: Annotated[str, about("device, as torch calls it")]
    local_shape: Annotated[Shape | None, about("this process's part of a tensor spread over several")] = None
    split_by: SplitBy = ()
    placements: Annotated[
        dict[str, str] | None,
        about("mesh dimension to Shard(…), Replicate() or Partial(…), as torch writes it"),
    ] = None
    statistics: Annotated[Statistics | None, about("figures of its values, if they were measured")] = None
    origin: Annotated[
        Origin | None,
        about(
            "where an input or the output of a call came from, if operations were recorded and it is known"
        ),
    ] = field(default=None, name="from")


class OpCall(Record, HasCost, frozen=True):
    """One functional operation, between the calls of modules."""

    name: Annotated[str, about("name of the operation, as torch calls it")]
    place: Annotated[Count, about("index of the next call when it ran")]
    inputs: Annotated[tuple[TensorSpec, ...], about("the tensors that it got")]
    outputs: Annotated[tuple[TensorSpec, ...], about("the tensors that it returned")]
    is_view: Annotated[bool, about("the output shares memory with an input")] = field(name="view")
    in_place: Annotated[bool, about("whether it changes one of its inputs")]
    source: Annotated[str, about("file and line of the code that called it")]
    macs: Macs = None
    macs_unknown: UnknownMacs = ()
    failed: Annotated[bool, about("absent where it did not raise")] = False
    cell: Annotated[Positive | None, about("number of the cell, where the line is in a notebook")] = None
    here: OfThisRank = None


class ParameterCount(Record, frozen=True):
    """Parameters of a module: `own` without its children, `total` with them; each tensor counts once."""

    own: Annotated[Count, about("of the module itself")]
    total: Annotated[Count, about("with those of its submodules")]
    trainable: Annotated[Count, about("of total")]
    bytes: Annotated[Count, about("of total")]


class ModuleCall(Record, HasCost, frozen=True):
    """One call of one module; a module called twice has two of these.

    Calls are in order of entry, so a parent stands before its children. Times, costs and memory include the
    children.
    """

    index: Annotated[Count, about("number of the call in order of entry, from 0")]
    parent: Annotated[Count | None, about("index of the call that was open around it")]
    depth: Annotated[Count, about("how many calls it is inside of")]
    path: Annotated[str, about("path of the module; empty for the model itself")]
    type: Annotated[str, about("class of the module")]
    call: Annotated[Positive, about("number among the calls of this module")]
    calls: Annotated[Positive, about("calls of this module")]
    inputs: Annotated[tuple[TensorSpec, ...], about("the tensors among its arguments")]
    outputs: Annotated[tuple[TensorSpec, ...], about("the tensors in what it returned")]
    parameters: Annotated[ParameterCount, about("how many parameters the module has")]
    seconds: Annotated[Seconds, about("time from entry to return")]
    macs: Macs = None
    macs_unknown: UnknownMacs = ()
    peak_bytes: Annotated[Count | None, about("peak memory of activations while it ran")] = None
    ops: Annotated[tuple[OpCall, ...], about("the operations of this call, if they were recorded")] = ()
    failed: Annotated[bool, about("absent where it did not raise")] = False
    here: OfThisRank = None


class FlowStep(Record, frozen=True):
    """One step of the main line: the tensor that leaves the module `at`."""

    at: Annotated[str, about("input, or the path of the module whose output this is")]
    shape: Annotated[Shape, about("sizes of the axes")]
    dims: Dims


class TracedPrompt(Record, frozen=True):
    """One prompt of the batch."""

    text: PromptText
    ids: Ids
    tokens: Annotated[tuple[Token, ...], about("the tokens of the prompt, without padding")]
    padding: Padding
    truncated: Truncated


class Prediction(Record, frozen=True):
    """The candidates for the token that follows `position` of prompt number `input`.

    There are none where the greatest logit is NaN or infinite, since these have no probabilities.
    """

    input: Annotated[Count, about("number of the prompt, from 0")]
    position: Annotated[Count, about("position of the token that the candidates follow, from 0")]
    candidates: Annotated[
        tuple[Candidate, ...],
        about("the most likely tokens after it; none where the greatest logit is NaN or infinite"),
    ]
    origin: Annotated[str, about("which operation made the NaN or Inf, where it is found")] = ""


class Failure(Record, frozen=True):
    """The exception that stopped the forward pass: in which module, with which inputs, and why."""

    path: Annotated[str, about("path of the module that raised; empty for the model itself")]
    type: Annotated[str, about("class of the exception")]
    message: Annotated[str, about("text of the exception")]
    source: Annotated[str, about("file, line and code of the model's own")]
    cause: Annotated[str | None, about("a name for one of the usual causes")]
    diagnosis: Annotated[str | None, about("the likely cause in words")]
    inputs: Annotated[tuple[TensorSpec, ...], about("the tensors that the module got")]


class Totals(Record, HasCost, frozen=True):
    """Sums over the trace, as far as they were measured."""

    calls: Annotated[Count, about("number of calls")]
    modules: Annotated[Count, about("number of different modules that were called")]
    seconds: Annotated[Seconds, about("time of the forward passes")]
    macs: Macs = None
    macs_unknown: UnknownMacs = ()
    peak_bytes: Annotated[Count | None, about("peak memory of activations")] = None
    ops: Annotated[Count | None, about("number of operations")] = None
    here: OfThisRank = None


class Trace(Report, frozen=True, tag_field="schema", tag="gptrace.trace/1"):
    """Everything that was recorded of a forward pass. `print(trace)` is the table."""

    items: ClassVar[str] = "calls"

    versions: Versions
    model: Annotated[ModelInfo, about("the model that ran")]
    dims: Annotated[dict[str, Count], about("size of each axis name in this run")]
    inputs: Annotated[tuple[TracedPrompt, ...], about("the prompts of the batch")]
    flow: Annotated[tuple[FlowStep, ...], about("the shapes on the main line, from ids to logits")]
    calls: Annotated[tuple[ModuleCall, ...], about("every call of every module, in order of entry")]
    uncalled: Annotated[tuple[str, ...], about("paths of modules that never ran")]
    temperature: Temperature
    predictions: Annotated[tuple[Prediction, ...], about("the next tokens of each prompt")]
    totals: Annotated[Totals, about("sums over the trace")]
    notes: Annotated[tuple[str, ...], about("remarks on the trace, such as axes without a name")]
    error: Annotated[Failure | None, about("the exception that ended the run, or null")]
    logits_per_position: Annotated[Count | None, about("number of logits at one position")] = None
    mesh: Annotated[Mesh | None, about("the devices that the model is spread over, where it is")] = None

    @property
    def returned_nothing(self) -> bool:
        """Whether the model has run and returned neither logits nor any other tensor."""
        has_run = bool(self.calls) and self.error is None
        return has_run and not self.calls[0].outputs and self.logits_per_position is None

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

    def picture(self, format: str = "svg", **view: Any) -> str:
        """Return a picture of the model as "svg", "mermaid" or "dot"; record the trace with its operations.

        The keyword arguments are fields of `gptrace.report.View`: `landscape` (an SVG of 16:9), `theme`
        ("light" or "dark"), `lang`, `depth` (open the boxes down to this depth), `only` (a glob: one module
        and what is in it) and `full` (fold nothing). Raises an OptionError for a format or a wish that there
        is not, and for SVG where quickjs-ng is not installed.

        >>> import gptrace
        >>> trace = gptrace.trace("Hello", model="tiny", measure="ops")
        >>> print(trace.picture("dot", depth=0).splitlines()[-2])
          n1 -> n44 [label="[batch, seq_len, vocab_size]", color="#b0206a", fontcolor="#b0206a", penwidth=3];
        """
        from gptrace.report import View
        from gptrace.report.pictures import picture_of

        return picture_of(self, format, View.of(**view))

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
