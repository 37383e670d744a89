"""Tokenizers of transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import transformers
from tokenizers import Tokenizer

from gptrace.text.hugging_face import load_tokenizer
from tests.models.hugging_face import (
    TOKENIZER_TEXTS,
    byte_level_tokenizer,
    save_family,
    sentence_piece_tokenizer,
)
from tests.support import Cli, to_json


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
