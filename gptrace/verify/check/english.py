"""The sentences of `gptrace check` in English."""

from __future__ import annotations

from gptrace.verify.check.catalog import Catalog
from gptrace.verify.check.english_mistakes import LIKELY

_INVARIANTS = {
    "finite": "every logit is finite, but for ids that have -inf at every position",
    "causal": "changing the token at t changes no logits before t",
    "tokens-stay-apart": (
        "the queries, keys and values of a position are made of its own token and earlier ones"
    ),
    "batch": "a prompt's logits are the same alone, among other prompts, and in any order",
    "padding": "padding changes nothing at real positions",
    "attention-sums": (
        "the weights of each query sum to 1 over the keys, and scores are scaled by 1/√head_dim"
    ),
    "positions-matter": "with the same token everywhere, positions still differ",
    "deterministic": "evaluation mode gives the same twice, and forward changes nothing that it was given",
    "cache": "token by token with the model's own cache equals all tokens at once",
    "vocabulary": "there is a score for each token, every id is taken, and an id beyond is refused",
    "context": "context_length tokens run, and one more is refused or handled",
    "logits": "forward returns scores, not probabilities",
    "start-loss": "with random weights, the loss on random text is near ln(vocab_size)",
    "loss-labels": (
        "a loss that forward returns is the cross-entropy of logits[t] against the token after t"
    ),
    "gradients": "each trainable parameter gets a gradient, and it is that of the loss",
    "all-used": "every module with parameters is called or read, and none is hidden from torch",
    "learns": "one batch can be learned by heart in a bounded number of steps",
    "devices": "devices and implementations of attention agree within what rounding explains",
    "dtypes": "float32 and bfloat16 agree within what rounding explains",
}
_SHARED = {
    "not_finite": "the logits are not finite: see the check finite",
    "not_deterministic": "two runs of the same prompt differ: see the check deterministic",
    "rounding": "in half precision, a difference of {difference:.3g} may be rounding",
    "no_attention": "no attention was found among the operations that can be read",
    "not_run": "the model cannot be run in this way: {error}",
    "failed": "the check itself raised {error}",
    "small_size": "checked with random weights at a smaller size: {sizes}",
    "text": "the prompts of most checks begin with the text: with {count} of its {total} tokens",
    "own_dtype": "checked in {dtype}: in float64 the model does not run, or gives other logits",
}
_SENTENCES = {
    "finite.holds": "all {count:,} logits are finite",
    "finite.suppressed": (
        "{count:,} logits are finite; {suppressed:,} of the {vocabulary:,} ids have -inf at every position: "
        "they are never predicted"
    ),
    "finite.fails": "of the {total:,} logits of a text of length {length}, {count:,} are NaN or infinite",
    "finite.not_run": "the model does not run",
    "causal.holds": "changing the token at t changes no logits before t",
    "causal.fails": "changing the token at position {later} changes the logits at position {earlier}",
    "tokens-stay-apart.holds": (
        "queries, keys and values are made of their own token and earlier ones ({count} × attention)"
    ),
    "tokens-stay-apart.fails": "in the {role}, a position depends on a token after it",
    "tokens-stay-apart.other_axis": (
        "attention mixes another axis than the tokens: each logit depends on its own token alone"
    ),
    "batch.holds": "{count} prompts have the same logits alone, together, and in another order",
    "batch.fails": "the logits of a prompt change with the other prompts of its batch",
    "batch.lost": "for a batch of {count} prompts the model returns something else: {error}",
    "batch.raises": "with {count} prompts the model raises, though not with one: {error}",
    "batch.one_prompt": "the model does not take several prompts: {error}",
    "batch.refused": "the model's own code refuses several prompts: {error}",
    "batch.built_for": "the model is built for a certain number of prompts: {name} is {count}",
    "padding.holds": "padding on the right changes nothing at real positions",
    "padding.mask_holds": (
        "padding on the right, and on the left with attention_mask, changes nothing at real positions"
    ),
    "padding.right": "padding on the right changes the logits of real positions",
    "padding.left": "padding on the left, which attention_mask hides, changes the logits of real positions",
    "padding.moved": "behind padding on the left, real tokens have other logits than without it",
    "padding.mask_not_run": "the model does not take attention_mask: {error}",
    "attention-sums.holds": (
        "weights sum to 1, and scores are scaled by {factor:.4g} = 1/√{head_dim} ({count} × attention)"
    ),
    "attention-sums.own_scale": (
        "weights sum to 1, and scores are scaled by {factor:.4g}, a scale of the model's own "
        "({count} × attention)"
    ),
    "attention-sums.each_softmax": (
        "each softmax sums to 1 over its keys; the weights in use are made from that ({count} × attention)"
    ),
    "attention-sums.sums_hold": "weights sum to 1 ({count} × attention)",
    "attention-sums.own_weights": "weights made without a softmax over the keys need not sum to 1",
    "attention-sums.other_sums": (
        "the weights of a query sum to {least:.4g} up to {most:.4g} over the keys, not to 1"
    ),
    "attention-sums.other_scale": "scores are scaled by {factor:.4g}, not by 1/√head_dim = {expected:.4g}",
    "positions-matter.holds": "with the same token everywhere, the logits differ by position",
    "positions-matter.scores_differ": (
        "with the same token everywhere, the attention scores differ by position"
    ),
    "positions-matter.repeat": "with the same token everywhere, some positions look the same to attention",
    "positions-matter.keys_equal": "with the same token everywhere, a query scores all keys alike",
    "positions-matter.fails": (
        "with the same token everywhere, neither logits nor attention scores differ by position"
    ),
    "positions-matter.unknown_scores": "the attention scores could not be read",
    "positions-matter.no_two_keys": "no query sees two keys up to its own: there are no scores to compare",
    "deterministic.holds": "two runs in evaluation mode give the same logits",
    "deterministic.fails": "two runs of the same prompt in evaluation mode give different logits",
    "deterministic.changed": "forward changes {name}",
    "cache.holds": "{count} tokens one by one with {how} give the logits of all at once",
    "cache.fails": "with {how}, the logits after token {step} are not those of all tokens at once",
    "cache.not_reset": "with {how}, a second text, after the cache is emptied, gives other logits",
    "cache.no_cache": "forward takes no cache that gptrace knows how to use",
    "cache.not_used": "the cache ({how}) could not be used: {error}",
    "vocabulary.holds": (
        "{count:,} scores, one for each token; ids below are taken, and the one beyond is refused"
    ),
    "vocabulary.padded": (
        "{count:,} scores, one for each token; ids beyond have rows that only pad the table and the head"
    ),
    "vocabulary.suppressed": (
        "{count:,} scores, one for each token; those of ids beyond only pad the head, and are -inf everywhere"
    ),
    "vocabulary.other_size": (
        "there are {count:,} scores for each position, and the vocabulary has {wanted:,} tokens"
    ),
    "vocabulary.not_the_tokenizer": (
        "there are {count:,} scores for each position, and the tokenizer has {wanted:,} tokens"
    ),
    "vocabulary.refused": "there is a score for id {id}, and the model refuses that id: {error}",
    "vocabulary.beyond": "id {id} is beyond the {count:,} scores, and the model takes it",
    "context.holds": "{length} tokens run, and one more is refused: {error}",
    "context.slides": "{length} tokens run, and of more it reads the last {length}",
    "context.goes_on": "{length} tokens run, and positions go on beyond them",
    "context.refused": "the model says that it takes {length} tokens, and refuses so many: {error}",
    "context.clamped": "token {length} beyond the context gets position {position} again, without an error",
    "context.wrapped": (
        "the token after the {length} of the context gets position {position} again, without an error"
    ),
    "context.cut": "of more than {length} tokens the last ones are dropped, without an error",
    "context.no_length": "the model does not say how many tokens it takes",
    "context.too_long": "{length:,} tokens are too many to run here",
    "logits.holds": "the output holds scores, from {least:.3g} to {most:.3g}",
    "logits.probabilities": "each row of the output is in [0, 1] and sums to 1: probabilities, not scores",
    "logits.log_probabilities": (
        "the exponentials of each row of the output sum to 1: log-probabilities, not scores"
    ),
    "start-loss.holds": "the loss on random text is {loss:.2f}, near ln({vocabulary:,}) = {expected:.2f}",
    "start-loss.above": (
        "the loss on random text is {loss:.2f}, far above ln({vocabulary:,}) = {expected:.2f}"
    ),
    "start-loss.below": (
        "the loss on random text is {loss:.2f}, below ln({vocabulary:,}) = {expected:.2f}, which cannot be"
    ),
    "start-loss.infinite": "the loss is infinite: the text holds ids whose logit is -inf at every position",
    "start-loss.trained": "the weights are not random",
    "loss-labels.holds": "the loss is the cross-entropy of logits[t] against {name}[t]",
    "loss-labels.shifts": "the loss is the cross-entropy of logits[t] against {name}[t + 1]",
    "loss-labels.with_other_terms": "the loss is the cross-entropy of the next tokens, and more",
    "loss-labels.no_labels": "forward takes no labels",
    "loss-labels.no_loss": "forward returns no loss for {name}",
    "loss-labels.not_run": "the model cannot be run with {name}: {error}",
    "loss-labels.shifted_twice": (
        "the loss is that of labels shifted once too often: {loss:.4f}, not {expected:.4f}"
    ),
    "loss-labels.not_shifted": (
        "the loss compares logits[t] with {name}[t], the token that went in: {loss:.4f}, not {expected:.4f}"
    ),
    "loss-labels.shifted_back": (
        "the loss compares logits[t] with an earlier token: {loss:.4f}, not {expected:.4f}"
    ),
    "loss-labels.other_shift": (
        "the loss compares logits[t] with another token than the next: {loss:.4f}, not {expected:.4f}"
    ),
    "loss-labels.other_loss": (
        "the loss is not the mean cross-entropy of logits and next tokens: {loss:.4f}, not {expected:.4f}"
    ),
    "loss-labels.multiple": (
        "the loss is {factor:.4g} times the mean cross-entropy of the next tokens: {loss:.4f}, not "
        "{expected:.4f}"
    ),
    "loss-labels.without_zero": "the loss leaves out labels that are 0: {loss:.4f}, not {expected:.4f}",
    "gradients.holds": "{count} parameters have a gradient, which agrees with finite differences",
    "gradients.holds_without_differences": (
        "{count} parameters have a gradient; finite differences need float64"
    ),
    "gradients.missing": "parameters without a gradient: {names}",
    "gradients.not_finite_gradient": "the gradient of {names} is not finite",
    "gradients.other_gradient": "the gradient is not that of the loss: finite differences disagree",
    "gradients.no_graph": "the logits have no gradient at all",
    "gradients.raises": "the backward pass raises {error}",
    "gradients.overwritten": (
        "the backward pass raises a RuntimeError: it needs a tensor that an in-place operation has changed"
    ),
    "gradients.frozen": "no parameter is trainable",
    "all-used.holds": "all {count} modules with parameters are called or read",
    "all-used.unused": "modules with parameters that are neither called nor read: {names}",
    "all-used.unregistered": (
        "modules or parameters that torch does not see, and no optimizer trains: {names}"
    ),
    "learns.holds": "the loss of one batch falls from {start:.2f} to {loss:.3f} in {steps} steps",
    "learns.fails": "the loss of one batch falls from {start:.2f} to {loss:.3f} at best, in {steps} steps",
    "learns.not_yet": (
        "the loss of one batch falls from {start:.2f} to {loss:.3f} in {steps} steps; more take too long here"
    ),
    "learns.frozen": "no parameter is trainable",
    "learns.raises": "the backward pass raises an exception: see the check gradients",
    "learns.no_graph": "the logits have no gradient at all: see the check gradients",
    "devices.holds": "the same logits by {compared}; not here: {missing}",
    "devices.all_hold": "the same logits by {compared}",
    "devices.fails": "by {where} the logits are others than on the CPU",
    "devices.refused": "the model does not run on {device}: {error}",
    "devices.one_device": (
        "there is one way to run the model here: {missing} are not available, and its attention is written "
        "in plain operations"
    ),
    "dtypes.holds": "float32 and bfloat16 give the same logits, apart from rounding",
    "dtypes.fails": "in bfloat16 the logits are off by {difference:.3g}, more than rounding explains",
    "dtypes.refused": "the model does not run in {dtype}: {error}",
}
ENGLISH = Catalog(_INVARIANTS, _SENTENCES, _SHARED, LIKELY)
