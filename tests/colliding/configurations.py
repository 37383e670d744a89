"""Configurations whose sizes equal or divide each other, over models of all kinds; a number makes each."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import gptrace
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from tests.colliding.hugging_face import ARCHITECTURES
from tests.colliding.models import (
    AttentionSettings,
    CourseGPT,
    KeywordModel,
    Llama,
    Mixture,
    NanoConfig,
    NanoGPT,
    NestedGPT,
)
from tests.colliding.truth import Case, Sizes


class Draw:
    """Draws sizes that collide: each is often equal to an earlier one, a multiple or a part of it."""

    def __init__(self, number: int) -> None:
        self.random = random.Random(number)
        self.heads = self.random.choice([1, 2, 3, 4, 6])
        self.groups = self.random.choice([n for n in range(1, self.heads + 1) if self.heads % n == 0])
        self.head_dim = self.random.choice([2, 4, 6, 8])
        self.width = self.heads * self.head_dim * self.random.choice([1, 1, 1, 2])
        self.sizes = [
            2,
            3,
            self.heads,
            self.groups,
            self.head_dim,
            self.width,
            2 * self.width,
            self.width // 2,
        ]

    def size(self, least: int = 1, most: int = 96, step: int = 1) -> int:
        """Return a size within these limits, divisible by `step`."""
        fitting = [n for n in self.sizes if least <= n <= most and n % step == 0]
        size = self.random.randint(-(-least // step), most // step) * step
        if fitting and self.random.random() < 0.8:
            size = self.random.choice(fitting)
        self.sizes.append(size)
        return size


def case(number: int) -> Case:
    """Return the configuration of a number."""
    kind, name = KINDS[number % len(KINDS)]
    return kind(Draw(number), name)


def _gpt(draw: Draw, name: str) -> Case:
    sizes = {
        "vocab_size": draw.size(least=2), "context_length": draw.size(least=4), "emb_dim": draw.width,
        "n_heads": draw.heads,
    }  # fmt: skip
    if draw.random.random() < 0.5:
        sizes["ff_dim"] = draw.size()
    fixed = {"n_layers": 1, "attention": draw.random.choice(["eager", "sdpa"])}

    def build(sizes: Sizes) -> Any:
        return GPTModel({**sizes, **fixed})

    return _case(draw, name, build, sizes, "context_length", ("emb_dim", "n_heads"), watched=True)


def _course(draw: Draw, name: str) -> Case:
    sizes = {
        "vocab_size": draw.size(least=2), "context_length": draw.size(least=4), "emb_dim": draw.width,
        "n_heads": draw.heads,
    }  # fmt: skip
    derived = ("emb_dim", "n_heads")
    return _case(draw, name, CourseGPT, sizes, "context_length", derived, target=CourseGPT, config=sizes)


def _nano(draw: Draw, name: str) -> Case:
    config = NanoConfig(draw.size(least=4), draw.size(least=2), draw.heads, draw.width)

    def build(sizes: Sizes) -> Any:
        return NanoGPT(NanoConfig(**sizes))

    derived = ("n_embd", "n_head")
    return _case(draw, name, build, asdict(config), "block_size", derived, target=NanoGPT, config=config)


def _keywords(draw: Draw, name: str) -> Case:
    sizes = {
        "vocab_size": draw.size(least=2), "d_model": draw.width, "nhead": draw.heads,
        "dim_feedforward": draw.size(), "max_len": draw.size(least=4),
    }  # fmt: skip

    def build(sizes: Sizes) -> Any:
        return KeywordModel(**sizes)

    derived = ("d_model", "nhead")
    return _case(draw, name, build, sizes, "max_len", derived, target=KeywordModel, config=sizes)


def _llama(draw: Draw, name: str) -> Case:
    own = draw.random.random() < 0.8
    width = draw.width if own else draw.heads * draw.head_dim
    sizes = {
        "vocab_size": draw.size(least=2), "emb_dim": width, "n_heads": draw.heads, "n_kv_groups": draw.groups,
        "hidden_dim": draw.size(),
    }  # fmt: skip
    if own or draw.random.random() < 0.5:  # a head_dim that is ignored, too
        sizes["head_dim"] = draw.head_dim
    fixed = {"own": own, "fused": draw.random.random() < 0.5}

    def build(sizes: Sizes) -> Any:
        return Llama({**sizes, **fixed})

    derived = None if "head_dim" in sizes else ("emb_dim", "n_heads")
    return _case(draw, name, build, sizes, None, derived, target=Llama, config={**sizes, **fixed})


def _nested(draw: Draw, name: str) -> Case:
    """Return a case of settings inside of dicts, an object and a list, by their names in a trace."""
    ratios = draw.size(most=4), draw.size(most=4)
    by_layer = {f"layers.{number}.ratio": ratio for number, ratio in enumerate(ratios)}
    sizes = {
        "vocab_size": draw.size(least=2), "emb_dim": draw.width, "n_heads": draw.heads, "each": draw.head_dim,
        "context_length": draw.size(least=4), "rank": draw.size(),
        **({"ratio": ratios[0]} if ratios[0] == ratios[1] else by_layer),
    }  # fmt: skip

    def config_of(sizes: Sizes) -> dict[str, Any]:
        of_layers = (sizes.get("ratio") or sizes[key] for key in by_layer)
        return {
            "model": {"vocab_size": sizes["vocab_size"], "emb_dim": sizes["emb_dim"]},
            "attention": AttentionSettings(sizes["n_heads"], sizes["each"]),
            "layers": [{"rank": sizes["rank"], "ratio": ratio} for ratio in of_layers],
            "data": {"context_length": sizes["context_length"], "workers": draw.heads},
        }

    def build(sizes: Sizes) -> Any:
        return NestedGPT(config_of(sizes))

    derived = ("emb_dim", "n_heads")
    return _case(
        draw, name, build, sizes, "context_length", derived, target=NestedGPT, config=config_of(sizes)
    )


def _mixture(draw: Draw, name: str) -> Case:
    sizes = {
        "vocab_size": draw.size(least=2), "dim": draw.size(), "moe_dim": draw.size(), "rank": draw.size(),
    }  # fmt: skip

    def build(sizes: Sizes) -> Any:
        return Mixture(**sizes)

    return _case(draw, name, build, sizes, None, None, target=Mixture, config=sizes)


def _hugging_face(draw: Draw, name: str) -> Case:
    architecture = ARCHITECTURES[name]
    sizes = {
        key: {"width": draw.width, "heads": draw.heads, "groups": draw.groups, "head_dim": draw.head_dim}.get(
            role
        )
        or draw.size(least={"vocabulary": 4, "context": 8}.get(role, 1), step=2 if role == "even" else 1)
        for key, role in architecture.sizes.items()
    }
    context = next((key for key, role in architecture.sizes.items() if role == "context"), None)
    vocabulary = next(key for key, role in architecture.sizes.items() if role == "vocabulary")

    def settings_of(sizes: Sizes) -> Sizes:
        settings = vars(architecture.text_of(architecture.config(sizes)))
        return {key: value for key, value in settings.items() if type(value) is int}

    return _case(
        draw, name, architecture.build, sizes, context, architecture.derived, watched=True,
        settings_of=settings_of, arguments={"use_cache": False}, vocabulary=vocabulary,
    )  # fmt: skip


def _case(
    draw: Draw, name: str, build: Callable[[Sizes], Any], sizes: Sizes, context: str | None,
    derived: tuple[str, str] | None, *, target: Any = None, config: Any = None, watched: bool = False,
    settings_of: Callable[[Sizes], Sizes] = dict, arguments: dict[str, Any] | None = None,
    vocabulary: str = "vocab_size",
) -> Case:  # fmt: skip
    """Return a case that is watched, or traced by its class; head_dim is `derived` from width and heads."""

    def trace(ids: Any) -> gptrace.Trace:
        if not watched:
            return gptrace.trace(ids=ids.tolist(), model=target, config=config, measure=["ops"])
        module = build(sizes).eval()
        with torch.inference_mode(), gptrace.watch(module, measure=["ops"]) as trace:
            module(ids, **(arguments or {}))
        return trace

    def after(sizes: Sizes) -> Sizes:
        settings = settings_of(sizes)
        if derived is not None and "head_dim" not in settings:
            settings = {**settings, "head_dim": settings[derived[0]] // settings[derived[1]]}
        return settings

    batch, seq_len = draw.size(most=8), draw.size(most=min(24, sizes[context] if context else 24))
    label = f"{name} {sizes}, batch {batch}, seq_len {seq_len}"
    return Case(label, trace, build, after, sizes, batch, seq_len, vocabulary, arguments or {})


Kind = Callable[[Draw, str], Case]
KINDS: list[tuple[Kind, str]] = [
    (_gpt, "GPTModel"), (_course, "CourseGPT"), (_nano, "NanoGPT"), (_keywords, "KeywordModel"),
    (_llama, "Llama"), (_mixture, "Mixture"), (_gpt, "GPTModel"), (_llama, "Llama"), (_course, "CourseGPT"),
    (_gpt, "GPTModel"), (_llama, "Llama"), (_nano, "NanoGPT"), (_mixture, "Mixture"),
    (_keywords, "KeywordModel"),
    (_nested, "NestedGPT"), (_nested, "NestedGPT"),
    *((_hugging_face, name) for name in ARCHITECTURES),
]  # fmt: skip
