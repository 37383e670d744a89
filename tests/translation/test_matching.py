"""A sentence finds its template again, and its values arrive as they are."""

from __future__ import annotations

import re
import string

import pytest

from gptrace.translation import in_language, joined, recorded, words
from gptrace.translation.chinese import MESSAGES
from gptrace.translation.matching import translated
from gptrace.translation.words import Given, spaced

# Values without spaces, as names, paths and figures are; and quoted ones, with whatever words.
PLAIN = ["x", "模型.py", "{0}{!t}", "a/b:c.json", "[1,2]", "is", "\\x1b[31m", "a_b's"]
QUOTED = [
    "'the text is empty'", "'; the value comes from the variable X'", "' is not a device'",
    "\"it's {} and 2 more\"", "'\\\\'", "'，可选：'", "'a (while b was built)'", "''",
]  # fmt: skip


def filled(template: str, values: list[str]) -> list[str]:
    """The parts of the template, with the values in its holes, numbered or not."""
    parts, number = [""], 0
    for literal, field, _, _ in string.Formatter().parse(template):
        parts += [literal] * bool(literal)
        if field is not None:
            value = values[int(field) if field else number]
            number += field == ""
            # Two values without a text between them are found as one.
            parts = [*parts, Given(value)] if literal else [*parts[:-1], Given(parts[-1] + value)]
    return parts


def test_names_stand_apart_from_chinese_words() -> None:
    assert (
        in_language(words("{} is {}", "cfg", recorded("model.py:CONFIG")), "zh") == "cfg 是 model.py:CONFIG"
    )
    assert in_language(words("{} is {}", "cfg", recorded("a plain dict")), "zh") == "cfg 是普通的 dict"
    assert translated("trained.txt is a folder, not a file") == "trained.txt 是文件夹，不是普通文件"
    assert in_language(words("trained on {}", "wiki"), "zh") == "用 wiki 训练"


@pytest.mark.parametrize("value", [*PLAIN, *QUOTED])
def test_each_template_is_found_and_its_values_are_untouched(value: str) -> None:
    wrong = []
    for english, chinese in MESSAGES.items():
        is_part_of_word = re.search(r"[\w'\"\[]\{\}|\{\}[\w'\"]", english)
        if value in QUOTED and is_part_of_word:  # of hexadecimal digits, for one: nothing quoted stands there
            continue
        if "!s}" in chinese:  # values that are no words make another sentence
            continue
        count = len([field for _, field, _, _ in string.Formatter().parse(english) if field is not None])
        values = [value if value in QUOTED else f"{value}{number}" for number in range(count)]
        sentence, expected = "".join(filled(english, values)), spaced(filled(chinese, values))
        if translated(sentence) != expected:
            wrong.append((sentence, translated(sentence), expected))
    assert wrong == []


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("list index out of range", "list index out of range"),
        ("", ""),
        ("'is empty' is not a device", "'is empty' 不是设备名"),
        (
            "k is \"x' is empty\"; the value comes from the variable GPTRACE_K",
            "k 是 \"x' is empty\"；这个值来自环境变量 GPTRACE_K",
        ),
        ("line 3 is not JSON: Expecting value", "第 3 行不是 JSON：Expecting value"),
        ("the weights lack a, b and 3 more", "权重里缺少 a, b 等（另有 3 个）"),
        ("d is 3; b, c are 4; att was called with x", "d 是 3；b, c 都是 4；att 收到的是 x"),
        (
            "ValueError: bad, at index 3, at m.py, line 2, in f: g(', at ') (while GPT was built)",
            "ValueError: bad, at index 3，位于 m.py 第 2 行，f 中：g(', at ')（构建 GPT 时）",
        ),
        (
            "out_head: Linear expects [..., 48], got [1, 4, 192], made by final_norm",
            "out_head：Linear 要的是 [..., 48]，得到的是 [1, 4, 192]，由 final_norm 给出",
        ),
        (
            "only batch and seq_len have names: at other sizes the model raises ValueError",
            "只有 batch 和 seq_len 有名字：换了尺寸，模型抛出 ValueError",
        ),
        ("the text of prompt 2 has 70 tokens, the model's context holds 64",
         "文字（70 个 token，prompt 2）超出模型的上下文，它只有 64 个 token"),
        ("id 9 at position 0 of prompt 1 is not in the vocabulary of 3",
         "id 9（位置 0，prompt 1）不在大小为 3 的词表里"),
        ("--config a is b is a folder, not a file", "--config a is b 是文件夹，不是普通文件"),
        ("a is the b.json: No such file or directory", "a is the b.json：没有这个文件或文件夹"),
        (
            "ValueError: x is not a y, at m.py, line 5, in f: if a is b: (while GPT was built)",
            "ValueError: x is not a y，位于 m.py 第 5 行，f 中：if a is b:（构建 GPT 时）",
        ),
        ("ValueError: the text is empty", "ValueError: the text is empty"),
        (
            "lin: Linear expects [..., 16], got [1, 2]; its last axis is a, and n_heads, head_dim are 16",
            "lin：Linear 要的是 [..., 16]，得到的是 [1, 2]；它的最后一维是 a，而 n_heads, head_dim 都是 16",
        ),
        (
            "add at a.ipynb, cell 1, line 9 in the model itself (A) takes NaN, and what made it was not "
            "recorded",
            "模型本身（A）里 a.ipynb 单元格 1 第 9 行的 add 收到的输入已有 NaN，来源没有记录到",
        ),
        ("a [2, 4] matrix; emb_dim is 48; head_dim is 12", "a [2, 4] matrix；emb_dim 是 48；head_dim 是 12"),
        ("k is [1, 2]", "k 是 [1, 2]"),
        ("k is 'the text is… (80 characters)", "k 是 'the text is…（共 80 个字符）"),
        ("a… (90 characters) …b is empty", "a…（共 90 个字符）…b 是空的"),
        ("the index is out of range", "the index is out of range"),
        ("--k 零 is not a whole number", "--k 零 不是整数"),
        ("模型.py:主模型: there is no 主模型", "模型.py:主模型：没有 主模型"),
        ("did you mean macs? Known: path, macs", "是不是想写 macs？可用的有：path, macs"),
    ],
)  # fmt: skip
def test_sentences(sentence: str, expected: str) -> None:
    assert translated(sentence) == expected


def test_words_keep_the_values_of_a_report_apart_from_its_words() -> None:
    text = words("After {}", '"the last layer; calls: none of Rank"')
    assert in_language(text, "zh") == '在 "the last layer; calls: none of Rank" 之后'
    assert in_language(text, "en") == 'After "the last layer; calls: none of Rank"'
    parts = joined([words("{} removed", 2), "Rank", recorded("the text is empty")])
    assert parts == "2 removed, Rank, the text is empty"
    assert in_language(parts, "zh") == "少了 2 次，Rank，文字是空的"
    assert in_language("Rank", "zh") == "Rank"


@pytest.mark.parametrize(
    "part", [": ", ", at x, line 1, in f: ", "{} is ", "the text ", " and 2 more", "'", "it is "]
)
def test_a_text_of_many_templates_ends(part: str) -> None:
    assert translated(part * (3000 // len(part)))
