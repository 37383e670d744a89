"""The tokenizer in the folder of a Hugging Face model."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from gptrace.errors import ConfigError, InputError
from gptrace.record import Token
from gptrace.text.tokenizer import NoTokenizer, Tokenizer, check_unicode, utf8_or_none
from gptrace.wording import line_without_passwords, one_line

# huggingface_hub reads these when it is imported, which transformers does, too.
HUB_VARIABLES = "is a variable wrong, such as HF_ENDPOINT or HF_HUB_ETAG_TIMEOUT?"
_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tokenizer_config.json")
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_NO_CHARACTER = "\ufffd"  # decoded from bytes that are no UTF-8
_MOST_ANCHORS = 256  # tokens to try: the shortest ones hold letters, if any do


def load_tokenizer(folder: Path) -> Tokenizer:
    """Return the tokenizer in `folder`, or a NoTokenizer where there is none or it cannot be loaded.

    Code in the folder is never run. Raises ConfigError if transformers is needed and not installed.
    """
    if not any((folder / name).is_file() for name in _FILES):
        return NoTokenizer(f"the folder {folder}")
    transformers = transformers_library()
    try:
        with quiet(transformers):
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False
            )
    except Exception as error:  # several libraries raise many classes here
        reason = f" (its tokenizer cannot be loaded: {type(error).__name__}: {one_line(error)})"
        return NoTokenizer(f"the folder {folder}", reason)
    return HuggingFaceTokenizer(tokenizer)


def transformers_library() -> Any:
    """Return the package transformers; raise ConfigError if it is not installed."""
    try:
        import transformers
    except ImportError:
        hint = "pip install transformers"  # not gptrace[hf]: it may run from a checkout
        raise ConfigError("--model hf:… needs transformers, which is not installed", hint) from None
    except Exception as error:  # huggingface_hub reads its variables then
        reason = line_without_passwords(error)
        problem = f"transformers cannot be imported: {type(error).__name__}: {reason}"
        raise ConfigError(problem, HUB_VARIABLES) from None
    return transformers


@contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """Silence the progress bars, logs and warnings of transformers in the block; exceptions remain."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    with without_hub_bars(), warnings.catch_warnings():
        logging.disable_progress_bar()
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.set_verbosity(level)
            if bars:
                logging.enable_progress_bar()  # those of the hub too, which were perhaps off


@contextmanager
def without_hub_bars() -> Iterator[None]:
    """Show no progress bars of huggingface_hub in the block; what the caller has set for them remains."""
    from huggingface_hub.utils.tqdm import progress_bar_states

    before = dict(progress_bar_states)
    progress_bar_states["_global"] = False
    try:
        yield
    finally:
        progress_bar_states.clear()
        progress_bar_states.update(before)


def as_tokenizer(tokenizer: object) -> Tokenizer:
    """Return a Tokenizer as it is, and a tokenizer of transformers as a Tokenizer; else raise InputError."""
    if not isinstance(tokenizer, type):
        if isinstance(tokenizer, Tokenizer):
            return tokenizer
        if callable(tokenizer) and hasattr(tokenizer, "added_tokens_decoder"):
            return HuggingFaceTokenizer(tokenizer)
    raise InputError(
        f"tokenizer is of type {type(tokenizer).__name__}, not a tokenizer",
        "give a tokenizer of transformers, or an object with the methods of gptrace.text.tokenizer.Tokenizer",
    )


class HuggingFaceTokenizer(Tokenizer):
    """A Tokenizer around a tokenizer of transformers: whatever it says of tokens is what that one decodes."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._tokens: dict[int, Token] = {}

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Return the ids of a text, with the tokens that the model expects around it, such as <bos>."""
        check_unicode(text)
        ids: list[int] = self._tokenizer(text, split_special_tokens=not special)["input_ids"]
        return ids

    def encode_alone(self, text: str) -> list[int]:
        """Return the ids of a text, without tokens around it."""
        check_unicode(text)
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def token(self, token_id: int) -> Token:
        """Return the token of an id: what it adds within a text, where other tokens are around it."""
        if token_id not in self._spellings:
            return Token(token_id, None, None)
        if token_id not in self._tokens:
            self._tokens[token_id] = self._measured(token_id)
        return self._tokens[token_id]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, special tokens and all spaces included; unknown ids add nothing."""
        known = [token_id for token_id in ids if token_id in self._spellings]
        text: str = self._tokenizer.decode(
            known, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text

    def is_open(self, token_id: int) -> bool:
        """Tell whether the tokens that come next may change the text up to this token.

        A row of bytes such as <0xE4> is decoded together, and no byte of it is shown if one does not fit.
        """
        byte = _BYTE.fullmatch(self._spellings.get(token_id, ""))
        if byte and self.token(token_id).bytes == bytes.fromhex(byte.group(1)):
            return True
        others = [] if self._anchor is None else [self._anchor]
        alone = self.decode([*others, token_id])
        return not self.decode([*others, token_id, *others]).startswith(alone)

    @property
    def end_ids(self) -> frozenset[int]:
        """The ids that end a text."""
        end = self._tokenizer.eos_token_id
        return frozenset([] if end is None else [end])

    def matches_vocab_size(self, vocab_size: int) -> bool:
        """Tell whether each token has a logit; models round the number of logits up."""
        return vocab_size >= len(self._spellings)

    def size(self) -> int:
        """Return the number of tokens."""
        return len(self._spellings)

    def description(self) -> str:
        """Return its class and its size, for reports."""
        return f"the model's own {type(self._tokenizer).__name__} with {len(self._spellings):,} tokens"

    @cached_property
    def _spellings(self) -> dict[int, str]:
        return {token_id: spelling for spelling, token_id in self._tokenizer.get_vocab().items()}

    def _measured(self, token_id: int) -> Token:
        spelling, text = self._spellings[token_id], self._text_within(token_id)
        if text and (_NO_CHARACTER not in text or _NO_CHARACTER in spelling):
            return Token(token_id, text, text.encode())
        # A part of a character decodes to U+FFFD or to nothing. Its bytes are those that decode to the same.
        for raw in _possible_bytes(spelling):
            if text in (raw.decode(errors="replace"), raw.decode(errors="ignore")):
                return Token(token_id, utf8_or_none(raw), raw)
        return Token(token_id, "", b"") if text == "" else Token(token_id, None, None)

    def _text_within(self, token_id: int) -> str | None:
        """Return what a token adds between two others; None where it changes these."""
        anchor = self._anchor
        if anchor is None:
            return self.decode([token_id])
        alone, twice = self.decode([anchor]), self.decode([anchor, anchor])
        between = self.decode([anchor, token_id, anchor])
        # A token such as CTRL's "hel@@" takes the space away that the anchor has before it.
        for end in (twice[len(alone) :], alone):
            if between.startswith(alone) and between[len(alone) :].endswith(end):
                return between[len(alone) : len(between) - len(end)]
        return None

    @cached_property
    def _anchor(self) -> int | None:
        """A token that shows what one beside it adds: its own text is the same wherever it stands.

        Where there is none, it is one with a space before it within a text.
        """
        shortest = sorted((len(spelling), spelling, each) for each, spelling in self._spellings.items())
        spaced = None
        for _, _, token_id in shortest[:_MOST_ANCHORS]:
            alone, twice = self.decode([token_id]), self.decode([token_id, token_id])
            if alone.isalnum() and twice == alone + alone:
                return token_id
            if spaced is None and alone.isalnum() and twice.startswith(alone):
                spaced = token_id
        return spaced


def _possible_bytes(spelling: str) -> Iterator[bytes]:
    """Yield the bytes that a spelling may stand for: <0x0A>, GPT-2's spelling, or a character for a byte."""
    if byte := _BYTE.fullmatch(spelling):
        yield bytes.fromhex(byte.group(1))
    if all(character in _BYTES for character in spelling):
        yield bytes(_BYTES[character] for character in spelling)
    if all(ord(character) < 256 for character in spelling):
        yield spelling.encode("latin-1")


def _byte_alphabet() -> dict[str, int]:
    """Return the characters that spell bytes in GPT-2's vocabulary, and the byte of each.

    A printable byte is spelled as itself, the others as U+0100, U+0101 and so on.
    """
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + n): byte for n, byte in enumerate(others)}


_BYTES = _byte_alphabet()
