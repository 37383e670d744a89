"""`all-used`: every module with parameters is called or read, and none is hidden from torch."""

from __future__ import annotations

from collections.abc import Iterator

from gptrace.model.hidden_modules import hidden_modules
from gptrace.model.quiet_torch import torch
from gptrace.verify.check.blame import Blame
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding
from gptrace.verify.check.source_code import definition_of, loop_around
from gptrace.wording import enumerated

Module = torch.nn.Module
_PROMPTS = 6


def check(experiments: Experiments) -> Finding:
    """List the modules that are not registered, and those whose parameters no operation takes."""
    subject = experiments.subject
    hidden = list(hidden_modules(subject.module))
    if hidden:
        blame = Blame("unregistered", definition_of(subject.module, hidden[0]), path=hidden[0])
        return Finding(False, "unregistered", {"names": enumerated(hidden, 3)}, len(hidden), 0, blame)
    unused = unused_modules(experiments)
    if unused:
        blame = _blame(experiments, unused[0])
        return Finding(False, "unused", {"names": enumerated(unused, 3)}, len(unused), 0, blame)
    with_parameters = [each for each in subject.module.modules() if each._parameters]
    return Finding(True, "holds", {"count": len(with_parameters)})


def _blame(experiments: Experiments, path: str) -> Blame:
    """Return where the siblings of a module in a list are called, or where the module is built."""
    calls = experiments.dependence.run.places_of_calls
    parent = path.rpartition(".")[0]
    siblings = [place for other, place in calls.items() if other.rpartition(".")[0] == parent]
    if path.rpartition(".")[2].isdigit() and siblings:
        loop = loop_around(siblings[0])
        place, details = loop if loop.file else siblings[0], {"name": parent}
        return Blame("item-not-called", place, path=path, details=details)
    return Blame("never-called", definition_of(experiments.subject.module, _registered_as(path)), path=path)


def unused_modules(experiments: Experiments) -> list[str]:
    """Return the outermost modules that were not called, and none of whose parameters was used."""
    subject = experiments.subject
    called: set[str] = set()
    taken: set[str] = set()
    rows = min(2, subject.most_prompts)
    for salt in range(1 + _PROMPTS // rows):  # experts of a mixture may not be chosen by every prompt
        run = (
            subject.record(subject.random_ids(rows, subject.length, salt))
            if salt
            else experiments.dependence.run
        )
        called |= set(run.called)
        taken |= {value.origin for operation in run.operations for value in operation.inputs if value.origin}
        unused = list(_unused(subject.module, called, taken))
        if not unused:
            break
    return unused


def _unused(module: Module, called: set[str], taken: set[str]) -> Iterator[str]:
    names: dict[int, set[str]] = {id(parameter): set() for parameter in module.parameters()}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names[id(parameter)].add(name)
    used = {id(p) for name, p in module.named_parameters(remove_duplicate=False) if names[id(p)] & taken}
    outermost: list[str] = []
    for path, submodule in module.named_modules():
        parameters = list(submodule.parameters())
        if not path or not parameters or any(path.startswith(other + ".") for other in outermost):
            continue
        if path not in called and not any(id(parameter) in used for parameter in parameters):
            outermost.append(path)
            yield path


def _registered_as(path: str) -> str:
    """Return the name of the attribute that holds a module: that of its list for an item of one."""
    parts = path.split(".")
    while len(parts) > 1 and parts[-1].isdigit():
        parts.pop()
    return ".".join(parts)
