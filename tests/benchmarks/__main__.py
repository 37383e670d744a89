"""Run all the comparisons, alternating within one run, and print medians."""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

BARE = str(Path(__file__).with_name("bare.py"))
LOADING = str(Path(__file__).with_name("load_transformers.py"))
GPTRACE = str(Path(sys.executable).with_name("gptrace"))
PROCESS_ROUNDS = 9
FORWARD_ROUNDS = 25


def process(command: list[str]) -> tuple[float, float]:
    """Run a whole process; return its seconds and its peak memory in MiB."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GPTRACE_")}
    start = time.perf_counter()
    nowhere = subprocess.DEVNULL
    child = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return seconds, usage.ru_maxrss / 1024


def alternate(competitors: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Let each have its turn in each round, after one round that does not count."""
    found: dict[str, list[float]] = {name: [] for name in competitors}
    for number in range(rounds + 1):
        for name, turn in competitors.items():
            result = turn()
            if number:
                found[name].append(result)
    return found


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """Return a turn that does the work and tells its seconds."""

    def turn() -> float:
        gc.collect()
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return turn


def whole_processes(table: Table) -> None:
    """`gptrace run "Hello"` against the bare script: seconds and memory; then what needs no torch."""
    memory: dict[str, list[float]] = {"gptrace": [], "bare": []}

    def turn(name: str, command: list[str]) -> Callable[[], float]:
        def run() -> float:
            seconds, peak = process(command)
            memory[name].append(peak)
            return seconds

        return run

    found = alternate(
        {
            "gptrace": turn("gptrace", [GPTRACE, "run", "Hello"]),
            "bare": turn("bare", [sys.executable, BARE]),
        },
        PROCESS_ROUNDS,
    )
    row(
        table,
        'gptrace run "Hello", whole process',
        found["gptrace"],
        found["bare"],
        "s",
        "≤ 1.0",
        "bare script",
    )
    row(table, "the same, peak memory", memory["gptrace"], memory["bare"], "MiB", "≤ 1.0", "bare script")
    light = alternate(
        {option: (lambda option=option: process([GPTRACE, option])[0]) for option in ("--help", "--version")}
        | {"python": lambda: process([sys.executable, "-c", "pass"])[0]},
        PROCESS_ROUNDS,
    )
    row(table, "gptrace --help", light["--help"], light["python"], "s", "≤ 0.20 s", "python -c pass")
    row(table, "gptrace --version", light["--version"], light["python"], "s", "≤ 0.12 s", "python -c pass")


def loading(table: Table) -> None:
    """A 124M Hugging Face folder with a warm page cache, loaded and asked for the next tokens."""
    with TemporaryDirectory() as folder:
        write = (
            "import sys, torch, transformers as t; torch.manual_seed(0);"
            "t.GPT2LMHeadModel(t.GPT2Config()).save_pretrained(sys.argv[1])"
        )
        subprocess.run([sys.executable, "-c", write, folder], check=True, capture_output=True)
        memory: dict[str, list[float]] = {"gptrace": [], "transformers": []}
        commands = {
            "gptrace": [GPTRACE, "topk", "Hello", "--weights", folder],
            "transformers": [sys.executable, LOADING, folder],
        }

        def turn(name: str) -> Callable[[], float]:
            def run() -> float:
                seconds, peak = process(commands[name])
                memory[name].append(peak)
                return seconds

            return run

        found = alternate({name: turn(name) for name in commands}, PROCESS_ROUNDS)
    row(
        table,
        "gptrace topk --weights, 124M",
        found["gptrace"],
        found["transformers"],
        "s",
        "≤ 1.0",
        "transformers",
    )
    ours, theirs = memory["gptrace"], memory["transformers"]
    row(table, "the same, peak memory", ours, theirs, "MiB", "≤ 1.0", "transformers")


def forward_passes(table: Table) -> None:
    """A traced forward of the 124M model against an untraced one, with the peers beside it."""
    import torchinfo
    import torchlens

    import gptrace
    from gptrace.model.build import load
    from gptrace.model.choice import choose
    from gptrace.model.quiet_torch import torch

    model = load(choose("gpt2-small")).module
    for tokens in (1, 64, 256):
        ids = torch.zeros(1, tokens, dtype=torch.int64)

        def traced(ids: torch.Tensor = ids) -> None:
            with gptrace.watch(model):
                model(ids)

        def with_operations(ids: torch.Tensor = ids) -> None:
            with gptrace.watch(model, measure=["ops"]):
                model(ids)

        def with_everything(ids: torch.Tensor = ids) -> None:
            with gptrace.watch(model, measure=["all"]):
                model(ids)

        def bare(ids: torch.Tensor = ids) -> None:
            model(ids)

        def summary(ids: torch.Tensor = ids) -> None:
            torchinfo.summary(model, input_data=ids, depth=10, verbose=0)

        def lens(ids: torch.Tensor = ids) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torchlens.trace(model, ids)

        with torch.inference_mode():
            first = timed(traced)()
            competitors = {
                "bare": timed(bare),
                "gptrace": timed(traced),
                "ops": timed(with_operations),
                "all": timed(with_everything),
            }
            found = alternate(competitors, FORWARD_ROUNDS)
            peers = alternate({"bare": timed(bare), "torchinfo": timed(summary)}, 5)
        with torch.no_grad():
            peers |= {"torchlens": alternate({"torchlens": timed(lens)}, 2)["torchlens"]}
        goal = "≤ 1.05" if tokens == 64 else ""
        row(table, f"gptrace.watch, T={tokens}", found["gptrace"], found["bare"], "s", goal, "bare forward")
        for what, key, goal in (("--ops", "ops", "≤ 1.3"), ("everything on", "all", "≤ 1.6")):
            row(table, f"  {what}", found[key], found["bare"], "s", goal * (tokens == 64), "bare forward")
        naming = (first - statistics.median(found["gptrace"])) * 1000
        table.add_row("  the first time, naming the axes", f"+{naming:.0f} ms", "", "", "≤ +60 ms", "")
        row(
            table,
            f"torchinfo.summary, T={tokens}",
            peers["torchinfo"],
            found["bare"],
            "s",
            "",
            "bare forward",
        )
        row(table, f"torchlens.trace, T={tokens}", peers["torchlens"], found["bare"], "s", "", "bare forward")


def row(
    table: Table, what: str, ours: list[float], theirs: list[float], unit: str, goal: str, against: str
) -> None:
    """Add medians, their ratio pair by pair where the turns are pairs, and the goal."""
    mine, other = statistics.median(ours), statistics.median(theirs)
    pairs = zip(ours, theirs, strict=True) if len(ours) == len(theirs) else [(mine, other)]
    ratio = statistics.median(a / b for a, b in pairs)
    digits = 0 if unit == "MiB" else 3
    table.add_row(
        what, f"{mine:.{digits}f} {unit}", f"{other:.{digits}f} {unit}", f"{ratio:.3f}", goal, against
    )


def main() -> None:
    """Print one table."""
    table = Table("What", "Ours", "Against", "Ratio", "Goal", "Against what", box=None, pad_edge=False)
    whole_processes(table)
    loading(table)
    forward_passes(table)
    Console(width=140).print(table)
    print(f"\n{os.cpu_count()} processors, medians of {PROCESS_ROUNDS} and {FORWARD_ROUNDS} rounds")


if __name__ == "__main__":
    main()
