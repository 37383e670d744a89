"""A model and a prompt → the figures of every topic. Shapes: T tokens, D emb_dim, V vocabulary."""

from __future__ import annotations

import math
from typing import cast

from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import candidates_of_rows, exact, log_softmax
from gptrace.predict.explain.facts import (
    ByHand,
    Facts,
    FlowFacts,
    InferenceFacts,
    LastDimFacts,
    ProbabilityFacts,
    ProjectionFacts,
    TrainingFacts,
    TyingFacts,
)
from gptrace.predict.explain.subject import Subject
from gptrace.predict.sampling import next_id, probabilities
from gptrace.text.tokenizer import NoTokenizer, decode
from gptrace.tracing.parameters import named_modules_with_aliases, parameter_refs

Tensor = torch.Tensor
functional = torch.nn.functional
_BY_HAND = 3
_ORDERED = 100
_DRAWS = 100_000
_TEMPERATURES = (0.5, 1.0, 2.0)


def facts_of(subject: Subject, seed: int) -> Facts:
    """Measure everything that can be measured on this model and prompt."""
    return Facts(
        parts=subject.parts(),
        tolerance=subject.tolerance,
        flow=_flow(subject),
        last_dim=_last_dim(subject),
        projection=_projection(subject),
        probabilities=_probabilities(subject),
        training=_training(subject),
        inference=_inference(subject, seed),
        tying=_tying(subject),
    )


def _shape(tensor: Tensor | None) -> tuple[int, ...] | None:
    return None if tensor is None else tuple(tensor.shape)


def _distance(a: Tensor, b: Tensor) -> float:
    """Return the largest difference."""
    return float((exact(a) - exact(b)).abs().max())


def _flow(subject: Subject) -> FlowFacts:
    anatomy, seen = subject.anatomy, subject.seen
    embedded = seen.outputs.get(anatomy.token_embedding)
    positions = seen.outputs.get(anatomy.position_embedding)
    entered = seen.inputs.get(anatomy.blocks[0]) if anatomy.blocks else None
    table = getattr(subject.module_at(anatomy.token_embedding), "weight", None)
    looked_up = summed = apart = None
    factor = 1.0
    if embedded is not None and isinstance(table, Tensor) and embedded.shape[-1] == table.shape[-1]:
        rows = exact(table.detach()[subject.ids])
        factor = _factor(exact(embedded), rows)
        looked_up = _distance(embedded, factor * rows)
    if embedded is not None and entered is not None and embedded.shape == entered.shape:
        apart = _distance(embedded, entered)
        if positions is not None and positions.shape[-2:] == entered.shape[-2:]:
            summed = _distance(embedded + positions, entered)
    kept = sum(
        seen.inputs[path].shape == seen.outputs[path].shape
        for path in anatomy.blocks
        if path in seen.inputs and path in seen.outputs
    )
    spread, keeps = None, False
    norm = subject.norm
    if norm in seen.inputs and norm in seen.outputs:
        before, after = seen.inputs[norm], seen.outputs[norm]
        spread = _root_mean_square(before[0, -1]), _root_mean_square(after[0, -1])
        keeps = before.shape == after.shape
    prompt = subject.prompt
    return FlowFacts(
        text=prompt.text,
        tokens=prompt.tokens,
        round_trip=(prompt.text or "").strip() in (decode(prompt.tokens) or "") and prompt.text is not None,
        ids=tuple(subject.ids.shape),
        embedded=_shape(embedded),
        lookup_difference=looked_up,
        lookup_factor=factor,
        embedding_scale=1.0 if entered is None else max(1e-9, float(entered.abs().max())),
        positions=_shape(positions),
        sum_difference=summed,
        entered_difference=apart,
        blocks=len(anatomy.blocks),
        blocks_that_keep_the_shape=kept,
        block=_shape(entered),
        norm_spread=spread,
        norm_keeps_the_shape=keeps,
        head_input=_shape(seen.inputs.get(anatomy.head)),
        logits=(1, *subject.logits.shape),
    )


def _factor(values: Tensor, rows: Tensor) -> float:
    """Return what rows are multiplied with to come to the values, if to that: some models scale them."""
    whole = float((rows * rows).sum())
    factor = float((values * rows).sum()) / whole if whole else 1.0
    return 1.0 if math.isclose(factor, 1.0, rel_tol=1e-3) else factor


def _root_mean_square(vector: Tensor) -> float:
    return float(exact(vector).square().mean().sqrt())


def _last_dim(subject: Subject) -> LastDimFacts:
    reading = subject.reading
    tokenizer = reading.tokenizer
    last = subject.logits[-1, : reading.token_count]
    # A token that is not in the prompt: of one that is, attention knows the keys and values already.
    other = next(one for one in range(reading.token_count + 1) if one not in subject.prompt.ids)
    longer = subject.run_longer(other) if other < reading.token_count else None
    causal = None
    if longer is not None and longer.shape[1] > 1:  # a model may give the last row alone
        causal = _distance(longer[0, : subject.logits.shape[0]], subject.logits)
    shifted = log_softmax(exact(last[None]) + 100.0).exp()
    return LastDimFacts(
        vocab_size=subject.logits.shape[-1],
        padding_rows=reading.padding_rows,
        tokenizer=tokenizer.described(),
        tokens=None if isinstance(tokenizer, NoTokenizer) else tokenizer.size(),
        causal_difference=causal,
        scale=subject.scale,
        rows=subject.logits.shape[0],
        lowest=float(last.min()),
        highest=float(last.max()),
        best=subject.best(subject.logits[-1]),
        shift_difference=_distance(shifted, log_softmax(last[None]).exp()),
    )


def _projection(subject: Subject) -> ProjectionFacts | None:
    x, weight, head = subject.head_input, subject.weight, subject.head
    if x is None or weight is None or head is None:
        return None
    bias = getattr(head, "bias", None)
    bias = bias.detach() if isinstance(bias, Tensor) else None
    count = subject.reading.token_count
    last, best = x[-1], subject.logits[-1, :count].topk(min(_BY_HAND, count)).indices

    def product(token_id: Tensor) -> float:
        pairs = zip(last.tolist(), weight[token_id].tolist(), strict=True)
        added = 0.0 if bias is None else float(bias[token_id])
        return math.fsum(a * b for a, b in pairs) + added

    def linear(vector: Tensor) -> Tensor:  # (D,) → (V,), without the bias
        result = cast(Tensor, head(vector[None, None])[0, 0])
        return result if bias is None else result - bias

    other = x[0] if x.shape[0] > 1 else last.flip(0)
    half = x.shape[-1] // 2
    halved = linear(torch.cat([last[:half], torch.zeros_like(last[half:])]))
    own = linear(last)
    return ProjectionFacts(
        weight=tuple(weight.shape),
        has_bias=bias is not None,
        by_hand=tuple(
            ByHand(subject.token(one), product(one), float(subject.logits[-1, one])) for one in best
        ),
        scale=subject.scale,
        doubling_difference=_distance(linear(2 * last), 2 * own),
        adding_difference=_distance(linear(last + other), own + linear(other)),
        half=half,
        half_correlation=_correlation(exact(halved), exact(own)),
        half_best=subject.best(halved if bias is None else halved + bias),
        best=subject.best(subject.logits[-1]),
    )


def _correlation(a: Tensor, b: Tensor) -> float | None:
    if len(a) < 3:  # two numbers are always in line
        return None
    found = float(torch.corrcoef(torch.stack([a, b]))[0, 1])
    return found if math.isfinite(found) else None


def _probabilities(subject: Subject) -> ProbabilityFacts:
    logits = subject.logits[:, : subject.reading.token_count]
    chances = log_softmax(logits).exp()
    sums, last = chances.sum(dim=-1), logits[-1]
    count = min(_ORDERED, last.shape[0])
    ((best, _),) = candidates_of_rows(last[None], count, tokenizer=subject.reading.tokenizer)
    top = [one.token.id for one in best]
    of_last = chances[-1].cpu()[torch.tensor(top)]
    first, second = best[0], best[min(1, count - 1)]
    return ProbabilityFacts(
        rows=logits.shape[0],
        lowest_sum=float(sums.min()),
        highest_sum=float(sums.max()),
        smallest=float(chances.min()),
        ordered=count,
        same_order=bool((of_last[:-1] >= of_last[1:]).all()) and bool(of_last[0] == chances[-1].max()),
        first=first.token,
        second=second.token,
        logits=(first.logit, second.logit),
        log_ratio=first.log_probability - second.log_probability,
        at_temperature=tuple(
            (heat, float(log_softmax(last[None], heat)[0, top[0]].exp())) for heat in _TEMPERATURES
        ),
    )


def _training(subject: Subject) -> TrainingFacts | None:
    ids, x = subject.ids[0].cpu(), subject.head_input
    if len(ids) < 2 or subject.logits.shape[0] < len(ids) or x is None or not subject.head_makes_the_logits:
        return None
    count = (
        subject.reading.token_count
        if int(ids.max()) < subject.reading.token_count
        else subject.logits.shape[1]
    )
    logits, answers = exact(subject.logits[:-1, :count]).cpu(), ids[1:]  # (T - 1, V), (T - 1,)
    chances = log_softmax(logits)
    by_hand = -float(chances[torch.arange(len(answers)), answers].mean())
    answer, size = int(answers[-1]), float(exact(x[-2]).square().sum())
    if size == 0:  # no step of W would move anything
        return None
    with torch.inference_mode(False), torch.enable_grad():
        row = logits[-1].clone().requires_grad_()
        loss = functional.cross_entropy(row[None], answers[-1:].clone())
        (gradient,) = torch.autograd.grad(loss, row)
    expected = chances[-1].exp()
    expected[answer] -= 1
    # The gradient by row v of W is that of logit v times x, so a step of 1/|x|² moves logit v by just the
    # gradient of its logit.
    stepped = logits[-1] - gradient
    others = torch.arange(count) != answer
    return TrainingFacts(
        pairs=len(answers),
        vocab_size=count,
        cross_entropy=float(functional.cross_entropy(logits, answers)),
        by_hand=by_hand,
        uniform=math.log(count),
        uniform_measured=float(functional.cross_entropy(torch.zeros_like(logits), answers)),
        before=subject.token(ids[-2]),
        answer=subject.token(answer),
        learning_rate=1 / size,
        gradient_difference=_distance(gradient, expected),
        logits=(float(logits[-1, answer]), float(stepped[answer])),
        others=-float(gradient[others].mean()) if count > 1 else 0.0,
        losses=(-float(chances[-1, answer]), -float(log_softmax(stepped[None])[0, answer])),
    )


def _inference(subject: Subject, seed: int) -> InferenceFacts:
    count = subject.reading.token_count
    last = subject.logits[-1, :count]
    row_difference = None
    if subject.head_input is not None and subject.head is not None:
        alone = subject.head(subject.head_input[None, -1:])[0, 0]
        row_difference = _distance(alone, subject.seen.outputs[subject.anatomy.head][0, -1])
    generator = torch.Generator().manual_seed(seed % (1 << 64))
    greedy = next_id(last, generator)
    chances = probabilities(last.cpu())
    sampled = next_id(last, generator, temperature=1.0)
    drawn = torch.multinomial(chances, _DRAWS, replacement=True, generator=generator)
    longer = subject.run_longer(greedy)
    rows = None if longer is None else longer[0]
    return InferenceFacts(
        row_difference=row_difference,
        scale=subject.scale,
        rows=subject.logits.shape[0],
        vocab_size=subject.logits.shape[1],
        greedy=subject.token(greedy),
        greedy_probability=float(chances[greedy]),
        greedy_again=next_id(subject.run(subject.ids)[0, -1, :count], generator) == greedy,
        seed=seed,
        sampled=subject.token(sampled),
        sampled_probability=float(chances[sampled]),
        draws=_DRAWS,
        greedy_drawn=int((drawn == greedy).sum()),
        longer=None if rows is None else (1, *rows.shape),
        then=None if rows is None else subject.best(rows[-1]),
    )


def _tying(subject: Subject) -> TyingFacts | None:
    table = getattr(subject.module_at(subject.anatomy.token_embedding), "weight", None)
    weight = getattr(subject.head, "weight", None)
    if not isinstance(table, Tensor) or not isinstance(weight, Tensor):
        return None
    is_tied = table is weight or table.data_ptr() == weight.data_ptr()
    total = sum(one.numbers for one in parameter_refs(named_modules_with_aliases(subject.module)))
    return TyingFacts(
        embedding=tuple(table.shape),
        head=tuple(weight.shape),
        is_tied=is_tied,
        separate=total + weight.numel() if is_tied else total,
        shared=total if is_tied else total - weight.numel(),
        bytes_per_number=weight.element_size(),
    )
