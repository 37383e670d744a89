"""`gptrace tokens`: the tokens of prompts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import field

from gptrace.record.base import Count, HexBytes, Record, Report, Versions, about
from gptrace.record.prompt_result import Problem, PromptResult

TokenText = Annotated[str | None, about("what it adds within a text; null for a part of a UTF-8 character")]
TokenBytes = Annotated[HexBytes | None, about("in hexadecimal; null where they are not known")]
PromptText = Annotated[str | None, about("null for ids that do not decode to UTF-8")]
Ids = Annotated[tuple[Count, ...], about("token ids, without padding")]
Padding = Annotated[Count, about("positions added on the right to make the batch rectangular")]
Truncated = Annotated[Count, about("tokens cut off on the left to fit the context")]


class Token(Record, frozen=True):
    """One token: its id, its text and its bytes, where they are known."""

    id: Count
    text: TokenText
    bytes: TokenBytes


class TokenizedPrompt(PromptResult, frozen=True):
    """One prompt and its tokens."""

    index: Annotated[Count, about("number of the prompt, from 0")]
    text: PromptText
    ids: Ids
    tokens: Annotated[tuple[Token, ...], about("its tokens in order")]
    problem: Annotated[Problem | None, about("why this prompt of a stream has no tokens")] = field(
        default=None, name="error"
    )
    extra: dict[str, Any] = field(default_factory=dict)


class Tokens(Report, frozen=True, tag_field="schema", tag="gptrace.tokens/1"):
    """The tokens of each prompt."""

    versions: Versions
    encoding: Annotated[str, about("name of the tokenizer")]
    vocab_size: Annotated[Count, about("number of tokens that it knows")]
    results: Annotated[tuple[TokenizedPrompt, ...], about("the tokens of each prompt")]


class TokensStream(Report, frozen=True, tag_field="schema", tag="gptrace.tokens/1"):
    """A Tokens whose results come one by one, as they are made, and can be read once."""

    versions: Versions
    encoding: Annotated[str, about("name of the tokenizer")]
    vocab_size: Annotated[Count, about("number of tokens that it knows")]
    results: Annotated[Iterator[TokenizedPrompt], about("the tokens of each prompt")]

    def whole(self) -> Tokens:
        """Wait for all results."""
        return Tokens(self.versions, self.encoding, self.vocab_size, tuple(self.results))
