"""What the Chinese explanation says of attention. `topics.attention` makes the keys."""

from __future__ import annotations

from gptrace.predict.explain.catalog import Sentence

_EXCHANGE = "在注意力（attention）里，token 之间交换信息：每个 token 看看别的 token，收集它们的内容。"
_AXES = "batch 是同时处理几段文字，seq_len 是每段有几个 token"
_FOUND = "共找到 {count} 处，第一处在 `{place}`"
_THREE = "每个 token 的向量变成另外三个：query（我在找什么）、key（我能提供什么）、value（我交出什么）。"
_HEADS = _THREE + "共有 {heads} 个头（head），从 0 数起，各自同时做这件事，做法各不相同。"
_QUERIES = {
    "": _HEADS,
    "_one": _THREE + "这里只有一个头（head）。",
    "_one_by_one": _THREE + "这里的注意力一次只算一个头（head）。",
    "_shared": _HEADS + "几个头共用 key 和 value，可以省内存：不同的 key 只有 {key_heads} 组。",
    "_shared_apart": _HEADS
    + "几个头共用 key 或 value，可以省内存：不同的 key 有 {key_heads} 组，不同的 value "
    "有 {value_heads} 组。",
}
_THREE_FIGURES = (
    "[batch, n_heads, seq_len, head_dim]：query {queries:shape}，key {keys:shape}，value {values:shape}"
)
_STABLE = "；换掉最后一个 token，其余的相差 {difference:small}"
_SCORE = (
    "分数（score）说明一个 key 与一个 query 有多合适：二者的点积，{factor}。每个头对每一对 token 都有一个"
    "分数：每个 query 一行，每个 key 一列。"
)
_USUAL = "再除以 √head_dim，免得 head_dim 越大分数越大"
_MOSTLY = "通常再除以 √head_dim"
_NUMBER = "再乘以一个数"
_SCORE_FIGURES = (
    "[batch, n_heads, seq_len, seq_len] = {score_shape:shape}；头 0，{query:token} 的 query 与 "
    "{key:token} 的 key："
)
_PRODUCT = "{dot:.4f} × {factor:.4g} = {by_hand:.4f}"
_SCORED = _SCORE_FIGURES + _PRODUCT + "，模型里是 {score:.4f}"
_MASK = "一个 token 不许看后面的 token，因为那正是它要学着预测的。"
_MASKED = _MASK + "掩码（mask）在 softmax 之前把那些分数设为 −∞（或远小于 0），所以它们的权重是 0。"
_LATER = "全部 {head_total} 个头里，后面的 token 的权重最大是 {later:small}"
_SOFTMAX = "沿 key 做 softmax，每一行分数就变成权重（weights）：一个 query 从每个 token 取多少。"
_SUMS = "头 0，最后一个 token 的 query 主要取自 {looks:each}"
_SHARE = "{token:token} {share:percent}"
_COLLECT = "每个 token 把各个 value 乘以权重再相加：看得越多的 token，取得越多。"
_JOINED = "各个头分头做完，结果又并排放回每个 token 的一个向量里：{heads} × {each} = {total} 个数。"
_LOOKED = "在这段文字的 {looked} 个 query 上平均 {share:percent}；若平均分配则为 {look.even:percent}"
_TRY = "gptrace explain --topic attention --model small"

ATTENTION = {
    # attention
    "attention": Sentence(
        f"{_EXCHANGE}进来的是每个 token 的向量，[batch, seq_len, {{width}}]：{_AXES}，{{width}} 是用几个"
        f"数代表一个 token。",
        "{vectors:shape}：1 段文字，{tokens} 个 token，每个 {numbers} 个数；" + _FOUND,
    ),
    "attention_ids": Sentence(
        f"{_EXCHANGE}模型从编号 [batch, seq_len] 开始：{_AXES}。",
        "{ids:shape}：1 段文字，{tokens} 个 token；" + _FOUND,
    ),
    "no_attention": Sentence(
        "没有在这个模型里找到注意力，也就是先对 query 与 key 的乘积做 softmax，再与 value 相乘。有的模型"
        "用别的写法，有的不用注意力也能让 token 交换信息，例如卷积和状态空间模型。",
        "无",
    ),
    "attention_of_others": Sentence(
        "这个模型里有注意力，但无法把它的权重看成文字里每个 token 一个 query、一个 key：它也许把文字分块，"
        "也许把头和 token 放在同一维，也许逐个头算出分数或权重再拼起来，也许还看文字以外的东西。",
        "{count} 处",
    ),
    **{f"attention_queries{kind}": Sentence(text, _THREE_FIGURES) for kind, text in _QUERIES.items()},
    **{
        f"attention_queries{kind}_measured": Sentence(text, _THREE_FIGURES + _STABLE)
        for kind, text in _QUERIES.items()
    },
    "attention_queries_mixed": Sentence(
        _HEADS, _THREE_FIGURES + "；换掉最后一个 token，其余的变化了 {difference:small}"
    ),
    "attention_scores": Sentence(_SCORE.format(factor=_USUAL), _SCORED),
    "attention_scores_fused": Sentence(
        _SCORE.format(factor=_USUAL) + "这里由一个融合函数（fused）一次做完，看不到分数，所以重新算一遍。",
        _SCORE_FIGURES + _PRODUCT,
    ),
    "attention_scores_own_factor": Sentence(
        _SCORE.format(factor="再乘以这个模型自己的系数"), _SCORED + "；1/√head_dim 是 {usual:.4g}"
    ),
    "attention_scores_distance": Sentence(
        _SCORE.format(factor=_NUMBER)
        + "然后这个模型再加上一个只取决于两个 token 相隔多远的数，这样就知道了顺序。",
        _SCORED,
    ),
    "attention_scores_bent": Sentence(
        _SCORE.format(factor=_NUMBER) + "然后这个模型把分数压弯，例如限制大小：乘积更大的，分数不会更小。",
        _SCORED,
    ),
    "attention_scores_zero": Sentence(
        _SCORE.format(factor=_NUMBER)
        + "这里的点积全是 0，例如 query 或 key 的权重从 0 开始，所以求不出这个数。",
        _SCORE_FIGURES + "点积是 0",
    ),
    "attention_scores_changed": Sentence(
        _SCORE.format(factor=_MOSTLY) + "没有找到这个模型怎样得出分数：还加进了别的东西。", _SCORED
    ),
    "attention_scores_unmeasured": Sentence(
        _SCORE.format(factor=_MOSTLY), "未测量：这个模型的分数不只对应成对的 token，或者看不到"
    ),
    "attention_mask": Sentence(_MASKED, _LATER),
    "attention_mask_after": Sentence(
        _MASK + "这里 softmax 也给了它们权重，之后这个模型再把这些权重设为 0。", _LATER
    ),
    "attention_mask_unknown": Sentence(_MASK + "它们的权重是 0。", _LATER),
    "attention_mask_unmeasured": Sentence(_MASKED, "未测量：文字只有一个 token，后面没有别的"),
    "attention_window": Sentence(
        "滑动窗口还遮住太远的 token：一个 query 只看最近的几个 token，包括自己。",
        "{sizes:each}",
        "最近 {window} 个 token：{count} 处中有 {places} 处",
        "；",
    ),
    "attention_holes": Sentence(
        "有的 query 对前面的一些 token 完全没有给权重：它们也被遮住，或者分数远低于其他 token。",
        "最后一个 token 的 query 看 {tokens} 个 token 中的 {seen:each} 个；{count} 处中有 {places} 处",
        "{number}",
        " 到 ",
    ),
    "attention_mask_elsewhere": Sentence(
        "这里有的 query 看后面的 token。这对不对要看是什么模型：编码器可以，GPT 不可以。",
        "后面的 token 的权重最大是 {later:percent}，{count} 处中有 {looking} 处；没有迹象表明它影响了前面"
        "的 logits",
    ),
    "attention_weights": Sentence(
        _SOFTMAX + "它们加起来等于 1。",
        "{head_total} 个头 × {rows} 个 query：总和与 1 相差 {sums:small}；" + _SUMS,
        _SHARE,
        "，",
    ),
    "attention_weights_sink": Sentence(
        _SOFTMAX + "还有一些 key 不属于任何 token，连同它们的权重加起来等于 1：找不到要找的东西，就看那里。",
        "这样的 key 有 {more} 个；" + _SUMS,
        _SHARE,
        "，",
    ),
    "attention_weights_changed": Sentence(
        _SOFTMAX + "它们加起来等于 1，然后这个模型在使用之前又改动了它们。",
        "实际使用的权重，总和与 1 最多相差 {sums:.3g}；" + _SUMS,
        _SHARE,
        "，",
    ),
    "attention_weights_unmeasured": Sentence(
        _SOFTMAX,
        "权重的总和与 1 最多相差 {sums:.3g}，没有找到原因；" + _SUMS,
        _SHARE,
        "，",
    ),
    "attention_values": Sentence(
        _COLLECT,
        "权重 {score_shape:shape} × value {values:shape} → {output:shape}；与手算相差 {difference:small}",
    ),
    "attention_values_fused": Sentence(
        _COLLECT + "融合函数做的正是这件事。",
        "权重 {score_shape:shape} × value {values:shape} → {output:shape}；它返回的与手算相差 "
        "{difference:small}",
    ),
    "attention_values_unmeasured": Sentence(_COLLECT, "未测量：没有找到这个模型怎样使用 value"),
    "attention_joined": Sentence(_JOINED, "[batch, seq_len, {total}] = {joined:shape}"),
    "attention_projected": Sentence(
        _JOINED + "再经过一层，把各个头找到的东西混合起来，结果又是 {width} 个数。",
        "{joined:shape} → {projected:shape}",
    ),
    "attention_joined_unmeasured": Sentence(
        "然后，各个头的结果合成每个 token 的一个向量。", "未测量：没有找到原样接收所有头的那一层"
    ),
    "attention_previous": Sentence(
        "在全部 {head_total} 个头里，`{look.path}` 的头 {look.number} 最爱看紧挨在前面的那个 token。", _LOOKED
    ),
    "attention_previous_weak": Sentence(
        "在这段文字上，没有哪个头特别爱看紧挨在前面的那个 token。最多的是 `{look.path}` 的头 {look.number}。",
        _LOOKED,
    ),
    "attention_first": Sentence(
        "`{look.path}` 的头 {look.number} 最爱看文字的第一个 token。头找不到要找的东西时，往往就看那里。",
        _LOOKED,
    ),
    "attention_first_weak": Sentence(
        "在这段文字上，没有哪个头特别爱看第一个 token。最多的是 `{look.path}` 的头 {look.number}。", _LOOKED
    ),
    "attention_noise": Sentence(
        "一个头看哪里，是学来的。这里的权重是随机的，所以只是噪声。在训练过的模型里，例如有一个头看前一个"
        " token，另一个看第一个 token。",
        "未测量；想看请运行：" + _TRY,
    ),
    "attention_noise_unknown": Sentence(
        "一个头看哪里，是学来的。不知道这个模型有没有训练过；如果它的权重是随机的，下面两句就只是噪声。",
        "训练过的模型：" + _TRY,
    ),
    "attention_looks_unmeasured": Sentence(
        "一个头看哪里，是学来的：例如有一个头看前一个 token，另一个看第一个 token。",
        "未测量：文字至少要有三个 token",
    ),
}
ATTENTION_FAILURES = {
    "attention_queries_mixed": "每个 token 应该有自己的 query、key 和 value，但这里还没有看任何 token，它们就"
    "随后面的 token 而变：token 混在一起了。漏了 transpose，或者该用 transpose 的地方用了 view，会这样；沿 "
    "token 做归一化或取平均也会这样。",
    "attention_scores": "分数是 query 与 key 的点积，但没有除以 √head_dim：这个模型乘以 {factor:.4g}，而 "
    "1/√head_dim 是 {usual:.4g}。所以 softmax 得到的分数太大或太小。",
    "attention_mask": "这里 token 会看后面的 token，logits 也取决于它们：没有掩码，或者遮得不够。这个模型不是"
    "因果的（causal）。",
    "attention_weights": "这里 softmax 沿 query 而不是沿 key，所以一个 query 的权重加起来不等于 1。",
    "attention_weights because late": "这里掩码在 softmax 之后才用。它去掉了一些权重，剩下的加起来不等于 1。",
    "attention_joined": "各个头的结果没有按 token 合在一起：一个 token 的向量里有别的 token 的数。是否该用 "
    "transpose 的地方用了 view？",
}
ATTENTION_FAILURES["attention_projected"] = ATTENTION_FAILURES["attention_joined"]
