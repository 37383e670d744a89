"""The Python functions, and what the commands call: text → tokens → model → trace → predictions.

Everything that can be wrong without torch is found before torch is imported, which takes a second.
"""

from __future__ import annotations

import operator
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import gptrace
from gptrace.errors import InputError
from gptrace.measures import Measures
from gptrace.model.choice import Limits, ModelChoice, choose
from gptrace.model.config import PRESETS
from gptrace.model.weights import hub
from gptrace.predict.limits import check_temperature, wanted_k
from gptrace.record import Preset, Presets, Prompt, Tokens, TopK, Trace
from gptrace.text import encoding, prompts
from gptrace.text.prompts import Given
from gptrace.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from gptrace.model.build import LoadedModel, Module

Text = str | Sequence[str]
Ids = Sequence[int] | Sequence[Sequence[int]]


class Options(TypedDict, total=False):
    """What `trace` and `topk` take beside the text, the model, k and the temperature.

    ids        token ids in place of text: one list, or a list of lists
    special    read "<|endoftext|>" in the text as the special token (default True)
    truncate   keep the last context_length tokens of a prompt that is too long (default False)
    config     configuration keys that replace the preset's, or a whole GPTConfig; for a model of your own
               whatever its class takes
    weights    "random", "pretrained", or the path of a weight file or folder; without it random ones, for
               "hf:…" the model's own
    seed       of the random weights (default 123)
    device     cpu (default), cuda, cuda:N, mps, meta (shapes alone) or auto
    dtype      float32 (default), float64, bfloat16 or float16; a model of your own stays as it is made
    """

    ids: Ids
    special: bool
    truncate: bool
    config: Any
    weights: str | Path
    seed: int
    device: str
    dtype: str


def trace(
    text: Text | None = None,
    *,
    model: str | Callable[..., Any] | None = None,
    k: int | None = None,
    temperature: float = 1.0,
    measure: Iterable[str] = (),
    **options: Unpack[Options],
) -> Trace:
    """Run `text` (one prompt or several) through a model and record every call of every submodule.

    `model` is a preset's name ("gpt2-small" unless `weights` decide), "FILE.py:OBJECT",
    "package.module:OBJECT" or "hf:FOLDER"; or a module of your own, which is left as it was, its class, or a
    function that makes one. It gets token ids `[batch, seq_len]`. `k` is 5 unless it is given; `options` are
    those of `Options`. `measure` names what else to take: "ops", "macs", "memory", "statistics", or "all".
    Raises an InputError for what cannot be run, a ModelCodeError for what the model's
    own code raises.

    >>> trace("Hello, I am", model="tiny").calls[1].outputs[0].shape  # tok_emb
    (1, 4, 48)
    """
    given, chosen, truncate = _prepare(text, model, **options)
    measures = Measures.of(measure)
    return trace_given(given, chosen, k=k, temperature=temperature, truncate=truncate, measures=measures)


def topk(
    text: Text | None = None,
    *,
    model: str | Callable[..., Any] | None = None,
    k: int | None = None,
    temperature: float = 1.0,
    **options: Unpack[Options],
) -> TopK:
    """Return the `k` most likely next tokens of each prompt; the arguments are those of `trace`.

    >>> len(topk("Hello", k=3, model="tiny").results[0].candidates)
    3
    """
    given, chosen, truncate = _prepare(text, model, **options)
    return topk_given(given, chosen, k=k, temperature=temperature, truncate=truncate)


def tokens(text: Text | None = None, *, ids: Ids | None = None, special: bool = True) -> Tokens:
    """Return the GPT-2 tokens of each prompt, without torch.

    >>> [token.text for token in tokens("Hello, I am").results[0].tokens]
    ['Hello', ',', ' I', ' am']
    """
    return tokens_of(_given(text, ids, special=special))


def tokens_of(given: Given) -> Tokens:
    """Return the record that `gptrace tokens` prints."""
    versions = {
        "gptrace": gptrace.__version__,
        "tiktoken": encoding.tiktoken_version(),
        "python": platform.python_version(),
    }
    return Tokens(versions, encoding.NAME, encoding.VOCAB_SIZE, given.prompts())


def presets() -> Presets:
    """Return the models that have a name, with their sizes, without torch.

    >>> presets().models[0].parameters
    163009536
    """
    versions = {"gptrace": gptrace.__version__, "python": platform.python_version()}
    models = []
    for name, (aliases, config) in PRESETS.items():
        count = config.parameter_count()
        head = config.vocab_size * config.emb_dim
        at_hand = hub.folder_at_hand(name) is not None if name in hub.PUBLISHED else None
        models.append(Preset(name, aliases, config.to_dict(), count, count - head, 4 * count, at_hand))
    return Presets(versions, tuple(models))


def trace_given(
    given: Given,
    model: ModelChoice | Module,
    *,
    k: int | None,
    temperature: float,
    truncate: bool,
    measures: Measures,
) -> Trace:
    """Trace texts or ids; what `gptrace run` calls."""
    ready = _ready(given, model, k=k, temperature=temperature, truncate=truncate)
    from gptrace.predict.run import run_traced

    return run_traced(*ready, k=k, temperature=temperature, measures=measures)


def topk_given(
    given: Given,
    model: ModelChoice | Module,
    *,
    k: int | None,
    temperature: float,
    truncate: bool,
) -> TopK:
    """Predict what follows texts or ids; what `gptrace topk` calls."""
    if _is_meta(model):
        raise InputError(
            "device meta has shapes, but no numbers to predict with", "use gptrace run --device meta"
        )
    ready = _ready(given, model, k=k, temperature=temperature, truncate=truncate)
    from gptrace.predict.run import run_topk

    return run_topk(*ready, k=k, temperature=temperature)


def _ready(
    given: Given,
    model: ModelChoice | Module,
    *,
    k: int | None,
    temperature: float,
    truncate: bool,
) -> tuple[LoadedModel, Tokenizer, tuple[Prompt, ...]]:
    """Check everything and load the model: in this order where its sizes are known before."""
    check_temperature(temperature)
    tokenizer = model.tokenizer() if isinstance(model, ModelChoice) else encoding
    read = given.prompts(tokenizer)

    def checked(limits: Limits) -> tuple[Prompt, ...]:
        if limits.vocab_size is not None:
            wanted_k(k, limits.vocab_size - tokenizer.padding_rows(limits.vocab_size))
        bounded = limits.is_certain or truncate
        return prompts.fit(
            read,
            vocab_size=limits.vocab_size,
            context_length=limits.context_length if bounded else None,
            truncate=truncate,
        )

    known = model.limits() if isinstance(model, ModelChoice) else None
    fitted = None if known is None else checked(known)
    from gptrace.model.build import load

    loaded = load(model)
    return loaded, tokenizer, checked(loaded.limits) if fitted is None else fitted


def _prepare(
    text: Text | None,
    model: str | Callable[..., Any] | None,
    *,
    ids: Ids | None = None,
    special: bool = True,
    truncate: bool = False,
    **choice: Any,
) -> tuple[Given, ModelChoice | Module, bool]:
    given = _given(text, ids, special=special)
    unknown = choice.keys() - Options.__annotations__.keys()
    if unknown:
        raise TypeError(
            f"there is no option {sorted(unknown)[0]!r}; known: {', '.join(Options.__annotations__)}"
        )
    if model is None or isinstance(model, str):
        return given, choose(model, **choice), truncate
    if not callable(model):
        raise InputError(
            f"model is a {type(model).__name__}, neither a name nor a model",
            "give a preset's name, FILE.py:OBJECT, hf:FOLDER, a torch.nn.Module, its class, or a factory",
        )
    from gptrace.model.quiet_torch import torch

    if not isinstance(model, torch.nn.Module):
        return given, choose(model, **choice), truncate
    if choice:
        raise InputError(
            f"{', '.join(choice)} {'is' if len(choice) == 1 else 'are'} for building a model, "
            "and this one is built already",
            "drop them, or name a preset",
        )
    return given, model, truncate


def _given(text: Text | None, ids: Ids | None, *, special: bool) -> Given:
    if (text is None) == (ids is None):
        raise InputError("give either text or ids", 'for example "Hello", or ids=[15496]')
    if ids is not None:
        return Given(rows=tuple(map(tuple, _id_rows(ids))), special=special)
    one_by_one = isinstance(text, Iterable) and not isinstance(text, str | bytes | Set | Mapping)
    texts: list[object] = list(text or ()) if one_by_one else [text]
    for one in texts:
        if not isinstance(one, str):
            raise InputError(f"a text is a {type(one).__name__}", "give a str, or a list of them")
    if not texts:
        raise InputError("the list of texts is empty", "give at least one text")
    return Given(texts=tuple(str(one) for one in texts), special=special)


def _id_rows(ids: object) -> list[list[int]]:
    """Return rows of plain ints from a list of ids or a list of lists; arrays and tensors count as lists."""
    given = _listed(ids)
    if not isinstance(given, list):
        raise InputError(f"ids are a {type(ids).__name__}", "give a list of ids, or a list of such lists")
    items = [_listed(one) for one in given]  # once: a generator can be read only once
    rows = [item for item in items if isinstance(item, list)]
    if rows and len(rows) < len(items):
        raise InputError("ids and lists of ids are mixed", "give a list of ids, or a list of such lists")
    return [[_id(one) for one in row] for row in rows or [items]]


def _is_meta(model: ModelChoice | Module) -> bool:
    if isinstance(model, ModelChoice):
        return model.device == "meta"
    return any(parameter.is_meta for parameter in model.parameters())


def _listed(value: object) -> object:
    if isinstance(value, str | bytes | Set | Mapping):  # no order, or no ids
        return value
    if hasattr(value, "tolist"):  # numpy and torch
        try:
            return value.tolist()
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:100]
            raise InputError(
                f"ids cannot be read: {reason}", "give a dense tensor with numbers in it"
            ) from None
    return list(value) if isinstance(value, Iterable) else value


def _id(value: object) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InputError(f"{value!r} is not a token id", "token ids are whole numbers")
    return operator.index(value)
