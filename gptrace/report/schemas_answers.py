"""The schemas of the answers about prompts."""

from __future__ import annotations

from gptrace.report.schema_parts import (
    CANDIDATE,
    COUNT,
    FITTING,
    FLOW,
    MAYBE_TEXT,
    MODEL,
    OP,
    PROMPT,
    TEXT,
    TOKEN,
    Schema,
    array,
    object_of,
    whole,
)

_RESULT = {"index": COUNT, **PROMPT}
_RANK: Schema = {"type": "integer", "minimum": 1}
_NUMBER_OR_NULL: Schema = {"type": ["number", "null"]}

TOPK = whole(
    "topk",
    {
        "model": MODEL,
        "k": _RANK,
        "temperature": {"type": "number", "exclusiveMinimum": 0},
        "results": array(
            object_of(
                {
                    **_RESULT,
                    **FITTING,
                    "candidates": array(CANDIDATE),
                    "chosen": array(CANDIDATE) | {"description": "the tokens asked for with --token"},
                    "positions": array(
                        object_of(
                            {
                                "position": COUNT,
                                "candidates": array(CANDIDATE),
                                "chosen": array(CANDIDATE),
                            },
                            optional=("chosen",),
                        )
                    ),
                    "error": object_of({"message": TEXT, "hint": TEXT})
                    | {"description": "why this prompt of a stream has no candidates"},
                },
                optional=("chosen", "positions", "error"),
            )
        ),
        "notes": array(TEXT),
    },
)

_PREDICTED = ("log_probability", "probability", "rank")
LOSS = whole(
    "loss",
    {
        "model": MODEL,
        "results": array(
            object_of(
                {
                    **_RESULT,
                    "tokens": array(
                        object_of(
                            {
                                **TOKEN,
                                "log_probability": _NUMBER_OR_NULL
                                | {"description": "natural; absent for the first token"},
                                "probability": _NUMBER_OR_NULL,
                                "rank": {"type": ["integer", "null"], "minimum": 1},
                            },
                            optional=_PREDICTED,
                        )
                    ),
                    "loss": _NUMBER_OR_NULL
                    | {"description": "mean of -log_probability; null where nothing was predicted"},
                    "perplexity": _NUMBER_OR_NULL,
                    "windows": _RANK,
                }
            )
        ),
        "total": object_of({"tokens": COUNT, "loss": _NUMBER_OR_NULL, "perplexity": _NUMBER_OR_NULL}),
        "uniform_loss": _NUMBER_OR_NULL | {"description": "of a model that knows nothing: ln(vocab_size)"},
        "stride": _RANK,
        "notes": array(TEXT),
    },
    optional=("stride",),
)

GENERATE = whole(
    "generate",
    {
        "model": MODEL,
        "settings": object_of(
            {
                "max_new_tokens": _RANK,
                "temperature": {"type": "number", "minimum": 0, "description": "0 is greedy"},
                "top_k": {"type": ["integer", "null"], "minimum": 1},
                "top_p": _NUMBER_OR_NULL,
                "seed": {"type": "integer"},
                "stop": array(TEXT),
                "cache": {"type": "boolean"},
            }
        ),
        "results": array(
            object_of(
                {
                    **_RESULT,
                    "new_ids": array(COUNT),
                    "new_text": MAYBE_TEXT | {"description": "without what ended it"},
                    "stopped_by": {"enum": ["max_new_tokens", "end_of_text", "stop"]},
                    "steps": array(
                        object_of(
                            {"cached": COUNT, "flow": FLOW, "attention": OP, "token": object_of(TOKEN)},
                            optional=("attention",),
                        )
                    ),
                },
                optional=("steps",),
            )
        ),
        "seconds": {"type": "number", "minimum": 0},
        "notes": array(TEXT),
    },
)

LENS = whole(
    "lens",
    {
        "model": MODEL,
        "through": array(TEXT) | {"description": "the modules that each layer's output goes through"},
        "results": array(
            object_of(
                {
                    **_RESULT,
                    "layers": array(
                        object_of(
                            {
                                "path": TEXT,
                                "candidates": array(CANDIDATE) | {"description": "after the last token"},
                                "rank_of_prediction": _RANK,
                                "positions": array(
                                    object_of(
                                        {
                                            "position": COUNT,
                                            "candidates": array(CANDIDATE),
                                            "rank_of_prediction": _RANK,
                                        }
                                    )
                                ),
                            }
                        )
                    ),
                    "difference": _NUMBER_OR_NULL
                    | {"description": "between the last layer's logits and the model's: float rounding"},
                }
            )
        ),
        "notes": array(TEXT),
    },
)

EXPLAIN = whole(
    "explain",
    {
        "model": MODEL,
        "language": {"enum": ["en", "zh"]},
        **PROMPT,
        "topics": array(
            object_of(
                {
                    "topic": TEXT,
                    "title": TEXT,
                    "claims": array(
                        object_of(
                            {
                                "text": TEXT,
                                "measured": TEXT,
                                "holds": {
                                    "type": ["boolean", "null"],
                                    "description": "null where the claim does not apply to the model",
                                },
                            }
                        )
                    ),
                }
            )
        ),
        "notes": array(TEXT),
    },
)
