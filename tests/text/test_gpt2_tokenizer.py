"""The GPT-2 encoding, against tiktoken's own, made from the original files whose hashes tiktoken states."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from gptrace.errors import TextError
from gptrace.text.gpt2_tokenizer import GPT2, VOCAB_SIZE, encoding
from gptrace.text.tokenizer import decode

PUBLISHED = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tiktoken.Encoding]:
    """`tiktoken.get_encoding("gpt2")`, offline: it takes vocab.bpe and encoder.json from its cache.

    Both are rebuilt from the ranks; tiktoken refuses a cached file whose hash is not the published one, so
    a wrong rank or a wrong merge would not get past it.
    """
    cache: Path = tmp_path_factory.mktemp("tiktoken")
    ranks = encoding()._mergeable_ranks
    letters = _byte_letters()

    def spelled(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    merges = [" ".join(map(spelled, _merged(ranks, token))) for token in ranks if len(token) > 1]
    (cache / hashlib.sha1((PUBLISHED + "vocab.bpe").encode()).hexdigest()).write_text(
        "\n".join(["#version: 0.2", *merges]) + "\n"
    )
    ids = {spelled(token): rank for token, rank in ranks.items()} | {"<|endoftext|>": 50256}
    (cache / hashlib.sha1((PUBLISHED + "encoder.json").encode()).hexdigest()).write_text(json.dumps(ids))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
        patch.setattr("tiktoken.load.read_file", _no_network)
        yield tiktoken.get_encoding("gpt2")


def _no_network(path: str) -> bytes:
    raise AssertionError(f"tiktoken found no valid {path} in its cache")


def _byte_letters() -> dict[int, str]:
    """How GPT-2's files write a byte: itself where it prints, else a letter from 256 up."""
    letters = {byte: chr(byte) for byte in range(256) if chr(byte).isprintable() and byte != 32}
    for byte in range(256):
        letters.setdefault(byte, chr(256 + sum(ord(letter) > 255 for letter in letters.values())))
    return letters


def _merged(ranks: dict[bytes, int], token: bytes) -> list[bytes]:
    """The two tokens whose merge made this one: merge its bytes by all earlier ranks."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        pairs = [parts[i] + parts[i + 1] for i in range(len(parts) - 1)]
        best = min(range(len(pairs)), key=lambda i: ranks.get(pairs[i], 1 << 30))
        parts[best : best + 2] = [pairs[best]]
    return parts


def test_the_ranks_file_is_the_published_one() -> None:
    raw = files("gptrace.text").joinpath("data/r50k_base.tiktoken").read_bytes()
    assert (
        hashlib.sha256(raw).hexdigest() == "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
    )


def test_the_known_prompts() -> None:
    assert GPT2.encode("Hello, I am") == [15496, 11, 314, 716]
    assert GPT2.encode("Every effort moves you") == [6109, 3626, 6100, 345]
    assert GPT2.encode("Every day holds a") == [6109, 1110, 6622, 257]


def test_every_token_is_tiktokens_own(original: tiktoken.Encoding) -> None:
    assert original.n_vocab == VOCAB_SIZE == encoding().n_vocab
    for token_id in range(VOCAB_SIZE):
        assert GPT2.token(token_id).bytes == original.decode_single_token_bytes(token_id)


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_has_tiktokens_own_ids(original: tiktoken.Encoding, text: str) -> None:
    ids = GPT2.encode(text)
    assert ids == original.encode(text, allowed_special="all")
    assert decode(map(GPT2.token, ids)) == text


@pytest.mark.parametrize(
    "text", ["don't  stop\n\n  now \t", "你好，世界", "<|endoftext|>a", "a" * 3000, "  " * 500]
)
def test_awkward_text_has_tiktokens_own_ids(original: tiktoken.Encoding, text: str) -> None:
    assert GPT2.encode(text) == original.encode(text, allowed_special="all")
    assert GPT2.encode(text, special=False) == original.encode_ordinary(text)


def test_half_a_character_has_bytes_and_no_text() -> None:
    halves = [GPT2.token(token_id) for token_id in GPT2.encode("你")]
    assert [half.text for half in halves] == [None, None]
    assert b"".join(half.bytes or b"" for half in halves) == "你".encode()
    assert decode(halves[:1]) is None


def test_ids_outside_the_vocabulary_have_neither() -> None:
    assert GPT2.token(50257).bytes is None
    assert decode(map(GPT2.token, [15496, 50257])) is None


def test_a_lone_surrogate_is_an_error_and_not_a_replacement_character() -> None:
    with pytest.raises(TextError, match=r"U\+D800 at character 3"):
        GPT2.encode("ab\ud800")
