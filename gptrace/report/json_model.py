"""Models → JSON."""

from __future__ import annotations

from typing import Any

from gptrace.record import ModelInfo, Presets


def presets_object(presets: Presets) -> dict[str, Any]:
    """Return what `gptrace models --json` prints."""
    return {
        "schema": "gptrace.models/1",
        "versions": presets.versions,
        "models": [
            {
                "name": model.name,
                "aliases": list(model.aliases),
                "config": model.config,
                "parameters": {"total": model.parameters, "without_out_head": model.without_out_head},
                "bytes": model.bytes,
                **({} if model.pretrained is None else {"pretrained": {"at_hand": model.pretrained}}),
            }
            for model in presets.models
        ],
    }


def model_object(model: ModelInfo) -> dict[str, Any]:
    """Return what every report says of its model."""
    count = model.parameters
    parameters: dict[str, Any] = {
        "total": count.total,
        "unique": count.unique,
        "trainable": count.trainable,
        "bytes": count.bytes,
        "tied": [list(names) for names in count.tied],
    }
    if count.without_out_head is not None:
        parameters["without_out_head"] = count.without_out_head
    described: dict[str, Any] = {"name": model.name, "class": model.class_name}
    if model.config is not None:
        described["config"] = model.config
    if model.weights is not None:
        described["weights"] = model.weights
    return described | {
        "parameters": parameters,
        "buffers": {"bytes": model.buffer_bytes},
        "dtype": model.dtype,
        "device": model.device,
    }
