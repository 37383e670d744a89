"""`tokens-stay-apart`: each lane of queries, keys and values is made of its own token and of earlier ones."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.attention import FUSED
from gptrace.verify.check.blame import blame_leak, blamed
from gptrace.verify.check.dependence import Dependence
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, only_if, unjudged
from gptrace.verify.check.recorded_run import RecordedOperation

# The likely mistakes that are those of a mask: `causal` is about them.
_OF_THE_MASK = ("no-mask", "mask-", "softmax-axis", "mixes-keys")


@only_if("is_finite")
def check(experiments: Experiments) -> Finding:
    """Look at what each lane of the tensors that enter attention depends on, and of the logits."""
    dependence = experiments.dependence
    other_axis = _attends_over_another_axis(dependence)
    if other_axis is not None:
        return Finding(False, "other_axis", {}, blame=blamed("other-axis", other_axis))
    places = [
        (role, value)
        for attention in experiments.attentions
        for role, value in (
            ("queries", attention.queries), ("keys", attention.keys), ("values", attention.values)
        )
    ]  # fmt: skip
    if not places:
        return unjudged("no_attention")
    places += [("logits", dependence.logits)] if dependence.logits is not None else []
    for role, value in places:
        if not dependence.violates(value):
            continue
        blame = blame_leak(dependence, value, experiments.subject)
        if not blame.key.startswith(_OF_THE_MASK):
            return Finding(False, "fails", {"role": role}, blame=blame)
        break  # what comes later is spoilt by the mask
    return Finding(True, "holds", {"count": len(experiments.attentions)})


def _attends_over_another_axis(dependence: Dependence) -> RecordedOperation | None:
    """Return an attention that mixes something else than tokens, in a model that mixes no tokens at all.

    One whose result is thrown away may mix tokens: the logits do not tell.
    """
    logits = dependence.logits
    sets = None if logits is None else dependence.of(logits)
    if logits is None or sets is None or dependence.length < 2:
        return None
    own = 1 << torch.arange(dependence.length)[None, :, None]
    if bool((sets & ~own).any()) or not bool((sets & own).any()):
        return None  # the latter where the token itself cancels out, such as in the mean of one prompt
    fused = (operation for operation in dependence.run.operations if operation.name in FUSED)
    softmaxes = (
        operation for operation in dependence.run.operations
        if operation.name == "softmax" and dependence.depends(operation.outputs[0])
        and any(taker.name in ("matmul", "bmm", "einsum") for taker in _soon(dependence, operation))
    )  # fmt: skip
    found = (operation for operations in (fused, softmaxes) for operation in operations)
    return next((operation for operation in found if dependence.run.leads_to(operation, logits)), None)


def _soon(dependence: Dependence, operation: RecordedOperation) -> list[RecordedOperation]:
    return dependence.run.operations[operation.number + 1 : operation.number + 4]
