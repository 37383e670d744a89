"""Find the line at which positions get lost, in a run that has the same token at every position."""

from __future__ import annotations

from collections.abc import Iterator

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.blame import Blame, blamed
from gptrace.verify.check.checks.all_used import unused_modules
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.recorded_run import RecordedOperation, RecordedRun, Value, ValueKey

Tensor = torch.Tensor
_READING = ("getitem", "embedding", "index_select", "select", "narrow", "unbind")


class LostPositions:
    """The positions in a run: numbers, rows and matrices that depend on no token and differ by position."""

    def __init__(self, experiments: Experiments, run: RecordedRun) -> None:
        self.experiments = experiments
        self.dependence = experiments.dependence
        self.run = run

    def repeated(self, values: dict[ValueKey, Value]) -> Blame | None:
        """Return where some positions, and not all, become the same, if the keys of an attention show it."""
        keys = values.get(self.experiments.attentions[0].keys.key)
        count = 0 if keys is None else self._distinct(keys)
        if not 1 < count < self.dependence.length:
            return None
        for operation in self._of_constants():
            before = max((self._distinct(value) for value in operation.inputs), default=0)
            after = max((self._distinct(value) for value in operation.outputs), default=0)
            is_number = operation.outputs[0].tensor.dtype != torch.bool
            if is_number and before == self.dependence.length and 1 < after < before:
                return blamed("positions-repeat", operation)
        for operation in self.experiments.subject.construction.run.operations:
            before = max((_distinct_rows(value.tensor) for value in operation.inputs), default=0)
            if before >= self.dependence.length and 1 < _distinct_rows(operation.outputs[0].tensor) < before:
                return blamed("positions-repeat", operation)
        return None

    def of_keys(self) -> Blame:
        """Return where positions reach the scores by the query alone."""
        attention = self.experiments.attentions[0]
        for step in attention.steps:
            for value in step.inputs:
                is_bias = value.tensor.is_floating_point() and not self.dependence.depends(value)
                if is_bias and self._varies(value) and self.run.producers(value):
                    return blamed("keys-without-positions", self.run.producers(value)[0])
        mixed = self._entering(attention.queries)
        if mixed is not None:
            place = mixed.place.outer or mixed.place
            return Blame("keys-without-positions", place, mixed, mixed.path)
        return blamed("keys-without-positions", attention.product or attention.use)

    def _entering(self, queries: Value) -> RecordedOperation | None:
        """Return the operation of the attention's own module by which positions enter the queries."""
        value = self.run.values_by_key().get(queries.key)
        waiting = [] if value is None else [value]
        first = waiting[0].producers[-1:] if waiting else ()
        path = self.run.operations[first[0]].path if first else ""
        for _ in range(30):
            if not waiting:
                break
            for operation in self.run.producers(waiting.pop(0)):
                if operation.path != path:
                    continue
                if any(map(self._is_position, operation.inputs)):
                    return operation
                waiting += [source for source in operation.inputs if source.producers]
        return None

    def of_all(self) -> Blame:
        """Return where positions get lost, or where they would have to enter."""
        for operation in self._of_constants():
            is_number = operation.outputs[0].tensor.dtype != torch.bool
            if (
                is_number
                and any(map(self._varies, operation.inputs))
                and not self._varies(operation.outputs[0])
            ):
                is_index = not operation.outputs[0].tensor.is_floating_point()
                return blamed("positions-equal" if is_index else "positions-repeat", operation)
        last = max((attention.use.number for attention in self.experiments.attentions), default=0)
        for operation in self.run.operations:
            holds = any(self._is_position(value) for value in operation.inputs)
            mixes = holds and any(self.dependence.depends(value) for value in operation.inputs)
            if mixes and operation.number > last:
                return blamed("positions-late", operation)
            if mixes and self._is_unused(operation):
                place = operation.place.outer or operation.place
                return Blame("positions-dropped", place, operation, operation.path)
        return self._never_entered()

    def _wrong_rows(self) -> RecordedOperation | None:
        """Return where a table of positions is read, and what comes out is the same for every token."""
        for operation in self._of_constants():
            tables = (value for value in operation.inputs if value.tensor.is_floating_point())
            if (
                operation.name in _READING
                and any(_distinct_rows(table.tensor) >= self.dependence.length for table in tables)
                and not self._varies(operation.outputs[0])
                and any(map(self.dependence.depends, [v for t in self._after(operation) for v in t.inputs]))
            ):
                return operation
        return None

    def _after(self, operation: RecordedOperation) -> list[RecordedOperation]:
        """Return the operations that take what an operation made, or a change of it that is constant."""
        found: list[RecordedOperation] = []
        waiting = [operation]
        while waiting and len(found) < 20:
            takers = [taker for value in waiting.pop().outputs for taker in self.run.takers(value)]
            found += takers
            waiting += [taker for taker in takers if not any(map(self.dependence.depends, taker.outputs))]
        return found

    def _never_entered(self) -> Blame:
        wrong = self._wrong_rows()
        if wrong is not None:
            return blamed("positions-equal", wrong)
        unused = [path for path in unused_modules(self.experiments) if "pos" in path.rpartition(".")[2]]
        for operation in self.run.operations:
            made = operation.outputs[0]
            if operation.name == "embedding" and not self.dependence.depends(made) and made.tensor.dim() >= 2:
                # A lookup that leads nowhere is left out by whoever should add it, whatever rows it reads.
                if self._is_unused(operation):
                    return blamed("positions-not-added", operation)
                return blamed("positions-equal", operation)
        first = next((o for o in self.run.operations if o.name == "embedding"), self.run.operations[0])
        key = "positions-unused" if unused else "no-positions"
        return Blame(key, first.place, first, first.path, {"name": unused[0] if unused else ""})

    def _of_constants(self) -> Iterator[RecordedOperation]:
        for operation in self.run.operations:
            if operation.inputs and not any(map(self.dependence.depends, operation.outputs)):
                yield operation

    def _is_position(self, value: Value) -> bool:
        is_number = value.tensor.is_floating_point() or value.tensor.is_complex()
        return is_number and not self.dependence.depends(value) and self._varies(value)

    def _is_unused(self, operation: RecordedOperation) -> bool:
        """Tell whether the logits are not made of what an operation returned."""
        logits = self.run.logits
        return logits is not None and not self.run.leads_to(operation, logits)

    def _varies(self, value: Value) -> bool:
        """Tell whether a value differs by position: a matrix over queries and keys, where these are seen."""
        axes = self.dependence.token_axes(value)
        if len(axes) >= 2:
            matrix = value.tensor.movedim(axes[-2:], (-2, -1)).reshape(
                -1, *[value.tensor.shape[a] for a in axes[-2:]]
            )
            seen = torch.ones(matrix.shape[-2:], dtype=torch.bool).tril()
            return bool((matrix[:, seen] != matrix[:, seen][:, :1]).any())
        return self._distinct(value) > 1

    def _distinct(self, value: Value) -> int:
        """Return how many lanes of tokens differ from each other; 0 for a value without such lanes."""
        axes = self.dependence.token_axes(value)
        if not axes:
            return 0
        tensor = torch.view_as_real(value.tensor) if value.tensor.is_complex() else value.tensor
        lanes = tensor.movedim(axes[0], 0).reshape(tensor.shape[axes[0]], -1)
        lanes = lanes.double()
        # Lanes that differ by rounding alone are the same.
        return len(torch.unique((lanes / lanes.abs().max().clamp(min=1e-30) * 1e9).round(), dim=0))


def _distinct_rows(table: Tensor) -> int:
    """Return how many rows of a table of numbers differ; 0 for a truth value or a single number."""
    if table.dim() not in (1, 2) or table.dtype == torch.bool or table.is_complex():
        return 0
    return len(torch.unique(table.reshape(table.shape[0], -1), dim=0))
