"""Answers about prompts → JSON: what follows, token by token, layer by layer."""

from __future__ import annotations

from typing import Any

from gptrace.record import Candidate, Prediction, Prompt, Token, TopK, TopKResult
from gptrace.report.json_model import model_object


def topk_object(topk: TopK) -> dict[str, Any]:
    """Return what `gptrace topk --json` prints."""
    return {
        "schema": "gptrace.topk/1",
        "versions": topk.versions,
        "model": model_object(topk.model),
        "k": topk.k,
        "temperature": topk.temperature,
        "results": [topk_result(result) for result in topk.results],
        "notes": list(topk.notes),
    }


def topk_result(result: TopKResult) -> dict[str, Any]:
    """Return one result, complete in itself; the other keys of the line that it answers come first."""
    described = {
        **result.extra,
        "index": result.index,
        "text": result.prompt.text,
        "ids": list(result.prompt.ids),
        **fitting_object(result.prompt),
        "candidates": [candidate_object(one) for one in result.candidates],
    }
    if result.chosen:
        described["chosen"] = [candidate_object(one) for one in result.chosen]
    if result.positions:
        described["positions"] = [_position(one) for one in result.positions]
    if result.problem is not None:
        described["error"] = {"message": result.problem.message, "hint": result.problem.hint}
    return described


def _position(prediction: Prediction) -> dict[str, Any]:
    described: dict[str, Any] = {
        "position": prediction.position,
        "candidates": [candidate_object(one) for one in prediction.candidates],
    }
    if prediction.chosen:
        described["chosen"] = [candidate_object(one) for one in prediction.chosen]
    return described


def prompt_object(prompt: Prompt) -> dict[str, Any]:
    """Return a prompt with its tokens."""
    return {
        "text": prompt.text,
        "ids": list(prompt.ids),
        "tokens": [token_object(token) for token in prompt.tokens],
    }


def fitting_object(prompt: Prompt) -> dict[str, Any]:
    """Return how a prompt was made to fit its batch and the model."""
    return {"padding": prompt.padding, "truncated": prompt.truncated}


def token_object(token: Token) -> dict[str, Any]:
    """Return a token; its bytes are in hexadecimal."""
    return {
        "id": token.id,
        "text": token.text,
        "bytes": None if token.bytes is None else token.bytes.hex(),
    }


def candidate_object(candidate: Candidate) -> dict[str, Any]:
    """Return a candidate."""
    return {
        "rank": candidate.rank,
        **token_object(candidate.token),
        "logit": candidate.logit,
        "probability": candidate.probability,
        "log_probability": candidate.log_probability,
    }
