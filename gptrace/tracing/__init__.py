"""Trace a forward pass: hooks on every module, spans, axis names, costs, diagnosis → `Trace`."""

from gptrace.tracing.watching import watch

__all__ = ["watch"]
