"""Run all the comparisons, alternating within one run, and print medians."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from tests.benchmarks.measuring import alternate, process, row, timed

BARE = str(Path(__file__).with_name("bare.py"))
LOADING = str(Path(__file__).with_name("load_transformers.py"))
GPTRACE = str(Path(sys.executable).with_name("gptrace"))
NEW_TOKENS = 64
GENERATION_ROUNDS = 5
PROCESS_ROUNDS = 9


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
    ours, reference = memory["gptrace"], memory["transformers"]
    row(table, "the same, peak memory", ours, reference, "MiB", "≤ 1.0", "transformers")


def generations(table: Table) -> None:
    """64 tokens after 8, with the cache, on the 124M model."""
    import transformers

    import gptrace
    from gptrace.model.build import load
    from gptrace.model.quiet_torch import torch
    from gptrace.model.selection import select_model

    model = load(select_model("gpt2-small")).module
    halved = load(select_model("gpt2-small", dtype="bfloat16")).module
    torch.manual_seed(123)
    reference = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()
    ids = list(range(1000, 1008))

    def generate() -> None:
        reference.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, 8, dtype=torch.int64), do_sample=False,
            max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, pad_token_id=50256,
        )  # fmt: skip

    def ours(module: torch.nn.Module = model) -> None:
        gptrace.generate(ids=ids, model=module, max_new_tokens=NEW_TOKENS)

    turns = {"ours": ours, "bfloat16": lambda: ours(halved), "reference": generate}
    found = alternate({name: timed(turn) for name, turn in turns.items()}, GENERATION_ROUNDS)
    rates = {name: [NEW_TOKENS / second for second in seconds] for name, seconds in found.items()}
    what = f"generate, {NEW_TOKENS} tokens"
    row(table, what, rates["ours"], rates["reference"], "tokens/s", "≥ 1.2", "transformers' generate")
    row(table, "  in bfloat16", rates["bfloat16"], rates["ours"], "tokens/s", "", "in float32")


def memory_of_streams(table: Table) -> None:
    """The peak memory of a process that answers 100,000 lines, against one that answers 1,000."""
    found: dict[int, list[float]] = {}
    for count in (100_000, 1_000):
        with TemporaryDirectory() as folder:
            lines = Path(folder, "lines.txt")
            lines.write_text("".join(f"prompt number {number % 977}\n" for number in range(count)))
            shell = f"{GPTRACE} topk --lines -f jsonl --k 1 -m tiny --set vocab_size=50257 < {lines}"
            found[count] = [process(["bash", "-c", f"exec {shell}"])[1]]
    row(table, "topk, 100,000 lines, peak memory", found[100_000], found[1_000], "MiB", "1.0", "1,000 lines")


def _of(module: str, name: str) -> Callable[[Table], None]:
    """Return a section of another module, which is imported when it runs: see `SECTIONS`."""

    def section(table: Table) -> None:
        getattr(import_module(f"tests.benchmarks.{module}"), name)(table)

    return section


# Those that measure memory first, before torch is imported here: a process begins with the peak of the one
# that it is forked from.
SECTIONS = {
    "processes": whole_processes,
    "loading": loading,
    "memory": memory_of_streams,
    "forward": _of("forward", "forward_passes"),
    "transformers": _of("forward", "transformers_models"),
    "streams": _of("streams", "streams"),
    "beginnings": _of("beginnings", "shared_beginnings"),
    "pages": _of("pages", "pages"),
    "generations": generations,
}


def main() -> None:
    """Print one table, of all sections or of those that are named."""
    table = Table("What", "Ours", "Against", "Ratio", "Goal", "Against what", box=None, pad_edge=False)
    for name in sys.argv[1:] or SECTIONS:
        SECTIONS[name](table)
    Console(width=140).print(table)
    from gptrace.model.dtype_choice import measured_rates
    from gptrace.model.quiet_torch import torch
    from tests.benchmarks.forward import FORWARD_ROUNDS

    print(f"\n{os.cpu_count()} processors, medians of {PROCESS_ROUNDS} and {FORWARD_ROUNDS} rounds")
    rates = measured_rates(torch.device("cpu"))
    print(f"matrix products: {rates.float32:.0f} GFLOP/s in float32, {rates.bfloat16:.0f} in bfloat16")


if __name__ == "__main__":
    main()
