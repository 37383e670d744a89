"""One-shot functions: each makes a `Session`, asks it one thing, and returns the record.

The parameters from `model` to `threads` are described at `Session`; the others, the result and the errors at
its method of the same name. To ask one model several things, make a Session: it loads the model once.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gptrace
from gptrace.measures import Measures
from gptrace.model.config import PRESETS
from gptrace.model.on_demand import Model, is_module
from gptrace.model.selection import DEFAULT_SEED
from gptrace.model.weights import hub
from gptrace.predict.validation import DEFAULT_NEW_TOKENS
from gptrace.record import (
    Explanation,
    Generation,
    Lens,
    Loss,
    Preset,
    PresetParameters,
    Presets,
    PublishedWeights,
    Tokens,
    TopK,
    TopKStream,
    Trace,
)
from gptrace.session import Session
from gptrace.text.lines import PromptLines
from gptrace.text.prompt_source import Ids, Text

if TYPE_CHECKING:
    from gptrace.predict.generate import Listener


def trace(
    text: Text | None = None, *, ids: Ids | None = None, special: bool = True, truncate: bool = False,
    k: int | None = None, temperature: float = 1.0, measure: Iterable[str] | Measures = (),
    model: Model = None, weights: str | Path | None = None, tokenizer: object = None,
    name: str | None = None, config: Any = None, seed: int = DEFAULT_SEED, device: str = "cpu",
    dtype: str | None = None, threads: int | None = None,
) -> Trace:  # fmt: skip
    """Run one batch of prompts through a model and record every call of every submodule.

    `Session` describes the parameters of the model, `Session.trace` the others.

    >>> trace("Hello, I am", model="tiny").calls[1].outputs[0].shape  # tok_emb
    (1, 4, 48)
    """
    session = Session(
        model, weights=weights, tokenizer=tokenizer, name=name, config=config,
        seed=seed, device=device, dtype=dtype, threads=threads,
    )  # fmt: skip
    return session.trace(
        text, ids=ids, special=special, truncate=truncate, k=k, temperature=temperature, measure=measure,
    )  # fmt: skip


def topk(
    text: Text | None = None, *, ids: Ids | None = None, special: bool = True, truncate: bool = False,
    k: int | None = None, temperature: float = 1.0, positions: str = "last", tokens: Sequence[str] = (),
    batch_size: int | None = None,
    model: Model = None, weights: str | Path | None = None, tokenizer: object = None,
    name: str | None = None, config: Any = None, seed: int = DEFAULT_SEED, device: str = "cpu",
    dtype: str | None = None, threads: int | None = None,
) -> TopK:  # fmt: skip
    """Return the most likely next tokens of each prompt.

    `Session` describes the parameters of the model, `Session.topk` the others.

    >>> len(topk("Hello", k=3, model="tiny").results[0].candidates)
    3
    """
    session = Session(
        model, weights=weights, tokenizer=tokenizer, name=name, config=config,
        seed=seed, device=device, dtype=dtype, threads=threads,
    )  # fmt: skip
    return session.topk(
        text, ids=ids, special=special, truncate=truncate, k=k, temperature=temperature, positions=positions,
        tokens=tokens, batch_size=batch_size,
    )  # fmt: skip


def topk_stream(
    prompts: Iterable[object] | PromptLines, *, special: bool = True, truncate: bool = False,
    k: int | None = None, temperature: float = 1.0, positions: str = "last", tokens: Sequence[str] = (),
    batch_size: int | None = None,
    model: Model = None, weights: str | Path | None = None, tokenizer: object = None,
    name: str | None = None, config: Any = None, seed: int = DEFAULT_SEED, device: str = "cpu",
    dtype: str | None = None, threads: int | None = None,
) -> TopKStream:  # fmt: skip
    """Return the same as `topk` for a stream of prompts of any length.

    `Session` describes the parameters of the model, `Session.topk_stream` the others.

    >>> stream = topk_stream(["Hello", "", [15496, 11]], k=2, model="tiny")
    >>> [len(result.candidates) for result in stream.results]
    [2, 0, 2]
    """
    session = Session(
        model, weights=weights, tokenizer=tokenizer, name=name, config=config,
        seed=seed, device=device, dtype=dtype, threads=threads,
    )  # fmt: skip
    return session.topk_stream(
        prompts, special=special, truncate=truncate, k=k, temperature=temperature, positions=positions,
        tokens=tokens, batch_size=batch_size,
    )  # fmt: skip


def loss(
    text: Text | None = None, *, ids: Ids | None = None, special: bool = True, stride: int | None = None,
    batch_size: int | None = None,
    model: Model = None, weights: str | Path | None = None, tokenizer: object = None,
    name: str | None = None, config: Any = None, seed: int = DEFAULT_SEED, device: str = "cpu",
    dtype: str | None = None, threads: int | None = None,
) -> Loss:  # fmt: skip
    """Return the cross-entropy of each token of each text, in nats, and the perplexity.

    `Session` describes the parameters of the model, `Session.loss` the others.

    >>> round(loss("Hello, I am", model="tiny").total.loss, 4)
    10.7746
    """
    session = Session(
        model, weights=weights, tokenizer=tokenizer, name=name, config=config,
        seed=seed, device=device, dtype=dtype, threads=threads,
    )  # fmt: skip
    return session.loss(text, ids=ids, special=special, stride=stride, batch_size=batch_size)


def generate(
    text: Text | None = None, *, ids: Ids | None = None, special: bool = True,
    max_new_tokens: int = DEFAULT_NEW_TOKENS, temperature: float | None = None, top_k: int | None = None,
    top_p: float | None = None, stop: str | Sequence[str] = (), cache: bool = True, trace: bool = False,
    listener: Listener | None = None,
    model: Model = None, weights: str | Path | None = None, tokenizer: object = None,
    name: str | None = None, config: Any = None, seed: int = DEFAULT_SEED, device: str = "cpu",
    dtype: str | None = None, threads: int | None = None,
) -> Generation:  # fmt: skip
    """Continue each text.

    `Session` describes the parameters of the model, `Session.generate` the others.
    `seed` is that of the random weights and of the sampling.

    >>> generate("Hello, I am", model="tiny", max_new_tokens=2).results[0].text
    ' RAND rises'
    """
    session = Session(
        model, weights=weights, tokenizer=tokenizer, name=name, config=config,
        seed=DEFAULT_SEED if is_module(model) else seed, device=device, dtype=dtype, threads=threads,
    )  # fmt: skip
    return session.generate(
        text, ids=ids, special=special, max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k,
        top_p=top_p, stop=stop, cache=cache, trace=trace, listener=listener, seed=seed,
    )  # fmt: skip


def lens(
    text: Text | None = None, *, ids: Ids | None = None, special: bool = True, truncate: bool = False,
    k: int | None = None, head: str | None = None,
    model: Model = None, weights: str | Path | None = None, tokenizer: object = None,
    name: str | None = None, config: Any = None, seed: int = DEFAULT_SEED, device: str = "cpu",
    dtype: str | None = None, threads: int | None = None,
) -> Lens:  # fmt: skip
    """Return the tokens that each layer would predict if it were the last.

    `Session` describes the parameters of the model, `Session.lens` the others.

    >>> [layer.path for layer in lens("Hello, I am", model="tiny").results[0].layers]
    ['trf_blocks.0', 'trf_blocks.1']
    """
    session = Session(
        model, weights=weights, tokenizer=tokenizer, name=name, config=config,
        seed=seed, device=device, dtype=dtype, threads=threads,
    )  # fmt: skip
    return session.lens(text, ids=ids, special=special, truncate=truncate, k=k, head=head)


def explain(
    text: Text | None = None, *, ids: Ids | None = None, special: bool = True, truncate: bool = False,
    topics: Sequence[str] = (), language: str = "en", head: str | None = None,
    model: Model = None, weights: str | Path | None = None, tokenizer: object = None,
    name: str | None = None, config: Any = None, seed: int = DEFAULT_SEED, device: str = "cpu",
    dtype: str | None = None, threads: int | None = None,
) -> Explanation:  # fmt: skip
    """Explain how a model comes to its predictions on a text.

    `Session` describes the parameters of the model, `Session.explain` the others.
    `seed` is that of the random weights and of the sampled token.

    >>> explanation = explain("Hello, I am", topics=["last-dim"], model="tiny")
    >>> explanation.topics[0].claims[0].measured
    "50,257 scores; 50,257 tokens in GPT-2's tokenizer"
    """
    session = Session(
        model, weights=weights, tokenizer=tokenizer, name=name, config=config,
        seed=DEFAULT_SEED if is_module(model) else seed, device=device, dtype=dtype, threads=threads,
    )  # fmt: skip
    return session.explain(
        text, ids=ids, special=special, truncate=truncate, topics=topics, language=language, head=head,
        seed=seed,
    )  # fmt: skip


def tokens(
    text: Text | None = None, *, ids: Ids | None = None, special: bool = True, tokenizer: object = None
) -> Tokens:
    """Return the tokens of each prompt, GPT-2's unless a `tokenizer` is given.

    `Session.tokens` describes the parameters.

    >>> [token.text for token in tokens("Hello, I am").results[0].tokens]
    ['Hello', ',', ' I', ' am']
    """
    return Session(tokenizer=tokenizer).tokens(text, ids=ids, special=special)


def presets() -> Presets:
    """Return the models that have a name, with their sizes, without torch.

    >>> presets().models[0].parameters.total
    163009536
    """
    versions = {"gptrace": gptrace.__version__, "python": platform.python_version()}
    models = []
    for name, (aliases, config) in PRESETS.items():
        count = config.parameter_count()
        head = config.vocab_size * config.emb_dim
        published = PublishedWeights(hub.folder_at_hand(name) is not None) if name in hub.PUBLISHED else None
        parameters = PresetParameters(count, count - head)
        models.append(Preset(name, aliases, config.to_dict(), parameters, 4 * count, published))
    return Presets(versions, tuple(models))
