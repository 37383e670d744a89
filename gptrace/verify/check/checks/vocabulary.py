"""`vocabulary`: there is a score for each token, every id is taken, and an id beyond is refused."""

from __future__ import annotations

from contextlib import suppress

from gptrace.model.quiet_torch import torch
from gptrace.tracing.isolation import isolated_run
from gptrace.verify.check.blame import Blame
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding
from gptrace.verify.check.subject import CannotRunError, Subject

_SLICES = ("getitem", "narrow")
_STEPS_AFTER_THE_HEAD = 8  # a cap, a conversion


def check(experiments: Experiments) -> Finding:
    """Compare the number of scores with settings and tokenizer; run the last id and the one beyond."""
    subject = experiments.subject
    count = subject.vocabulary
    wanted = subject.settings.get("vocab_size", count)
    is_padded = count > wanted and bool(subject.suppressed[wanted:].all())  # to a multiple of 64, for example
    is_read = count == wanted or _is_read(subject, wanted)
    if count != wanted and is_read and not is_padded:
        blame = _head(experiments)
        return Finding(False, "other_size", {"count": count, "wanted": wanted}, count, 0, blame)
    tokenizer = experiments.tokenizer
    real = _real_count(experiments) if is_read else count
    if tokenizer is not None and tokenizer.size() and not tokenizer.matches_vocab_size(real):
        figures = {"count": real, "wanted": tokenizer.size()}
        return Finding(False, "not_the_tokenizer", figures, real, 0, _head(experiments))
    last_id = (wanted if is_padded else count) - 1
    try:
        subject.logits(torch.tensor([[0, last_id]]))
    except CannotRunError as error:
        return Finding(False, "refused", {"id": last_id, "error": str(error)}, blame=_table(experiments))
    try:
        subject.logits(torch.tensor([[0, count]]))
    except CannotRunError:
        return Finding(True, "suppressed" if is_padded else "holds", {"count": real})
    if _is_padded(experiments):
        return Finding(True, "padded", {"count": real})
    return Finding(False, "beyond", {"id": count, "count": count}, blame=_table(experiments))


def _is_read(subject: Subject, wanted: int) -> bool:
    """Tell whether the setting changes any parameter: that of a tokenizer beside the model does not."""
    architecture = subject.loaded.architecture
    if architecture is None:
        return True
    key = architecture.vocabulary or "vocab_size"
    sizes = {name: size for name, size in subject.settings.items() if name in architecture.settings}
    with suppress(Exception), isolated_run(inference=False):  # the user's code may refuse this size
        # Of a size that is larger by one, the rows may be there already, as padding.
        other = architecture.build({**sizes, key: 2 * wanted})
        return [p.shape for p in other.parameters()] != [p.shape for p in subject.module.parameters()]
    return True


def _real_count(experiments: Experiments) -> int:
    """Return the number of scores of the model at its real size."""
    loaded = experiments.subject.loaded
    if loaded.module is experiments.subject.original or loaded.limits.vocab_size is None:
        architecture = loaded.architecture
        key = None if architecture is None else architecture.vocabulary
        return (
            experiments.subject.vocabulary
            if architecture is None or key is None
            else architecture.settings[key]
        )
    return loaded.limits.vocab_size


def _is_padded(experiments: Experiments) -> bool:
    """Tell whether the logits are the first of more scores, as where a table and a head are padded alike.

    The ids beyond are then those of rows that no token has, up to the last of these scores.
    """
    count, width = experiments.subject.vocabulary, _scores_before_the_slice(experiments)
    if width <= count:
        return False
    try:
        experiments.subject.logits(torch.tensor([[0, width]]))
    except CannotRunError:
        return True
    return False


def _scores_before_the_slice(experiments: Experiments) -> int:
    """Return the most scores that the way back from the logits shows; 0 where there is no slice on it."""
    run, value = experiments.dependence.run, experiments.dependence.run.logits
    for _ in range(_STEPS_AFTER_THE_HEAD):
        producers = [] if value is None else run.producers(value)
        if value is None or not producers:
            break
        taken = producers[0].inputs
        if producers[0].name in _SLICES and taken:
            return taken[0].tensor.shape[-1]
        value = next((each for each in taken if each.tensor.shape == value.tensor.shape), None)
    return 0


def _head(experiments: Experiments) -> Blame | None:
    """Return the line that makes the scores."""
    run = experiments.dependence.run
    if run.logits is None or not run.logits.producers:
        return None
    operation = run.producers(run.logits)[0]
    return Blame("vocabulary-head", operation.place, operation, operation.path)


def _table(experiments: Experiments) -> Blame | None:
    """Return the line that takes the ids first."""
    for operation in experiments.dependence.run.operations:
        if experiments.dependence.depends(operation.outputs[0]):
            return Blame("vocabulary-table", operation.place, operation, operation.path)
    return None
