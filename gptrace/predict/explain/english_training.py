"""What the English explanation says of training: the claims of `topics.training`."""

from __future__ import annotations

from gptrace.predict.explain.catalog import Sentence

_GRADIENT = (
    "The gradient of one position's loss with respect to a token's logit is the token's probability; for the "
    "answer, it is the probability minus 1."
)
TRAINING = {
    "no_training": Sentence(
        "Nothing can be measured about training here: that takes a text of two tokens or more, and logits at "
        "every position.",
        "logits {logits:shape}",
    ),
    "cross_entropy": Sentence(
        "Every position is a question whose answer is known: the next token of the text. The logits are "
        "reshaped to [batch·seq_len, vocab_size], the answers to [batch·seq_len], and the loss is the mean "
        "of −ln p(answer), the cross-entropy. The last position has no answer yet, so there is one row less.",
        "[{pairs}, {vocab_size}] and [{pairs}]: loss {loss:.6f}, by hand {by_hand:.6f}",
    ),
    "uniform_loss": Sentence(
        "A model that knows nothing gives every token the same probability, and its loss is ln(vocab_size). "
        "Training usually starts near this value, and the loss goes down from there.",
        "ln {vocab_size:,} = {logarithm:.4f}, with all logits equal {measured:.4f}; this model on this text: "
        "{loss:.4f}",
    ),
    "gradient_step_unmeasured": Sentence(
        _GRADIENT,
        "not measured: the output head was not found, or its scores are not the logits",
    ),
    "gradient_step_impossible": Sentence(
        _GRADIENT
        + " Here the answer has a logit of −∞: its loss is infinite, and no step of gradient descent "
        "moves that logit.",
        "{answer:token} after {before:token}: logit −∞, before a step and after it",
    ),
    "gradient_step_tied": Sentence(
        _GRADIENT + " So gradient descent pushes the answer's logit up and all others down. Here W is the "
        "weight of `{sharing}` too: a step on it also changes the vectors, which move the logits as well.",
        "{answer:token} after {before:token}: gradient {gradient:.6f}, those of all others together "
        "{others:.6f}",
    ),
    "gradient_step": Sentence(
        _GRADIENT + " One step of gradient descent on W raises the answer's logit and lowers all others.",
        "{answer:token} after {before:token}, learning rate {learning_rate:.3g}: logit {logit:.4f} → "
        "{logit_after:.4f}, the others change by {others:+.2g} on average, loss {loss:.4f} → "
        "{loss_after:.4f}",
    ),
}
