"""Run a copy of the user's model without side effects on the process, and for a limited time."""

from __future__ import annotations

import ctypes
import logging
import random
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO

from gptrace.model.quiet_torch import torch


@contextmanager
def isolated_process_state() -> Iterator[None]:
    """Run the block in inference mode on the CPU, and put the state of the process back afterwards.

    Put back are random numbers, modes, the default device and global hooks. Prints, warnings and logs of the
    block are dropped.
    """
    discarded = StringIO()
    random_state, log_level = random.getstate(), logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            torch.random.fork_rng(devices=[]),
            torch.device("cpu"),
            torch.inference_mode(),
            _no_global_hooks(),
            redirect_stdout(discarded),
            redirect_stderr(discarded),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(random_state)
        logging.disable(log_level)


@contextmanager
def _no_global_hooks() -> Iterator[None]:
    """Take away the hooks that the user registered for all modules: these calls are not the user's."""
    # `register_module_forward_pre_hook` and `register_module_forward_hook` fill these two dictionaries; torch
    # has no public way to read or clear them.
    global_hooks = torch.nn.modules.module
    registries = (global_hooks._global_forward_pre_hooks, global_hooks._global_forward_hooks)
    saved = [dict(hooks) for hooks in registries]
    for hooks in registries:
        hooks.clear()
    try:
        yield
    finally:
        for hooks, before in zip(registries, saved, strict=True):
            hooks.update(before)


class TimeLimitError(Exception):
    """The block took longer than its time limit."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeLimitError in the block when it takes longer than `seconds`.

    A timer thread raises it in this thread, where Python delivers it between two bytecodes: a call into C,
    such as a large matrix product, ends first. A signal would do the same only in the main thread.
    """
    thread, lock = threading.get_ident(), threading.Lock()
    state = {"done": False, "late": False}

    def stop() -> None:
        with lock:
            if not state["done"]:
                state["late"] = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread), ctypes.py_object(TimeLimitError)
                )

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            state["done"] = True
        timer.cancel()
        if state["late"]:
            # The exception may not have been delivered yet: give it the time to arrive here, not later.
            with suppress(TimeLimitError):
                time.sleep(0.01)
