"""Tokenizers of transformers of every kind, which write spaces and bytes in their own ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from tests.models.hugging_face import sentence_piece_tokenizer

TEXTS = [
    "hello world, this is a test of tokens 你好 é 😀\n  two  spaces\tTab",
    "play playing played <b> ▁x Ġy <0x41> don't . stop !",
    "A",
]
_UNKNOWN = "<unk>"


def _fixed(model: Any, pre_tokenizer: Any, decoder: Any) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    if decoder is not None:
        tokenizer.decoder = decoder
    return tokenizer


def _trained(model: Any, trainer: Any, pre_tokenizer: Any, decoder: Any) -> Tokenizer:
    tokenizer = _fixed(model, pre_tokenizer, decoder)
    tokenizer.train_from_iterator(TEXTS * 5, trainer)
    return tokenizer


def _byte_level(**options: Any) -> Tokenizer:
    return _trained(
        models.BPE(), trainers.BpeTrainer(vocab_size=320, show_progress=False, **options),
        pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel(),
    )  # fmt: skip


def _metaspace() -> Tokenizer:
    trainer = trainers.BpeTrainer(vocab_size=120, special_tokens=[_UNKNOWN], show_progress=False)
    return _trained(models.BPE(unk_token=_UNKNOWN), trainer, pre_tokenizers.Metaspace(), decoders.Metaspace())


def _multilingual_sentence_piece() -> Tokenizer:
    """Its pieces hold nearly all characters with which GPT-2 spells bytes, as those of Mistral 7B do."""
    letters = [chr(code) for code in (*range(33, 127), *range(0xA1, 0x180))]
    pieces = [_UNKNOWN, "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", *letters, "你", "好", "�", "▁▁", "▁▁▁", "▁the", "▁H", "el", "lo", "▁Hel", "▁Hello"]
    merges = [("▁", "▁"), ("▁▁", "▁"), ("▁", "H"), ("e", "l"), ("l", "o"), ("▁H", "el"), ("▁Hel", "lo")]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token=_UNKNOWN, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def _unigram() -> Tokenizer:
    trainer = trainers.UnigramTrainer(
        vocab_size=100, special_tokens=[_UNKNOWN], unk_token=_UNKNOWN, show_progress=False
    )
    return _trained(models.Unigram(), trainer, pre_tokenizers.Metaspace(), decoders.Metaspace())


def _word_piece() -> Tokenizer:
    words = ["[UNK]", *"你好世界a", "hello", "play", "##ing", "##ed", "world", *".,!'", "don", "t", "##a"]
    model = models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]")
    return _fixed(model, pre_tokenizers.BertPreTokenizer(), decoders.WordPiece())


def _word_ends() -> Tokenizer:
    """As of GPT-1: </w> ends a word."""
    pieces = [_UNKNOWN, *"playing", *(f"{letter}</w>" for letter in "playing"), "pl", "ay", "play", "ay</w>"]
    pieces += ["play</w>", "in", "ing</w>", "playing</w>"]
    merges = [("p", "l"), ("a", "y"), ("pl", "ay"), ("a", "y</w>"), ("pl", "ay</w>"), ("i", "n")]
    merges += [("in", "g</w>"), ("play", "ing</w>")]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    model = models.BPE(vocabulary, merges, unk_token=_UNKNOWN, end_of_word_suffix="</w>")
    return _fixed(model, pre_tokenizers.Whitespace(), decoders.BPEDecoder(suffix="</w>"))


def _word_level() -> Tokenizer:
    trainer = trainers.WordLevelTrainer(special_tokens=[_UNKNOWN], show_progress=False)
    return _trained(models.WordLevel(unk_token=_UNKNOWN), trainer, pre_tokenizers.Whitespace(), None)


def _wrapped(make: Callable[[], Tokenizer]) -> Callable[[], Any]:
    return lambda: transformers.PreTrainedTokenizerFast(
        tokenizer_object=make(), clean_up_tokenization_spaces=True
    )


KINDS: dict[str, Callable[[], Any]] = {
    "byte level": _wrapped(lambda: _byte_level(initial_alphabet=pre_tokenizers.ByteLevel.alphabet())),
    "byte level, few bytes": _wrapped(_byte_level),
    "metaspace": _wrapped(_metaspace),
    "sentencepiece": _wrapped(sentence_piece_tokenizer),
    "sentencepiece, many letters": _wrapped(_multilingual_sentence_piece),
    "unigram": _wrapped(_unigram),
    "WordPiece": _wrapped(_word_piece),
    "ends of words": _wrapped(_word_ends),
    "WordLevel": _wrapped(_word_level),
    "ByT5": transformers.ByT5Tokenizer,
}
