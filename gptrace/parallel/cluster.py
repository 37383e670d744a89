"""The Ray cluster of a run, started here or at RAY_ADDRESS, and a check that the workers fit into it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import ray

from gptrace.errors import OptionError, RunError
from gptrace.parallel.file_run import FileRun
from gptrace.wording import one_line

# Processors beside those of the workers: to read and write, and for the actor that leaves out what is done.
# Without them, Ray waits for ever.
_OTHERS = 2
# Bytes for the chunks between reading and writing: a few for each worker.
_OBJECT_STORE = 1 << 30
# Where nothing answers, the command of Ray gives up by itself before that.
_SECONDS_TO_ANSWER = 120


def connect(run: FileRun) -> None:
    """Connect to the cluster at RAY_ADDRESS, or start one here with more processors than the workers take.

    Raises an OptionError where the workers do not fit, and a RunError where there is no cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _check_cluster(address)
    of_own = {
        "address": "local",  # else Ray looks for a cluster that someone started on this machine
        "num_cpus": run.workers * run.processors_per_worker + _OTHERS,
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE,
    }
    try:
        ray.init(logging_level="ERROR", log_to_driver=False, **({} if address else of_own))
    except Exception as error:  # Ray raises what its parts raise
        if address:
            raise _no_cluster(address, _reason(error)) from error
        raise RunError(f"Ray does not start: {_reason(error)}", "its logs are in /tmp/ray") from error
    try:
        _check_room(run)
    except OptionError:
        ray.shutdown()
        raise


def _check_cluster(address: str) -> None:
    """Raise a RunError where no cluster answers: there, ray.init() tries for minutes, or ends the process."""
    host, _, port = address.rpartition(":")
    if not port.isdigit() or "://" in address:  # "auto", or a Ray Client, for which ray.init() raises at once
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, getattr(error, "strerror", None) or str(error)) from error
    status = [sys.executable, "-m", "ray.scripts.scripts", "status", "--address", address]
    try:
        subprocess.run(
            status, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=_SECONDS_TO_ANSWER
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        lines = (error.stderr or b"").decode("utf-8", "replace").splitlines()
        reason = lines[-1].removeprefix("ray.exceptions.") if lines else "it does not answer"
        raise _no_cluster(address, reason) from error


def _no_cluster(address: str, reason: str) -> RunError:
    hint = "start it, or unset RAY_ADDRESS"
    if "AuthToken" in reason:
        hint = "set RAY_AUTH_MODE=token, and bring the token of the cluster to ~/.ray/auth_token"
    return RunError(f"Ray at RAY_ADDRESS {address} cannot be used: {one_line(reason, limit=300)}", hint)


def _reason(error: Exception) -> str:
    """Return the message of an error of Ray, with that of its first cause, which often says more."""
    first: BaseException = error
    while (cause := first.__cause__ or first.__context__) is not None:
        first = cause
    texts = dict.fromkeys(one_line(each, limit=200) for each in (error, first))
    return "; ".join(texts)


def _check_room(run: FileRun) -> None:
    """Raise an OptionError where Ray would wait for ever for processors or GPUs."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    processors = int(sum(node.get("CPU", 0) for node in nodes))
    gpus = int(sum(node.get("GPU", 0) for node in nodes))
    room = (processors - _OTHERS) // run.processors_per_worker
    if room < run.workers:
        raise OptionError(
            f"--workers {run.workers} leaves fewer than {_OTHERS} of the {processors} processors of the "
            "cluster, which reading and writing need",
            f"write --workers {room}" if room > 0 else "use a larger cluster",
        )
    if not run.gpus_per_worker:
        return
    room = sum(_workers_on(int(node.get("GPU", 0)), run.gpus_per_worker) for node in nodes)
    if room < run.workers:
        raise OptionError(
            f"--workers {run.workers}, each with {run.gpus_per_worker:g} GPUs, do not fit into a cluster "
            f"with {gpus}",
            f"write --workers {room}" if room > 0 else "use a cluster with GPUs, or --device cpu",
        )


def _workers_on(gpus: int, each: float) -> int:
    """Return how many workers the GPUs of a machine are enough for; a worker does not share two GPUs."""
    # A third of a GPU, written as 0.333, fits three times; written as 0.334, twice.
    return int(gpus // each) if each >= 1 else gpus * int(1 / each)
