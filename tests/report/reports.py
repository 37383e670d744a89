"""One report of each kind, with text that would like to be markup."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import gptrace
from gptrace.record import Report

HOSTILE = 'a\x1b[31m<b>\u202eevil</b> "q" `x`\n<script>alert(1)</script>'
LEAKY = f"{Path(__file__).parents[2] / 'docs' / 'examples' / 'leaky.py'}:GPT"
KINDS = (
    "run", "topk", "tokens", "loss", "generate", "lens", "explain", "check", "source", "diff", "models",
)  # fmt: skip


@cache
def every_report() -> dict[str, Report]:
    """Return a report for each of `KINDS`."""
    from gptrace.api import presets
    from gptrace.verify.diff import diff_traces

    session = gptrace.Session("tiny")
    traces = [session.trace(text, k=2) for text in ("Hello", HOSTILE)]
    reports: tuple[Report, ...] = (
        traces[0],
        session.topk([HOSTILE, "你好"], k=3),
        gptrace.tokens(HOSTILE),
        session.loss(["Hello, 你好", HOSTILE]),
        session.generate(HOSTILE, max_new_tokens=3, trace=True),
        session.lens("Hello, I am", k=2),
        session.explain(HOSTILE),
        gptrace.check(LEAKY, only=["finite", "causal", "padding", "cache"]),
        gptrace.source("Hello, I am", model=LEAKY, check=True),
        diff_traces(*traces, names=("a.json", "b.json"), rtol=1e-4, atol=1e-6),
        presets(),
    )
    return dict(zip(KINDS, reports, strict=True))
