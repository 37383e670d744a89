"""What the topics of `gptrace explain` measure of a model, and of all models that make every claim."""

from __future__ import annotations

from collections.abc import Sequence

import transformers
from tokenizers import normalizers

from gptrace.model.build import load, wrap_module
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import select_model
from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.predict.explain.measured_model import MeasuredModel
from gptrace.predict.explain.topics import TOPICS as MEASURES
from gptrace.predict.validation import TOPICS
from gptrace.text.gpt2_tokenizer import GPT2
from gptrace.text.hugging_face import HuggingFaceTokenizer
from gptrace.text.prompts import from_ids, from_texts
from gptrace.text.tokenizer import Tokenizer
from tests.models.attending import AttendingGPT
from tests.models.hugging_face import byte_level_tokenizer
from tests.models.small_gpt import SmallGPT
from tests.predict.claim_models import (
    Adapted,
    Bare,
    Capped,
    DoubledTable,
    Factorized,
    LastRow,
    Normalized,
    Probabilities,
    RotatedPositions,
    ScaledTable,
    ScaledTokens,
    ShiftedVectors,
    SuppressingHead,
    TiedInPart,
    TwoInputNorm,
    TypedEmbedding,
    Unassigned,
    WithoutPositions,
)
from tests.predict.flow_models import ReZero, SideBySide

nn = torch.nn


TEXT = "Hello, I am"


def measured(
    model: nn.Module | str,
    ids: Sequence[int] = (),
    tokenizer: Tokenizer = GPT2,
    topics: Sequence[str] = TOPICS,
    **config: int | bool,
) -> dict[str, list[MeasuredClaim]]:
    """The claims of each topic, about a text or about ids."""
    torch.manual_seed(3)
    if isinstance(model, str):
        loaded = load(select_model(model, config=config))
    else:
        loaded = wrap_module(model.eval(), "model", {"source": "given"})
    (prompt,) = from_ids([ids]) if ids else from_texts([TEXT], tokenizer)
    with torch.no_grad():
        run = MeasuredModel(loaded, tokenizer, prompt, head=None, seed=123)
        return {topic: MEASURES[topic](run) for topic in topics}


def lower_case_tokenizer() -> Tokenizer:
    tokenizer = byte_level_tokenizer()
    tokenizer.normalizer = normalizers.Lowercase()
    return HuggingFaceTokenizer(transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer))


def variants() -> list[dict[str, list[MeasuredClaim]]]:
    """The claims about models that together make every claim there is."""
    torch.manual_seed(3)
    return [
        measured("tiny"),
        measured("tiny", [15496, 11], tie_head=True),
        measured("tiny", [15496], vocab_size=50304),
        measured("tiny", [5] * 64),
        measured("tiny", [0, 0], vocab_size=2),
        measured(SmallGPT("bias")),
        measured(Adapted(tok_emb=ScaledTable(50257, 16))),
        measured(Adapted(tok_emb=DoubledTable(50257, 8))),
        measured(Adapted(tok_emb=Normalized(50257, 16))),
        measured(Adapted(head=SuppressingHead(16, 50257, bias=False)), [15496, 11]),
        measured(Capped()),
        measured(Capped("bias")),
        measured(WithoutPositions()),
        measured(ShiftedVectors()),
        measured(TwoInputNorm()),
        measured(Bare()),
        measured(LastRow()),
        measured(Factorized()),
        measured(SmallGPT(), tokenizer=lower_case_tokenizer()),
        measured(TypedEmbedding()),
        measured(ScaledTokens()),
        measured(RotatedPositions()),
        measured(Probabilities()),
        measured(Unassigned()),
        measured(TiedInPart(), [5, 7], topics=["tying"]),
        measured(ReZero(), topics=["flow"]),
        measured(SideBySide(), topics=["flow"]),
        measured(SmallGPT(), GPT2.encode("你"), topics=["flow"]),
        measured(SmallGPT(), GPT2.encode("你"), lower_case_tokenizer(), topics=["flow"]),
        *(
            measured(AttendingGPT(style), [5], topics=["attention"])
            for style in ("", "shared", "shared keys", "one head", "head by head")
        ),
        *(measured(AttendingGPT(style), topics=["attention"]) for style in STYLES),
    ]


STYLES = (
    "fused", "shared", "own factor", "distance", "bent", "changed", "window", "sink", "changed weights",
    "over heads", "wide", "gate", "no list", "previous", "first", "fused dropout", "chunks", "viewed",
    "unmasked last row", "shared keys", "one head", "head by head", "sink mask", "divided mask", "two masks",
    "zero queries",
)  # fmt: skip
