"""Processes that have imported torch before they start: what `python` does, without the seconds for imports.

`warm_python()` is a command line to put in the place of `python`. It asks a server, which has imported torch
and gptrace once, to fork a process that goes on as `python` would with the same arguments, descriptors,
folder, limits and variables. Signals reach that process, and its end is the end of the command. Where a start
is different, as with other variables for Python itself or with a closed stream, the command becomes
`python`. What is about the start of a process takes `sys.executable`.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support import environment

_HERE = Path(__file__).parent


@cache
def warm_python() -> list[str]:
    """Return the command; the server starts with the first call, and ends with this process."""
    if not hasattr(os, "pidfd_open"):  # not Linux
        return [sys.executable]
    folder = TemporaryDirectory(prefix="gptrace-")  # which nobody else can enter
    address = f"{folder.name}/socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(64)  # from here on processes can ask: they wait for the server's imports
        server = subprocess.Popen(
            [sys.executable, _HERE / "server.py", str(listener.fileno())],
            stdin=subprocess.PIPE, pass_fds=[listener.fileno()], cwd="/",
            env=environment(), start_new_session=True,
        )  # fmt: skip

    def stop() -> None:
        server.communicate()  # the end of its stdin is the end of the server
        folder.cleanup()

    atexit.register(stop)
    return [sys.executable, "-I", "-S", str(_HERE / "client.py"), address]
