"""One-shot functions: each makes a `Session`, asks it one thing, and returns the record.

To ask one model several things, make a Session: it loads the model once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

from gptrace import record
from gptrace.measures import Measures
from gptrace.model.on_demand import Model, is_module
from gptrace.model.preset_list import presets as presets
from gptrace.model.weights.packaged import model_to_predict
from gptrace.predict.validation import DEFAULT_NEW_TOKENS
from gptrace.session import Session
from gptrace.sharding.request import Mesh, Parallel
from gptrace.text.lines import PromptLines
from gptrace.text.prompt_source import Ids, Text

if TYPE_CHECKING:
    from gptrace.predict.generate import Listener
    from gptrace.predict.loss import Progress

Function = TypeVar("Function", bound=Callable[..., object])


class ModelOptions(TypedDict, total=False):
    """The arguments of `Session` beside the model, by name."""

    weights: str | Path | None
    tokenizer: object
    name: str | None
    config: Any
    seed: int
    device: str
    dtype: str | None
    threads: int | None


class ModelArguments(ModelOptions, total=False):
    """The arguments of `Session`, by name."""

    model: Model


def _with_model_parameters(function: Function) -> Function:
    """Let `help(function)` list the parameters of Session in place of `**model`, and say where to read on."""
    signature = inspect.signature(function)
    *parameters, _ = signature.parameters.values()
    own = {parameter.name for parameter in parameters}
    for parameter in inspect.signature(Session).parameters.values():
        if parameter.name not in own:
            parameters.append(parameter.replace(kind=parameter.KEYWORD_ONLY))
    function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # inspect reads it
    pointer = f"`Session` describes the parameters of the model, `Session.{function.__name__}` the others."
    function.__doc__ = f"{inspect.getdoc(function)}\n\n{pointer}"
    return function


def _session_and_seed(model: ModelArguments) -> tuple[Session, int | None]:
    """Return a session and the seed of sampling, the only use of a seed where the model is built already.

    None stands for the session's own.
    """
    seed = model.get("seed")
    if is_module(model.get("model")):
        model.pop("seed", None)
    return Session(**model), seed


def _predicting(model: ModelArguments) -> ModelArguments:
    """Return the arguments of a session for a function that only predicts: see `model_to_predict`."""
    chosen = model_to_predict(model.get("model"), model.get("weights"), model.get("config"))
    return {**model, "model": chosen}


@_with_model_parameters
def trace(
    text: Text | None = None, *, ids: Ids | None = None, special: bool = True, truncate: bool = False,
    k: int | None = None, temperature: float = 1.0, measure: Iterable[str] | Measures = (),
    mesh: Mesh | None = None, rank: int | None = None, parallel: Parallel | None = None,
    **model: Unpack[ModelArguments],
) -> record.Trace:  # fmt: skip
    """Run one batch of prompts through a model and record every call of every submodule.

    >>> trace("Hello, I am", model="tiny").calls[1].outputs[0].shape  # tok_emb
    (1, 4, 48)
    """
    return Session(**model).trace(
        text, ids=ids, special=special, truncate=truncate, k=k, temperature=temperature, measure=measure,
        mesh=mesh, rank=rank, parallel=parallel,
    )  # fmt: skip


@_with_model_parameters
def topk(
    text: Text | None = None, *, ids: Ids | None = None, special: bool = True, truncate: bool = False,
    k: int | None = None, temperature: float = 1.0, positions: str = "last", tokens: Sequence[str] = (),
    batch_size: int | None = None, **model: Unpack[ModelArguments],
) -> record.TopK:  # fmt: skip
    """Return the most likely next tokens of each prompt.

    The model is "small", which is trained, unless `model`, `weights` or `config` is given.

    >>> len(topk("Hello", k=3, model="tiny").results[0].candidates)
    3
    """
    return Session(**_predicting(model)).topk(
        text, ids=ids, special=special, truncate=truncate, k=k, temperature=temperature, positions=positions,
        tokens=tokens, batch_size=batch_size,
    )  # fmt: skip


@_with_model_parameters
def topk_stream(
    prompts: Iterable[object] | PromptLines, *, special: bool = True, truncate: bool = False,
    k: int | None = None, temperature: float = 1.0, positions: str = "last", tokens: Sequence[str] = (),
    batch_size: int | None = None, **model: Unpack[ModelArguments],
) -> record.TopKStream:  # fmt: skip
    """Return the same as `topk` for a stream of prompts of any length.

    >>> stream = topk_stream(["Hello", "", [15496, 11]], k=2, model="tiny")
    >>> [len(result.candidates) for result in stream.results]
    [2, 0, 2]
    """
    return Session(**_predicting(model)).topk_stream(
        prompts, special=special, truncate=truncate, k=k, temperature=temperature, positions=positions,
        tokens=tokens, batch_size=batch_size,
    )  # fmt: skip


@_with_model_parameters
def loss(
    text: Text | None = None, *, ids: Ids | None = None, special: bool = True, stride: int | None = None,
    batch_size: int | None = None, progress: Progress | None = None, **model: Unpack[ModelArguments],
) -> record.Loss:  # fmt: skip
    """Return the cross-entropy of each token of each text, in nats, and the perplexity.

    The model is "small", which is trained, unless `model`, `weights` or `config` is given.

    >>> round(loss("Hello, I am", model="tiny").total.loss, 4)
    10.7746
    """
    return Session(**_predicting(model)).loss(
        text, ids=ids, special=special, stride=stride, batch_size=batch_size, progress=progress
    )


@_with_model_parameters
def loss_stream(
    prompts: Iterable[object] | PromptLines, *, special: bool = True, stride: int | None = None,
    batch_size: int | None = None, progress: Progress | None = None, **model: Unpack[ModelArguments],
) -> record.LossStream:  # fmt: skip
    """Return the same as `loss` for a stream of prompts of any length.

    >>> stream = loss_stream(["Hello, I am", ""], model="tiny")
    >>> [result.problem is None for result in stream.results]
    [True, False]
    """
    return Session(**_predicting(model)).loss_stream(
        prompts, special=special, stride=stride, batch_size=batch_size, progress=progress
    )


@_with_model_parameters
def generate(
    text: Text | None = None, *, ids: Ids | None = None, special: bool = True,
    max_new_tokens: int = DEFAULT_NEW_TOKENS, temperature: float | None = None, top_k: int | None = None,
    top_p: float | None = None, stop: str | Sequence[str] = (), cache: bool = True, trace: bool = False,
    listener: Listener | None = None, **model: Unpack[ModelArguments],
) -> record.Generation:  # fmt: skip
    """Continue each text.

    The model is "small", which is trained, unless `model`, `weights` or `config` is given. `seed` is that of
    random weights and of the sampling.

    >>> generate("Hello, I am", model="tiny", max_new_tokens=2).results[0].text
    ' RAND rises'
    """
    session, seed = _session_and_seed(_predicting(model))
    return session.generate(
        text, ids=ids, special=special, max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k,
        top_p=top_p, stop=stop, cache=cache, trace=trace, listener=listener, seed=seed,
    )  # fmt: skip


@_with_model_parameters
def generate_stream(
    prompts: Iterable[object] | PromptLines, *, special: bool = True,
    max_new_tokens: int = DEFAULT_NEW_TOKENS, temperature: float | None = None, top_k: int | None = None,
    top_p: float | None = None, stop: str | Sequence[str] = (), cache: bool = True, trace: bool = False,
    **model: Unpack[ModelArguments],
) -> record.GenerationStream:  # fmt: skip
    """Return the same as `generate` for a stream of prompts of any length.

    >>> stream = generate_stream(["Hello, I am", ""], model="tiny", max_new_tokens=2)
    >>> [result.text for result in stream.results]
    [' RAND rises', None]
    """
    session, seed = _session_and_seed(_predicting(model))
    return session.generate_stream(
        prompts, special=special, max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k,
        top_p=top_p, stop=stop, cache=cache, trace=trace, seed=seed,
    )  # fmt: skip


@_with_model_parameters
def lens(
    text: Text | None = None, *, ids: Ids | None = None, special: bool = True, truncate: bool = False,
    k: int | None = None, head: str | None = None, **model: Unpack[ModelArguments],
) -> record.Lens:  # fmt: skip
    """Return the tokens that each layer would predict if it were the last.

    The model is "small", which is trained, unless `model`, `weights` or `config` is given.

    >>> [layer.path for layer in lens("Hello, I am", model="tiny").results[0].layers]
    ['trf_blocks.0', 'trf_blocks.1']
    """
    return Session(**_predicting(model)).lens(
        text, ids=ids, special=special, truncate=truncate, k=k, head=head
    )


@_with_model_parameters
def lens_stream(
    prompts: Iterable[object] | PromptLines, *, special: bool = True, truncate: bool = False,
    k: int | None = None, head: str | None = None, **model: Unpack[ModelArguments],
) -> record.LensStream:  # fmt: skip
    """Return the same as `lens` for a stream of prompts of any length.

    >>> stream = lens_stream(["Hello, I am", ""], model="tiny")
    >>> [len(result.layers) for result in stream.results]
    [2, 0]
    """
    return Session(**_predicting(model)).lens_stream(
        prompts, special=special, truncate=truncate, k=k, head=head
    )


@_with_model_parameters
def explain(
    text: Text | None = None, *, ids: Ids | None = None, special: bool = True, truncate: bool = False,
    topics: Sequence[str] = (), lang: str = "en", head: str | None = None,
    **model: Unpack[ModelArguments],
) -> record.Explanation:  # fmt: skip
    """Explain how a model comes to its predictions on a text.

    `seed` is that of the random weights and of the sampled token.

    >>> explanation = explain("Hello, I am", topics=["last-dim"], model="tiny")
    >>> explanation.topics[0].claims[0].measured
    "50,257 scores; 50,257 tokens in GPT-2's tokenizer"
    """
    session, seed = _session_and_seed(model)
    return session.explain(
        text, ids=ids, special=special, truncate=truncate, topics=topics, lang=lang, head=head,
        seed=seed,
    )  # fmt: skip


@_with_model_parameters
def check(
    model: Model = None, *, text: Text | None = None, ids: Ids | None = None, special: bool = True,
    only: Sequence[str] = (), learns: bool = False, devices: bool = False,
    dtypes: bool = False, lang: str = "en", **options: Unpack[ModelOptions],
) -> record.Check:  # fmt: skip
    """Check whether a model is right; `assert gptrace.check(model)` says which line is not.

    The first argument is the model: a torch.nn.Module, its class, or a name as for `Session`.

    >>> bool(check("tiny", only=["causal"]))
    True
    """
    return Session(model, **options).check(
        text, ids=ids, special=special, only=only, learns=learns, devices=devices, dtypes=dtypes, lang=lang
    )


@_with_model_parameters
def page(
    text: Text | None = None, *, ids: Ids | None = None, special: bool = True, truncate: bool = False,
    k: int | None = None, temperature: float = 1.0, check: bool = False, lang: str | None = None,
    mesh: Mesh | None = None, rank: int | None = None, parallel: Parallel | None = None,
    **model: Unpack[ModelArguments],
) -> record.Page:  # fmt: skip
    """Trace one batch of prompts, and return the page that shows it in a browser or a notebook.

    >>> page("Hello, I am", model="tiny").prompts[0].projection.path
    'out_head'
    """
    return Session(**model).page(
        text, ids=ids, special=special, truncate=truncate, k=k, temperature=temperature, check=check,
        lang=lang, mesh=mesh, rank=rank, parallel=parallel,
    )  # fmt: skip


@_with_model_parameters
def source(
    text: Text | None = None, *, ids: Ids | None = None, special: bool = True, truncate: bool = False,
    check: bool = False, lang: str = "en", **model: Unpack[ModelArguments],
) -> record.Source:  # fmt: skip
    """Run one batch of prompts; return the model's own code, each line with the tensors that it makes.

    >>> lines = source("Hello, I am", model="tiny").files[0].lines
    >>> [line.made[0].dims for line in lines if "self.tok_emb(" in line.text]
    [('batch', 'seq_len', 'emb_dim')]
    """
    return Session(**model).source(text, ids=ids, special=special, truncate=truncate, check=check, lang=lang)


def tokens(
    text: Text | None = None, *, ids: Ids | None = None, special: bool = True, tokenizer: object = None
) -> record.Tokens:
    """Return the tokens of each prompt, GPT-2's unless a `tokenizer` is given.

    `Session.tokens` describes the parameters.

    >>> [token.text for token in tokens("Hello, I am").results[0].tokens]
    ['Hello', ',', ' I', ' am']
    """
    return Session(tokenizer=tokenizer).tokens(text, ids=ids, special=special)


def tokens_stream(
    prompts: Iterable[object] | PromptLines, *, special: bool = True, tokenizer: object = None
) -> record.TokensStream:
    """Return the same as `tokens` for a stream of prompts of any length.

    >>> stream = tokens_stream(["Hello, I am", "", [15496, 11]])
    >>> [len(result.tokens) for result in stream.results]
    [4, 0, 2]
    """
    return Session(tokenizer=tokenizer).tokens_stream(prompts, special=special)
