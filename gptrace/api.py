"""The Python functions, and what the commands call: text → tokens → model → trace → predictions.

Everything that can be wrong without torch is found before torch is imported, which takes a second.
"""

from __future__ import annotations

import operator
import platform
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import gptrace
from gptrace.errors import InputError
from gptrace.model.choice import DEFAULT_SEED, RANDOM, ModelChoice, choose
from gptrace.model.config import PRESETS, GPTConfig
from gptrace.model.weights import hub
from gptrace.predict.limits import check_k, check_temperature
from gptrace.record import Preset, Presets, Prompt, Tokens, TopK, Trace
from gptrace.text import encoding, prompts

if TYPE_CHECKING:
    from gptrace.model.build import LoadedModel
    from gptrace.model.gpt import GPTModel

DEFAULT_K = 5

Text = str | Sequence[str]
Ids = Sequence[int] | Sequence[Sequence[int]]


class Options(TypedDict, total=False):
    """What `trace` and `topk` take beside the text, the model, k and the temperature.

    ids        token ids in place of text: one list, or a list of lists
    special    read "<|endoftext|>" in the text as the special token (default True)
    truncate   keep the last context_length tokens of a prompt that is too long (default False)
    config     configuration keys that replace the preset's, or a whole GPTConfig
    weights    "random" (default), "pretrained", or the path of a weight file or folder
    seed       of the random weights (default 123)
    device     cpu (default), cuda, cuda:N, mps, meta (shapes alone) or auto
    dtype      float32 (default), float64, bfloat16 or float16
    """

    ids: Ids
    special: bool
    truncate: bool
    config: Mapping[str, Any] | GPTConfig
    weights: str | Path
    seed: int
    device: str
    dtype: str


def trace(
    text: Text | None = None,
    *,
    model: str | GPTModel | None = None,
    k: int | None = None,
    temperature: float = 1.0,
    **options: Unpack[Options],
) -> Trace:
    """Run `text` (one prompt or several) through a model and record every call of every submodule.

    `model` is a preset's name ("gpt2-small" unless `weights` decide), or a GPTModel of your own, which is
    left as it was; `k` is 5 unless it is given; `options` are those of `Options`. Raises an InputError for
    what cannot be run.

    >>> trace("Hello, I am", model="tiny").calls[1].outputs[0].shape  # tok_emb
    (1, 4, 48)
    """
    given, chosen, truncate = _prepare(text, model, **options)
    return trace_prompts(given, chosen, k=k, temperature=temperature, truncate=truncate)


def topk(
    text: Text | None = None,
    *,
    model: str | GPTModel | None = None,
    k: int | None = None,
    temperature: float = 1.0,
    **options: Unpack[Options],
) -> TopK:
    """Return the `k` most likely next tokens of each prompt; the arguments are those of `trace`.

    >>> len(topk("Hello", k=3, model="tiny").results[0].candidates)
    3
    """
    given, chosen, truncate = _prepare(text, model, **options)
    return topk_prompts(given, chosen, k=k, temperature=temperature, truncate=truncate)


def tokens(text: Text | None = None, *, ids: Ids | None = None, special: bool = True) -> Tokens:
    """Return the GPT-2 tokens of each prompt, without torch.

    >>> [token.text for token in tokens("Hello, I am").results[0].tokens]
    ['Hello', ',', ' I', ' am']
    """
    return tokens_of(_make_prompts(text, ids, special=special))


def tokens_of(given: Sequence[Prompt]) -> Tokens:
    """Return the record that `gptrace tokens` prints."""
    versions = {
        "gptrace": gptrace.__version__,
        "tiktoken": encoding.tiktoken_version(),
        "python": platform.python_version(),
    }
    return Tokens(versions, encoding.NAME, encoding.VOCAB_SIZE, tuple(given))


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


def trace_prompts(
    given: Sequence[Prompt],
    model: ModelChoice | GPTModel,
    *,
    k: int | None,
    temperature: float,
    truncate: bool,
) -> Trace:
    """Trace prompts that are tokens already; what `gptrace run` calls."""
    loaded, fitted, k = _ready(given, model, k=k, temperature=temperature, truncate=truncate)
    from gptrace.predict.run import run_traced

    return run_traced(loaded, fitted, k=k, temperature=temperature)


def topk_prompts(
    given: Sequence[Prompt],
    model: ModelChoice | GPTModel,
    *,
    k: int | None,
    temperature: float,
    truncate: bool,
) -> TopK:
    """Predict what follows prompts that are tokens already; what `gptrace topk` calls."""
    if _is_meta(model):
        raise InputError(
            "device meta has shapes, but no numbers to predict with", "use gptrace run --device meta"
        )
    loaded, fitted, k = _ready(given, model, k=k, temperature=temperature, truncate=truncate)
    from gptrace.predict.run import run_topk

    return run_topk(loaded, fitted, k=k, temperature=temperature)


def _ready(
    given: Sequence[Prompt],
    model: ModelChoice | GPTModel,
    *,
    k: int | None,
    temperature: float,
    truncate: bool,
) -> tuple[LoadedModel, tuple[Prompt, ...], int]:
    """Check everything and load the model: in this order where its sizes are known before.

    Returns the prompts as they fit the model, and k, which is 5 where there are that many tokens.
    """
    check_temperature(temperature)

    def checked(config: GPTConfig, predicted: int) -> tuple[tuple[Prompt, ...], int]:
        wanted = min(DEFAULT_K, predicted) if k is None else k
        check_k(wanted, predicted)
        fitted = prompts.fit(
            given, vocab_size=config.vocab_size, context_length=config.context_length, truncate=truncate
        )
        return fitted, wanted

    known = model.config
    ready = checked(known, known.vocab_size) if known is not None else None
    from gptrace.model.build import load

    loaded = load(model)
    fitted, wanted = ready or checked(loaded.config, loaded.predicted)
    return loaded, fitted, wanted


def _prepare(
    text: Text | None,
    model: str | GPTModel | None,
    *,
    ids: Ids | None = None,
    special: bool = True,
    truncate: bool = False,
    config: Mapping[str, Any] | GPTConfig | None = None,
    weights: str | Path = RANDOM,
    seed: int = DEFAULT_SEED,
    device: str = "cpu",
    dtype: str = "float32",
) -> tuple[tuple[Prompt, ...], ModelChoice | GPTModel, bool]:
    given = _make_prompts(text, ids, special=special)
    if model is None or isinstance(model, str):
        chosen = choose(model, weights=weights, config=config, seed=seed, device=device, dtype=dtype)
        return given, chosen, truncate
    from gptrace.model.gpt import GPTModel

    if not isinstance(model, GPTModel):
        raise InputError(
            f"model is a {type(model).__name__}, neither a preset's name nor a GPTModel",
            "`with gptrace.watch(module) as trace:` traces any module",
        )
    if config is not None or (weights, seed, device, dtype) != (RANDOM, DEFAULT_SEED, "cpu", "float32"):
        raise InputError(
            "weights, config, seed, device and dtype are for building a model, and this one is built already",
            "drop them, or name a preset",
        )
    return given, model, truncate


def _make_prompts(text: Text | None, ids: Ids | None, *, special: bool) -> tuple[Prompt, ...]:
    if (text is None) == (ids is None):
        raise InputError("give either text or ids", 'for example "Hello", or ids=[15496]')
    if ids is not None:
        return prompts.from_ids(_id_rows(ids))
    one_by_one = isinstance(text, Iterable) and not isinstance(text, str | bytes | Set | Mapping)
    texts: list[object] = list(text or ()) if one_by_one else [text]
    for one in texts:
        if not isinstance(one, str):
            raise InputError(f"a text is a {type(one).__name__}", "give a str, or a list of them")
    if not texts:
        raise InputError("the list of texts is empty", "give at least one text")
    return prompts.from_texts([str(one) for one in texts], special=special)


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


def _is_meta(model: ModelChoice | GPTModel) -> bool:
    if isinstance(model, ModelChoice):
        return model.device == "meta"
    return model.tok_emb.weight.is_meta


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
