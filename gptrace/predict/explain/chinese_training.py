"""What the Chinese explanation says of training: the claims of `topics.training`."""

from __future__ import annotations

from gptrace.predict.explain.catalog import Sentence

_GRADIENT = (
    "一个位置上的损失，对某个 token 的 logit 的梯度（gradient），就是这个 token 的概率；如果它是答案，还要"
    "减去 1。"
)
TRAINING = {
    "no_training": Sentence(
        "这里没法测量训练：需要至少两个 token 的文字，以及每个位置上的 logits。", "logits {logits:shape}"
    ),
    "cross_entropy": Sentence(
        "每个位置都是一道已知答案的题：答案就是文字里的下一个 token。把 logits 排成 [batch·seq_len, "
        "vocab_size]，旁边放上答案 [batch·seq_len]，损失（loss）就是 −ln p(答案) 的平均值，也就是交叉熵（"
        "cross-entropy）。最后一个位置还没有答案，所以这里少一行。",
        "[{pairs}, {vocab_size}] 对 [{pairs}]：损失 {loss:.6f}，手算 {by_hand:.6f}",
    ),
    "uniform_loss": Sentence(
        "一无所知的模型给每个 token 同样的概率，损失等于 ln(vocab_size)。训练通常从这个值附近开始，然后损失逐"
        "渐下降。",
        "ln {vocab_size:,} = {logarithm:.4f}，令所有 logits 相等，实测 {measured:.4f}；这个模型在这段文字上"
        "是 {loss:.4f}",
    ),
    "gradient_step_unmeasured": Sentence(
        _GRADIENT,
        "未测量：没有找到输出层，或者它的分数不是 logits",
    ),
    "gradient_step_impossible": Sentence(
        _GRADIENT + "这里答案的 logit 是 −∞：损失是无穷大，任何一步梯度下降都不能移动它。",
        "{before:token} 之后的 {answer:token}：一步之前和之后，logit 都是 −∞",
    ),
    "gradient_step_tied": Sentence(
        _GRADIENT
        + "所以梯度下降会推高答案的 logit，压低其余的。这里 W 同时是 `{sharing}` 的权重：对它做一步梯"
        "度下降，向量也会改变，从而影响各个 logit。",
        "{before:token} 之后的 {answer:token}：梯度是 {gradient:.6f}，其余的加起来是 {others:.6f}",
    ),
    "gradient_step": Sentence(
        _GRADIENT + "对 W 做一步梯度下降，答案的 logit 上升，其余的都下降。",
        "{before:token} 之后的 {answer:token}，学习率 {learning_rate:.3g}：logit {logit:.4f} → "
        "{logit_after:.4f}，其余 logit 平均变化 {others:+.2g}，损失 {loss:.4f} → {loss_after:.4f}",
    ),
}
