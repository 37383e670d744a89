"""Parameters are counted once, wherever they are held."""

from __future__ import annotations

import random

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.tracing.parameters import count_all, count_by_module, named_modules_with_aliases, parameter_refs

nn = torch.nn


def test_a_module_with_two_parents_is_used_in_both() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.Linear(2, 2)
            self.a, self.b = nn.ModuleList([layer]), nn.ModuleList([layer])

        def forward(self, x: torch.Tensor) -> object:
            return self.b[0](x)

    module = Shared()
    with gptrace.watch(module) as trace:
        module(torch.ones(1, 2))
    assert trace.uncalled == ()
    assert trace.calls[0].parameters.total == 6


def test_counts_of_frozen_half_and_buffered_models() -> None:
    module = nn.Sequential(nn.Linear(4, 4).half(), nn.BatchNorm1d(4))
    module[0].bias.requires_grad_(False)
    with gptrace.watch(module) as trace:
        pass
    count = trace.model.parameters
    assert (count.total, count.trainable, count.bytes) == (28, 24, 20 * 2 + 8 * 4)
    assert trace.model.buffers.bytes == 4 * 4 + 4 * 4 + 8
    with gptrace.watch(module[1]) as trace:
        module[1](torch.ones(2, 4))
    assert 0 < trace.calls[0].seconds == trace.totals.seconds


def test_tied_parameters_count_once() -> None:
    from gptrace.tracing.parameters import (
        count_all,
        count_by_module,
        named_modules_with_aliases,
        parameter_refs,
    )

    module = nn.ModuleDict({"emb": nn.Embedding(10, 4), "out_head": nn.Linear(4, 10, bias=False)})
    assert count_all(parameter_refs(named_modules_with_aliases(module))).without_out_head == 40
    module["out_head"].weight = module["emb"].weight
    count = count_all(parameter_refs(named_modules_with_aliases(module)))
    assert (count.total, count.unique, count.bytes) == (80, 40, 160)
    assert count.tied == (("emb.weight", "out_head.weight"),)
    assert count.without_out_head is None
    modules = list(named_modules_with_aliases(module))
    assert count_by_module(modules, parameter_refs(modules))[""].total == 40


def _random_module(rng: random.Random, pool: list[nn.Module], depth: int) -> nn.Module:
    module = nn.Module()
    for index in range(rng.randint(0, 2)):
        module.register_parameter(
            f"p{index}", rng.choice([None, nn.Parameter(torch.ones(rng.randint(0, 5)))])
        )
    parameters = [
        parameter for other in pool for parameter in other._parameters.values() if parameter is not None
    ]
    if parameters and rng.random() < 0.3:
        module.tied = rng.choice(parameters)
    for index in range(rng.randint(0, 3) if depth else 0):
        shared = rng.random() < 0.2 and depth < 3
        child = rng.choice(pool) if shared and pool else _random_module(rng, pool, depth - 1)
        module.add_module(f"m{index}", child)
    pool.append(module)
    return module


def test_parameters_are_counted_once_in_whatever_holds_them() -> None:
    rng = random.Random(5)
    for _ in range(200):
        module = _random_module(rng, [], 4)
        modules = list(named_modules_with_aliases(module))
        refs = parameter_refs(modules)
        counts = count_by_module(modules, refs)
        assert count_all(refs).unique == sum(parameter.numel() for parameter in module.parameters())
        named = dict(module.named_modules(remove_duplicate=False))
        assert [path for path, _ in modules] == list(named)
        for path, submodule in named.items():
            total = sum({id(p): p.numel() for p in submodule.parameters()}.values())
            own = sum({id(p): p.numel() for p in submodule.parameters(recurse=False)}.values())
            count = counts.get(path)
            counted = (count.own, count.total, count.bytes) if count else (0, 0, 0)
            assert counted == (own, total, 4 * total)
