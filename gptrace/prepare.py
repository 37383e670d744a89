"""Arguments of people and programs → what can be run: prompts, a tokenizer and a model, each of them checked.

Everything that can be wrong without torch is found before torch is imported, which takes a second.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from gptrace.errors import InputError, OptionError
from gptrace.model.selection import Limits, ModelSelection, select_model
from gptrace.predict.validation import check_temperature, fit_prompts, resolve_k
from gptrace.text import encoding
from gptrace.text.prompts import Prompt, PromptSource
from gptrace.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from gptrace.model.build import LoadedModel, Module

Text = str | Sequence[str] | PromptSource
Ids = Sequence[int] | Sequence[Sequence[int]]
Model = str | Callable[..., Any] | ModelSelection | None


class BuildOptions(TypedDict, total=False):
    """How a model is built; what every function takes beside the text and the model.

    config     configuration keys that replace the preset's, or a whole GPTConfig; for a model of your own
               whatever its class takes
    weights    "random", "pretrained", or the path of a weight file or folder; without it random ones, for
               "hf:…" the model's own
    device     cpu (default), cuda, cuda:N, mps, meta (shapes alone) or auto
    dtype      float32 (default), float64, bfloat16 or float16; a model of your own stays as it is made
    threads    processor threads that torch may use from then on (default: as it is)
    """

    config: Any
    weights: str | Path
    device: str
    dtype: str
    threads: int


class Options(BuildOptions, total=False):
    """The same, and where no other random numbers are drawn:

    seed       of the random weights (default 123)
    """

    seed: int


_OPTIONS = (*BuildOptions.__annotations__, "seed")


class Ready(NamedTuple):
    """A model that is loaded, what reads text for it, what it takes, and the prompts that it is to run."""

    loaded: LoadedModel
    tokenizer: Tokenizer
    limits: Limits
    prompts: tuple[Prompt, ...]


def ready(
    given: PromptSource | None,
    model: ModelSelection | Module,
    *,
    k: int | None = None,
    temperature: float = 1.0,
    truncate: bool = False,
    slides: bool = False,
) -> Ready:
    """Check everything and load the model: in this order where its sizes are known before.

    `given` is None where prompts are still to come. `slides`: one longer than the context is welcome, and
    goes through in windows.
    """
    check_temperature(temperature)
    tokenizer = model.tokenizer() if isinstance(model, ModelSelection) else encoding
    read = () if given is None else given.prompts(tokenizer)

    def checked(limits: Limits) -> tuple[Prompt, ...]:
        if limits.vocab_size is not None:
            resolve_k(k, limits.vocab_size - tokenizer.padding_rows(limits.vocab_size))
        return fit_prompts(limits, read, truncate=truncate, slides=slides)

    known = model.limits() if isinstance(model, ModelSelection) else None
    fitted = None if known is None else checked(known)
    from gptrace.model.build import load

    loaded = load(model)
    limits = known or loaded.limits
    return Ready(loaded, tokenizer, limits, checked(limits) if fitted is None else fitted)


def model_of(model: Model, options: dict[str, Any], *, seed: int | None = None) -> ModelSelection | Module:
    """Return what `model` means; `options` are those that build one, from `seed` where it is given apart."""
    if isinstance(model, ModelSelection):
        return model
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        raise TypeError(f"there is no option {unknown[0]!r}; known: {', '.join(_OPTIONS)}")
    builds = options if seed is None else {**options, "seed": seed}
    if model is None or isinstance(model, str):
        return select_model(model, **builds)
    if not callable(model):
        raise InputError(
            f"model is a {type(model).__name__}, neither a name nor a model",
            "give a preset's name, FILE.py:OBJECT, hf:FOLDER, a torch.nn.Module, its class, or a factory",
        )
    from gptrace.model.quiet_torch import torch

    if not isinstance(model, torch.nn.Module):
        return select_model(model, **builds)
    if options:
        raise InputError(
            f"{', '.join(options)} {'is' if len(options) == 1 else 'are'} for building a model, "
            "and this one is built already",
            "drop them, or name a preset",
        )
    return model


def check_has_numbers(model: ModelSelection | Module, what: str) -> None:
    """Raise an InputError for a model on device meta, which has shapes alone."""
    if isinstance(model, ModelSelection):
        is_meta = model.device == "meta"
    else:
        is_meta = any(parameter.is_meta for parameter in model.parameters())
    if is_meta:
        raise InputError(
            f"device meta has shapes, but no numbers to {what} with", "use gptrace run --device meta"
        )


def given_of(text: Text | None, ids: Ids | None, *, special: bool = True) -> PromptSource:
    """Return what a caller gave: texts or ids, or what the command line has read of them."""
    if isinstance(text, PromptSource):
        return text
    if (text is None) == (ids is None):
        raise InputError("give either text or ids", 'for example "Hello", or ids=[15496]')
    if ids is not None:
        return PromptSource(rows=tuple(map(tuple, _id_rows(ids))), special=special)
    one_by_one = isinstance(text, Iterable) and not isinstance(text, str | bytes | Set | Mapping)
    texts: list[object] = list(text or ()) if one_by_one else [text]
    for one in texts:
        if not isinstance(one, str):
            raise InputError(f"a text is a {type(one).__name__}", "give a str, or a list of them")
    if not texts:
        raise InputError("the list of texts is empty", "give at least one text")
    return PromptSource(texts=tuple(str(one) for one in texts), special=special)


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


def ids_of_tokens(texts: Sequence[str], tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the id of each text, which has to be one token; raise an OptionError for one that is not.

    >>> ids_of_tokens([" Paris"], encoding)
    (6342,)
    """
    found = []
    for text in texts:
        ids = tokenizer.encode_alone(text) if text else []
        if len(ids) != 1:
            pieces = " ".join(repr(tokenizer.token(one).text or tokenizer.token(one).bytes) for one in ids)
            raise OptionError(
                f"--token {text!r} is {len(ids)} tokens{': ' * bool(ids)}{pieces}",
                "name exactly one; a word within a text begins with its space, as in --token ' Paris'",
            )
        found.append(ids[0])
    return tuple(found)
