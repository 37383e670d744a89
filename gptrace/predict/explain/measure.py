"""A model and a prompt → the figures of every topic. Shapes: T tokens, D emb_dim, V vocabulary."""

from __future__ import annotations

import math
from typing import cast

from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import candidates_of_rows, log_softmax
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
from gptrace.tracing.parameters import held_parameters

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
    return float((a.double() - b.double()).abs().max())


def _flow(subject: Subject) -> FlowFacts:
    anatomy, seen = subject.anatomy, subject.seen
    embedded = seen.outputs.get(anatomy.token_embedding)
    positions = seen.outputs.get(anatomy.position_embedding)
    entered = seen.inputs.get(anatomy.blocks[0]) if anatomy.blocks else None
    table = getattr(subject.module_at(anatomy.token_embedding), "weight", None)
    looked_up = summed = None
    if embedded is not None and isinstance(table, Tensor) and embedded.shape[-1] == table.shape[-1]:
        looked_up = _distance(embedded, table.detach()[subject.ids])
    if embedded is not None and positions is not None and entered is not None:
        whole = embedded + positions
        summed = _distance(whole, entered) if whole.shape == entered.shape else math.inf
    kept = sum(
        seen.inputs[path].shape == seen.outputs[path].shape
        for path in anatomy.blocks
        if path in seen.inputs and path in seen.outputs
    )
    spread, keeps = None, False
    norm = anatomy.between[-1] if anatomy.between else ""
    if norm in seen.inputs and norm in seen.outputs:
        before, after = seen.inputs[norm], seen.outputs[norm]
        spread = _root_mean_square(before[0, -1]), _root_mean_square(after[0, -1])
        keeps = before.shape == after.shape
    prompt = subject.prompt
    return FlowFacts(
        text=prompt.text,
        tokens=prompt.tokens,
        round_trip=decode(prompt.tokens) == prompt.text and prompt.text is not None,
        ids=tuple(subject.ids.shape),
        embedded=_shape(embedded),
        lookup_difference=looked_up,
        positions=_shape(positions),
        sum_difference=summed,
        blocks=len(anatomy.blocks),
        blocks_that_keep_the_shape=kept,
        block=_shape(entered),
        norm_spread=spread,
        norm_keeps_the_shape=keeps,
        head_input=_shape(seen.inputs.get(anatomy.head)),
        logits=(1, *subject.logits.shape),
    )


def _root_mean_square(vector: Tensor) -> float:
    return float(vector.double().square().mean().sqrt())


def _last_dim(subject: Subject) -> LastDimFacts:
    reading = subject.reading
    tokenizer = reading.tokenizer
    last = subject.logits[-1, : reading.count]
    longer = subject.with_more([subject.prompt.ids[0]])
    causal = None
    if longer is not None:
        rows = subject.run(longer)[0]
        # A model that gives the last row alone has no others to compare.
        alone = rows.shape[0] == 1
        causal = None if alone else _distance(rows[: subject.logits.shape[0]], subject.logits)
    shifted = log_softmax(last[None].double() + 100.0).exp()
    return LastDimFacts(
        vocab_size=subject.logits.shape[-1],
        padding_rows=reading.padding_rows,
        tokenizer=tokenizer.described(),
        tokens=None if isinstance(tokenizer, NoTokenizer) else tokenizer.size(),
        causal_difference=causal,
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
    last, best = x[-1], subject.logits[-1, : subject.reading.count].topk(_BY_HAND).indices

    def product(token_id: Tensor) -> float:
        pairs = zip(last.tolist(), weight[token_id].tolist(), strict=True)
        added = 0.0 if bias is None else float(bias[token_id])
        return math.fsum(a * b for a, b in pairs) + added

    def linear(vector: Tensor) -> Tensor:  # (D,) → (V,), without the bias
        result = cast(Tensor, head(vector[None])[0])
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
        half_correlation=float(torch.corrcoef(torch.stack([halved, own]).double())[0, 1]),
        half_best=subject.best(halved if bias is None else halved + bias),
        best=subject.best(subject.logits[-1]),
    )


def _probabilities(subject: Subject) -> ProbabilityFacts:
    logits = subject.logits[:, : subject.reading.count]
    chances = log_softmax(logits).exp()
    sums, last = chances.sum(dim=-1), logits[-1]
    count = min(_ORDERED, last.shape[0])
    ((best, _),) = candidates_of_rows(last[None], count, tokenizer=subject.reading.tokenizer)
    top = [one.token.id for one in best]
    of_last = chances[-1][torch.tensor(top)]
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
        ratio=first.probability / second.probability if second.probability else math.inf,
        ratio_of_logits=math.exp(first.logit - second.logit),
        at_temperature=tuple(
            (heat, float(log_softmax(last[None], heat)[0, top[0]].exp())) for heat in _TEMPERATURES
        ),
    )


def _training(subject: Subject) -> TrainingFacts | None:
    ids = subject.ids[0]
    if len(ids) < 2 or subject.logits.shape[0] < len(ids) or subject.head_input is None:
        return None
    count = subject.reading.count
    logits, answers = subject.logits[:-1, :count].double(), ids[1:]  # (T - 1, V), (T - 1,)
    chances = log_softmax(logits)
    by_hand = -float(chances[torch.arange(len(answers)), answers.cpu()].mean())
    x, answer = subject.head_input[-2].double(), int(answers[-1])
    # At one position the gradient of the loss by row v of W is (p_v, less 1 for the answer) · x, so a
    # step of 1/|x|² against it moves logit v by just that much.
    moved = -chances[-1].exp()
    moved[answer] += 1
    stepped = logits[-1] + moved
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
        learning_rate=1 / float(x.square().sum()),
        logits=(float(logits[-1, answer]), float(stepped[answer])),
        others=float(moved[others].mean()),
        losses=(-float(chances[-1, answer]), -float(log_softmax(stepped[None])[0, answer])),
    )


def _inference(subject: Subject, seed: int) -> InferenceFacts:
    count = subject.reading.count
    last = subject.logits[-1, :count]
    row_difference = None
    if subject.head_input is not None and subject.head is not None:
        alone = subject.head(subject.head_input[-1:])[0]
        row_difference = _distance(alone, subject.logits[-1])
    generator = torch.Generator().manual_seed(seed % (1 << 64))
    greedy = next_id(last, generator)
    chances = probabilities(last.cpu())
    sampled = next_id(last, generator, temperature=1.0)
    drawn = torch.multinomial(chances, _DRAWS, replacement=True, generator=generator)
    longer = subject.with_more([greedy])
    rows = None if longer is None else subject.run(longer)[0]
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
    total = sum(one.numbers for one in held_parameters(subject.module))
    return TyingFacts(
        embedding=tuple(table.shape),
        head=tuple(weight.shape),
        is_tied=is_tied,
        separate=total + weight.numel() if is_tied else total,
        shared=total if is_tied else total - weight.numel(),
        bytes_per_number=weight.element_size(),
    )
