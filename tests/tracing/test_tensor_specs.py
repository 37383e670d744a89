"""The specs of a pass: made once while the same is seen, and anew as soon as anything differs."""

from __future__ import annotations

import gptrace
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch


def test_specs_are_made_once_while_a_model_does_the_same() -> None:
    model = GPTModel({"emb_dim": 24, "n_heads": 2, "n_layers": 3, "vocab_size": 70})
    ids = torch.zeros(2, 6, dtype=torch.int64)

    def trace(measure: tuple[str, ...]) -> gptrace.Trace:
        with gptrace.watch(model, measure=measure) as trace:
            model(ids)
        return trace

    for measure in ((), ("ops",)):
        first, again = trace(measure), trace(measure)
        for a, b in zip(first.calls, again.calls, strict=True):
            assert a.inputs is b.inputs
            assert a.outputs is b.outputs
            assert all(x.inputs is y.inputs for x, y in zip(a.ops, b.ops, strict=True))

    before = trace(())
    model.out_head.double()
    model.out_head.register_forward_pre_hook(lambda module, args: (args[0].double(),))
    after = trace(())
    assert [call.outputs[0].dtype for call in (before.calls[-1], after.calls[-1])] == ["float32", "float64"]
    assert [spec.dims for spec in before.calls[-1].outputs] == [spec.dims for spec in after.calls[-1].outputs]
    assert after.calls[1].outputs[0].dims == ("batch", "seq_len", "emb_dim")
