"""Run all the comparisons, alternating within one run, and print medians."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from llms_from_scratch.ch04 import GPTModel as CourseModel
from rich.console import Console
from rich.table import Table

from tests.benchmarks.beginnings import shared_beginnings
from tests.benchmarks.forward import FORWARD_ROUNDS, forward_passes, transformers_models
from tests.benchmarks.measuring import alternate, process, row, timed
from tests.benchmarks.pages import pages

BARE = str(Path(__file__).with_name("bare.py"))
LOADING = str(Path(__file__).with_name("load_transformers.py"))
GPTRACE = str(Path(sys.executable).with_name("gptrace"))
COURSE_CONFIG = {
    "vocab_size": 50257, "context_length": 1024, "emb_dim": 768, "n_heads": 12, "n_layers": 12,
    "drop_rate": 0.1, "qkv_bias": False,
}  # fmt: skip
PROMPTS = 512
THEIR_BATCH = 32
NEW_TOKENS = 64
STREAM_ROUNDS = 3
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


def streams(table: Table) -> None:
    """512 prompts of 4 to 40 tokens through the 124M model: prompts a second, one process, alternating."""
    import transformers

    import gptrace
    from gptrace.model.build import load
    from gptrace.model.quiet_torch import torch
    from gptrace.model.selection import select_model

    model = load(select_model("gpt2-small")).module
    chosen = random.Random(1)
    prompts = [[chosen.randrange(50256) for _ in range(chosen.randint(4, 40))] for _ in range(PROMPTS)]
    torch.manual_seed(123)
    reference = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()
    course = CourseModel(COURSE_CONFIG).eval()

    def ours() -> None:
        for result in gptrace.topk_stream(prompts, model=model, k=5).results:
            assert len(result.candidates) == 5

    def loop() -> None:
        with torch.no_grad():
            for ids in prompts:
                torch.softmax(course(torch.tensor([ids]))[0, -1], dim=-1).topk(5)

    def batched() -> None:
        """What its documentation shows: padded on the left, with a mask, in batches as they come."""
        with torch.no_grad():
            for start in range(0, PROMPTS, THEIR_BATCH):
                part = prompts[start : start + THEIR_BATCH]
                longest = max(map(len, part))
                ids = torch.tensor([[50256] * (longest - len(one)) + one for one in part])
                mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in part])
                found = reference(input_ids=ids, attention_mask=mask, logits_to_keep=1, use_cache=False)
                torch.softmax(found.logits[:, -1], dim=-1).topk(5)

    def products() -> None:
        """The matrix products alone that these prompts need, as large as they ever are in one batch."""
        x = torch.randn(1024, 768)
        narrow, wide = torch.randn(768, 768), torch.randn(3072, 768)
        for _ in range(-(-tokens // 1024) * 12):
            for _ in range(4):
                torch.nn.functional.linear(x, narrow)
            torch.nn.functional.linear(torch.nn.functional.linear(x, wide), wide.T)
        torch.nn.functional.linear(torch.randn(PROMPTS, 768), torch.randn(50257, 768))

    tokens = sum(map(len, prompts))
    turns = {"ours": ours, "loop": loop, "transformers": batched, "products": products}
    found = alternate({name: timed(turn) for name, turn in turns.items()}, STREAM_ROUNDS)
    for name, goal, against in (
        ("loop", "≥ 8", "the course's model, one by one"),
        ("transformers", "≥ 2", f"transformers, batches of {THEIR_BATCH}"),
        ("products", "≥ 0.70", "its matrix products alone"),
    ):
        ours_rate, their_rate = ([PROMPTS / second for second in found[which]] for which in ("ours", name))
        row(table, f"topk, {PROMPTS} prompts", ours_rate, their_rate, "prompts/s", goal, against)


def generations(table: Table) -> None:
    """64 tokens after 8, with the cache, on the 124M model."""
    import transformers

    import gptrace
    from gptrace.model.build import load
    from gptrace.model.quiet_torch import torch
    from gptrace.model.selection import select_model

    model = load(select_model("gpt2-small")).module
    torch.manual_seed(123)
    reference = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()
    ids = list(range(1000, 1008))

    def generate() -> None:
        reference.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, 8, dtype=torch.int64), do_sample=False,
            max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, pad_token_id=50256,
        )  # fmt: skip

    def ours() -> None:
        gptrace.generate(ids=ids, model=model, max_new_tokens=NEW_TOKENS)

    found = alternate({"ours": timed(ours), "reference": timed(generate)}, GENERATION_ROUNDS)
    mine, others = ([NEW_TOKENS / second for second in found[which]] for which in ("ours", "reference"))
    row(table, f"generate, {NEW_TOKENS} tokens", mine, others, "tokens/s", "≥ 1.2", "transformers' generate")


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


# Those that measure memory first: a process begins with the peak of the one that it is forked from.
SECTIONS = {
    "processes": whole_processes,
    "loading": loading,
    "memory": memory_of_streams,
    "forward": forward_passes,
    "transformers": transformers_models,
    "streams": streams,
    "beginnings": shared_beginnings,
    "pages": pages,
    "generations": generations,
}


def main() -> None:
    """Print one table, of all sections or of those that are named."""
    table = Table("What", "Ours", "Against", "Ratio", "Goal", "Against what", box=None, pad_edge=False)
    for name in sys.argv[1:] or SECTIONS:
        SECTIONS[name](table)
    Console(width=140).print(table)
    print(f"\n{os.cpu_count()} processors, medians of {PROCESS_ROUNDS} and {FORWARD_ROUNDS} rounds")


if __name__ == "__main__":
    main()
