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
from importlib import import_module
from typing import TYPE_CHECKING

# torch says so once when it is imported without numpy, which nothing here needs.
warnings.filterwarnings("ignore", message="Failed to initialize NumPy")

__version__ = "0.1.0"

# Module → the public names that it holds.
_PUBLIC = {
    "gptrace.api": (
        "check", "explain", "generate", "generate_stream", "lens", "lens_stream", "loss", "loss_stream",
        "page", "presets", "source", "tokens", "tokens_stream", "topk", "topk_stream", "trace",
    ),
    "gptrace.errors": ("GptraceError",),
    "gptrace.model": ("GPTConfig", "GPTModel"),
    "gptrace.parallel.predictor": ("Predictor",),
    "gptrace.record": (
        "Check", "Difference", "Explanation", "Generation", "Lens", "Loss", "Page", "Source", "Tokens",
        "TopK", "TopKStream", "Trace",
    ),
    "gptrace.record.reading": ("load",),
    "gptrace.session": ("Session",),
    "gptrace.tracing": ("watch",),
}  # fmt: skip
_HOMES = {name: module for module, names in _PUBLIC.items() for name in names}
__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:  # the same names for type checkers, to which `x as x` says that a name is public
    from gptrace.api import check as check
    from gptrace.api import explain as explain
    from gptrace.api import generate as generate
    from gptrace.api import generate_stream as generate_stream
    from gptrace.api import lens as lens
    from gptrace.api import lens_stream as lens_stream
    from gptrace.api import loss as loss
    from gptrace.api import loss_stream as loss_stream
    from gptrace.api import page as page
    from gptrace.api import presets as presets
    from gptrace.api import source as source
    from gptrace.api import tokens as tokens
    from gptrace.api import tokens_stream as tokens_stream
    from gptrace.api import topk as topk
    from gptrace.api import topk_stream as topk_stream
    from gptrace.api import trace as trace
    from gptrace.errors import GptraceError as GptraceError
    from gptrace.model import GPTConfig as GPTConfig
    from gptrace.model import GPTModel as GPTModel
    from gptrace.parallel.predictor import Predictor as Predictor
    from gptrace.record import Check as Check
    from gptrace.record import Difference as Difference
    from gptrace.record import Explanation as Explanation
    from gptrace.record import Generation as Generation
    from gptrace.record import Lens as Lens
    from gptrace.record import Loss as Loss
    from gptrace.record import Page as Page
    from gptrace.record import Source as Source
    from gptrace.record import Tokens as Tokens
    from gptrace.record import TopK as TopK
    from gptrace.record import TopKStream as TopKStream
    from gptrace.record import Trace as Trace
    from gptrace.record.reading import load as load
    from gptrace.session import Session as Session
    from gptrace.tracing import watch as watch


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'gptrace' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def load_ipython_extension(shell: object) -> None:
    """Give a notebook the magic `%gptrace`; IPython calls this for `%load_ext gptrace`."""
    import_module("gptrace.cli.magics").load(shell)


def __dir__() -> list[str]:
    return sorted(__all__)
