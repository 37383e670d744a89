"""Tokenizers of transformers."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from tokenizers import Tokenizer

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.text.hugging_face import HuggingFaceTokenizer, load_tokenizer
from gptrace.text.incremental_text import IncrementalText
from gptrace.text.tokenizer import decode
from tests.models.hugging_face import (
    TOKENIZER_TEXTS,
    byte_level_tokenizer,
    save_family,
    sentence_piece_tokenizer,
)
from tests.models.tokenizers import KINDS, TEXTS
from tests.support import Cli, to_json


def decoded(tokenizer: Any, ids: list[int]) -> str:
    """What transformers itself decodes."""
    return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))


def test_without_a_tokenizer_there_are_ids_alone(cli: Cli, tmp_path: Path) -> None:
    save_family(tmp_path, "gpt2")
    cli("topk", "Hello", "-m", f"hf:{tmp_path}").is_error(2, "has no tokenizer", "--ids")
    outcome = to_json(cli("topk", "--ids", "1 2", "-m", f"hf:{tmp_path}", "--json"))
    assert outcome["results"][0]["candidates"][0]["text"] is None
    assert outcome["notes"] == [f"the folder {tmp_path} has no tokenizer: ids are shown without text"]
    cli("topk", "--ids", "500", "-m", f"hf:{tmp_path}").is_error(2, "not in the vocabulary of 500")
    cli("topk", "--ids", " ".join(["1"] * 65), "-m", f"hf:{tmp_path}").is_error(2, "context holds 64")


@pytest.mark.parametrize("make", [byte_level_tokenizer, sentence_piece_tokenizer])
def test_the_bytes_of_each_token_are_those_of_the_text(tmp_path: Path, make: Callable[[], Tokenizer]) -> None:
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=make(), bos_token="<s>", eos_token="</s>", clean_up_tokenization_spaces=False
    )
    wrapped.save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    for line in TOKENIZER_TEXTS:
        ids = tokenizer.encode(line)
        assert ids == wrapped(line)["input_ids"]
        raw = b"".join(token.bytes or b"" for token in map(tokenizer.token, ids))
        assert raw.decode().removeprefix(" ") == line
    assert "<s>" in [tokenizer.token(token_id).text for token_id in tokenizer.encode("a<s>b")]
    assert "<s>" not in [
        tokenizer.token(token_id).text for token_id in tokenizer.encode("a<s>b", special=False)
    ]
    assert tokenizer.token(10_000).bytes is None


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_and_continuations_are_what_the_tokenizer_decodes(kind: str) -> None:
    theirs = KINDS[kind]()
    tokenizer, draw = HuggingFaceTokenizer(theirs), random.Random(0)
    ids = sorted(theirs.get_vocab().values())
    whole = [each for each in ids if tokenizer.token(each).text is not None and not tokenizer.is_open(each)]
    assert all(tokenizer.token(each).bytes is not None for each in ids)
    for number in range(200):
        pool = whole if number % 2 else ids  # with bytes that are no UTF-8, which show as U+FFFD
        prompt = [*draw.choices(pool, k=draw.randrange(4)), draw.choice(whole)]
        new = [*draw.choices(pool, k=draw.randrange(9)), draw.choice(whole)]
        before, after = decoded(theirs, prompt), decoded(theirs, prompt + new)
        growing = IncrementalText(tokenizer, [tokenizer.token(each) for each in prompt])
        parts = [*(growing.add(tokenizer.token(each)) for each in new), growing.rest()]
        assert before + "".join(parts) == after
        joined = decode(map(tokenizer.token, prompt + new))
        # A tokenizer leaves out the space or the ## before the first token, and the space after the last.
        first = theirs.convert_ids_to_tokens(prompt[0])
        assert joined is None or joined.strip() == after.removeprefix("##" * first.startswith("##")).strip()
    for text in TEXTS:
        given = tokenizer.encode(text)
        assert gptrace.tokens(ids=given, tokenizer=theirs).results[0].text == decoded(theirs, given)


@pytest.mark.parametrize(
    ("kind", "spelling", "text", "raw"),
    [
        ("sentencepiece, many letters", "▁the", " the", b" the"),
        ("sentencepiece, many letters", "<0x0A>", "\n", b"\n"),
        ("sentencepiece, many letters", "<0xE4>", None, b"\xe4"),
        ("sentencepiece, many letters", "�", "�", "�".encode()),
        ("byte level, few bytes", "Ġ", " ", b" "),
        ("WordPiece", "##ing", "ing", b"ing"),
        ("WordPiece", "play", " play", b" play"),
        ("WordLevel", "play", " play", b" play"),
        ("ends of words", "playing</w>", "playing ", b"playing "),
        ("ByT5", "\xe4", None, b"\xe4"),
    ],
)
def test_a_token_is_what_it_adds_within_a_text(
    kind: str, spelling: str, text: str | None, raw: bytes
) -> None:
    theirs = KINDS[kind]()
    token = HuggingFaceTokenizer(theirs).token(theirs.convert_tokens_to_ids(spelling))
    assert (token.text, token.bytes) == (text, raw)


def test_bytes_are_held_back_while_the_next_may_change_them_but_a_stop_text_is_seen_at_once() -> None:
    theirs = KINDS["sentencepiece, many letters"]()
    tokenizer = HuggingFaceTokenizer(theirs)
    spellings = ["<0x0A>", "<0xE4>", "<0xB8>", "<0x96>", "a"]
    prompt, *tokens = [tokenizer.token(theirs.convert_tokens_to_ids(each)) for each in ("a", *spellings)]
    growing = IncrementalText(tokenizer, [prompt])
    assert [growing.add(token) for token in tokens] == ["", "", "", "", "\n世a"]
    stopping = IncrementalText(tokenizer, [prompt], ["\n"])
    assert (stopping.add(tokens[0]), stopping.has_stopped) == ("", True)
    cut = IncrementalText(tokenizer, [prompt, *tokens[:2]])  # a prompt that ends in half a character
    assert [cut.add(token) for token in tokens[2:]][-1] == "\n世a"


def test_a_long_text_is_not_decoded_again_for_each_token(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = HuggingFaceTokenizer(KINDS["WordPiece"]())
    tokens = [tokenizer.token(each) for each in tokenizer.encode("hello playing world, " * 100)]
    sizes: list[int] = []
    decode_ids = tokenizer.decode

    def counted(ids: list[int]) -> str:
        sizes.append(len(ids))
        return decode_ids(ids)

    monkeypatch.setattr(tokenizer, "decode", counted)
    growing = IncrementalText(tokenizer, tokens)
    for token in tokens:
        growing.add(token)
    # The prompt is decoded alone and with the first token after it, everything later beside one token.
    assert sum(size > 3 for size in sizes) == 2


@pytest.mark.parametrize("kind", ["sentencepiece, many letters", "WordPiece", "ends of words", "ByT5"])
def test_every_report_shows_the_text_that_the_tokenizer_decodes(kind: str) -> None:
    theirs = KINDS[kind]()
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_embd=32, n_head=4, n_layer=2, n_positions=64, vocab_size=len(theirs), eos_token_id=None
    )
    session = gptrace.Session(transformers.GPT2LMHeadModel(config).eval(), tokenizer=theirs)
    tokenizer, ids = session.tokenizer, theirs("play playing")["input_ids"]
    generated = session.generate(ids=ids, max_new_tokens=12, temperature=2.0).results[0]
    after = decoded(theirs, [*ids, *generated.new_ids])
    assert generated.prompt_text == decoded(theirs, ids)
    assert generated.text is not None
    assert (decoded(theirs, ids) + generated.text).rstrip("�") == after.rstrip("�")
    stop = generated.text[3:9]
    stopped = session.generate(ids=ids, max_new_tokens=12, temperature=2.0, stop=[stop]).results[0]
    assert (stopped.text, stopped.stopped_by) == (generated.text[: generated.text.index(stop)], "stop")
    expected = tuple(map(tokenizer.token, ids))
    assert session.tokens(ids=ids).results[0].tokens == expected
    assert session.trace(ids=ids).inputs[0].tokens == expected
    scored = session.loss(ids=ids).results[0].tokens
    assert tuple(gptrace.record.Token(each.id, each.text, each.bytes) for each in scored) == expected
    assert session.lens(ids=ids).results[0].tokens == expected
    for candidate in session.topk(ids=ids).results[0].candidates:
        assert candidate.token == tokenizer.token(candidate.id)
    shortened = session.topk(ids=[*ids * 64, ids[-1]], truncate=True).results[0]
    assert len(shortened.ids) == config.n_positions
    assert shortened.text == decoded(theirs, list(shortened.ids))


def test_text_goes_through_the_models_own_tokenizer(cli: Cli, tmp_path: Path) -> None:
    save_family(tmp_path, "llama")
    transformers.PreTrainedTokenizerFast(tokenizer_object=byte_level_tokenizer()).save_pretrained(tmp_path)
    trace = to_json(cli("run", "Hello, I am", "-m", f"hf:{tmp_path}", "--json"))
    assert "".join(token["text"] for token in trace["inputs"][0]["tokens"]) == "Hello, I am"
    assert trace["notes"] == []
    cli("run", "Hello\ud800", "-m", f"hf:{tmp_path}").is_error(2, "U+D800")


def test_a_broken_tokenizer_is_said_and_ids_do_without_it(cli: Cli, tmp_path: Path) -> None:
    save_family(tmp_path, "llama")
    (tmp_path / "tokenizer.json").write_text("{")
    cli("topk", "Hello", "-m", f"hf:{tmp_path}").is_error(2, "its tokenizer cannot be loaded", "--ids")
    assert to_json(cli("topk", "--ids", "1 2", "-m", f"hf:{tmp_path}", "--json"))["results"]


def test_code_of_a_tokenizers_own_is_never_run(cli: Cli, tmp_path: Path) -> None:
    save_family(tmp_path, "llama")
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (tmp_path / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}}'
    )
    cli("topk", "Hello", "-m", f"hf:{tmp_path}").is_error(2, "tokenizer")
    assert not (tmp_path / "ran").exists()
