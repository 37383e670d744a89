"""Axis names come from what moves an axis, never from its size."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from typing import Any

import pytest

import gptrace
from gptrace.model import GPTConfig, GPTModel
from gptrace.model.architecture import Architecture
from gptrace.model.build import architecture_of
from gptrace.model.quiet_torch import torch
from gptrace.tracing.axis_names import axis_name
from tests.models.toys import Disturbing
from tests.support import IDS

nn = torch.nn
BTD = ("batch", "seq_len", "emb_dim")
WIDE = ("batch", "seq_len", "4*emb_dim")


def dims_by_path(trace: gptrace.Trace) -> dict[str, tuple[tuple[str, ...], ...]]:
    return {
        call.path: tuple(spec.dims for spec in (*call.inputs, *call.outputs))
        for call in trace.calls
        if not call.path.startswith("trf_blocks.") or call.path.startswith("trf_blocks.0")
    }


def forget_resized_runs(model: GPTModel) -> None:
    architecture = architecture_of(model)
    assert architecture is not None
    architecture.kept.clear()


EXPECTED = {
    "": (("batch", "seq_len"), ("batch", "seq_len", "vocab_size")),
    "tok_emb": (("batch", "seq_len"), BTD),
    "pos_emb": (("seq_len",), ("seq_len", "emb_dim")),
    "drop_emb": (BTD, BTD),
    "trf_blocks": (BTD, BTD),
    "trf_blocks.0": (BTD, BTD),
    "trf_blocks.0.norm1": (BTD, BTD),
    "trf_blocks.0.att": (BTD, BTD),
    "trf_blocks.0.att.W_query": (BTD, BTD),
    "trf_blocks.0.att.W_key": (BTD, BTD),
    "trf_blocks.0.att.W_value": (BTD, BTD),
    "trf_blocks.0.att.dropout": (("batch", "n_heads", "seq_len", "seq_len"),) * 2,
    "trf_blocks.0.att.out_proj": (BTD, BTD),
    "trf_blocks.0.drop_shortcut": (BTD, BTD),
    "trf_blocks.0.norm2": (BTD, BTD),
    "trf_blocks.0.ff": (BTD, BTD),
    "trf_blocks.0.ff.layers": (BTD, BTD),
    "trf_blocks.0.ff.layers.0": (BTD, WIDE),
    "trf_blocks.0.ff.layers.1": (WIDE, WIDE),
    "trf_blocks.0.ff.layers.2": (WIDE, BTD),
    "final_norm": (BTD, BTD),
    "out_head": (BTD, ("batch", "seq_len", "vocab_size")),
}


TURNED = ("batch", "n_heads", "seq_len", "head_dim")
SPLIT = [("view", (("batch", "seq_len", "n_heads", "head_dim"),)), ("transpose", (TURNED,))]
SCORES = (("batch", "n_heads", "seq_len", "seq_len"),)
MERGED = [("transpose", (("batch", "seq_len", "n_heads", "head_dim"),)), ("reshape", (BTD,))]
EAGER = [
    *SPLIT, *SPLIT, *SPLIT, ("transpose", (("batch", "n_heads", "head_dim", "seq_len"),)), ("matmul", SCORES),
    ("div", SCORES), ("ones", (("seq_len", "seq_len"),)), ("triu", (("seq_len", "seq_len"),)),
    ("masked_fill", SCORES), ("softmax", SCORES), ("matmul", (TURNED,)), *MERGED,
]  # fmt: skip


FUSED = [*SPLIT, *SPLIT, *SPLIT, ("scaled_dot_product_attention", (TURNED,)), *MERGED]


def watched(model: GPTModel, batch: int, seq_len: int, *measure: str) -> gptrace.Trace:
    with torch.inference_mode(), gptrace.watch(model, measure=measure) as trace:
        model(torch.zeros(batch, seq_len, dtype=torch.int64))
    return trace


@pytest.mark.parametrize(
    ("batch", "seq_len"), [(1, 1), (1, 12), (1, 48), (1, 64), (1, 768), (12, 12), (12, 2), (4, 4), (11, 13)]
)
def test_names_of_the_124m_shape(batch: int, seq_len: int) -> None:
    # The real widths with two layers and a small vocabulary: the collisions are the same, the run is short.
    model = GPTModel(GPTConfig(n_layers=2, vocab_size=97)).eval()
    trace = watched(model, batch, seq_len)
    assert dims_by_path(trace) == EXPECTED
    assert trace.dims == {
        "batch": batch, "seq_len": seq_len, "emb_dim": 768, "vocab_size": 97, "n_heads": 12,
    }  # fmt: skip


# The number of heads, head_dim, vocab_size, batch and seq_len. Each two sizes of a model and its input, with
# emb_dim and four times that, are equal somewhere; and some are those of the resized runs.
COLLIDING = [
    (1, 1, 1, 1, 1),
    (1, 5, 5, 5, 5), (5, 1, 5, 5, 5),
    (2, 2, 4, 2, 2), (4, 4, 64, 16, 64),
    (2, 7, 2, 7, 2), (7, 2, 2, 14, 56), (3, 4, 3, 48, 12),
    (2, 35, 43, 43, 43), (12, 5, 60, 5, 12), (5, 12, 240, 5, 12),
    (5, 28, 103, 11, 19), (13, 20, 79, 5, 17), (11, 5, 19, 17, 13), (7, 11, 53, 1, 2),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("sizes", COLLIDING)
def test_names_where_every_size_may_collide_with_every_other(sizes: tuple[int, ...]) -> None:
    heads, head_dim, vocabulary, batch, seq_len = sizes
    width = heads * head_dim
    for n_layers, attention in enumerate(["eager", "sdpa"], start=1):
        config = GPTConfig(
            vocab_size=vocabulary, context_length=width + 64, emb_dim=width, n_heads=heads,
            n_layers=n_layers, attention=attention,
        )  # fmt: skip
        trace = watched(GPTModel(config).eval(), batch, seq_len, "ops")
        expected = dict(EXPECTED)
        if attention == "sdpa":  # PyTorch's kernel does its own dropout
            del expected["trf_blocks.0.att.dropout"]
        assert dims_by_path(trace) == expected
        for call in trace.calls:
            parts: list[Any] = [call, *call.ops]
            for part in parts:
                for spec in (*part.inputs, *part.outputs):
                    assert [value(dim, trace.dims) for dim in spec.dims] == list(spec.shape)
        block = next(call for call in trace.calls if call.path == "trf_blocks.0.att")
        seen = [(op.name, tuple(spec.dims for spec in op.outputs)) for op in block.ops]
        assert seen == (EAGER if attention == "eager" else FUSED)


def value(dim: str, sizes: dict[str, int]) -> int:
    factor, star, name = dim.rpartition("*")
    return int(factor) * sizes[name] if star else sizes[dim]


def test_each_forward_pass_has_its_own_names() -> None:
    model = GPTModel(
        {"emb_dim": 8, "n_heads": 2, "n_layers": 1, "vocab_size": 9, "context_length": 16}
    ).eval()
    with torch.no_grad(), gptrace.watch(model) as trace:
        model(torch.zeros(1, 3, dtype=torch.int64))
        model(torch.zeros(2, 8, dtype=torch.int64))
    roots = [call for call in trace.calls if call.path == ""]
    assert [call.outputs[0].shape for call in roots] == [(1, 3, 9), (2, 8, 9)]
    assert [call.outputs[0].dims for call in roots] == [("batch", "seq_len", "vocab_size")] * 2
    assert not {"batch", "seq_len"} & set(trace.dims)  # each pass has its own


def test_a_module_without_resized_runs_keeps_numbers() -> None:
    module = torch.nn.Linear(768, 12)
    with gptrace.watch(module) as trace:
        module(torch.ones(2, 768))
    assert trace.calls[0].inputs[0].dims == ("2", "768")
    assert trace.dims == {}


def test_naming_draws_no_random_numbers(tiny: GPTModel) -> None:
    forget_resized_runs(tiny)
    before = torch.get_rng_state()
    watched(tiny, 3, 29)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("sizes", "name"),
    [
        ((768, 35, 55), "emb_dim"),
        ((3072, 140, 220), "4*emb_dim"),
        ((2304, 105, 165), "3*emb_dim"),
        ((384, 17, 27), "384"),  # half of emb_dim, and the batch of the first resized run, by chance
        ((18, 19, 23), "18"),  # six more than seq_len each time: that is no name
        ((5, 5, 5), "5"),  # did not move: a constant
        ((99, 98, 97), "99"),  # moved, and nothing explains it
    ],
)
def test_expressions(sizes: tuple[int, ...], name: str) -> None:
    named = {"batch": (384, 17, 7), "seq_len": (12, 13, 17), "emb_dim": (768, 35, 55), "n_heads": (12, 7, 5)}
    assert axis_name(sizes, named) == name


@pytest.mark.parametrize(
    "keys",
    [
        {}, {"num_key_value_heads": 2}, {"head_dim": 16}, {"n_kv_heads": 4, "head_dim": 12},
        {"moe_intermediate_size": 9, "q_lora_rank": 8, "kv_lora_rank": 6, "v_head_dim": 4},
    ],
)  # fmt: skip
def test_no_resized_size_is_another_one_changed_a_little(keys: dict[str, int]) -> None:
    """What code makes of a size (one more, a half, twice and one more) never looks like another in both."""
    config = {"n_embd": 48, "n_head": 4, "vocab_size": 99, "block_size": 32, "d_ff": 77, **keys}
    architecture = Architecture(config, lambda changes: torch.nn.Module())
    for resizings in architecture.resizings():
        first, second = (
            {**architecture.sizes_after(resizing), "batch": resizing.batch, "seq_len": resizing.seq_len}
            for resizing in resizings
        )
        if any(first[name] == second[name] for name in first):
            continue  # where the architecture is tried with a setting unchanged
        for sizes in (first, second):
            sizes["bt"] = sizes["batch"] * sizes["seq_len"]
        for x in first:
            pairs = [(k * first[x] + c, k * second[x] + c) for k in range(1, 5) for c in range(-16, 17) if c]
            pairs += [(first[x] // k, second[x] // k) for k in range(2, 17) if first[x] % k or second[x] % k]
            for y in first:
                for a, b in pairs:
                    if a > 0 and a % first[y] == 0:
                        assert b != a // first[y] * second[y], (x, y, a, b)


def test_a_subclass_may_do_anything_and_gets_numbers(tiny: GPTModel) -> None:
    model = Disturbing(tiny.config)
    with torch.inference_mode(), gptrace.watch(model) as trace:
        model(IDS)
    assert trace.calls[0].inputs[0].dims == ("1", "4")


def test_a_head_of_the_users_own_is_not_named_by_its_value(tiny: GPTModel) -> None:
    tiny.out_head = nn.Linear(48, 10)
    with gptrace.watch(tiny) as trace:
        tiny(IDS)
    assert trace.calls[-1].outputs[0].dims == ("batch", "seq_len", "10")


def test_hooks_on_all_modules_do_not_see_the_resized_runs(tiny: GPTModel) -> None:
    forget_resized_runs(tiny)
    seen: list[object] = []
    handle = nn.modules.module.register_module_forward_hook(lambda m, a, out: seen.append(m))
    try:
        with gptrace.watch(tiny) as trace:
            tiny(IDS)
    finally:
        handle.remove()
    assert len(seen) == trace.totals.calls
    assert trace.calls[0].inputs[0].dims == ("batch", "seq_len")


def test_a_model_of_transformers_is_built_at_other_sizes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"n_embd": 16, "n_head": 2, "n_layer": 1, "vocab_size": 90, "bos_token_id": 0, "eos_token_id": 0}
    watched, equal = (transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes)).eval() for _ in range(2))
    built: list[int] = []
    original = transformers.GPT2LMHeadModel.__init__

    def build(self: Any, config: Any) -> None:
        built.append(config.n_embd)
        original(self, config)

    monkeypatch.setattr(transformers.GPT2LMHeadModel, "__init__", build)
    ids = torch.ones(2, 3, dtype=torch.long)
    counts = []
    for model in (watched, watched, equal):
        with gptrace.watch(model) as trace:
            model(ids)
        assert trace.calls[0].outputs[0].dims == ("batch", "seq_len", "vocab_size")
        counts.append(len(built))
    # The first is refused, since GPT-2 wants a width that its heads divide.
    assert counts == [3, 3, 3]
    # A changed configuration is another one, though the object is the same.
    watched.config.n_inner = 40
    with gptrace.watch(watched):
        watched(ids)
    assert len(built) > 3
    # Nothing that is kept for the next time holds a module.
    module = weakref.ref(watched)
    del watched, model, trace
    gc.collect()
    assert module() is None


@pytest.mark.processes
def test_transformers_that_is_imported_but_not_used_is_no_work_of_a_resized_run() -> None:
    program = """
import sys, transformers, torch, gptrace
model = gptrace.GPTModel({"emb_dim": 8, "n_heads": 2, "n_layers": 1, "vocab_size": 9, "context_length": 16})
with torch.no_grad(), gptrace.watch(model.eval()) as trace:
    model(torch.zeros(1, 3, dtype=torch.int64))
print(trace.calls[0].outputs[0].dims, "transformers.modeling_utils" in sys.modules)
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout == "('batch', 'seq_len', 'vocab_size') False\n"


def test_passes_of_different_sizes_share_no_size_that_only_one_has() -> None:
    model = GPTModel(
        {"emb_dim": 24, "n_heads": 2, "n_layers": 1, "vocab_size": 97, "context_length": 16}
    ).eval()
    with torch.no_grad(), gptrace.watch(model) as trace:
        model(torch.zeros(2, 4, dtype=torch.int64))
        model(torch.zeros(2, 7, dtype=torch.int64))
    assert "seq_len" not in trace.dims
    assert (trace.dims["batch"], trace.dims["emb_dim"]) == (2, 24)


def test_the_sizes_in_a_cause_are_those_of_the_pass_that_failed() -> None:
    model = GPTModel(
        {"emb_dim": 24, "n_heads": 2, "n_layers": 1, "vocab_size": 97, "context_length": 16}
    ).eval()

    def run_twice() -> None:
        model(torch.zeros(2, 5, dtype=torch.int64))
        model.drop_emb.register_forward_hook(lambda _module, _args, output: output + torch.ones(5, 1))
        model(torch.zeros(2, 7, dtype=torch.int64))

    with pytest.raises(RuntimeError), torch.no_grad(), gptrace.watch(model) as trace:
        run_twice()
    assert trace.error is not None
    diagnosis = str(trace.error.diagnosis)
    assert "seq_len is 7" in diagnosis
    assert "is 5" not in diagnosis
