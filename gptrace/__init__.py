"""See what a GPT does to a piece of text.

>>> import gptrace
>>> trace = gptrace.trace("Hello", model="tiny")
>>> trace.calls[0].outputs[0].shape
(1, 1, 50257)
>>> trace.calls[0].outputs[0].dims
('batch', 'seq_len', 'vocab_size')

`import gptrace` loads nothing heavy: each name below arrives when it is first used (PEP 562).
"""

import warnings
from typing import TYPE_CHECKING

# torch says so once when it is imported without numpy, which nothing here needs.
warnings.filterwarnings("ignore", message="Failed to initialize NumPy")

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gptrace.api import explain, generate, lens, loss, tokens, topk, topk_stream, trace
    from gptrace.errors import GptraceError
    from gptrace.model import GPTConfig, GPTModel
    from gptrace.record import (
        Difference,
        Explanation,
        Generation,
        Lens,
        Loss,
        Tokens,
        TopK,
        TopKStream,
        Trace,
    )
    from gptrace.record.reading import load
    from gptrace.session import Session
    from gptrace.tracing import watch

# Public name → the module that holds it.
_HOMES = {
    "Difference": "gptrace.record",
    "Explanation": "gptrace.record",
    "GPTConfig": "gptrace.model",
    "GPTModel": "gptrace.model",
    "Generation": "gptrace.record",
    "GptraceError": "gptrace.errors",
    "Lens": "gptrace.record",
    "Loss": "gptrace.record",
    "Session": "gptrace.session",
    "Tokens": "gptrace.record",
    "TopK": "gptrace.record",
    "TopKStream": "gptrace.record",
    "Trace": "gptrace.record",
    "explain": "gptrace.api",
    "generate": "gptrace.api",
    "lens": "gptrace.api",
    "load": "gptrace.record.reading",
    "loss": "gptrace.api",
    "tokens": "gptrace.api",
    "topk": "gptrace.api",
    "topk_stream": "gptrace.api",
    "trace": "gptrace.api",
    "watch": "gptrace.tracing",
}

__all__ = [
    "Difference",
    "Explanation",
    "GPTConfig",
    "GPTModel",
    "Generation",
    "GptraceError",
    "Lens",
    "Loss",
    "Session",
    "Tokens",
    "TopK",
    "TopKStream",
    "Trace",
    "__version__",
    "explain",
    "generate",
    "lens",
    "load",
    "loss",
    "tokens",
    "topk",
    "topk_stream",
    "trace",
    "watch",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'gptrace' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
