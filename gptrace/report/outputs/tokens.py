"""`gptrace tokens`: a table of tokens for each prompt."""

from __future__ import annotations

from gptrace.record import TokenizedPrompt, Tokens
from gptrace.record.writing import to_json
from gptrace.report.common_parts import hex_of, problem_parts, prompt_title
from gptrace.report.counted import counted_tokens
from gptrace.report.parts import Part, Table
from gptrace.report.safe_text import token_label
from gptrace.report.table_data import Column, TableData
from gptrace.report.view import View
from gptrace.translation import words


def parts(tokens: Tokens, view: View) -> list[Part]:
    """Return a table for each prompt."""
    return [part for prompt in tokens.results for part in item_parts(prompt, view)]


def item_parts(prompt: TokenizedPrompt, view: View) -> list[Part]:
    """Return the table of one prompt, or its error."""
    return [_table(prompt)] if prompt.problem is None else problem_parts(prompt.index, prompt.problem)


def csv_table(tokens: Tokens, view: View) -> TableData:
    """Return one row for each token of each prompt, and one for each prompt with an error."""
    rows: list[tuple[object, ...]] = []
    for prompt in tokens.results:
        extra = to_json(prompt.extra) if prompt.extra else ""
        rows += [
            (prompt.index, position, token.id, token.text, hex_of(token.bytes), "", extra)
            for position, token in enumerate(prompt.tokens)
        ]
        if prompt.problem is not None:
            rows.append((prompt.index, "", "", "", "", prompt.problem.message, extra))
    return TableData.plain(("index", "position", "id", "token", "bytes", "error", "extra"), rows)


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
