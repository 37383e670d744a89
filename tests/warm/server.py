"""Forks the processes that clients ask for. It only imports: threads of torch would be lost in a fork."""

from __future__ import annotations

import gc
import importlib
import marshal
import os
import resource
import runpy
import select
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType

from gptrace.text.gpt2_tokenizer import encoding

# What most commands import, and what huggingface_hub and transformers do: these themselves read variables.
IMPORTED = (
    "gptrace.cli.app", "gptrace.cli.logged_notices", "gptrace.predict.run",
    "gptrace.predict.topk", "gptrace.predict.generate", "gptrace.report.terminal",
    "gptrace.report.outputs.trace", "gptrace.report.outputs.topk", "gptrace.report.outputs.generate",
    "gptrace.session", "pydantic.type_adapter", "pydantic.types", "torch.utils._device", "typer._adapters",
)  # fmt: skip
# How the variables begin that Python, the C library or torch read when they start.
READ_AT_START = ("PYTHON", "LANG", "LC_", "LD_", "MALLOC_", "OMP_", "MKL_", "TORCH", "PYTORCH")
MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Request:
    """A process to start; `descriptors` are its standard streams and its folder."""

    arguments: list[str]
    variables: dict[bytes, bytes]
    limits: dict[int, tuple[int, int]]
    descriptors: list[int]

    def can_be_warm(self) -> bool:
        """Tell whether a fork can be what a new Python would be."""
        first = self.arguments[0] if self.arguments else "-"
        if first.startswith("-") and first not in ("-c", "-m"):
            return False
        paths = os.fsdecode(self.variables.get(b"PYTHONPATH", b"")).split(os.pathsep)
        return {*paths} <= {*sys.path, ""} and _read_at_start(self.variables) == _read_at_start(os.environb)


def _read_at_start(variables: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return {
        name: value
        for name, value in variables.items()
        if value and os.fsdecode(name).startswith(READ_AT_START) and name != b"PYTHONPATH"
    }


def main() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    encoding()
    gc.collect()
    gc.freeze()  # so that no collection in a fork touches, and so copies, the memory of these objects
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        request = next_request(listener)
    if request is not None:
        become(request)
        run(request.arguments)


def next_request(listener: socket.socket) -> Request | None:
    """Return in each new process what it is to be; return None in this one, when its stdin has ended."""
    stdin, new = sys.stdin.fileno(), listener.fileno()
    while stdin not in select.select([new, stdin], [], [])[0]:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        connection, _ = listener.accept()
        with connection:
            if os.fork() == 0:
                return answered(connection)
    return None


def answered(connection: socket.socket) -> Request:
    """Return the request in a fork of its own; the caller waits for its end, passes it signals, and exits."""
    data, descriptors, _, _ = socket.recv_fds(connection, MOST_BYTES, 4)
    arguments, variables, limits = marshal.loads(data)
    request = Request([*map(os.fsdecode, arguments)], variables, limits, descriptors)
    if not request.can_be_warm():
        connection.send(b"none")
        os._exit(0)
    child = os.fork()
    if child == 0:
        return request
    for descriptor in descriptors:
        os.close(descriptor)
    ended, client = os.pidfd_open(child), connection.fileno()
    while ended not in select.select([ended, client], [], [])[0]:
        numbers = connection.recv(1)
        signal.pidfd_send_signal(ended, numbers[0] if numbers else signal.SIGKILL)  # the client was killed
        if not numbers:
            os._exit(0)
    with suppress(OSError):
        connection.send(str(os.waitpid(child, 0)[1]).encode())
    os._exit(0)


def become(request: Request) -> None:
    """Give this process what it would have from its start."""
    os.setsid()
    *streams, folder = request.descriptors
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    os.fchdir(folder)
    for descriptor in request.descriptors:
        os.close(descriptor)
    for kind, limit in request.limits.items():
        resource.setrlimit(kind, limit)
    os.environ.clear()
    os.environb.update(request.variables)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        old = getattr(sys, name)
        is_line_buffered = name == "stderr" or os.isatty(number)
        new = open(  # noqa: SIM115 - as long as the process
            number, mode, 1 if is_line_buffered else -1, old.encoding, old.errors, "\n", closefd=False
        )
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


def run(arguments: list[str]) -> None:
    """Run what Python would run with these arguments."""
    kind, *others = arguments
    if kind == "-m":
        name, *sys.argv[1:] = others
        sys.path[0] = os.getcwd()
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    elif kind == "-c":
        code, *rest = others
        sys.argv = ["-c", *rest]
        sys.path[0] = ""
        module = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(code, "<string>", "exec"), module.__dict__)
    else:
        sys.argv = arguments
        sys.path[0] = os.path.dirname(os.path.abspath(kind))
        runpy.run_path(kind, run_name="__main__")


main()
