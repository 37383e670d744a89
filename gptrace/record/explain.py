"""`gptrace explain`: claims about a model, each checked on the reader's own text."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from gptrace.record.base import Record, Report, Versions, about
from gptrace.record.check import SourceLine
from gptrace.record.model import ModelInfo
from gptrace.record.tokens import Ids, PromptText, Token


class Claim(Record, frozen=True):
    """A sentence, the figures measured for it, and whether they confirm it."""

    key: Annotated[str, about("a name for the claim, the same in every language")]
    text: Annotated[str, about("the sentence")]
    measured: Annotated[str, about("the figures that were measured for it, in words")]
    holds: Annotated[bool | None, about("null where the claim does not apply or could not be measured")]
    check: Annotated[str, about("the gptrace check that fails as well where the claim does not hold")] = ""
    source: Annotated[SourceLine | None, about("the line that this check blames")] = None


class Topic(Record, frozen=True):
    """The claims about one question."""

    topic: Annotated[str, about("name of the topic, the same in every language")]
    title: Annotated[str, about("its title")]
    claims: Annotated[tuple[Claim, ...], about("the claims in reading order")]


class Explanation(Report, frozen=True, tag_field="schema", tag="gptrace.explain/1"):
    """The topics, in reading order."""

    items: ClassVar[str] = "topics"

    versions: Versions
    model: Annotated[ModelInfo, about("the model that was measured")]
    language: Annotated[str, Meta(pattern="^(en|zh)$"), about("language of the claims")]
    text: PromptText
    ids: Ids
    topics: Annotated[tuple[Topic, ...], about("the topics in reading order")]
    notes: Annotated[tuple[str, ...], about("what a reader should know")]
    tokens: Annotated[tuple[Token, ...], about("the tokens of the prompt")]
