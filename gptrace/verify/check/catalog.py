"""The names of the checks in their order, and the sentences of a language. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NAMES = (
    "finite", "causal", "tokens-stay-apart", "batch", "padding", "attention-sums", "positions-matter",
    "deterministic", "cache", "vocabulary", "context", "logits", "start-loss", "loss-labels", "gradients",
    "all-used",
)  # fmt: skip
# These take longer, or need a device; they run only where they are asked for.
ON_REQUEST = ("learns", "devices", "dtypes")
ALL_NAMES = NAMES + ON_REQUEST


@dataclass(frozen=True)
class Catalog:
    """The sentences of one language, as templates whose fields are the figures of a finding.

    invariants   what each check demands, by its name, for `gptrace check --list`
    sentences    what was found, by name and key of the finding, as in "causal.fails"
    shared       findings that several checks share, by key
    likely       the likely mistake, and what to write instead, by the key of a blame. Advice with the
                 user's names, such as {n_heads}, is followed by the same in words, for code without them
    """

    invariants: Mapping[str, str]
    sentences: Mapping[str, str]
    shared: Mapping[str, str]
    likely: Mapping[str, tuple[str, ...]]

    def sentence(self, name: str, key: str) -> str:
        """Return the template for a finding of a check."""
        return self.sentences.get(f"{name}.{key}") or self.shared[key]
