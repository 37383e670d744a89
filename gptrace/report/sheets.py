"""Records → sheets: which columns each report has."""

from __future__ import annotations

from collections.abc import Sequence

from gptrace.comparison import ChangedCall, Difference
from gptrace.record import (
    Candidate,
    Explanation,
    Prediction,
    Presets,
    Prompt,
    Token,
    Tokens,
    TopK,
    TopKResult,
    Trace,
)
from gptrace.report.safe_text import quoted, token_label
from gptrace.report.shapes import bracketed
from gptrace.report.sheet import Column, Sheet

BAR_WIDTH = 12
_TITLE_LENGTH = 60


def _thousands(value: int) -> str:
    return f"{value:,}"


def _four_digits(value: float) -> str:
    return f"{value:.4f}"


def percent(value: float) -> str:
    """Write a probability."""
    return f"{100 * value:#.4g} %"


def _at_hand(value: bool | None) -> str:
    return {True: "at hand", False: "gptrace pull", None: "–"}[value]


def _hex(raw: bytes | None) -> str:
    return "" if raw is None else raw.hex(" ")


def calls_sheet(trace: Trace) -> Sheet:
    """One row for each call, for programs: names, sizes and types of the first tensors as text."""
    columns = [
        Column(key, key)
        for key in (
            "index", "parent", "depth", "path", "type", "call", "calls",
            "input_dims", "input_shape", "output_dims", "output_shape",
            "own_parameters", "total_parameters", "seconds",
        )
    ]  # fmt: skip
    rows = [
        (
            call.index, call.parent, call.depth, call.path, call.type, call.call, call.calls,
            *(" ".join(bracketed(spec.dims if named else spec.shape) for spec in side)
              for side in (call.inputs, call.outputs) for named in (True, False)),
            call.parameters.own, call.parameters.total, call.seconds,
        )
        for call in trace.calls
    ]  # fmt: skip
    return Sheet(columns, rows)


def candidates_sheet(
    prompt: Prompt,
    candidates: Sequence[Candidate],
    chosen: Sequence[Candidate] = (),
    *,
    with_logs: bool = False,
) -> Sheet:
    """The candidates after one prompt, and those `chosen` by name below them.

    The bar compares them with each other: the likeliest fills it.
    """
    top = max((candidate.probability for candidate in candidates), default=0.0)
    columns = [
        Column("rank", "Rank", is_number=True),
        Column("token", "Next token", token_label, style="bold"),
        Column("id", "Id", is_number=True),
        Column("probability", "Probability", percent, is_number=True),
        Column("bar", "", keep=1, show=lambda value: _bar(value / top if top > 0 else 0.0), style="magenta"),
        Column("log", "Log-probability" if with_logs else None, _four_digits, is_number=True),
        Column("logit", "Logit", keep=2, show=_four_digits, is_number=True),
    ]
    shown = [*candidates, *(one for one in chosen if one not in candidates)]
    rows = [
        (c.rank, c.token, c.token.id, c.probability, c.probability, c.log_probability, c.logit) for c in shown
    ]
    return Sheet(columns, rows, title=f"After {prompt_title(prompt)}")


def positions_sheet(result: TopKResult) -> Sheet:
    """One row for each position of a prompt: its token, what is expected next, and the chosen tokens."""
    columns = [
        Column("position", "Position", is_number=True),
        Column("token", "Token", token_label),
        Column("next", "Next tokens", expected, style="bold"),
    ]
    for number, one in enumerate(result.chosen):
        columns.append(Column(f"chosen {number}", token_label(one.token), _placed, is_number=True))
    rows = [
        (at.position, result.prompt.tokens[at.position], at.candidates, *at.chosen) for at in result.positions
    ]
    return Sheet(columns, rows, title=f"At each position of {prompt_title(result.prompt)}")


def expected(candidates: Sequence[Candidate]) -> str:
    """Write candidates on one line, each as a piece that a narrow column does not break."""
    return "  ".join(f"{token_label(one.token)} {_share(one.probability)}" for one in candidates)


def _share(probability: float) -> str:
    return percent(probability).replace(" ", "")


def _placed(candidate: Candidate) -> str:
    return f"{_share(candidate.probability)}, rank {candidate.rank:,}"


def flat_candidates(topk: TopK) -> Sheet:
    """One row for each candidate of each prompt, for programs, and one for each prompt with a problem."""
    keys = (
        "index", "prompt", "rank", "id", "token", "bytes", "logit", "probability", "log_probability",
        "position", "error",
    )  # fmt: skip
    rows: list[tuple[object, ...]] = []
    for result in topk.results:
        start = (result.index, text_of(result.prompt))
        last = Prediction(result.index, len(result.prompt.tokens) - 1, result.candidates, result.chosen)
        rows += [
            (
                *start, c.rank, c.token.id, c.token.text, plain_hex(c.token), c.logit, c.probability,
                c.log_probability, at.position, "",
            )
            for at in result.positions or [last]
            for c in (*at.candidates, *(one for one in at.chosen if one not in at.candidates))
        ]  # fmt: skip
        if result.problem is not None:
            rows.append((*start, *[""] * (len(keys) - 3), result.problem.message))
    return Sheet([Column(key, key) for key in keys], rows)


def tokens_sheet(prompt: Prompt) -> Sheet:
    """The tokens of one prompt."""
    columns = [
        Column("position", "Position", is_number=True),
        Column("id", "Id", is_number=True),
        Column("token", "Token", token_label, style="bold"),
        Column("bytes", "Bytes", _hex, keep=1),
    ]
    rows = [(position, token.id, token, token.bytes) for position, token in enumerate(prompt.tokens)]
    plural = "s" if len(rows) > 1 else ""
    return Sheet(columns, rows, title=f"{len(rows)} token{plural} of {prompt_title(prompt)}")


def flat_tokens(tokens: Tokens) -> Sheet:
    """One row for each token of each prompt, for programs."""
    rows = [
        (index, position, token.id, token.text, plain_hex(token))
        for index, prompt in enumerate(tokens.results)
        for position, token in enumerate(prompt.tokens)
    ]
    return Sheet([Column(key, key) for key in ("index", "position", "id", "token", "bytes")], rows)


def difference_sheet(difference: Difference) -> Sheet:
    """One row for each call that is in one trace alone, and for each fact that changed."""
    columns = [
        Column("kind", "", style="bold"),
        Column("path", "Module"),
        Column("call", None),
        Column("type", "Type", keep=1),
        Column("what", "What"),
        Column("a", "A"),
        Column("b", "B"),
    ]
    kinds = (("removed", difference.removed), ("added", difference.added))
    rows: list[tuple[object, ...]] = [
        (kind, _called(call), call.call, call.type, "", *("there", "–")[:: 1 if kind == "removed" else -1])
        for kind, calls in kinds
        for call in calls
    ]
    rows += [
        ("changed", _called(call), call.call, call.type, change.what, change.a, change.b)
        for call in difference.changed
        for change in call.changes
    ]
    first = difference.first_apart
    if first is not None:
        rows += [
            ("values", _called(first), first.call, first.type, change.what, change.a, change.b)
            for change in first.changes
        ]
    return Sheet(columns, rows)


def _called(call: ChangedCall) -> str:
    path = call.path or call.type
    return f"{path} ({call.call})" if call.call > 1 else path


def flat_explanation(explanation: Explanation) -> Sheet:
    """One row for each claim, for programs."""
    rows = [
        (topic.topic, topic.title, claim.text, claim.measured, claim.holds)
        for topic in explanation.topics
        for claim in topic.claims
    ]
    return Sheet([Column(key, key) for key in ("topic", "title", "text", "measured", "holds")], rows)


def presets_sheet(presets: Presets) -> Sheet:
    """The models by name."""
    columns = [
        Column("name", "Model", style="bold"),
        Column("aliases", "Also", ", ".join, keep=2),
        Column("emb_dim", "emb_dim", is_number=True, keep=7),
        Column("n_layers", "n_layers", is_number=True, keep=6),
        Column("n_heads", "n_heads", is_number=True, keep=5),
        Column("context_length", "context", is_number=True, keep=3),
        Column("parameters", "Parameters", _thousands, is_number=True),
        Column("without_out_head", "without out_head", _thousands, is_number=True, keep=1),
        Column("pretrained", "Pretrained", _at_hand, keep=8),
        Column("bytes", "float32", keep=4, show=lambda value: f"{value / 2**30:,.2f} GiB", is_number=True),
    ]
    rows = [
        (
            model.name, model.aliases, *(model.config[column.key] for column in columns[2:6]),
            model.parameters, model.without_out_head, model.pretrained, model.bytes,
        )
        for model in presets.models
    ]  # fmt: skip
    return Sheet(columns, rows)


def _bar(share: float) -> str:
    """Draw a share of 1 with eighths of a block.

    >>> _bar(1.0), _bar(0.5), _bar(0.01)
    ('████████████', '██████', '▏')
    """
    eighths = max(1, round(share * BAR_WIDTH * 8)) if share > 0 else 0
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def prompt_title(prompt: Prompt) -> str:
    """Return the end of a prompt, for a headline."""
    if prompt.text is None:
        return f"ids {' '.join(map(str, prompt.ids))}"[:_TITLE_LENGTH]
    text = prompt.text if len(prompt.text) <= _TITLE_LENGTH else "…" + prompt.text[-_TITLE_LENGTH:]
    return quoted(text)


def text_of(prompt: Prompt) -> str:
    """Return a prompt's text; nothing for one that has none."""
    return prompt.text if prompt.text is not None else ""


def plain_hex(token: Token) -> str:
    """Return a token's bytes in hexadecimal."""
    return "" if token.bytes is None else token.bytes.hex()
