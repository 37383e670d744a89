"""The explanation in Chinese. `topics` makes the keys; `catalog` says what a template may hold."""

from __future__ import annotations

from gptrace.predict.explain.catalog import Catalog, Sentence
from gptrace.predict.explain.chinese_attention import ATTENTION, ATTENTION_FAILURES
from gptrace.predict.explain.chinese_tokens import TOKENS
from gptrace.predict.explain.chinese_training import TRAINING

_TABLE = "`{table}` 是 token 嵌入表（token embedding），词表里每个 token 占一行。按 id 取出对应的那一行，"
_NORM_FIGURES = "最后一个向量的均方根：{before:.4g} → {after:.4g}"
_HEAD = "输出层（output head）`{head}` 根据每个向量，给词表里的每个 token 算出一个分数，这些分数叫 logits。"
_VOCABULARY = (
    "GPT 是自回归的（autoregressive）：它只做一件事，就是预测下一个 token。词表里任何一个 token 都有可能，所"
    "以每个都要有自己的分数。最后一维放的正是这些分数，每个 token 一个。"
)
_MATRIX = "W 的每一行对应一个 token，每一列对应 {width} 个数中的一个。"
_MATRIX_FIGURES = "W [{vocabulary}, {width}] = {weight:shape}，共 {numbers:,} 个数"
_DIRECTION = "所以 W 的每一行就是一个 token 的方向，logit 就是向量 x 与这一行的点积（dot product）"
_LARGE = "x 与这一行方向一致时，点积就大。对最可能的几个 token，把 x 与 W 中对应的行逐项相乘"
_SAME = "得到的正是模型给出的分数。"
_SCORE = "所以 W 的每一行就是一个 token 的方向，它的分数就是向量 x 与这一行的点积（dot product）"
_CHANGED = (
    "x 与这一行方向一致时，点积就大。这个模型在返回之前又改动了分数（例如限制大小，或乘以一个系数），"
    "但哪些 token 领先并没有变。"
)
_CHANGED_BY_HAND = "{token:token} {product:.4f}，`{head}` 给出 {score:.4f}，模型给出 {logit:.4f}"
_BY_HAND = "{token:token} {product:.4f}，模型给出 {logit:.4f}"
_LINEAR = (
    "向量翻倍，分数也翻倍；两个向量之和的分数，等于各自分数之和。输出层做不了非线性的事，那要靠模型的其他部"
    "分。"
)
_LINEAR_FIGURES = "W(2x) 与 2·Wx 相差 {doubling:small}，W(x+z) 与 Wx + Wz 相差 {adding:small}"
_BOTTLENECK = "{vocab_size:,} 个分数全都来自 {numbers} 个数，所以一个向量能表达多少不同的意思是有限的。"
_LAST_ROW = "续写时只需要最后一行：它是对整段文字之后那一个 token 的打分，其余各行输出层都可以不算。"
_SHAPES = "`{table}` {weights:shape}，`{head}` {head_weight:shape}"
_PARAMETERS = "{parameters:,} 个参数，{size:memory}"
_PARAMETERS_OTHERWISE = "{otherwise:,} 个参数，{size_otherwise:memory}"

_TITLES = {
    "flow": "一段文字怎样走过模型",
    "attention": "token 之间怎样交换信息",
    "last-dim": "最后一维为什么等于词表大小",
    "projection": "emb_dim 怎样变成 vocab_size",
    "probabilities": "从分数到概率",
    "training": "训练时在比较什么",
    "inference": "模型续写时发生了什么",
    "tying": "一张表，还是两张表",
}
_SENTENCES = {
    # flow
    "token_embedding": Sentence(
        _TABLE + "就得到代表这个 token 的向量，共 {width} 个数。",
        "{ids:shape} → {embedded:shape}；查表所得与实际输出相差 {difference:small}",
    ),
    "token_embedding_scaled": Sentence(
        _TABLE + "再乘上一个常数，就得到代表这个 token 的向量，共 {width} 个数。",
        "{ids:shape} → {embedded:shape}；查表所得乘以 {factor:.4g} 后与实际输出相差 {difference:small}",
    ),
    "token_embedding_changed": Sentence(
        _TABLE + "这一层再改动这一行（同一个 token 不论在哪里，改法都一样），就得到代表这个 token 的向量，共 "
        "{width} 个数。",
        "{ids:shape} → {embedded:shape}；查表所得与实际输出相差 {difference:.3g}；把 token 倒过来，得"
        "到的是同样的向量，相差 {reordered:small}",
    ),
    "token_embedding_unmeasured": Sentence(
        "`{table}` 是 token 嵌入表。没有找到它的行怎样变成向量。",
        "未测量：这一层的输出无法与表中的行比较",
    ),
    "no_token_embedding": Sentence("没有在这个模型里找到 token 嵌入表。", "无"),
    "position_embedding": Sentence(
        "`{table}` 是位置嵌入表（position embedding），每个位置占一行，加到 token 嵌入上。这样每个向量既说明"
        "自己是哪个 token，也说明自己在哪个位置。",
        "{embedded:shape} + {positions:shape}；进入 `{block}` 的张量与二者之和相差 {difference:small}",
    ),
    "position_embedding_among_others": Sentence(
        "`{table}` 是位置嵌入表（position embedding），每个位置占一行，与 {others:each} 的行一起加到 token "
        "嵌入上。这样每个向量既说明自己是哪个 token，也说明自己在哪个位置。",
        "{embedded:shape} + {positions:shape} + 其余各表；进入 `{block}` 的张量与它们之和相差 "
        "{difference:small}",
        "`{name}`",
        "、",
    ),
    "position_embedding_weighted": Sentence(
        "`{table}` 是位置嵌入表（position embedding），每个位置占一行。token 嵌入乘以 {factors[0]:.4g}，"
        "位置嵌入乘以 {factors[1]:.4g}，再相加。这样每个向量既说明自己是哪个 token，也说明自己在哪个位置。",
        "{embedded:shape}、{positions:shape}；进入 `{block}` 的张量与这样算出的和相差 {difference:small}",
    ),
    "position_embedding_unmeasured": Sentence(
        "`{table}` 是位置嵌入表（position embedding）。没有找到它怎样进入模型：也许还加了"
        "别的向量，也许换了尺度，也许只用在注意力里。",
        "{positions:shape}；没有模块的输入恰好是这两者之和",
    ),
    "no_position_embedding": Sentence(
        "在第一个 block 之前没有找到位置嵌入表，token 嵌入原样进入。顺序信息要到后面才加进来：这类模型"
        "大多在注意力里旋转 query 和 key（旋转位置编码，RoPE）。",
        "进入 `{block}` 的张量与 token 嵌入相差 {difference:small}",
    ),
    "block_input_changed": Sentence(
        "在第一个 block 之前，这个模型还改动了向量，但没有找到是怎样改动的：也许用别的方式加入了顺序信息，也"
        "许换了尺度或做了归一化。",
        "进入 `{block}` 的张量与 token 嵌入相差 {difference:.3g}",
    ),
    "block_input_unmeasured": Sentence(
        "无法测量这个模型是否把位置嵌入加到 token 嵌入上。",
        "未测量：token 嵌入和第一个 block 的输入没有全部找到，或者形状不同",
    ),
    "blocks": Sentence(
        "向量经过 {count} 个 block。在 GPT 里，每个 block 先让每个位置从自己和前面的位置收集信息（"
        "注意力，attention），再对每个位置单独加工（前馈网络，feed-forward），每一步的结果都与这一步的输入"
        "相加（残差连接，residual connection）。形状始终不变。",
        "{count} 个 block 中有 {kept} 个保持 {shape:shape} → {shape:shape}",
    ),
    "blocks_side_by_side": Sentence(
        "模型有 {count} 个 block，但并非全部首尾相接：{named:each} 后面的部分取的也是进入它的向量，而它的结果"
        "留到后面才用。",
        "共 {count} 个 block；把 {named:each} 的结果换成别的数，logits 就会改变",
        "`{block}`",
        "、",
    ),
    "blocks_without_effect": Sentence(
        "模型有 {count} 个 block。{named:each} 后面的部分取的是进入它的向量。它的结果也许用在别处，但没有看到"
        "对 logits 的影响：也许它乘上了一个目前还是 0 的系数，例如 ReZero 在训练刚开始时就是这样。",
        "共 {count} 个 block；没有看到影响：{named:each}",
        "`{block}`",
        "、",
    ),
    "unused_blocks": Sentence(
        "{named:each} 的结果没有被用到：后面取的还是进入它的向量。是否漏了赋值，例如 x = block(x)？",
        "共 {count} 个 block；没有用到：{named:each}",
        "`{block}`",
        "、",
    ),
    "unused_norm": Sentence(
        "`{norm}` 在输出层之前运行，但 `{head}` 取的是进入它的向量，而不是它的结果。是否漏了赋值，例如 "
        "x = norm(x)？",
        _NORM_FIGURES,
    ),
    "no_blocks": Sentence("在这个模型里没有找到依次相连的一组 block。", "无"),
    "final_norm": Sentence(
        "`{norm}` 把每个向量调整到同一尺度（最终归一化，final norm）：向量放大一倍，结果也不变。形状仍然不变"
        "。",
        _NORM_FIGURES + "；向量放大一倍后，结果相差 {difference:small}",
    ),
    "final_norm_unmeasured": Sentence(
        "`{norm}` 是 block 与输出层之间的归一化层（最终归一化，final norm）。归一化把每个向量调整到同一尺度"
        "。",
        _NORM_FIGURES + "；这一层无法单独运行",
    ),
    "no_final_norm": Sentence("没有在 block 和输出层之间找到归一化层。", "无"),
    "output_head": Sentence(
        _HEAD + "在 block 之间，最后一维一直是 {width}；到这一步才变成 {vocabulary}。",
        "{head_input:shape} → {logits:shape}",
    ),
    "output_head_of_other_width": Sentence(
        _HEAD + "在这个模型里，最后一维在此之前就变过。",
        "{head_input:shape} → {logits:shape}；此前的宽度：{widths:shape}",
    ),
    "no_output_head": Sentence(
        "没有在这个模型里找到给出分数的那一层，或者它不是一个普通的矩阵；如果模型里确有这一层，请用 --head "
        "PATH 指明。",
        "{logits:shape}",
    ),
    # last-dim
    "vocabulary": Sentence(_VOCABULARY, "{vocab_size:,} 个分数；分词器有 {tokens:,} 个 token"),
    "vocabulary_padded": Sentence(
        _VOCABULARY,
        "{vocab_size:,} 个分数；分词器有 {tokens:,} 个 token，其余 {others:,} 个分数不对应任何 token",
    ),
    "vocabulary_without_tokenizer": Sentence(
        _VOCABULARY, "{vocab_size:,} 个分数；没有与这个模型配套的分词器可供对照"
    ),
    "causal": Sentence(
        "所有位置都在同时做这件事。每一行是对下一个 token 的打分，只取决于这个位置的 token 和前面的 token，所"
        "以后面再接文字，这些行也不会变。",
        "{rows} 行；文字更长或更短时，这些行相差 {difference:small}",
    ),
    "causal_unmeasured": Sentence(
        "所有位置都在同时做这件事。在因果（causal）模型里，每一行只取决于自己的 token 和前面的 token，所以后"
        "面再接文字，这些行也不会变。",
        "未测量：上下文已满，或者词表里的 token 都已在文字中，没有新的可接",
    ),
    "last_row_alone": Sentence(
        "GPT 会在所有位置上同时各算出这样一行，而这个模型只给出最后一行。",
        "{tokens} 个 token，logits {logits:shape}",
    ),
    "logits": Sentence(
        "一行 logits 还不是概率。它们可以是负数，有意义的只是彼此之差：每个都加 {added:g}，概率不变。",
        "最后一行从 {lowest:.4g} 到 {highest:.4g}，最高分属于 {best:token}；全部加 {added:g} 后，概率相差 "
        "{difference:small}",
    ),
    "probabilities_returned": Sentence(
        "输出的一行已经是概率：模型自己做了 softmax。所以这些数不是 logits，再做一次 softmax，得到的概率就"
        "平坦得多。",
        "最后一行从 {lowest:.4g} 到 {highest:.4g}，最大的属于 {best:token}，总和是 {total:.6f}",
    ),
    # projection
    "matrix_product": Sentence(
        "`{head}` 只做一次矩阵乘法：y = x·Wᵀ，没有偏置（bias）。" + _MATRIX,
        _MATRIX_FIGURES + "；{scores:,} 个分数中有 {equal:,} 个等于 x·Wᵀ",
    ),
    "matrix_product_with_bias": Sentence(
        "`{head}` 只做一次矩阵乘法：y = x·Wᵀ + b，每个 token 带一个偏置 b（bias）。" + _MATRIX,
        _MATRIX_FIGURES + "；{scores:,} 个分数中有 {equal:,} 个等于 x·Wᵀ + b",
    ),
    "dot_product": Sentence(
        _DIRECTION + "：" + _LARGE + "再相加，" + _SAME, "{by_hand:each}", _BY_HAND, "；"
    ),
    "dot_product_with_bias": Sentence(
        _DIRECTION + "，再加上这个 token 的偏置：" + _LARGE + "、相加，再加上偏置，" + _SAME,
        "{by_hand:each}",
        _BY_HAND,
        "；",
    ),
    "dot_product_changed": Sentence(_SCORE + "：" + _CHANGED, "{by_hand:each}", _CHANGED_BY_HAND, "；"),
    "dot_product_changed_with_bias": Sentence(
        _SCORE + "，再加上这个 token 的偏置：" + _CHANGED, "{by_hand:each}", _CHANGED_BY_HAND, "；"
    ),
    "linear": Sentence("这个映射是线性的（linear）：" + _LINEAR, _LINEAR_FIGURES),
    "linear_with_bias": Sentence("除去偏置，这个映射是线性的（linear）：" + _LINEAR, _LINEAR_FIGURES),
    "bottleneck": Sentence(
        _BOTTLENECK + "如果只留下前一半的数，这个向量给出的分数就不一样了。",
        "{numbers} 个数只用 {half} 个：与真实分数的相关系数为 {correlation:.3f}；最可能的 token 会是 "
        "{best_of_half:token}，而真实结果是 {best:token}",
    ),
    "bottleneck_unmeasured": Sentence(_BOTTLENECK, "未测量：不同的分数太少，无从比较"),
    # probabilities
    "softmax": Sentence(
        "沿最后一维做 softmax，一行 logits 就变成概率：pᵢ = exp(yᵢ) / Σ exp(yⱼ)。没有一个是负的，每个位置上加"
        "起来都等于 1。",
        "{rows} 行，总和与 1 最多相差 {deviation:small}；最小的概率是 {smallest:percent}",
    ),
    "ranking": Sentence(
        "概率的排名和 logits 完全一样，因为 exp 是单调递增的。只想知道谁最可能，不必算 softmax。",
        "最可能的 {count} 个顺序相同，第一名是 {first:token}",
    ),
    "log_ratio": Sentence(
        "两个 logit 之差，就是两者概率之比的对数。",
        "{first.token:token} 与 {second.token:token}：{first.logit:.4f} − {second.logit:.4f} = "
        "{difference:.5f}，ln(p₁/p₂) = {log_ratio:.5f}",
    ),
    "temperature": Sentence(
        "先把 logits 除以温度 T（temperature），再做 softmax：T 小于 1，概率分布更尖锐；T 大于 1，更平坦。"
        "排名不变。",
        "{first:token}：{at_temperatures:each}",
        "T = {temperature:g} 时 {probability:percent}",
        "，",
    ),
    # inference
    "last_row": Sentence(
        _LAST_ROW, "只对最后一个向量使用输出层，与 {rows} 行中的第 {rows} 行相差 {difference:small}"
    ),
    "last_row_unmeasured": Sentence(_LAST_ROW, "未测量：没有找到输出层，或者它不是一个普通的矩阵"),
    "greedy": Sentence(
        "贪心（greedy）：取最可能的 token。同样的文字，每次结果都一样。",
        "{token:token}，id {token.id}，{probability:percent}；再跑一遍，得到 {second:token}",
    ),
    "sampled": Sentence(
        "采样（sampling）：按概率抽一个 token。抽的次数多了，一个 token 出现的频率就接近它的概率。",
        "种子 {seed} 抽到 {token:token}（{probability:percent}）；抽 {draws:,} 次，{greedy:token} 出现 "
        "{greedy_draws:,} 次，期望 {expected:,.1f} 次",
    ),
    "next_step": Sentence(
        "选出的 token 接到文字末尾，seq_len 加一，再从头算一遍。",
        "接上 {token:token}：logits {logits:shape}；再下一个是 {following:token}",
    ),
    "context_full": Sentence(
        "选出的 token 接到文字末尾，再从头算一遍。这里上下文已满，要先丢掉最前面的 token，才接得下新的。",
        "未测量：接不下 {token:token}",
    ),
    # tying
    "same_shape": Sentence(
        "入口的表和出口的矩阵，都是每个 token 一行、每行 {width} 个数，所以一张表可以两用（权重共享，weight "
        "tying）。",
        _SHAPES,
    ),
    "different_shapes": Sentence(
        "入口的表和出口的矩阵形状不同，所以一张表不能两用（权重共享，weight tying）。", _SHAPES
    ),
    "tied_in_part": Sentence(
        "入口的表和出口的矩阵形状不同，但共用同一块内存：一个是另一个的开头部分（部分权重共享）。", _SHAPES
    ),
    "tied": Sentence("这里它们就是同一个张量。", _PARAMETERS + "；若分成两张则为 " + _PARAMETERS_OTHERWISE),
    "untied": Sentence("这里它们是两张。", _PARAMETERS + "；若共用一张则为 " + _PARAMETERS_OTHERWISE),
    "no_tables": Sentence("没有找到 token 嵌入表或输出层的矩阵，无从比较。", "无"),
}
_NOT_THE_SCORES = (
    "所以 W 的每一行就是一个 token 的方向，但这个模型的 logits 并不是向量 x 与这一行的点积：输出层的分数在返"
    "回之前又改动过。"
)
_NOT_A_PRODUCT = "`{head}` 有矩阵 W，但不只是乘以它：给出的分数不等于 x·Wᵀ。"
_NOT_LINEAR = "这个映射不是线性的：向量翻倍或相加之后，分数并不随之翻倍或相加。"
_NOT_EVERY_POSITION = "输出层（output head）`{head}` 没有给模型返回的每个位置都打分。"
_TOO_FEW_SCORES = "最后一维的分数比分词器的 token 还少。"
_FAILURES = {
    "tokens": "分词器（tokenizer）先把文字切成 token，但拼起来不是原文。",
    "token_embedding": "`{table}` 是一张表，词表里每个 token 占一行，但这一层输出的既不是表中的行，也不是它"
    "们的倍数。",
    "position_embedding": "`{table}` 里每个位置占一行，但没有用到：换成别的行，logits 也不变。",
    "blocks": "向量经过 {count} 个 block，但不是每个都保持形状。",
    "unused_blocks": _SENTENCES["unused_blocks"].text,
    "unused_norm": _SENTENCES["unused_norm"].text,
    "final_norm": "`{norm}` 处在最终归一化（final norm）的位置，却没有把向量调整到同一尺度：向量放大一倍，"
    "结果就变了。",
    "output_head": _NOT_EVERY_POSITION,
    "output_head_of_other_width": _NOT_EVERY_POSITION,
    "vocabulary": _TOO_FEW_SCORES,
    "vocabulary_padded": _TOO_FEW_SCORES,
    "causal": "后面再接文字，前面的行就变了：它们取决于后面的 token，所以这个模型不是因果的（causal）。",
    "causal because random": "即使文字不变，再跑一遍这些行也会变：这个模型用了随机数，或者把什么留到了下一次"
    "运行。",
    "probabilities_returned": _SENTENCES["probabilities_returned"].text,
    "matrix_product": _NOT_A_PRODUCT,
    "matrix_product_with_bias": _NOT_A_PRODUCT,
    "dot_product": _NOT_THE_SCORES,
    "dot_product_with_bias": _NOT_THE_SCORES,
    "linear": _NOT_LINEAR,
    "linear_with_bias": _NOT_LINEAR,
    "bottleneck": "{vocab_size:,} 个分数全都来自 {numbers} 个数，但这个向量后一半的数几乎不起作用。",
    "last_row": "最后一行不只取决于最后一个向量：单独运行输出层，分数就不一样。",
    "greedy": "贪心（greedy）：取最可能的 token。再跑一遍，结果不同，说明这个模型用了随机数。",
    "next_step": "选出的 token 接到文字末尾，但模型返回的行数没有增加。",
}
CHINESE = Catalog(
    _TITLES,
    TOKENS | _SENTENCES | TRAINING | ATTENTION,
    _FAILURES | ATTENTION_FAILURES,
    denial="这里并非如此：",
)
