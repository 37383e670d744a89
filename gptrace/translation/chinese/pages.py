"""The reasons why the page of a trace leaves something out."""

from __future__ import annotations

PAGES: dict[str, str] = {
    "the page was made from a trace alone; gptrace run -o FILE.html measures this on the model": (
        "这个网页只由一份跟踪结果生成；gptrace run -o FILE.html 会在模型上测量这些数值"
    ),
    "the model fails before this can be measured": "模型在能够测量它之前就出错了",
    "the trace was recorded without operations, which --ops records": "跟踪时没有记录运算，--ops 会记录它们",
    "the model is on device meta: it has shapes, but no numbers": "模型在 meta 设备上：有形状，没有数值",
    "no attention is found in {}": "在 {} 里没有找到注意力",
    "the blocks of {} have {} positions for {} tokens": "{0} 的各个 block 有 {1} 个位置，而 token 有 {2} 个",
    "the blocks of {} are not sums, and do not take the output of the block before them": (
        "{} 的各个 block 不是求和，输入也不是前一个 block 的输出"
    ),
    "the attention weights in {} places of {} could not be read as one query and one key for each of its {} "
    "tokens": "{1} 里有 {0} 处的注意力权重，无法看成它的 {2} 个 token 各有一个 query、一个 key",
    "in {} of the {} blocks of {}, the vectors added by attention and feed-forward cannot be told apart: "
    "each of these blocks shows how much it changes the stream": (
        "{2} 的 {1} 个 block 里有 {0} 个分不清注意力和前馈层各自所加的向量："
        "这些 block 只显示各自让残差流改变了多少"
    ),
    "the claims are about the first prompt only": "各条结论只针对第一个 prompt",
    "the logits of the first {} of {} prompts are shown here": (
        "这里只显示 {1} 个 prompt 中前 {0} 个的 logits"
    ),
    "the page has room for {} of {} prompts in this view": (
        "这个视图里，网页只放得下 {1} 个 prompt 中的 {0} 个"
    ),
    "the page has no room for the attention of a text of this length": "文字太长，网页放不下它的注意力",
    "the page has room for {} of {} heads, in {} of {} places: those that attend most sharply to a token "
    "other than the first": (
        "网页只放得下 {1} 个头中的 {0} 个，分布在 {3} 处中的 {2} 处："
        "选的是最集中地看第一个 token 以外的某个 token 的头"
    ),
    "a prompt has {} tokens; attention is shown up to {}": (
        "有一个 prompt 有 {} 个 token；注意力最多显示到 {} 个"
    ),
    "give a shorter text": "请给出短一些的文字",
    "no module of {} makes the logits": "{} 里没有哪个模块产生 logits",
    "{} in {} is not a matrix with a row for each token": "{1} 里的 {0} 不是每个 token 一行的矩阵",
    "{} changes the output of {} before it returns the logits": "{0} 改变了 {1} 的输出，才作为 logits 返回",
    "gptrace run --ops shows how": "用 gptrace run --ops 可以看到是怎样改变的",
    "{} has attention weights that are NaN or infinite": "{} 的注意力权重里有 NaN 或无穷",
    "{} has attention weights that are not between 0 and 1": "{} 的注意力权重不在 0 和 1 之间",
    "the weights recomputed for {} do not give the output of its kernel: the two differ by {}": (
        "为 {0} 重新算出的权重得不到它的算子的输出：两者相差 {1}"
    ),
}
