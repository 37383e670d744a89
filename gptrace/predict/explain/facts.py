"""What an explanation rests on: figures measured on one prompt and one model. No words here, and no torch."""

from __future__ import annotations

from dataclasses import dataclass

from gptrace.record import Token

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the model calls its parts; "" for one that it does not have, or that could not be found."""

    token_embedding: str
    position_embedding: str
    first_block: str
    norm: str
    head: str
    # What the configuration calls the width and the vocabulary: emb_dim, hidden_size…
    width_name: str
    vocabulary_name: str


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """The way of the text through the model. Differences are the largest absolute ones."""

    text: str | None
    tokens: tuple[Token, ...]
    round_trip: bool  # the ids decode to the text
    ids: Shape
    embedded: Shape | None
    lookup_difference: float | None  # between the table's rows, times the factor, and what came out
    lookup_factor: float  # by which the model multiplies its embeddings: 1 for most
    embedding_scale: float  # the largest number that enters the first block
    positions: Shape | None
    sum_difference: float | None  # between token + position and what entered the first block
    entered_difference: float | None  # between the token embedding alone and that
    blocks: int
    blocks_that_keep_the_shape: int
    block: Shape | None
    norm_spread: tuple[float, float] | None  # over the last vector, before and after
    norm_keeps_the_shape: bool
    head_input: Shape | None
    logits: Shape


@dataclass(frozen=True, slots=True)
class LastDimFacts:
    """The last axis. `tokenizer` describes the tokenizer, `tokens` is its size where there is one."""

    vocab_size: int
    padding_rows: int
    tokenizer: str
    tokens: int | None
    # Of all rows, when one more token is put at the end; None where there is no room for it.
    causal_difference: float | None
    scale: float  # the largest of all logits
    rows: int
    lowest: float
    highest: float
    best: Token
    shift_difference: float  # of the probabilities, when 100 is added to each logit


@dataclass(frozen=True, slots=True)
class ByHand:
    """One token's logit: the dot product of vector and row, and what the model says."""

    token: Token
    product: float
    logit: float


@dataclass(frozen=True, slots=True)
class ProjectionFacts:
    """The output head as a matrix. `scale` is the largest logit, by which differences are judged."""

    weight: Shape
    has_bias: bool
    by_hand: tuple[ByHand, ...]
    scale: float
    doubling_difference: float
    adding_difference: float
    half: int
    half_correlation: float | None  # None where all scores are the same
    half_best: Token
    best: Token


@dataclass(frozen=True, slots=True)
class ProbabilityFacts:
    """Softmax over the last axis."""

    rows: int
    lowest_sum: float
    highest_sum: float
    smallest: float
    ordered: int  # how many of the likeliest were compared
    same_order: bool
    first: Token
    second: Token
    logits: tuple[float, float]
    # The logarithm of the ratio of the two probabilities.
    log_ratio: float
    at_temperature: tuple[tuple[float, float], ...]  # temperature, probability of `first`


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """The loss on this prompt, and one step of gradient descent on the head's row of the last answer."""

    pairs: int
    vocab_size: int
    cross_entropy: float
    by_hand: float
    uniform: float
    uniform_measured: float
    before: Token
    answer: Token
    learning_rate: float
    gradient_difference: float  # between autograd's and probability less 1 for the answer
    logits: tuple[float, float]  # of the answer, before and after the step
    others: float  # by how much the mean of the other logits moved
    losses: tuple[float, float]


@dataclass(frozen=True, slots=True)
class InferenceFacts:
    """One step, greedy and sampled."""

    row_difference: float | None  # between the head on the last vector alone and the last row of all
    scale: float
    rows: int
    vocab_size: int
    greedy: Token
    greedy_probability: float
    greedy_again: bool
    seed: int
    sampled: Token
    sampled_probability: float
    draws: int
    greedy_drawn: int
    longer: Shape | None  # of the logits, with the greedy token put at the end; None: no room
    then: Token | None


@dataclass(frozen=True, slots=True)
class TyingFacts:
    """The table at the entrance and the matrix at the exit."""

    embedding: Shape
    head: Shape
    is_tied: bool
    separate: int  # parameters with two tables
    shared: int  # parameters with one
    bytes_per_number: int


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it; None for a topic that could not be measured on this model or prompt."""

    parts: Parts
    tolerance: float  # of float rounding, relative
    flow: FlowFacts
    last_dim: LastDimFacts
    projection: ProjectionFacts | None
    probabilities: ProbabilityFacts
    training: TrainingFacts | None
    inference: InferenceFacts
    tying: TyingFacts | None
