"""What gptrace says of a model, beside what transformers says of it: one check for each question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import transformers

import gptrace
from gptrace.errors import GptraceError
from gptrace.model.quiet_torch import torch
from tests.models.hugging_face import byte_level_tokenizer
from tests.support import assert_top_logits
from tests.zoo.settings import VOCABULARY
from tests.zoo.small_models import small_model

Tensor = torch.Tensor
TEXTS = ["Hello, I am a text.", "Every effort", "you"]
NEW_TOKENS = 6
# Two kernels may add the same products in another order. Of float32 sums of some hundred terms, the error is
# some hundred times 2**-24 of the largest logit; a model that ran wrong is off by about the largest itself.
_ROUNDING = 3e-5


@dataclass
class Animal:
    """An architecture: `session` answers for gptrace, `model` is the same one as transformers loads it.

    `tolerance` is how far the same logit may be off: the model itself is as far off in a batch of two.
    """

    name: str
    session: gptrace.Session
    model: Any
    ids: list[list[int]]
    logits: list[Tensor]  # (T, V) of each text, run alone
    tolerance: float


@dataclass
class Findings:
    """What agreed, what was refused and in which words, which claims do not hold, and what is wrong."""

    name: str
    agreed: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    denied: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def examine(name: str, folder: Path) -> Findings:
    """Build an architecture small, write it to `folder`, and ask gptrace everything about it."""
    findings = Findings(name)
    animal = _prepared(name, folder)
    blames_itself = ("bug", "own code", "cannot read")
    for question, check in _CHECKS.items():
        try:
            note = check(animal, findings)
        except GptraceError as error:
            findings.refused[question] = f"{error.message} ({error.hint})"
            if any(words in f"{error.message} {error.hint}" for words in blames_itself):
                findings.wrong.append(f"{question}: blames the wrong one: {findings.refused[question]}")
        except AssertionError as error:
            findings.wrong.append(f"{question}: {' '.join(str(error).split())[:300]}")
        except Exception as error:
            findings.wrong.append(f"{question}: {type(error).__name__}: {error}"[:400])
        else:
            findings.agreed.append(question)
            findings.notes += [f"{question}: {note}"] if note else []
    return findings


def _prepared(name: str, folder: Path) -> Animal:
    """Write the model and a tokenizer to `folder` and load both, or else let a function make the model."""
    small_model(name).save_pretrained(folder)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=byte_level_tokenizer(VOCABULARY - 20), padding_side="left"
    )
    tokenizer.save_pretrained(folder)
    try:
        options = {"dtype": torch.float32}
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, **options).train(False)
        session = gptrace.Session(f"hf:{folder}", name=name)
    except ValueError:  # the configuration of a part has no automatic class of its own
        model = small_model(name)
        session = gptrace.Session(lambda: small_model(name), tokenizer=tokenizer, name=name)
    ids = [tokenizer(text)["input_ids"] for text in TEXTS]
    logits = [_logits(model, [row])[0] for row in ids]
    noise = float((_logits(model, [ids[0], ids[0]])[0] - logits[0]).abs().max())
    largest = max(float(each.abs().max()) for each in logits)
    return Animal(name, session, model, ids, logits, _ROUNDING * max(1.0, largest) + 2 * noise)


def _logits(model: Any, ids: list[list[int]]) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(torch.tensor(ids), use_cache=False).logits
    return logits


def _topk(animal: Animal, __: Findings) -> str:
    """Every position of every text, the texts given at once."""
    results = animal.session.topk(TEXTS, positions="all", k=5).results
    for result, ids, logits in zip(results, animal.ids, animal.logits, strict=True):
        assert list(result.ids) == ids
        assert [each.position for each in result.positions] == list(range(len(ids)))
        for prediction, row in zip(result.positions, logits, strict=True):
            top = {candidate.token.id: candidate.logit for candidate in prediction.candidates}
            assert_top_logits(top, row, animal.tolerance)
    return ""


def _run(animal: Animal, __: Findings) -> str:
    """The shapes of every call of a padded batch, and the predictions after each of its texts."""
    trace = animal.session.trace(TEXTS)
    longest = max(map(len, animal.ids))
    padded = [row + [row[-1]] * (longest - len(row)) for row in animal.ids]
    expected = _calls(animal.session.model, padded)
    actual = [(call.path, [spec.shape for spec in call.outputs]) for call in trace.calls]
    assert [call[0] for call in actual] == [call[0] for call in expected]
    for (path, shapes), (_, tensors) in zip(actual, expected, strict=True):
        assert shapes[: len(tensors)] == tensors or not tensors, f"{path}: {shapes}, not {tensors}"
    for prediction, logits in zip(trace.predictions, animal.logits, strict=True):
        top = {candidate.token.id: candidate.logit for candidate in prediction.candidates}
        assert_top_logits(top, logits[-1], animal.tolerance)
    return "; ".join(trace.notes)


def _calls(model: Any, ids: list[list[int]]) -> list[tuple[str, list[tuple[int, ...]]]]:
    """Return the path of each call in order of entry, with the shapes of the tensors that it returns."""
    paths = {id(module): path for path, module in reversed(list(model.named_modules(remove_duplicate=False)))}
    calls: list[tuple[str, list[tuple[int, ...]]]] = []
    open_calls: list[int] = []

    def enter(module: Any, _: object) -> None:
        open_calls.append(len(calls))
        calls.append((paths[id(module)], []))

    def leave(_: object, __: object, output: Any) -> None:
        values = output.values() if isinstance(output, Mapping) else output
        values = values if isinstance(output, Mapping | tuple | list) else [output]
        calls[open_calls.pop()][1].extend(tuple(v.shape) for v in values if isinstance(v, Tensor))

    modules = list(model.modules())
    hooks = [m.register_forward_pre_hook(enter) for m in modules]
    hooks += [m.register_forward_hook(leave) for m in modules]
    try:
        _logits(model, ids)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def _loss(animal: Animal, __: Findings) -> str:
    """The loss of each text: that of the logits, and what transformers makes of labels=."""
    results = animal.session.loss(TEXTS).results
    note = ""
    for result, ids, logits in zip(results, animal.ids, animal.logits, strict=True):
        if len(ids) < 2:
            continue
        expected = float(torch.nn.functional.cross_entropy(logits[:-1].double(), torch.tensor(ids[1:])))
        assert result.loss is not None
        assert abs(result.loss - expected) <= animal.tolerance, f"{result.loss}, not {expected}"
        batch = torch.tensor([ids])
        try:
            with torch.no_grad():
                own = animal.model(batch, labels=batch, use_cache=False).loss
        except Exception as error:
            note = f"transformers takes no labels ({type(error).__name__})"
            continue
        if abs(float(own) - result.loss) > animal.tolerance:
            unshifted = float(torch.nn.functional.cross_entropy(logits.double(), torch.tensor(ids)))
            is_unshifted = abs(float(own) - unshifted) <= animal.tolerance
            kind = (
                "compares labels= without a shift" if is_unshifted else f"makes {float(own):.4f} of labels="
            )
            note = f"transformers {kind}"
    return note


def _generate(animal: Animal, __: Findings) -> str:
    """The greedy continuation, with a cache and without."""
    notes = []
    for cache in (True, False):
        generation = animal.session.generate(TEXTS[0], max_new_tokens=NEW_TOKENS, cache=cache)
        actual, expected = list(generation.results[0].new_ids), _greedy(animal)
        _assert_same_choice(animal, actual, expected)
        try:
            own = _own_generate(animal, cache)
        except Exception as error:
            notes.append(
                f"transformers' generate fails, use_cache={cache}: {type(error).__name__}: {error}"[:150]
            )
        else:
            try:
                _assert_same_choice(animal, own, expected)
            except AssertionError:
                notes.append(f"transformers' generate differs from its own forward, use_cache={cache}")
        notes += generation.notes
    return "; ".join(notes)


def _greedy(animal: Animal) -> list[int]:
    ids = list(animal.ids[0])
    for _ in range(NEW_TOKENS):
        ids.append(int(_logits(animal.model, [ids])[0, -1].argmax()))
        if ids[-1] == 2:
            break
    return ids[len(animal.ids[0]) :]


def _own_generate(animal: Animal, cache: bool) -> list[int]:
    batch = torch.tensor(animal.ids[:1])
    settings = transformers.GenerationConfig(
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        use_cache=cache,
        pad_token_id=0,
        eos_token_id=2,
        bos_token_id=1,
    )
    animal.model.generation_config = settings
    output = animal.model.generate(batch, attention_mask=torch.ones_like(batch))
    return [int(each) for each in output[0, batch.shape[1] :]]


def _assert_same_choice(animal: Animal, actual: list[int], expected: list[int]) -> None:
    """Compare two continuations up to a step where the logits of both tokens are a tie."""
    for step, (one, other) in enumerate(zip(actual, expected, strict=False)):
        if one != other:
            row = _logits(animal.model, [animal.ids[0] + expected[:step]])[0, -1]
            gap = float(row[other] - row[one])
            assert gap <= 2 * animal.tolerance, f"{actual}, not {expected}: step {step} is {gap:.3g} off"
            return
    assert len(actual) == len(expected), f"{actual}, not {expected}"


def _lens(animal: Animal, __: Findings) -> str:
    """The last layer predicts what the model predicts, at every position."""
    for result, logits in zip(animal.session.lens(TEXTS).results, animal.logits, strict=True):
        assert result.difference <= animal.tolerance
        for cell, row in zip(result.layers[-1].cells, logits, strict=True):
            assert abs(cell.best.logit - float(row.max())) <= animal.tolerance
            assert cell.rank_of_prediction == 1
    return ""


def _explain(animal: Animal, findings: Findings) -> str:
    explanation = animal.session.explain(TEXTS[0])
    claims = [claim for topic in explanation.topics for claim in topic.claims]
    findings.denied += [claim.key for claim in claims if claim.holds is False]
    open_claims = [claim.key for claim in claims if claim.holds is None]
    return f"not found: {', '.join(open_claims)}" if open_claims else ""


_CHECKS: dict[str, Callable[[Animal, Findings], str]] = {
    "topk": _topk, "run": _run, "loss": _loss, "generate": _generate, "lens": _lens, "explain": _explain,
}  # fmt: skip
