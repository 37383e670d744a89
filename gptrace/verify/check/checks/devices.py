"""`devices`: the devices here, and the implementations of attention, give the same logits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from gptrace.model.config import ATTENTIONS
from gptrace.model.gpt import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.verify.check.blame import Blame
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, inapplicable, only_if
from gptrace.verify.check.places import find_place_of_error
from gptrace.verify.check.subject import CannotRunError, largest_difference, rounding
from gptrace.verify.check.variants import another, on_device, other_devices, pretended
from gptrace.wording import enumerated, one_line

Tensor = torch.Tensor
Module = torch.nn.Module
_FUSED = "scaled_dot_product_attention"
_KINDS = ("cpu", "cuda", "mps")


@only_if("is_finite", "is_deterministic")
def check(experiments: Experiments) -> Finding:
    """Run a copy on each device, and with each implementation of attention that the model can use."""
    subject = experiments.subject
    ids = subject.random_ids(min(2, subject.most_prompts), subject.length)
    expected = subject.logits(ids, subject.original).double()
    tolerance = max(rounding(subject.logits(ids, subject.original)), experiments.tolerance)
    worst, compared, devices = 0.0, ["cpu"], list(other_devices())
    if "cuda" not in devices:
        mismatch = _mixes_devices(experiments, ids)
        if mismatch is not None:
            return mismatch
    for device in devices:
        try:
            logits = subject.logits(ids.to(device), on_device(subject, device)).double().cpu()
        except CannotRunError as error:
            blame = Blame("other-device", find_place_of_error(error))
            return Finding(False, "refused", {"device": device, "error": str(error)}, blame=blame)
        difference = largest_difference(logits, expected)
        worst, compared = max(worst, difference), [*compared, device]
        if not difference <= tolerance:
            return Finding(False, "fails", {"where": device}, difference, tolerance)
    for name, logits in _implementations(experiments, ids):
        difference = largest_difference(logits, expected)
        worst, compared = max(worst, difference), [*compared, name]
        if not difference <= tolerance:
            return Finding(False, "fails", {"where": name}, difference, tolerance)
    missing = enumerated([kind for kind in _KINDS if kind not in compared], 3)
    if len(compared) == 1:
        return inapplicable("one_device", missing=missing)
    figures = {"compared": enumerated(compared, 9), "missing": missing}
    return Finding(True, "holds" if missing else "all_hold", figures, worst, tolerance)


def _implementations(experiments: Experiments, ids: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield the logits by each implementation of attention beside that in use, with its name."""
    subject = experiments.subject
    module: Any = another(subject)
    if isinstance(module, GPTModel):
        for name in ATTENTIONS:
            own = subject.build({"attention": name})[0]
            own.load_state_dict(subject.original.state_dict())
            yield name, subject.logits(ids, own).double()
        return
    choose = getattr(module, "set_attn_implementation", None)  # in transformers
    if callable(choose):
        for name in ("eager", "sdpa"):
            with suppress(Exception):  # not every architecture has both
                choose(name)
                yield name, subject.logits(ids, module).double()
    elif any(operation.name == _FUSED for operation in experiments.dependence.run.operations):
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            yield "sdpa (math)", subject.logits(ids, module).double()


def _mixes_devices(experiments: Experiments, ids: Tensor) -> Finding | None:
    """Return the finding for a tensor that stays on the CPU where the model and the ids are on a GPU.

    This machine has no GPU, so torch follows the device of each tensor without its values.
    """
    subject, module = experiments.subject, another(experiments.subject)
    try:
        with subject.running(subject.original), pretended(module):
            given = torch.zeros(ids.shape, dtype=ids.dtype, device="cuda")
            module(given, **subject.arguments(module, given))
    except Exception as error:
        if type(error).__name__ != "FakeTensorDeviceMismatchError":
            return None  # code that needs values fails here, and may be right
        blame = Blame("other-device", find_place_of_error(error))
        figures = {"device": "cuda", "error": one_line(error, 160)}
        return Finding(False, "refused", figures, blame=blame)
    return None
