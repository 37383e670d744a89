"""The Ray cluster of a run, started here or at RAY_ADDRESS, and a check that the workers fit into it."""

from __future__ import annotations

import os

import ray

from gptrace.errors import OptionError, RunError
from gptrace.parallel.file_run import FileRun
from gptrace.wording import one_line

# Processors beside those of the workers: to read and write, and for the actor that leaves out what is done.
# Without them, Ray waits for ever.
_OTHERS = 2
# Bytes for the chunks between reading and writing: a few for each worker.
_OBJECT_STORE = 1 << 30


def connect(run: FileRun) -> None:
    """Connect to the cluster at RAY_ADDRESS, or start one here with more processors than the workers take.

    Raises an OptionError where the workers do not fit, and a RunError where there is no cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS")
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
            raise RunError(
                f"Ray at RAY_ADDRESS {address} cannot be used: {_reason(error)}",
                "start it, or unset RAY_ADDRESS",
            ) from error
        raise RunError(f"Ray does not start: {_reason(error)}", "its logs are in /tmp/ray") from error
    try:
        _check_room(run)
    except OptionError:
        ray.shutdown()
        raise


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
