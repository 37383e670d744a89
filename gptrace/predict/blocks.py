"""A block where a model is wanted: it takes vectors, where a model takes ids.

Shapes: B batch, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

from gptrace.errors import ConfigError
from gptrace.model.build import LoadedModel, load
from gptrace.model.quiet_torch import torch
from gptrace.model.reference import ObjectReference
from gptrace.model.selection import UserModelSelection
from gptrace.model.user_model import modules_beside
from gptrace.predict.logits import find_logits
from gptrace.tracing.isolation import isolated_run, work_limit
from gptrace.tracing.parameters import is_lazy
from gptrace.tracing.resized_runs import limit_of_work
from gptrace.tracing.tensors import find_tensors
from gptrace.tracing.undisturbed import undisturbed_evaluation
from gptrace.wording import message_of

# What operations of torch and of Python raise; where sizes are unpacked, Python raises a ValueError.
_OF_WRONG_INPUT = (RuntimeError, TypeError, IndexError, AttributeError)
_TOKENS = 2
_MOST_TRIED = 8
# A model that is built and run on device meta does less than this for each of its modules.
_MODULES_OF_A_MODEL = 1_000


def block_error(loaded: LoadedModel, error: BaseException) -> ConfigError | None:
    """Return the error for a module that raises `error` for ids, if it takes vectors (B, T, D); else None.

    Its hint names a model of the same file, if one runs there. The module is run again only after an error
    that a wrong kind of input causes, since whatever its code does besides, it does once more.
    """
    if not isinstance(error, _OF_WRONG_INPUT) and "unpack" not in message_of(error):
        return None
    width = next((width for width in _widths(loaded) if _takes_vectors(loaded, width)), None)
    if width is None:
        return None
    problem = (
        f"{loaded.name} is a block, not a model: it takes vectors [batch, seq_len, {width}], and raises for "
        "token ids"
    )
    model = _model_beside(loaded)
    if model:
        hint = f"give the model that has such blocks: -m {model}"
    else:
        hint = "give the whole model, which takes token ids; in Python, gptrace.watch traces a block alone"
    return ConfigError(problem, hint, option="model")


def _widths(loaded: LoadedModel) -> Iterator[int]:
    """Yield the widths that the vectors may have, each once."""
    architecture = loaded.architecture
    key = None if architecture is None else architecture.width
    configured = [] if architecture is None or key is None else [architecture.settings[key]]
    parameters = [each for each in loaded.module.parameters() if not is_lazy(each)]
    last_axes = [parameter.shape[-1] for parameter in parameters if parameter.dim()]
    yield from list(dict.fromkeys([*configured, *last_axes]))[:_MOST_TRIED]


def _takes_vectors(loaded: LoadedModel, width: int) -> bool:
    dtype = next((p.dtype for p in loaded.module.parameters() if p.is_floating_point()), None)
    try:
        with isolated_run(inference=False), undisturbed_evaluation(loaded.module), _bounded():
            vectors = torch.zeros(1, _TOKENS, width, dtype=dtype, device=loaded.device)
            output = loaded.module(vectors)
    except KeyboardInterrupt:
        raise
    except BaseException:  # the user's code may raise anything
        return False
    shapes = [tensor.shape[:2] for _, tensor in find_tensors("output", output)]
    return (1, _TOKENS) in shapes


def _model_beside(loaded: LoadedModel) -> str:
    """Return a reference to a model in the file of a block, or ""; it is built on device meta to know it."""
    selection = loaded.selection
    if not isinstance(selection, UserModelSelection) or not isinstance(selection.target, ObjectReference):
        return ""
    for reference in modules_beside(selection.target):
        other = replace(selection, target=reference, name=reference.name, device="meta", weights=None)
        if _takes_ids(other, type(loaded.module)):
            return reference.text
    return ""


def _takes_ids(selection: UserModelSelection, block: type[torch.nn.Module]) -> bool:
    """Tell whether a model has blocks of a class, and gives logits for ids."""
    try:
        with isolated_run(inference=False), _bounded():
            loaded = load(selection)
            if not any(type(module) is block for module in loaded.module.modules()):
                return False
            with undisturbed_evaluation(loaded.module):
                ids = torch.zeros(1, _TOKENS, dtype=torch.int64, device="meta")
                output = loaded.module(ids, **loaded.arguments)
            return find_logits(output, 1, _TOKENS).logits is not None
    except KeyboardInterrupt:
        raise
    except BaseException:  # the user's code may raise anything
        return False


def _bounded() -> AbstractContextManager[object]:
    return work_limit(limit_of_work(_MODULES_OF_A_MODEL))
