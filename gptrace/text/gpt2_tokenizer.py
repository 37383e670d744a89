"""GPT-2's byte-pair encoding, from the ranks in the package, so that it never needs the network.

No other module imports tiktoken.
"""

from __future__ import annotations

from base64 import b64decode
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from gptrace.record import Token
from gptrace.text.tokenizer import Tokenizer, check_unicode, utf8_or_none

if TYPE_CHECKING:
    import tiktoken

NAME = "gpt2"
VOCAB_SIZE = 50257
END_OF_TEXT = "<|endoftext|>"
END_OF_TEXT_ID = 50256

# GPT-2 splits text before it merges bytes: into contractions, letters, digits, other characters, white space.
# The possessive quantifiers (++) match the same as those of the published pattern, without backtracking.
_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""


@cache
def encoding() -> tiktoken.Encoding:
    """Return GPT-2's encoding, equal to `tiktoken.get_encoding("gpt2")`."""
    import tiktoken

    lines = files("gptrace.text").joinpath("data/r50k_base.tiktoken").read_bytes().splitlines()
    ranks = {b64decode(token): int(rank) for token, rank in (line.split() for line in lines)}
    special = {END_OF_TEXT: END_OF_TEXT_ID}
    return tiktoken.Encoding(
        NAME, pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens=special, explicit_n_vocab=VOCAB_SIZE
    )


def tiktoken_version() -> str:
    """Return the version of tiktoken."""
    import tiktoken

    return tiktoken.__version__


class GPT2Tokenizer(Tokenizer):
    """GPT-2's tokenizer. `GPT2` is the one instance."""

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Return the ids of a text; with `special`, `<|endoftext|>` in it becomes the special token.

        Raises TextError for a text that is not valid Unicode.

        >>> GPT2.encode("Hello, I am")
        [15496, 11, 314, 716]
        >>> GPT2.encode("<|endoftext|>"), GPT2.encode("<|endoftext|>", special=False)
        ([50256], [27, 91, 437, 1659, 5239, 91, 29])
        """
        check_unicode(text)
        return encoding().encode(text, allowed_special="all") if special else encoding().encode_ordinary(text)

    end_ids = frozenset([END_OF_TEXT_ID])
    encode_alone = encode  # it adds no tokens at the ends of a text

    @staticmethod
    @lru_cache(maxsize=1 << 16)
    def token(token_id: int) -> Token:
        """Return the token of an id; one outside the vocabulary has neither text nor bytes.

        >>> GPT2.token(15496)
        Token(id=15496, text='Hello', bytes=b'Hello')
        >>> GPT2.token(19526).text is None  # the first two bytes of 你
        True
        """
        if not 0 <= token_id < VOCAB_SIZE:
            return Token(token_id, None, None)
        raw = encoding().decode_single_token_bytes(token_id)
        return Token(token_id, utf8_or_none(raw), raw)

    def matches_vocab_size(self, vocab_size: int) -> bool:
        """Tell whether a model with `vocab_size` logits may use GPT-2's vocabulary."""
        return vocab_size - self.padding_rows(vocab_size) == VOCAB_SIZE

    def padding_rows(self, vocab_size: int) -> int:
        """Return how many of `vocab_size` rows only pad the vocabulary to a multiple of 64, as in nanoGPT.

        >>> [GPT2.padding_rows(size) for size in (50304, 50257, 60000)]
        [47, 0, 0]
        """
        beyond = vocab_size - VOCAB_SIZE
        return beyond if 0 < beyond < 128 and vocab_size % 64 == 0 else 0

    def size(self) -> int:
        """Return the number of tokens."""
        return VOCAB_SIZE

    def description(self) -> str:
        """Return what reports call this tokenizer."""
        return f"GPT-2's tokenizer with its {VOCAB_SIZE:,} tokens"


GPT2 = GPT2Tokenizer()
