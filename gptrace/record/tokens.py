"""`gptrace tokens`: the tokens of prompts."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from gptrace.record.base import Count, HexBytes, Record, Report, Versions

TokenText = Annotated[str | None, Meta(description="null for bytes that are only part of a UTF-8 character")]
TokenBytes = Annotated[
    HexBytes | None, Meta(description="in hexadecimal; null for an id that the tokenizer does not know")
]
PromptText = Annotated[str | None, Meta(description="null for ids that do not decode to UTF-8")]
Ids = Annotated[tuple[Count, ...], Meta(description="token ids, without padding")]
Padding = Annotated[Count, Meta(description="positions added on the right to make the batch rectangular")]
Truncated = Annotated[Count, Meta(description="tokens cut off on the left to fit the context")]


class Token(Record, frozen=True):
    """One token: its id, its text and its bytes, where they are known."""

    id: Count
    text: TokenText
    bytes: TokenBytes


class TokenizedPrompt(Record, frozen=True):
    """One prompt and its tokens."""

    index: Count
    text: PromptText
    ids: Ids
    tokens: tuple[Token, ...]


class Tokens(Report, frozen=True, tag_field="schema", tag="gptrace.tokens/1"):
    """The tokens of each prompt."""

    versions: Versions
    encoding: str
    vocab_size: Count
    results: tuple[TokenizedPrompt, ...]
