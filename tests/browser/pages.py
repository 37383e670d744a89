"""Pages of traces for the tests in the browser: small models, one for each kind of picture."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import torch
from msgspec.structs import replace
from playwright.sync_api import Page as BrowserPage
from torch import Tensor, nn

import gptrace
from gptrace.record import Page, RankDifference, Trace
from gptrace.record.graph import Graph
from gptrace.record.trace import Failure
from gptrace.report.page import to_document
from tests.browser.opened import Opened
from tests.models.spread import spread as spread_over

# After a key, the state changes, then the page is drawn; what follows from it, as the address, comes last.
_SETTLED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\x1b[31m\"'`${1}"


def shown(
    opened: Opened, page: Page, *, theme: str | None = None, colors: Literal["light", "dark"] = "light",
    **how: Any,
) -> BrowserPage:  # fmt: skip
    """Open the page of a trace, written in a theme, where the system has its own; wait until it is drawn."""
    browser_page = opened.open(to_document(page, theme), theme=colors, **how)
    browser_page.locator("h1").wait_for()
    return browser_page


def press(browser_page: BrowserPage, *keys: str) -> None:
    """Press keys one after the other, as slowly as a person does."""
    for key in keys:
        browser_page.keyboard.press(key)
        browser_page.evaluate(_SETTLED)


@cache
def tiny() -> Page:
    """A GPT of two equal blocks."""
    return gptrace.Session(model="tiny").page("Hello, I am", lang="en")


@cache
def spread() -> Page:
    """Rank 5 of a GPT on a mesh of two by four devices, of which one made another number of calls."""
    trace = spread_over(_whole(), {"dp": 2, "tp": 4}, 5, simulated=False)
    assert trace.mesh is not None
    differing = (RankDifference(1, "calls", "38", "39", "trf_blocks.0"),)
    return replace(trace, mesh=replace(trace.mesh, differing=differing)).page(lang="en")


@cache
def simulated() -> Page:
    """Rank 9 of a GPT on a simulated mesh of 128 by 8 devices."""
    return spread_over(_whole(), {"fsdp": 128, "tp": 8}, 9).page(lang="en")


@cache
def _whole() -> Trace:
    return gptrace.trace("Hello, I am", model="tiny", measure="all")


@cache
def broken() -> Page:
    """A model whose output head expects fewer numbers than it gets, and whose last module is not reached."""
    return gptrace.Session(model=_Broken()).page("Hello, I am", lang="en")


@cache
def skipping() -> Page:
    """A convolutional network with skip connections of one within the other, as in a U-Net."""
    network = _Skipping()
    with gptrace.watch(network, measure="all") as trace, torch.no_grad():
        network(torch.ones(1, 3, 16, 16))
    return trace.page(lang="en")


@cache
def hostile() -> Page:
    """The page of the GPT with markup and controls in every text that comes from outside."""
    page = tiny()
    trace = page.trace
    prompt = trace.inputs[0]
    tokens = tuple(replace(token, text=HOSTILE) for token in prompt.tokens)
    calls = tuple(replace(call, path=HOSTILE + call.path, type=HOSTILE) for call in trace.calls)
    nodes = tuple(replace(node, label=f"{HOSTILE}{node.label}") for node in page.graph.nodes)
    trace = replace(
        trace, calls=calls, inputs=(replace(prompt, text=HOSTILE, tokens=tokens),), uncalled=(HOSTILE,),
        model=replace(trace.model, name=HOSTILE, class_name=HOSTILE),
        error=Failure(
            path=HOSTILE, type=HOSTILE, message=HOSTILE, source=f"a.py, line 3, in f: {HOSTILE}", cause=None,
            diagnosis=HOSTILE, inputs=calls[0].inputs,
        ),
    )  # fmt: skip
    return replace(page, trace=trace, graph=Graph(nodes, page.graph.edges))


class _Broken(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(50257, 24)
        self.final_norm = nn.LayerNorm(24)
        self.out_head = nn.Linear(12, 50257)
        self.softmax = nn.Softmax(-1)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.final_norm(self.tok_emb(ids))
        logits: Tensor = self.softmax(self.out_head(x))
        return logits


class _Skipping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(3, 8, 3, padding=1)
        self.down2 = nn.Conv2d(8, 8, 3, padding=1)
        self.middle = nn.Conv2d(8, 8, 3, padding=1)
        self.up2 = nn.Conv2d(16, 8, 3, padding=1)
        self.up1 = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x).relu()
        second = self.down2(first).relu()
        x = self.up2(torch.cat([self.middle(second), second], dim=1))
        x = self.up1(torch.cat([x, first], dim=1))
        return x
