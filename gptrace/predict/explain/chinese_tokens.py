"""What the Chinese explanation says of tokens: the beginning of `topics.flow`."""

from __future__ import annotations

from gptrace.predict.explain.catalog import Sentence

_IDS = "模型看不到文字，只看到 token 的编号（id），batch 里每段文字占一行。"
_IDS_FIGURES = "{prompt:tokens}；[batch, seq_len] = {ids:shape}"
_BYTES = "{first} 在 UTF-8 里是 {bytes} 个字节，在这里被切开了。只是字符一部分的 token，自己没有对应的文字。"
TOKENS = {
    # flow
    "tokens": Sentence(
        "分词器（tokenizer）先把文字切成 token（词元），拼起来就是原文。" + _IDS, _IDS_FIGURES
    ),
    "tokens_normalized": Sentence(
        "分词器（tokenizer）先把文字切成 token（词元），拼起来与原文不完全相同：许多分词器会先规范化文字，"
        "例如转成小写。" + _IDS,
        _IDS_FIGURES,
    ),
    "token_ids": Sentence("输入直接给出了 token 的编号，不需要再分词。" + _IDS, _IDS_FIGURES),
    "split_characters": Sentence(
        "有的字符是好几个 token。GPT-2 的分词器从字节开始，把训练文字里经常在一起的拼起来，而那些文字大多"
        "是英文。在那里少见的，就还是碎片：" + _BYTES,
        "{split:each}",
        "{characters} = {parts:tokens}",
        "；",
    ),
    "split_characters_otherwise": Sentence(
        "有的字符是好几个 token。这个分词器有字节的 token，但不是每个字符都有自己的 token：" + _BYTES,
        "{split:each}",
        "{characters} = {parts:tokens}",
        "；",
    ),
}
