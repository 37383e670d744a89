"""The names of the axes of what an operation takes and makes: only lanes of tokens are called seq_len."""

from __future__ import annotations

from collections.abc import Mapping

from gptrace.model.architecture import SIZE_NAMES
from gptrace.model.config import LAYER_NAMES
from gptrace.model.configurations import settings_of
from gptrace.model.user_model_construction import CONFIGURATION_NAMES
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.recorded_run import RecordedOperation, Value
from gptrace.verify.check.subject import Subject


def axes_before(experiments: Experiments, operation: RecordedOperation | None) -> tuple[str, ...]:
    """Return the axes of the largest input that depends on tokens, or of the largest one."""
    if operation is None or not operation.inputs:
        return ()
    dependence = experiments.dependence
    inputs = [value for value in operation.inputs if dependence.depends(value)] or operation.inputs
    return _names(experiments, max(inputs, key=lambda value: value.tensor.numel()))


def axes_after(experiments: Experiments, operation: RecordedOperation | None) -> tuple[str, ...]:
    """Return the axes of the first output."""
    if operation is None or not operation.outputs:
        return ()
    return _names(experiments, operation.outputs[0])


def _sizes(subject: Subject) -> Mapping[str, int]:
    """Return the sizes that axes may have: of the settings, or of the configuration that a model keeps."""
    settings: Mapping[str, object] = subject.settings
    if not settings:
        kept = (getattr(subject.original, name, None) for name in CONFIGURATION_NAMES)
        settings = next((each for each in map(settings_of, kept) if SIZE_NAMES.intersection(each)), {})
    return {
        name: size for name, size in settings.items()
        if type(size) is int and size > 1 and name not in LAYER_NAMES
    }  # fmt: skip


def _names(experiments: Experiments, value: Value) -> tuple[str, ...]:
    dependence = experiments.dependence
    by_size: dict[int, str] = {}
    for name, size in _sizes(experiments.subject).items():
        by_size[size] = "" if size in by_size else name  # two names for one size tell nothing
    known = dependence.of(value)
    is_of_base = known is not None and known.shape == value.tensor.shape
    lanes = dependence.token_axes(value)
    scrambled = is_of_base and bool(dependence.violates(value)) and len(lanes) == 1
    names = []
    for axis, size in enumerate(value.tensor.shape):
        if axis in lanes:
            names.append(str(size) if scrambled else "seq_len")
        elif axis == 0 and size == 1 and value.tensor.dim() > 2:
            names.append("batch")
        else:
            names.append(by_size.get(size) or str(size))
    return tuple(names)
