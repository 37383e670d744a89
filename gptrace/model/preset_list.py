"""The presets as a record: their sizes, and where their weights are."""

from __future__ import annotations

from gptrace import record
from gptrace.model.config import PRESETS
from gptrace.model.weights import hub
from gptrace.model.weights.packaged import PACKAGED
from gptrace.versions import versions_with


def presets() -> record.Presets:
    """Return the models that have a name, with their sizes, without torch.

    >>> presets().models[0].parameters.total
    163009536
    """
    models = []
    for name, (aliases, config) in PRESETS.items():
        count = config.parameter_count()
        head = 0 if config.tie_head else config.vocab_size * config.emb_dim
        parameters = record.PresetParameters(count, count - head)
        models.append(record.Preset(name, aliases, config.to_dict(), parameters, 4 * count, _published(name)))
    return record.Presets(versions_with(), tuple(models))


def _published(preset: str) -> record.PublishedWeights | None:
    if preset in PACKAGED:
        return record.PublishedWeights(at_hand=True, in_package=True)
    if preset in hub.PUBLISHED:
        return record.PublishedWeights(at_hand=hub.folder_at_hand(preset) is not None)
    return None
