"""The GPT and its configuration. `GPTModel` imports torch on first use, `GPTConfig` never."""

from typing import TYPE_CHECKING

from gptrace.model.config import GPTConfig

if TYPE_CHECKING:
    from gptrace.model.gpt import GPTModel

__all__ = ["GPTConfig", "GPTModel"]


def __getattr__(name: str) -> object:
    if name != "GPTModel":
        raise AttributeError(f"module 'gptrace.model' has no attribute {name!r}")
    from gptrace.model.gpt import GPTModel

    return GPTModel
