"""The pages that the tests of all models open, by name; each is made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
import transformers

import gptrace
from gptrace.record import Page
from gptrace.record.page import PagePrompt
from tests.browser import pages
from tests.models.hugging_face import FAMILIES, encoder_and_decoder, vision_transformer

TEXT = "Hello, I am"


@cache
def gpt2_small() -> Page:
    """Twelve layers of twelve heads, as in GPT-2 small; narrow ones, which no picture shows."""
    return gptrace.Session("gpt2-small", config={"emb_dim": 48}).page(TEXT, lang="en")


@cache
def largest() -> Page:
    """A model of 96 layers that fits into no computer: its tensors have shapes and no numbers."""
    return gptrace.Session("gpt3-175b", device="meta").page(TEXT, lang="en")


@cache
def without_numbers() -> Page:
    """A GPT of two blocks, of which only the shapes are known."""
    return gptrace.Session("tiny", device="meta").page(TEXT, lang="en")


@cache
def batch() -> Page:
    """Two prompts of different lengths."""
    return gptrace.Session("tiny").page([TEXT, "Once"], lang="en")


@cache
def llama() -> Page:
    """A Llama of transformers, whose queries share keys."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(FAMILIES["llama"][0]).eval()
    return gptrace.Session(model).page(ids=[5, 6, 7, 8], lang="en")


@cache
def vit() -> Page:
    """A transformer that reads an image."""
    return _watched(vision_transformer)


@cache
def t5() -> Page:
    """An encoder, and a decoder that attends to it."""
    return _watched(encoder_and_decoder)


def _watched(build: Callable[[], tuple[Any, dict[str, Any]]]) -> Page:
    model, inputs = build()
    with gptrace.watch(model.eval(), measure="all") as trace, torch.no_grad():
        model(**inputs)
    return trace.page(lang="en")


# Each has another view, or other things in it.
EVERY = [
    pytest.param(pages.tiny, id="tiny"),
    pytest.param(pages.broken, id="broken"),
    pytest.param(pages.hostile, id="hostile"),
    pytest.param(pages.spread, id="spread"),
    pytest.param(batch, id="batch"),
    pytest.param(pages.skipping, id="cnn"),
    pytest.param(t5, id="t5"),
    pytest.param(gpt2_small, id="gpt2-small"),
    pytest.param(without_numbers, id="without-numbers"),
]
# Of these, only the map is another one: their views are those of a GPT and of a convolutional network.
EVERY_MAP = [
    *EVERY,
    pytest.param(vit, id="vit"),
    pytest.param(llama, id="llama"),
    pytest.param(largest, id="gpt3-175b", marks=pytest.mark.slow),
]


def views_with_data(page: Page) -> list[str]:
    """Return the names of the views that show something, without the table, which every page has."""
    prompt = page.prompts[0] if page.prompts else PagePrompt()
    parts = {
        "map": page.graph.nodes, "why": prompt.projection, "attention": prompt.attention,
        "lens": prompt.lens, "stream": prompt.stream, "loss": prompt.loss, "failure": page.trace.error,
        "mesh": page.trace.mesh,
    }  # fmt: skip
    return [view for view, part in parts.items() if part]
