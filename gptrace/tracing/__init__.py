"""Trace a forward pass: the calls of every module as spans, axis names, costs, diagnosis → `Trace`."""

from gptrace.tracing.watching import watch

__all__ = ["watch"]
