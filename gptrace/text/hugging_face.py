"""The tokenizer that lies beside a Hugging Face model, as a Tokenizer."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any

from gptrace.errors import ConfigError, InputError
from gptrace.record import Token
from gptrace.text.tokenizer import NoTokenizer, Tokenizer, check_unicode, utf8_or_none

_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tokenizer_config.json")
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SPACE = "\u2581"  # sentencepiece writes a space as ▁


def load_tokenizer(folder: Path) -> Tokenizer:
    """Return the tokenizer in `folder`; one that refuses text where there is none, or none that works."""
    if not any((folder / name).is_file() for name in _FILES):
        return NoTokenizer(f"the folder {folder}")
    transformers = transformers_library()
    try:
        # Code that comes with a model is never run.
        made = transformers.AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # of several libraries, for many reasons; the reason is what counts
        reason = " ".join(str(error).split())[:300]
        return NoTokenizer(
            f"the folder {folder}", f"its tokenizer cannot be loaded: {type(error).__name__}: {reason}"
        )
    return HuggingFaceTokenizer(made)


def transformers_library() -> Any:
    """Return transformers; raise ConfigError where it is not installed."""
    try:
        import transformers
    except ImportError:
        raise ConfigError(
            "a model named with hf: needs transformers, which is not installed", "pip install 'gptrace[hf]'"
        ) from None
    return transformers


def as_tokenizer(tokenizer: object) -> Tokenizer:
    """Return a Tokenizer as it is, and a tokenizer of transformers as a Tokenizer; else raise InputError."""
    if not isinstance(tokenizer, type):
        if isinstance(tokenizer, Tokenizer):
            return tokenizer
        if callable(tokenizer) and hasattr(tokenizer, "added_tokens_decoder"):
            return HuggingFaceTokenizer(tokenizer)
    raise InputError(
        f"tokenizer is a {type(tokenizer).__name__}, not a tokenizer",
        "give a tokenizer of transformers, or an object with the methods of gptrace.text.tokenizer.Tokenizer",
    )


class HuggingFaceTokenizer:
    """A tokenizer of transformers, with the bytes of each token."""

    def __init__(self, made: Any) -> None:
        self._made = made

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Return the ids of a text, with what the model expects around it (a <bos>, say)."""
        check_unicode(text)
        ids: list[int] = self._made(text, split_special_tokens=not special)["input_ids"]
        return ids

    def encode_alone(self, text: str) -> list[int]:
        """Return the ids of a piece of text, with nothing around it."""
        check_unicode(text)
        ids: list[int] = self._made(text, add_special_tokens=False)["input_ids"]
        return ids

    def token(self, token_id: int) -> Token:
        """Return the token of an id, its bytes read from how the vocabulary spells them."""
        piece = self._pieces.get(token_id)
        if piece is None:
            return Token(token_id, None, None)
        if token_id in self._added:
            raw = piece.encode()
        elif self._spells_bytes:
            raw = bytes(_BYTES.get(character, 63) for character in piece)
        elif byte := _BYTE.fullmatch(piece):
            raw = bytes.fromhex(byte.group(1))
        else:
            raw = piece.replace(_SPACE, " ").encode()
        return Token(token_id, utf8_or_none(raw), raw)

    def matches_vocab_size(self, vocab_size: int) -> bool:
        """Tell whether there is a row for each token: more rows only round their number up."""
        return vocab_size >= len(self._pieces)

    def padding_rows(self, vocab_size: int) -> int:
        """Return 0: which rows are never trained is not known."""
        return 0

    def size(self) -> int:
        """Return how many tokens it has."""
        return len(self._pieces)

    def described(self) -> str:
        """Return its class and size."""
        return f"the model's own {type(self._made).__name__} with {len(self._pieces):,} tokens"

    @cached_property
    def _pieces(self) -> dict[int, str]:
        return {number: piece for piece, number in self._made.get_vocab().items()}

    @cached_property
    def _added(self) -> frozenset[int]:
        return frozenset(self._made.added_tokens_decoder) | frozenset(self._made.all_special_ids)

    @cached_property
    def _spells_bytes(self) -> bool:
        """Byte-level vocabularies spell all 256 bytes as visible characters; others hold plain text."""
        known = set(self._made.get_vocab())
        return sum(character in known for character in _BYTES) > 200


def _byte_alphabet() -> dict[str, int]:
    """Return GPT-2's spelling of bytes: printable ones stand for themselves, others for U+0100 and on."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + n): byte for n, byte in enumerate(others)}


_BYTES = _byte_alphabet()
