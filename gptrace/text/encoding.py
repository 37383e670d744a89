"""GPT-2's byte-pair encoding, from the ranks that ship with the package: no network, ever.

The only importer of tiktoken.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from gptrace.errors import TextError
from gptrace.record import Token

if TYPE_CHECKING:
    import tiktoken

NAME = "gpt2"
VOCAB_SIZE = 50257
END_OF_TEXT = "<|endoftext|>"
END_OF_TEXT_ID = 50256

# How GPT-2 cuts text into pieces before merging: contractions, letters, digits, other signs, white space.
# Possessive quantifiers (++) give the same pieces as the published pattern and cannot backtrack.
_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""


@cache
def encoding() -> tiktoken.Encoding:
    """Return the GPT-2 encoding, equal to `tiktoken.get_encoding("gpt2")`."""
    import tiktoken

    lines = files("gptrace.text").joinpath("data/r50k_base.tiktoken").read_bytes().splitlines()
    ranks = {b64decode(token): int(rank) for token, rank in (line.split() for line in lines)}
    return tiktoken.Encoding(
        NAME,
        pat_str=_PATTERN,
        mergeable_ranks=ranks,
        special_tokens={END_OF_TEXT: END_OF_TEXT_ID},
        explicit_n_vocab=VOCAB_SIZE,
    )


def tiktoken_version() -> str:
    """Return the version of tiktoken."""
    import tiktoken

    return tiktoken.__version__


def encode(text: str, *, special: bool = True) -> list[int]:
    """Return the ids of `text`. With `special`, `<|endoftext|>` in it is the one special token.

    >>> encode("Hello, I am")
    [15496, 11, 314, 716]
    >>> encode("<|endoftext|>"), encode("<|endoftext|>", special=False)
    ([50256], [27, 91, 437, 1659, 5239, 91, 29])
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        # tiktoken would turn it into U+FFFD without a word.
        raise TextError(
            f"the text holds U+{ord(text[error.start]):04X} at character {error.start + 1}, "
            "half of a character that has no meaning alone",
            "the text must be valid Unicode; from a shell, check that it is UTF-8",
        ) from None
    if special:
        return encoding().encode(text, allowed_special="all")
    return encoding().encode_ordinary(text)


@lru_cache(maxsize=1 << 16)
def token(token_id: int) -> Token:
    """Return the token of an id; an id that the vocabulary does not hold has neither text nor bytes.

    >>> token(15496)
    Token(id=15496, text='Hello', bytes=b'Hello')
    >>> token(19526).text is None  # the first two bytes of 你
    True
    """
    if not 0 <= token_id < VOCAB_SIZE:
        return Token(token_id, None, None)
    raw = encoding().decode_single_token_bytes(token_id)
    return Token(token_id, _utf8_or_none(raw), raw)


def decode(ids: Iterable[int]) -> str | None:
    """Return the text of `ids`; None for half characters, or for ids that are not in the vocabulary."""
    pieces = [token(token_id).bytes for token_id in ids]
    known = [piece for piece in pieces if piece is not None]
    return _utf8_or_none(b"".join(known)) if len(known) == len(pieces) else None


def _utf8_or_none(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
