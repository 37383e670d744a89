"""The explanation in Chinese, made as `english` is."""

from __future__ import annotations

from gptrace.predict.explain.facts import Facts
from gptrace.predict.explain.wording import mebibytes, percent, shape, small, token, tokens

Said = tuple[str, str]

TITLES = {
    "flow": "一段文字怎样走过模型",
    "last-dim": "最后一维为什么等于词表大小",
    "projection": "emb_dim 怎样变成 vocab_size",
    "probabilities": "从分数到概率",
    "training": "训练时在比较什么",
    "inference": "模型续写时发生了什么",
    "tying": "一张表，还是两张表",
}
_NO_HEAD = "没有在这个模型里找到给出分数的那一层，或者它不是一个普通的矩阵；如果有，请用 --head PATH 指明。"


def flow(facts: Facts) -> list[Said]:
    """From ids to logits."""
    one, parts = facts.flow, facts.parts
    width = parts.width_name
    said = [
        (
            "分词器（tokenizer）先把文字切成 token。模型看不到字母，只看到 token 的编号（id）：一条文本占一行。",
            f"{tokens(one.tokens)}；[batch, seq_len] = {shape(one.ids)}",
        )
    ]
    if parts.token_embedding:
        said.append(
            (
                f"`{parts.token_embedding}` 是一张表（token embedding），词表里每个 token 占一行。按 id 取出对应的"
                f"那一行，就得到代表这个 token 的向量，共 {width} 个数。",
                f"{shape(one.ids)} → {shape(one.embedded)}；查表所得{_times(one.lookup_factor)}与实际输出相差 "
                f"{_small_or_none(one.lookup_difference)}",
            )
        )
    else:
        said.append(("没有在这个模型里找到 token embedding 表。", "无"))
    if parts.position_embedding and one.sum_difference is not None:
        said.append(
            (
                f"`{parts.position_embedding}` 给每个位置也准备了一行（position embedding），直接加上去。这样每个"
                "向量既说明自己是哪个 token，也说明自己站在第几位。",
                f"{shape(one.embedded)} + {shape(one.positions)}；进入 `{parts.first_block}` 的张量与这个和相差 "
                f"{small(one.sum_difference)}",
            )
        )
    elif one.entered_difference:
        said.append(
            (
                "在第一个 block 之前，这个模型还对向量做了些事，却没有专门的表：也许是从别处加上位置，也许是换了尺度。",
                f"进入 `{parts.first_block}` 的张量与 token embedding 相差 {one.entered_difference:.3g}",
            )
        )
    else:
        said.append(
            (
                "这个模型在入口处不加位置表。顺序信息从别处进来，常见的做法是在注意力里旋转 query 和 key（旋转位置"
                "编码，rotary positions）。",
                "各个 block 之前没有第二张表",
            )
        )
    said.append(
        (
            f"接下来是 {one.blocks} 个 block。每个 block 里，各位置先互相交换信息（注意力，attention），再各自加工"
            "（前馈网络，feed-forward），结果都加回原来的向量上。形状始终不变。",
            f"{one.blocks} 个 block 中有 {one.blocks_that_keep_the_shape} 个保持 {shape(one.block)} → "
            f"{shape(one.block)}",
        )
        if one.blocks
        else ("没有在这个模型里找到成列的 block。", "无")
    )
    said.append(
        (
            f"`{parts.norm}` 把每个向量调整到相近的尺度（最终归一化，final norm），免得谁盖过谁。形状仍然不变。",
            f"最后一个向量的均方根：{one.norm_spread[0]:.4g} → {one.norm_spread[1]:.4g}",
        )
        if one.norm_spread is not None
        else ("block 和输出层之间没有归一化。", "无")
    )
    said.append(
        (
            f"输出层（output head）`{parts.head}` 给每个向量打分：词表里每个 token 得一分，这些分数叫 logits。只有"
            f"在这一步，最后一维才从 {width} 变成 {parts.vocabulary_name}。",
            f"{shape(one.head_input)} → {shape(one.logits)}",
        )
        if one.head_input is not None
        else (_NO_HEAD, shape(one.logits))
    )
    return said


def last_dim(facts: Facts) -> list[Said]:
    """Why there are so many scores."""
    one = facts.last_dim
    figures = f"{one.vocab_size:,} 个分数"
    if one.tokens is not None:
        figures += f"；分词器有 {one.tokens:,} 个 token"
    if one.tokens is not None and one.vocab_size > one.tokens:
        figures += f"，另有 {one.vocab_size - one.tokens:,} 行只是把总数凑整"
    return [
        (
            "模型是自回归的（autoregressive）：它只做一件事，就是说出下一个 token 是什么。词表里任何一个 token 都"
            "有可能，所以每个都要有自己的分数。最后一维放的正是这些分数：一个 token 一个位置。",
            figures if one.tokens is not None else f"{figures}；没有分词器可供对照",
        ),
        (
            "每个位置都同时这样做。每一行给紧跟在该 token 之后的内容打分，只看得到它自己和前面的 token，所以后面"
            "再接文字，前面各行也不会变。",
            f"{one.rows} 行；末尾多接一个 token，这些行相差 {small(one.causal_difference)}"
            if one.causal_difference is not None
            else "未比较：模型只给出最后一行，或者上下文已满，接不下一个 token",
        ),
        (
            "一行 logits 还不是概率。它们可以是负数，有意义的只是彼此之差：每个都加 100，什么也不会变。",
            f"最后一行从 {one.lowest:.4g} 到 {one.highest:.4g}，最高分属于 {token(one.best)}；全部加 100 后，"
            f"概率相差 {small(one.shift_difference)}",
        ),
    ]


def projection(facts: Facts) -> list[Said]:
    """How the head makes scores of a vector."""
    one, parts = facts.projection, facts.parts
    if one is None:
        return [(_NO_HEAD, shape(facts.flow.logits))]
    width, size = parts.width_name, parts.vocabulary_name
    formula = (
        "y = x·Wᵀ + b，每个 token 带一个偏置 b（bias）" if one.has_bias else "y = x·Wᵀ，没有偏置（bias）"
    )
    by_hand = "；".join(
        f"{token(each.token)} {each.product:.4f}，模型给出 {each.logit:.4f}" for each in one.by_hand
    )
    return [
        (
            f"`{parts.head}` 只做一次矩阵乘法：{formula}。W 的每一行对应一个 token，每一列对应 {width} 个数中的"
            "一个。",
            f"W [{size}, {width}] = {shape(one.weight)}，共 {one.weight[0] * one.weight[1]:,} 个数",
        ),
        (
            "所以 W 的每一行就是一个 token 的方向，logit 就是向量 x 与这一行的点积（dot product）：两者方向越一致，"
            "分数越高。把最可能的几个 token 逐项相乘再相加，得到的正是模型给出的分数。",
            by_hand,
        ),
        (
            "这个映射是线性的（linear）：向量翻倍，分数也翻倍；两个向量之和的分数，等于各自分数之和。真正的功夫"
            "都在前面的 block 里做完了。",
            f"W(2x) 与 2·Wx 相差 {small(one.doubling_difference)}，W(x+z) 与 Wx + Wz 相差 "
            f"{small(one.adding_difference)}",
        ),
        (
            f"{one.weight[0]:,} 个分数全都来自 {one.weight[1]} 个数，所以 {width} 限制了一个向量能表达多少不同的"
            "意思。如果只留下前一半的数，这个向量说的就是另一回事了。",
            f"{one.weight[1]} 个数只用 {one.half} 个：与真实分数的相关系数为{_correlation(one.half_correlation)}；最可能的 "
            f"token 会是 {token(one.half_best)}，而真实结果是 {token(one.best)}",
        ),
    ]


def probabilities(facts: Facts) -> list[Said]:
    """Softmax."""
    one = facts.probabilities
    heats = "，".join(f"T = {heat:g} 时 {percent(chance)}" for heat, chance in one.at_temperature)
    return [
        (
            "沿最后一维做 softmax，一行 logits 就变成概率：pᵢ = exp(yᵢ) / Σ exp(yⱼ)。没有一个是负的，每个位置上"
            "加起来都等于 1。",
            f"{one.rows} 行，总和在 {one.lowest_sum:.9f} 与 {one.highest_sum:.9f} 之间；最小的概率是 "
            f"{percent(one.smallest)}",
        ),
        (
            "排名和 logits 完全一样，因为 exp 是单调递增的。只想知道谁最可能，不必算 softmax。",
            f"最可能的 {one.ordered} 个顺序相同，第一名是 {token(one.first)}",
        ),
        (
            "两个 logit 之差，就是两者概率之比的对数。",
            f"{token(one.first)} 与 {token(one.second)}：{one.logits[0]:.4f} − {one.logits[1]:.4f} = "
            f"{one.logits[0] - one.logits[1]:.5f}，ln(p₁/p₂) = {one.log_ratio:.5f}",
        ),
        (
            "先把 logits 除以温度 T（temperature）：T 小于 1，选择更果断；T 大于 1，选择更平均。排名不变。",
            f"{token(one.first)}：{heats}",
        ),
    ]


def training(facts: Facts) -> list[Said]:
    """The loss."""
    one = facts.training
    if one is None:
        return [
            (
                "这里没法演示训练：需要至少两个 token 的文本、每个位置上的 logits，以及一个找得到的、直接给出 logits 的"
                "输出层。",
                f"logits {shape(facts.flow.logits)}",
            )
        ]
    return [
        (
            "每个位置都是一道已知答案的题：答案就是文本里的下一个 token。把 logits 排成 [batch·seq_len, "
            "vocab_size]，旁边放上答案 [batch·seq_len]，损失（loss）就是 −ln p(答案) 的平均值，也就是交叉熵"
            "（cross-entropy）。最后一个位置还没有答案。",
            f"[{one.pairs}, {one.vocab_size}] 对 [{one.pairs}]：损失 {one.cross_entropy:.6f}，手算 "
            f"{one.by_hand:.6f}",
        ),
        (
            "一无所知的模型给每个 token 同样的概率，损失等于 ln(vocab_size)。训练大致从这里起步，一路下降。",
            f"ln {one.vocab_size:,} = {one.uniform:.4f}，令所有 logits 相等，实测 {one.uniform_measured:.4f}；这个"
            f"模型在这段文字上是 {one.cross_entropy:.4f}",
        ),
        (
            "损失对每个 logit 的梯度（gradient）就是该 token 的概率，答案再减去 1。让 W 逆着梯度走一步，答案的 "
            "logit 上升，其余的都下降。",
            f"{token(one.before)} 之后的 {token(one.answer)}，学习率 {one.learning_rate:.3g}：logit "
            f"{one.logits[0]:.4f} → {one.logits[1]:.4f}，其余平均 {one.others:+.1e}，损失 "
            f"{one.losses[0]:.4f} → {one.losses[1]:.4f}",
        ),
    ]


def inference(facts: Facts) -> list[Said]:
    """One step, both ways."""
    one = facts.inference
    expected = one.draws * one.greedy_probability
    return [
        (
            "续写时只需要最后一行：它给整段文字之后的内容打分，其余各行输出层都可以不算。",
            f"只对最后一个向量使用输出层，与 {one.rows} 行中的第 {one.rows} 行相差 "
            f"{_small_or_none(one.row_difference)}",
        ),
        (
            "贪心（greedy）：取最可能的 token。同样的文字，每次结果都一样。",
            f"{token(one.greedy)}，id {one.greedy.id}，{percent(one.greedy_probability)}；再跑一遍，结果"
            f"{'相同' if one.greedy_again else '不同'}",
        ),
        (
            "采样（sampling）：按概率抽一个 token。抽的次数多了，每个 token 出现的频率就接近它的概率。",
            f"种子 {one.seed} 抽到 {token(one.sampled)}（{percent(one.sampled_probability)}）；抽 {one.draws:,} 次，"
            f"{token(one.greedy)} 出现 {one.greedy_drawn:,} 次，期望 {expected:,.1f} 次",
        ),
        (
            "选出的 token 接到文字末尾，seq_len 加一，一切重新开始。",
            f"接上 {token(one.greedy)}：logits {shape(one.longer)}；再下一个是 {token(one.then)}"
            if one.then is not None
            else "上下文已满：模型只会看到最后的那些 token",
        ),
    ]


def tying(facts: Facts) -> list[Said]:
    """Shared or not."""
    one, parts = facts.tying, facts.parts
    if one is None:
        return [("这个模型的入口和出口没有可以比较的两张 token 表。", "无")]
    separate = f"{one.separate:,} 个参数，{mebibytes(one.separate, one.bytes_per_number)}"
    shared = f"{one.shared:,} 个参数，{mebibytes(one.shared, one.bytes_per_number)}"
    return [
        (
            f"入口的表和出口的矩阵，都是每个 token 一行、每行 {parts.width_name} 个数，所以一张表可以两用（权重共享，"
            "weight tying）。",
            f"`{parts.token_embedding}` {shape(one.embedding)}，`{parts.head}` {shape(one.head)}",
        ),
        ("这里它们就是同一个张量。", f"{shared}；若分成两张则为 {separate}")
        if one.is_tied
        else ("这里它们是两张。", f"{separate}；若共用一张则为 {shared}"),
    ]


def _times(factor: float) -> str:
    return "" if factor == 1 else f"乘以 {factor:.4g} 后"


def _correlation(found: float | None) -> str:
    return "“无”（所有分数都相同）" if found is None else f" {found:.3f}"


def _small_or_none(difference: float | None) -> str:
    return "（无法测量）" if difference is None else small(difference)
