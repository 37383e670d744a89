"""The last dimension: a score for every token of the vocabulary, at every position."""

from __future__ import annotations

from gptrace.predict.candidates import as_float64, log_softmax
from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.predict.explain.measured_model import MeasuredModel, largest_difference
from gptrace.text.tokenizer import NoTokenizer

# Of probabilities, which are computed in float64.
_PROBABILITY_TOLERANCE = 1e-6
_ADDED = 100.0


def measure(model: MeasuredModel) -> list[MeasuredClaim]:
    """Measure how many scores there are, what each row depends on, and what a row is."""
    return [_vocabulary(model), _causal(model), _logits(model)]


def _vocabulary(model: MeasuredModel) -> MeasuredClaim:
    decoder = model.decoder
    vocab_size = model.logits.shape[1]
    if isinstance(decoder.tokenizer, NoTokenizer):
        return model.claim("vocabulary_without_tokenizer", None, vocab_size=vocab_size)
    tokens = decoder.tokenizer.size()
    name = decoder.tokenizer.description().split(" with ")[0]
    key = "vocabulary_padded" if vocab_size > tokens else "vocabulary"
    holds = decoder.token_count >= tokens
    return model.claim(
        key, holds, vocab_size=vocab_size, tokens=tokens, others=vocab_size - tokens, tokenizer=name
    )


def _causal(model: MeasuredModel) -> MeasuredClaim:
    """Run the text with one more token, and beginnings of it: the rows of a causal model stay as they were.

    Two tokens are tried, since a model may ignore one of them as padding. Both are new to the text: attention
    has seen the keys and values of the others already. Tokens that see later ones in their chunk alone, or in
    a prefix alone, do not notice the end of the text.
    """
    rows, tokens, ids = len(model.logits), model.ids.shape[1], set(model.prompt.ids)
    new_ids = [number for number in range(model.decoder.token_count) if number not in ids]
    tried = [model.run_with(new_id) for new_id in dict.fromkeys(new_ids[:1] + new_ids[-1:])]
    longer = [logits for logits in tried if logits is not None]
    if rows < tokens or any(logits.shape[1] == 1 for logits in longer):
        return model.claim("last_row_alone", True, tokens=tokens)
    if not longer:
        return model.claim("causal_unmeasured", None)
    difference = max(largest_difference(logits[0, :rows], model.logits) for logits in longer)
    for length in _lengths(tokens):
        beginning = model.run_beginning(length)
        if beginning is not None and beginning.shape[1] == length:
            difference = max(difference, largest_difference(beginning[0], model.logits[:length]))
    holds = difference <= model.logit_tolerance
    because = "random" if not holds and model.is_random else ""
    return model.claim("causal", holds, rows=rows, difference=difference, because=because)


def _lengths(tokens: int) -> list[int]:
    """Return some lengths shorter than the text; tokens may be in chunks whose size divides some of them."""
    return sorted({1, 2, 3, tokens // 2, tokens - 1} - {0, *range(tokens, 4)})


def _logits(model: MeasuredModel) -> MeasuredClaim:
    row = model.last_logits
    shifted = log_softmax(as_float64(row[None]) + _ADDED).exp()
    difference = largest_difference(shifted, log_softmax(row[None]).exp())
    figures = {"lowest": float(row.min()), "highest": float(row.max()), "best": model.likeliest(row)}
    # What sums to 1 and has no negative number has been through softmax: it holds no logits.
    total = float(as_float64(row).sum())
    are_probabilities = len(row) > 1 and bool((row >= 0).all()) and abs(total - 1) <= model.tolerance
    holds = difference <= _PROBABILITY_TOLERANCE and not are_probabilities
    if are_probabilities:
        figures["total"] = total
        return model.claim("probabilities_returned", False, **figures)
    return model.claim("logits", holds, **figures, added=_ADDED, difference=difference)
