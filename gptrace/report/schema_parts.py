"""What the JSON Schemas (2020-12) of the outputs are made of. Names may be added, so none forbids more."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": ["number", "null"], "description": "null stands for NaN or an infinity"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}


def array(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def object_of(properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object that has all of `properties` but the `optional` ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


SHAPE = array(COUNT)
DIMS = array(TEXT) | {"description": "one name for each axis, or its size as a string where nothing names it"}
VERSIONS: Schema = {"type": "object", "additionalProperties": TEXT, "required": ["gptrace"]}

TOKEN = {
    "id": COUNT,
    "text": MAYBE_TEXT | {"description": "null for bytes that are only part of a UTF-8 character"},
    "bytes": {"type": ["string", "null"], "pattern": "^([0-9a-f]{2})*$", "description": "in hexadecimal"},
}
PROMPT = {
    "text": MAYBE_TEXT | {"description": "null for ids that are not whole UTF-8 characters"},
    "ids": array(COUNT),
}
FITTING = {
    "padding": COUNT | {"description": "positions added on the right to make the batch rectangular"},
    "truncated": COUNT | {"description": "tokens cut off on the left to fit the context"},
}
CANDIDATE = object_of(
    {
        "rank": {"type": "integer", "minimum": 1},
        **TOKEN,
        "logit": NUMBER,
        "probability": NUMBER,
        "log_probability": NUMBER,
    }
)
SPEC = object_of(
    {
        "name": TEXT
        | {"description": "where the tensor sat: an argument's name, output, output.logits, output[1]"},
        "shape": SHAPE,
        "dims": DIMS,
        "dtype": TEXT,
        "device": TEXT,
        "local_shape": SHAPE | {"description": "what this process holds of a tensor spread over several"},
        "statistics": object_of(
            dict.fromkeys(("mean", "std", "min", "max"), NUMBER) | {"nan": COUNT, "infinite": COUNT}
        ),
    },
    optional=("local_shape", "statistics"),
)
COST = {
    "macs": COUNT | {"description": "multiply-accumulates in matrix products, convolutions, attention"},
    "macs_unknown": array(TEXT) | {"description": "what else multiplied: macs is less than the whole then"},
}
OP = object_of(
    {
        "name": TEXT,
        "place": COUNT | {"description": "it ran before the call of that index, and after those before it"},
        "inputs": array(SPEC),
        "outputs": array(SPEC),
        "view": {"type": "boolean"},
        "in_place": {"type": "boolean"},
        "source": TEXT,
        **COST,
        "failed": {"const": True},
    },
    optional=("failed", *COST),
)
MODEL = object_of(
    {
        "name": TEXT,
        "class": TEXT,
        "config": {"type": "object"},
        "weights": object_of({"source": TEXT, "seed": {"type": "integer"}}, optional=("seed",)),
        "parameters": object_of(
            {
                "total": COUNT | {"description": "a tensor with two names counts twice"},
                "unique": COUNT | {"description": "each tensor counts once"},
                "trainable": COUNT,
                "bytes": COUNT,
                "tied": array(array(TEXT)),
                "without_out_head": COUNT,
            },
            optional=("without_out_head",),
        ),
        "buffers": object_of({"bytes": COUNT}),
        "dtype": TEXT,
        "device": TEXT,
    },
    optional=("config", "weights"),
)
FLOW = array(object_of({"at": TEXT, "shape": SHAPE, "dims": DIMS}))


def whole(name: str, properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of what a command prints with --json."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"gptrace {name} --json",
        **object_of({"schema": {"const": f"gptrace.{name}/1"}, "versions": VERSIONS, **properties}, optional),
    }
