"""Stands for a process that the server forks. It imports little: it has to start fast."""

from __future__ import annotations

import marshal
import os
import resource
import signal
import socket
import sys

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def are_open(descriptors: range) -> bool:
    try:
        return all(os.fstat(descriptor) for descriptor in descriptors)
    except OSError:
        return False


def status_of(address: str, arguments: list[str]) -> int | None:
    """Return the status with which the process ended, or None if the server starts none like it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect(address)
        for number in FORWARDED:
            signal.signal(number, lambda number, _: server.send(bytes([number])))
        limits = {
            kind: resource.getrlimit(kind)
            for name, kind in vars(resource).items()
            if name.startswith("RLIMIT_")
        }
        request = ([*map(os.fsencode, arguments)], dict(os.environb), limits)
        folder = os.open(".", os.O_RDONLY)
        socket.send_fds(server, [marshal.dumps(request)], [0, 1, 2, folder])
        answer = server.recv(16)
        if not answer:
            raise EOFError("the server of tests/warm is gone")
        return int(answer) if answer != b"none" else None


def main() -> None:
    address, *arguments = sys.argv[1:]
    status = status_of(address, arguments) if are_open(range(3)) else None
    if status is None:
        for number in FORWARDED:
            signal.signal(number, signal.SIG_DFL)
        os.execv(sys.executable, [sys.executable, *arguments])
    if os.WIFSIGNALED(status):
        signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


main()
