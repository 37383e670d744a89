"""What the English explanation says of tokens: the beginning of `topics.flow`."""

from __future__ import annotations

from gptrace.predict.explain.catalog import Sentence

_IDS = "The model never sees text: it gets the ids of the tokens, one row for each text of the batch."
_IDS_FIGURES = "{prompt:tokens}; [batch, seq_len] = {ids:shape}"
_BYTES = (
    "in UTF-8, {first} is {bytes:byte|bytes}, which are cut here. A token that is a piece of a character "
    "has no text of its own."
)
TOKENS = {
    # flow
    "tokens": Sentence(
        "The tokenizer cuts the text into tokens; joined together, they give the text again. " + _IDS,
        _IDS_FIGURES,
    ),
    "tokens_normalized": Sentence(
        "The tokenizer cuts the text into tokens. Joined together, they do not give exactly the text again: "
        "many tokenizers normalize it first, for example to lower case. " + _IDS,
        _IDS_FIGURES,
    ),
    "token_ids": Sentence(
        "The prompt was given as token ids, so no text had to be cut into tokens. " + _IDS, _IDS_FIGURES
    ),
    "split_characters": Sentence(
        "Some characters are more than one token. GPT-2's tokenizer starts from bytes, and joins those that "
        "often stood together in its training text, which was mostly English. What was rare there stays in "
        "pieces: " + _BYTES,
        "{split:each}",
        "{characters} = {parts:tokens}",
        "; ",
    ),
    "split_characters_otherwise": Sentence(
        "Some characters are more than one token. This tokenizer has tokens for bytes, and none for every "
        "character: " + _BYTES,
        "{split:each}",
        "{characters} = {parts:tokens}",
        "; ",
    ),
}
