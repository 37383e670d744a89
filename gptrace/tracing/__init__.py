"""Hooks on every submodule, spans, axis names and counts → one `Trace`."""

from gptrace.tracing.watching import watch

__all__ = ["watch"]
