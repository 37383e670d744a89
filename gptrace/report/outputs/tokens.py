"""`gptrace tokens`: a table of tokens for each prompt."""

from __future__ import annotations

from gptrace.record import TokenizedPrompt, Tokens
from gptrace.report.common_parts import counted_tokens, hex_of, prompt_title
from gptrace.report.parts import Part, Table
from gptrace.report.safe_text import token_label
from gptrace.report.table_data import Column, TableData
from gptrace.report.view import View
from gptrace.translation import words


def parts(tokens: Tokens, view: View) -> list[Part]:
    """Return a table for each prompt."""
    return [_table(prompt) for prompt in tokens.results]


def csv_table(tokens: Tokens, view: View) -> TableData:
    """Return one row for each token of each prompt."""
    rows = [
        (prompt.index, position, token.id, token.text, hex_of(token.bytes))
        for prompt in tokens.results
        for position, token in enumerate(prompt.tokens)
    ]
    return TableData.plain(("index", "position", "id", "token", "bytes"), rows)


def _table(prompt: TokenizedPrompt) -> Table:
    columns = [
        Column("position", words("Position"), is_number=True),
        Column("id", words("Id"), is_number=True),
        Column("token", words("Token"), token_label, role="strong"),
        Column("bytes", words("Bytes"), lambda raw: hex_of(raw, " "), drop_order=1),
    ]
    rows = [(position, token.id, token, token.bytes) for position, token in enumerate(prompt.tokens)]
    title = words("{} of {}", counted_tokens(len(rows)), prompt_title(prompt))
    return Table(TableData(columns, rows), title=title)
