"""Numbers of things with their nouns: one token, two tokens."""

from __future__ import annotations

from gptrace.translation import words


def counted_tokens(count: int) -> str:
    """Return a number of tokens with its noun."""
    return words("{} token" if count == 1 else "{} tokens", f"{count:,}")


def counted_calls(count: int) -> str:
    """Return a number of calls with its noun."""
    return words("{} call" if count == 1 else "{} calls", count)


def counted_modules(count: int) -> str:
    """Return a number of modules with its noun."""
    return words("{} module" if count == 1 else "{} modules", count)


def counted_parameters(count: int) -> str:
    """Return a number of parameters with its noun."""
    return words("{} parameter" if count == 1 else "{} parameters", f"{count:,}")
