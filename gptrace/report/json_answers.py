"""Answers about prompts → JSON: what follows, token by token, layer by layer."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gptrace.record import (
    Candidate,
    Explanation,
    Generation,
    GenerationResult,
    GenerationStep,
    Lens,
    LensLayer,
    LensResult,
    Loss,
    LossResult,
    Prediction,
    Prompt,
    Token,
    TopK,
    TopKResult,
)
from gptrace.report.json_facts import op_object, step_object
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


def loss_object(loss: Loss) -> dict[str, Any]:
    """Return what `gptrace loss --json` prints."""
    return {
        "schema": "gptrace.loss/1",
        "versions": loss.versions,
        "model": model_object(loss.model),
        "results": [_loss_result(result) for result in loss.results],
        "total": {
            "tokens": loss.total.tokens,
            "loss": loss.total.loss,
            "perplexity": loss.total.perplexity,
        },
        "uniform_loss": loss.uniform,
        **({} if loss.stride is None else {"stride": loss.stride}),
        "notes": list(loss.notes),
    }


def _loss_result(result: LossResult) -> dict[str, Any]:
    tokens = []
    for scored in result.tokens:
        described = token_object(scored.token)
        if scored.log_probability is not None:
            described |= {
                "log_probability": scored.log_probability,
                "probability": scored.probability,
                "rank": scored.rank,
            }
        tokens.append(described)
    return {
        "index": result.index,
        "text": result.prompt.text,
        "ids": list(result.prompt.ids),
        "tokens": tokens,
        "loss": result.loss,
        "perplexity": result.perplexity,
        "windows": result.windows,
    }


def generation_object(generation: Generation) -> dict[str, Any]:
    """Return what `gptrace generate --json` prints."""
    settings = generation.settings
    return {
        "schema": "gptrace.generate/1",
        "versions": generation.versions,
        "model": model_object(generation.model),
        "settings": {
            "max_new_tokens": settings.max_new_tokens,
            "temperature": settings.temperature,
            "top_k": settings.top_k,
            "top_p": settings.top_p,
            "seed": settings.seed,
            "stop": list(settings.stop),
            "cache": settings.cache,
        },
        "results": [_generation_result(result) for result in generation.results],
        "seconds": generation.seconds,
        "notes": list(generation.notes),
    }


def _generation_result(result: GenerationResult) -> dict[str, Any]:
    described: dict[str, Any] = {
        "index": result.index,
        "text": result.prompt.text,
        "ids": list(result.prompt.ids),
        "new_ids": [token.id for token in result.tokens],
        "new_text": result.text,
        "stopped_by": result.stopped_by,
    }
    if result.steps:
        described["steps"] = [_generation_step(step) for step in result.steps]
    return described


def _generation_step(step: GenerationStep) -> dict[str, Any]:
    return {
        "cached": step.cached,
        "flow": [step_object(one) for one in step.flow],
        **({} if step.attention is None else {"attention": op_object(step.attention)}),
        "token": token_object(step.token),
    }


def lens_object(lens: Lens) -> dict[str, Any]:
    """Return what `gptrace lens --json` prints."""
    return {
        "schema": "gptrace.lens/1",
        "versions": lens.versions,
        "model": model_object(lens.model),
        "through": list(lens.through),
        "results": [_lens_result(result) for result in lens.results],
        "notes": list(lens.notes),
    }


def _lens_result(result: LensResult) -> dict[str, Any]:
    return {
        "index": result.index,
        "text": result.prompt.text,
        "ids": list(result.prompt.ids),
        "layers": [_lens_layer(layer) for layer in result.layers],
        "difference": result.difference,
    }


def _lens_layer(layer: LensLayer) -> dict[str, Any]:
    return {
        "path": layer.path,
        "candidates": [candidate_object(one) for one in layer.candidates],
        "rank_of_prediction": layer.rank_of_prediction,
        "positions": [
            {
                "position": position,
                "candidates": [candidate_object(cell.best)],
                "rank_of_prediction": cell.rank_of_prediction,
            }
            for position, cell in enumerate(layer.cells)
        ],
    }


def explanation_object(explanation: Explanation) -> dict[str, Any]:
    """Return what `gptrace explain --json` prints."""
    return {
        "schema": "gptrace.explain/1",
        "versions": explanation.versions,
        "model": model_object(explanation.model),
        "language": explanation.language,
        "text": explanation.prompt.text,
        "ids": list(explanation.prompt.ids),
        "topics": [
            {"topic": topic.topic, "title": topic.title, "claims": [asdict(claim) for claim in topic.claims]}
            for topic in explanation.topics
        ],
        "notes": list(explanation.notes),
    }


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
