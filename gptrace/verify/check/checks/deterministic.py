"""`deterministic`: evaluation mode gives the same twice, and forward changes nothing that it was given."""

from __future__ import annotations

from gptrace.model.hidden_modules import hidden_modules, modules_in
from gptrace.model.quiet_torch import torch
from gptrace.tracing.isolation import isolated_run
from gptrace.verify.check.attention import FUSED
from gptrace.verify.check.blame import Blame, blamed, origin_of
from gptrace.verify.check.dependence import differs
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, only_if
from gptrace.verify.check.recorded_run import RecordedRun, Value, may_be_ids
from gptrace.verify.check.recording import Recorder
from gptrace.verify.check.source_code import definition_of, writer_of_state
from gptrace.verify.check.subject import largest_difference

Tensor = torch.Tensor
_IDS = "the ids"
_RANDOM = ("dropout", "rand", "bernoulli", "normal", "multinomial", "noise", "exponential")


@only_if("is_finite")
def check(experiments: Experiments) -> Finding:
    """Run the same ids twice, with other random numbers and the state that the first run left."""
    changed = _changed_by_forward(experiments)
    if changed is not None:
        return changed
    first, second = experiments.two_runs
    difference = largest_difference(first, second)
    if difference <= experiments.tolerance:
        return Finding(True, "holds", {}, difference, experiments.tolerance)
    return Finding(False, "fails", {}, difference, experiments.tolerance, _blame(experiments))


def _blame(experiments: Experiments) -> Blame | None:
    first, second = _recorded_twice(experiments, with_longer_text=False)
    if first.logits is None or second.logits is None:
        return None
    if torch.equal(first.logits.tensor, second.logits.tensor):
        first, second = _recorded_twice(experiments, with_longer_text=True)
    assert first.logits is not None
    others = second.values_by_key()

    def is_wrong(value: Value) -> bool | None:
        other = others.get(value.key)
        if other is None or other.tensor.shape != value.tensor.shape:
            return True
        return bool(differs(value.tensor, other.tensor).any())

    origin = origin_of(first, first.logits, is_wrong)
    if origin is None:
        return None
    if "dropout" in origin.name or "dropout" in origin.path or origin.name in FUSED:
        return _out_of_reach(experiments) or blamed("dropout-on", origin)
    if any(part in origin.name for part in _RANDOM):
        return blamed("random", origin)
    place = writer_of_state(origin.place)
    return Blame("state", place if place.file else origin.place, origin, origin.path)


def _out_of_reach(experiments: Experiments) -> Blame | None:
    """Blame the list that hides modules from `eval()`, if the model gives the same twice once they get it."""
    subject = experiments.subject
    hidden = list(hidden_modules(subject.module))
    modules = [module for name in hidden for module in modules_in(subject.module, name)]
    training = [each for module in modules for each in module.modules() if each.training]
    if not training:
        return None
    try:
        for module in training:
            module.training = False
        with subject.running():
            first, second = (subject.logits_in(subject.call(experiments.ids), experiments.ids) for _ in "12")
            is_same = torch.equal(first, second)
    finally:
        for module in training:
            module.training = True
    if not is_same:
        return None
    details = {"name": hidden[0], "attribute": hidden[0].rpartition(".")[2]}
    place = definition_of(subject.module, hidden[0])
    return Blame("eval-not-reached", place, path=hidden[0], details=details)


def _recorded_twice(experiments: Experiments, *, with_longer_text: bool) -> tuple[RecordedRun, RecordedRun]:
    subject, runs = experiments.subject, []
    with subject.running():
        for turn in range(2):
            if turn and with_longer_text:
                experiments.run_longer_text()
            recorder = Recorder(subject.module)
            with recorder.on(subject.module):
                output = subject.call(experiments.ids)
            recorder.run.logits = recorder.value_of(subject.logits_in(output, experiments.ids))
            runs.append(recorder.run)
    return runs[0], runs[1]


def _changed_by_forward(experiments: Experiments) -> Finding | None:
    """Return the finding for a parameter, a buffer or the ids that a forward pass wrote into."""
    subject, ids = experiments.subject, experiments.ids.clone()
    ids[0, -2:] = torch.tensor([0, subject.ids_below - 1])[-ids.shape[1] :]  # as ids of padding often are
    module = subject.build()[0]
    if module is subject.loaded.module:
        return None
    tensors = {_IDS: ids, **dict(module.named_parameters()), **dict(module.named_buffers())}
    before = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    recorder = Recorder(module)
    with isolated_run(inference=False), torch.no_grad(), recorder.on(module):
        module(ids, **subject.arguments(module, ids))
    changed = next((name for name, tensor in tensors.items() if _is_changed(tensor, before[name])), None)
    if changed is None:
        return None
    takers = [
        operation for operation in recorder.run.operations
        if any(_is_named(value, changed) for value in operation.inputs)
    ]  # fmt: skip
    writers = [operation for operation in takers if operation.name.endswith("_")] or takers
    blame = blamed("written", writers[0]) if writers else Blame("written", definition_of(module, changed))
    return Finding(False, "changed", {"name": changed}, blame=blame)


def _is_named(value: Value, name: str) -> bool:
    if name == _IDS:
        return may_be_ids(value)
    return value.origin == name


def _is_changed(tensor: Tensor, before: Tensor) -> bool:
    if tensor.shape != before.shape:
        return True
    return not torch.equal(tensor, before) and not (tensor.is_floating_point() and bool(tensor.isnan().any()))
