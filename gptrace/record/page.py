"""`gptrace run -o page.html`: everything that the page of a trace shows.

Arrays are bytes, which the JSON shows in base64. Their numbers are little-endian.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from gptrace.record.base import Base64Bytes, Count, Number, Positive, Record, Report, Versions, about
from gptrace.record.check import Check
from gptrace.record.explain import Explanation
from gptrace.record.graph import Graph
from gptrace.record.lens import LensResult
from gptrace.record.loss import LossResult
from gptrace.record.tokens import Token
from gptrace.record.trace import Trace

Language = Annotated[str, Meta(pattern="^(en|zh)$")]
ViewName = Literal["map", "why", "attention", "lens", "stream", "loss", "table", "failure"]


class Row(Record, frozen=True):
    """A candidate for the next token, with its row of the output head and the product that is its logit."""

    id: Count
    token: Annotated[Token, about("the candidate")]
    weights: Annotated[Base64Bytes, about("float32[emb_dim], the row of the output head")]
    bias: Annotated[Number, about("what the head adds to the product; 0 without a bias")]
    logit: Annotated[Number, about("the product of `hidden` and the row, plus the bias")]


class Projection(Record, frozen=True):
    """How the last position becomes logits: x·Wᵀ, shown on the candidates' rows."""

    path: Annotated[str, about("the output head")]
    hidden: Annotated[Base64Bytes, about("float32[emb_dim], what the head took at the last position")]
    rows: Annotated[tuple[Row, ...], about("the candidates, the most likely first")]
    logits: Annotated[
        Base64Bytes,
        about("uint16, one for each token; a logit is low + number * step, of 65535 minus infinity"),
    ]
    low: Annotated[Number, about("the least finite logit")]
    step: Annotated[Number, about("what one step of `logits` stands for")]


class HeadWeights(Record, frozen=True):
    """The attention of one head; the entropy of a query is in nats, and averaged over all queries."""

    weights: Annotated[Base64Bytes, about("uint8, 255 is 1, row by row; without later tokens if causal")]
    entropy: Annotated[Number, about("null where the weights of a query do not sum to 1")]


class AttentionMap(Record, frozen=True):
    """One place where the model attends. `heads` has the chosen ones, `numbers` says which these are."""

    path: Annotated[str, about("path of the module that attends")]
    call: Annotated[Count, about("index of the call that it is in")]
    head_count: Annotated[Positive, about("how many heads it has")]
    numbers: Annotated[tuple[Count, ...], about("of the chosen heads, from 0")]
    heads: Annotated[tuple[HeadWeights, ...], about("the weights of the chosen heads")]
    is_causal: Annotated[bool, about("no query gives weight to a later token: rows are triangles")]
    is_recomputed: Annotated[bool, about("a fused kernel hides the weights: from its queries and keys")]
    difference: Annotated[
        Number | None, about("of the output by these weights and the kernel's, at most; null if not compared")
    ] = None
    window: Annotated[
        Count, about("how many tokens a query looks at, if these are the last ones; else 0")
    ] = 0


class StreamPoint(Record, frozen=True):
    """The residual stream after one call: the norm of what was added, and of the sum, at each position."""

    path: Annotated[str, about("path of the module")]
    call: Annotated[Count, about("index of the call")]
    norms: Annotated[tuple[Number, ...], about("of the stream, for each position")]
    added: Annotated[tuple[Number, ...], about("of what the call added; empty for the embeddings")] = ()


class PagePrompt(Record, frozen=True):
    """What one prompt of the batch made; a view whose part is absent has a reason in `left_out`."""

    attention: Annotated[tuple[AttentionMap, ...], about("where the model attends, in order")] = ()
    stream: Annotated[tuple[StreamPoint, ...], about("the residual stream, call by call")] = ()
    projection: Annotated[Projection | None, about("how the last position becomes logits")] = None
    lens: Annotated[LensResult | None, about("what each layer would predict")] = None
    loss: Annotated[LossResult | None, about("how well the prompt itself is predicted")] = None


class LeftOut(Record, frozen=True):
    """A view, or a part of it, that the page does not have, and why, in both languages."""

    view: Annotated[ViewName, about("name of the view")]
    reason: Annotated[str, about("why, in English")]
    reason_zh: Annotated[str, about("why, in Chinese")]


class Page(Report, frozen=True, tag_field="schema", tag="gptrace.page/1"):
    """A trace, its graph, and what the views of the page show beside it."""

    items: ClassVar[str] = "prompts"

    versions: Versions
    language: Annotated[Language, about("language in which the page opens")]
    trace: Annotated[Trace, about("the trace that it shows")]
    graph: Annotated[Graph, about("the boxes of the picture and what flows between them")]
    prompts: Annotated[tuple[PagePrompt, ...], about("what each prompt of the batch made")]
    explanations: Annotated[
        tuple[Explanation, ...], about("of the first prompt, in English and in Chinese, or none")
    ] = ()
    check: Annotated[Check | None, about("the verdict of gptrace check, if it was asked for")] = None
    left_out: Annotated[tuple[LeftOut, ...], about("the views that are not there")] = ()
    check_translated: Annotated[
        Check | None, about("the same verdict in the other language, English or Chinese")
    ] = None
    diagnosis_zh: Annotated[
        str, about("the likely cause of the trace's error, in Chinese, if one is known")
    ] = ""
    source_zh: Annotated[str, about("the line of the trace's error, its place in Chinese")] = ""

    def __repr__(self) -> str:
        return f"<Page of {self.trace!r}>"

    def _repr_html_(self) -> str:
        """Return the page in a frame, whose script reaches nothing outside of it."""
        from gptrace.report.page import to_frame

        return to_frame(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Return what a notebook shows, and what a terminal does."""
        return {"text/plain": repr(self), "text/html": self._repr_html_()}
