"""Traced forward passes against untraced ones."""

from __future__ import annotations

import statistics
import warnings

from rich.table import Table

from tests.benchmarks.measuring import alternate, row, timed

FORWARD_ROUNDS = 25


def forward_passes(table: Table) -> None:
    """A traced forward of the 124M model against an untraced one, with the peers beside it."""
    import torchinfo
    import torchlens

    import gptrace
    from gptrace.model.build import load
    from gptrace.model.quiet_torch import torch
    from gptrace.model.selection import select_model

    model = load(select_model("gpt2-small")).module
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


def transformers_models(table: Table) -> None:
    """A traced forward pass of models of transformers against an untraced one: narrow ones, and GPT-2."""
    import transformers

    import gptrace
    from gptrace.model.quiet_torch import torch

    narrow = {
        "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 16, "vocab_size": 300,
    }  # fmt: skip
    small = transformers.GPT2Config(n_embd=64, n_head=4, vocab_size=300, bos_token_id=1, eos_token_id=2)
    qwen = transformers.Qwen3Config(num_hidden_layers=12, **narrow)
    mixtral = transformers.MixtralConfig(num_hidden_layers=8, num_local_experts=8, **narrow)
    models = {
        "GPT-2, 12 layers, width 64": transformers.GPT2LMHeadModel(small),
        "Qwen3, 12 layers, width 64": transformers.Qwen3ForCausalLM(qwen),
        "Mixtral, 8 layers, width 64": transformers.MixtralForCausalLM(mixtral),
        "GPT-2, 124M": transformers.GPT2LMHeadModel(transformers.GPT2Config()),
    }
    ids = torch.ones(1, 8, dtype=torch.int64)
    for name, model in models.items():
        model.eval()

        def traced(model: torch.nn.Module = model) -> None:
            with gptrace.watch(model):
                model(ids)

        def bare(model: torch.nn.Module = model) -> None:
            model(ids)

        with torch.no_grad():
            bare()
            first = timed(traced)()
            found = alternate({"bare": timed(bare), "gptrace": timed(traced)}, FORWARD_ROUNDS)
        row(table, f"gptrace.watch, {name}", found["gptrace"], found["bare"], "s", "≤ 1.3", "bare forward")
        table.add_row("  the first time, naming the axes", f"{first:.3f} s", "", "", "≤ 1 s", "")
