"""The JSON Schema (2020-12) of each output. Within a version names may be added, so none forbids more."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": ["number", "null"], "description": "null stands for NaN or an infinity"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


_SHAPE = _array(_COUNT)
_DIMS = _array(_TEXT) | {
    "description": "one name for each axis, or its size as a string where nothing names it"
}
_VERSIONS: Schema = {"type": "object", "additionalProperties": _TEXT, "required": ["gptrace"]}

_TOKEN = {
    "id": _COUNT,
    "text": _MAYBE_TEXT | {"description": "null for bytes that are only part of a UTF-8 character"},
    "bytes": {"type": ["string", "null"], "pattern": "^([0-9a-f]{2})*$", "description": "in hexadecimal"},
}
_PROMPT = {
    "text": _MAYBE_TEXT | {"description": "null for ids that are not whole UTF-8 characters"},
    "ids": _array(_COUNT),
}
_FITTING = {
    "padding": _COUNT | {"description": "positions added on the right to make the batch rectangular"},
    "truncated": _COUNT | {"description": "tokens cut off on the left to fit the context"},
}
_CANDIDATE = _object(
    {
        "rank": {"type": "integer", "minimum": 1},
        **_TOKEN,
        "logit": _NUMBER,
        "probability": _NUMBER,
        "log_probability": _NUMBER,
    }
)
_SPEC = _object(
    {
        "name": _TEXT
        | {"description": "where the tensor sat: an argument's name, output, output.logits, output[1]"},
        "shape": _SHAPE,
        "dims": _DIMS,
        "dtype": _TEXT,
        "device": _TEXT,
        "local_shape": _SHAPE | {"description": "what this process holds of a tensor spread over several"},
        "statistics": _object(
            dict.fromkeys(("mean", "std", "min", "max"), _NUMBER) | {"nan": _COUNT, "infinite": _COUNT}
        ),
    },
    optional=("local_shape", "statistics"),
)
_COST = {
    "macs": _COUNT | {"description": "multiply-accumulates in matrix products, convolutions, attention"},
    "macs_unknown": _array(_TEXT) | {"description": "what else multiplied: macs is less than the whole then"},
}
_OP = _object(
    {
        "name": _TEXT,
        "place": _COUNT | {"description": "it ran before the call of that index, and after those before it"},
        "inputs": _array(_SPEC),
        "outputs": _array(_SPEC),
        "view": {"type": "boolean"},
        "in_place": {"type": "boolean"},
        "source": _TEXT,
        **_COST,
        "failed": {"const": True},
    },
    optional=("failed", *_COST),
)
_MODEL = _object(
    {
        "name": _TEXT,
        "class": _TEXT,
        "config": {"type": "object"},
        "weights": _object({"source": _TEXT, "seed": {"type": "integer"}}, optional=("seed",)),
        "parameters": _object(
            {
                "total": _COUNT | {"description": "a tensor with two names counts twice"},
                "unique": _COUNT | {"description": "each tensor counts once"},
                "trainable": _COUNT,
                "bytes": _COUNT,
                "tied": _array(_array(_TEXT)),
                "without_out_head": _COUNT,
            },
            optional=("without_out_head",),
        ),
        "buffers": _object({"bytes": _COUNT}),
        "dtype": _TEXT,
        "device": _TEXT,
    },
    optional=("config", "weights"),
)
_CALL = _object(
    {
        "index": _COUNT,
        "parent": {"type": ["integer", "null"], "minimum": 0},
        "depth": _COUNT,
        "path": _TEXT,
        "type": _TEXT,
        "call": {"type": "integer", "minimum": 1},
        "calls": {"type": "integer", "minimum": 1},
        "inputs": _array(_SPEC),
        "outputs": _array(_SPEC),
        "parameters": _object({"own": _COUNT, "total": _COUNT, "trainable": _COUNT, "bytes": _COUNT}),
        "seconds": {"type": "number", "minimum": 0, "description": "with the children"},
        **_COST,
        "peak_bytes": _COUNT | {"description": "the most memory of activations alive while it ran"},
        "ops": _array(_OP),
        "failed": {"const": True, "description": "this call raised; absent where it did not"},
    },
    optional=("failed", "peak_bytes", "ops", *_COST),
)


def _whole(name: str, properties: dict[str, Schema]) -> Schema:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"gptrace {name} --json",
        **_object({"schema": {"const": f"gptrace.{name}/1"}, "versions": _VERSIONS, **properties}),
    }


_TRACE = _whole(
    "trace",
    {
        "model": _MODEL,
        "dims": {"type": "object", "additionalProperties": _COUNT},
        "inputs": _array(_object({**_PROMPT, "tokens": _array(_object(_TOKEN)), **_FITTING})),
        "flow": _array(_object({"at": _TEXT, "shape": _SHAPE, "dims": _DIMS})),
        "calls": _array(_CALL),
        "uncalled": _array(_TEXT),
        "temperature": {"type": "number", "exclusiveMinimum": 0},
        "predictions": _array(
            _object({"input": _COUNT, "position": _COUNT, "candidates": _array(_CANDIDATE)})
        ),
        "totals": _object(
            {
                "calls": _COUNT,
                "modules": _COUNT,
                "seconds": {"type": "number", "minimum": 0},
                **_COST,
                "peak_bytes": _COUNT,
                "ops": _COUNT,
            },
            optional=("peak_bytes", "ops", *_COST),
        ),
        "notes": _array(_TEXT),
        "error": {
            "oneOf": [
                {"type": "null"},
                _object(
                    {
                        "path": _TEXT,
                        "type": _TEXT,
                        "message": _TEXT,
                        "source": _TEXT | {"description": "file, line and code of the model's own"},
                        "cause": _MAYBE_TEXT | {"description": "a name for one of the usual causes"},
                        "diagnosis": _MAYBE_TEXT,
                        "inputs": _array(_SPEC),
                    }
                ),
            ]
        },
    },
) | {"title": "gptrace run --json"}

_TOPK = _whole(
    "topk",
    {
        "model": _MODEL,
        "k": {"type": "integer", "minimum": 1},
        "temperature": {"type": "number", "exclusiveMinimum": 0},
        "results": _array(
            _object({"index": _COUNT, **_PROMPT, **_FITTING, "candidates": _array(_CANDIDATE)})
        ),
        "notes": _array(_TEXT),
    },
)

_TOKENS = _whole(
    "tokens",
    {
        "encoding": _TEXT,
        "vocab_size": _COUNT,
        "results": _array(_object({"index": _COUNT, **_PROMPT, "tokens": _array(_object(_TOKEN))})),
    },
)

_MODELS = _whole(
    "models",
    {
        "models": _array(
            _object(
                {
                    "name": _TEXT,
                    "aliases": _array(_TEXT),
                    "config": {"type": "object"},
                    "parameters": _object({"total": _COUNT, "without_out_head": _COUNT}),
                    "bytes": _COUNT | {"description": "of the parameters in float32"},
                    "pretrained": _object({"at_hand": {"type": "boolean"}}),
                },
                optional=("pretrained",),
            )
        )
    },
)

_CHANGED = _object(
    {
        "path": _TEXT,
        "call": {"type": "integer", "minimum": 1},
        "type": _TEXT,
        "changes": _array(_object({"what": _TEXT, "a": _TEXT, "b": _TEXT})),
    }
)
_COMPARED = _object({"name": _TEXT, "model": _TEXT, "calls": _COUNT})
_DIFF = _whole(
    "diff",
    {
        "same": {"type": "boolean"},
        "settings": _array(_object({"what": _TEXT, "a": _TEXT, "b": _TEXT})),
        "a": _COMPARED,
        "b": _COMPARED,
        "removed": _array(_CHANGED),
        "added": _array(_CHANGED),
        "changed": _array(_CHANGED),
        "values": _object(
            {
                "same_prompts": {"type": "boolean"},
                "compared": _COUNT | {"description": "calls whose outputs both traces have statistics of"},
                "rtol": {"type": "number", "minimum": 0},
                "atol": {"type": "number", "minimum": 0},
                "first_apart": {"oneOf": [{"type": "null"}, _CHANGED]},
            }
        ),
    },
)

SCHEMAS: dict[str, Schema] = {
    "trace": _TRACE, "topk": _TOPK, "tokens": _TOKENS, "models": _MODELS, "diff": _DIFF,
}  # fmt: skip
