"""The JSON Schema (2020-12) of each output."""

from __future__ import annotations

from gptrace.report.schema_parts import (
    CANDIDATE,
    COST,
    COUNT,
    FITTING,
    FLOW,
    MAYBE_TEXT,
    MODEL,
    OP,
    PROMPT,
    SPEC,
    TEXT,
    TOKEN,
    Schema,
    array,
    object_of,
    whole,
)
from gptrace.report.schemas_answers import EXPLAIN, GENERATE, LENS, LOSS, TOPK

_CALL = object_of(
    {
        "index": COUNT,
        "parent": {"type": ["integer", "null"], "minimum": 0},
        "depth": COUNT,
        "path": TEXT,
        "type": TEXT,
        "call": {"type": "integer", "minimum": 1},
        "calls": {"type": "integer", "minimum": 1},
        "inputs": array(SPEC),
        "outputs": array(SPEC),
        "parameters": object_of({"own": COUNT, "total": COUNT, "trainable": COUNT, "bytes": COUNT}),
        "seconds": {"type": "number", "minimum": 0, "description": "with the children"},
        **COST,
        "peak_bytes": COUNT | {"description": "the most memory of activations alive while it ran"},
        "ops": array(OP),
        "failed": {"const": True, "description": "this call raised; absent where it did not"},
    },
    optional=("failed", "peak_bytes", "ops", *COST),
)


_TRACE = whole(
    "trace",
    {
        "model": MODEL,
        "dims": {"type": "object", "additionalProperties": COUNT},
        "inputs": array(object_of({**PROMPT, "tokens": array(object_of(TOKEN)), **FITTING})),
        "flow": FLOW,
        "calls": array(_CALL),
        "uncalled": array(TEXT),
        "temperature": {"type": "number", "exclusiveMinimum": 0},
        "predictions": array(object_of({"input": COUNT, "position": COUNT, "candidates": array(CANDIDATE)})),
        "totals": object_of(
            {
                "calls": COUNT,
                "modules": COUNT,
                "seconds": {"type": "number", "minimum": 0},
                **COST,
                "peak_bytes": COUNT,
                "ops": COUNT,
            },
            optional=("peak_bytes", "ops", *COST),
        ),
        "notes": array(TEXT),
        "error": {
            "oneOf": [
                {"type": "null"},
                object_of(
                    {
                        "path": TEXT,
                        "type": TEXT,
                        "message": TEXT,
                        "source": TEXT | {"description": "file, line and code of the model's own"},
                        "cause": MAYBE_TEXT | {"description": "a name for one of the usual causes"},
                        "diagnosis": MAYBE_TEXT,
                        "inputs": array(SPEC),
                    }
                ),
            ]
        },
    },
) | {"title": "gptrace run --json"}

_TOKENS = whole(
    "tokens",
    {
        "encoding": TEXT,
        "vocab_size": COUNT,
        "results": array(object_of({"index": COUNT, **PROMPT, "tokens": array(object_of(TOKEN))})),
    },
)

_MODELS = whole(
    "models",
    {
        "models": array(
            object_of(
                {
                    "name": TEXT,
                    "aliases": array(TEXT),
                    "config": {"type": "object"},
                    "parameters": object_of({"total": COUNT, "without_out_head": COUNT}),
                    "bytes": COUNT | {"description": "of the parameters in float32"},
                    "pretrained": object_of({"at_hand": {"type": "boolean"}}),
                },
                optional=("pretrained",),
            )
        )
    },
)

_CHANGED = object_of(
    {
        "path": TEXT,
        "call": {"type": "integer", "minimum": 1},
        "type": TEXT,
        "changes": array(object_of({"what": TEXT, "a": TEXT, "b": TEXT})),
    }
)
_COMPARED = object_of({"name": TEXT, "model": TEXT, "calls": COUNT})
_DIFF = whole(
    "diff",
    {
        "same": {"type": "boolean"},
        "settings": array(object_of({"what": TEXT, "a": TEXT, "b": TEXT})),
        "a": _COMPARED,
        "b": _COMPARED,
        "removed": array(_CHANGED),
        "added": array(_CHANGED),
        "changed": array(_CHANGED),
        "values": object_of(
            {
                "same_prompts": {"type": "boolean"},
                "compared": COUNT | {"description": "calls whose outputs both traces have statistics of"},
                "rtol": {"type": "number", "minimum": 0},
                "atol": {"type": "number", "minimum": 0},
                "first_apart": {"oneOf": [{"type": "null"}, _CHANGED]},
            }
        ),
    },
)

SCHEMAS: dict[str, Schema] = {
    "trace": _TRACE,
    "topk": TOPK,
    "tokens": _TOKENS,
    "explain": EXPLAIN,
    "loss": LOSS,
    "generate": GENERATE,
    "lens": LENS,
    "diff": _DIFF,
    "models": _MODELS,
}
