"""The likely mistakes of attention in Chinese, and what to write instead, by the key of a blame."""

from __future__ import annotations

ATTENTION = {
    "no-mask": (
        "分数没有经过因果掩码就进入 softmax",
        (
            "scores = scores.masked_fill(mask, -torch.inf)，其中 mask 在 query 之后的 key 上为 True，例如 "
            "torch.ones(T, T, dtype=torch.bool).triu(1)；融合注意力用 is_causal=True"
        ),
    ),
    "mask-wrong": (
        "掩码遮住的不正好是每个 query 之后的 key",
        "这里分数的行是 key：torch.ones(T, T, dtype=torch.bool).triu(1){transpose} 在应遮住的 key 上为 True",
        "torch.ones(T, T, dtype=torch.bool).triu(diagonal=1) 在应遮住的 key 上为 True",
    ),
    "mask-uniform": (
        "掩码对每个 query 和 key 都一样，什么也没有遮住",
        "torch.ones(T, T, dtype=torch.bool).triu(diagonal=1) 在应遮住的 key 上为 True；行和列都从 0 开始",
    ),
    "mask-inverted": (
        "掩码用反了：它遮住了更早的 key，露出了更晚的 key",
        "在 key 晚于 query 的地方填充：triu(1) 掩码填为 True 的地方，tril 掩码填为 0 的地方",
    ),
    "mask-weak": (
        "填充值与其他分数太接近，被遮住的 key 仍有权重",
        "用 -torch.inf 或 torch.finfo(scores.dtype).min 填充",
    ),
    "mask-late": (
        "掩码在 softmax 之后，而它的和已经包含被遮住的 key",
        "在 softmax 之前用 -torch.inf 遮住分数",
    ),
    "mask-discarded": (
        "masked_fill 返回新的张量，而结果没有被使用",
        "把结果赋回去：scores = scores.masked_fill(…)，或调用 masked_fill_",
    ),
    "softmax-axis": (
        "softmax 没有沿 key 那一维计算",
        "torch.softmax(scores, dim={axis})：这些分数的 key 在这一维",
        "torch.softmax(scores, dim=-1)：key 是分数的最后一维",
    ),
    "softmax-twice": (
        "对 softmax 得到的权重又做了一次 softmax：被掩码遮住的 key 权重是 0，又得到一些权重",
        "只对遮好的分数做一次 softmax",
    ),
    "mixes-keys": (
        "掩码之后，更晚的 key 又得到权重",
        "最后才用掩码，紧挨着 softmax 之前",
    ),
    "pooled": (
        "它把全部 token 混合成一个值，再给每个位置",
        "沿特征计算，dim=-1，或只用更早的位置",
    ),
    "other-lanes": (
        "从这里起，各行不再是 token，而是片段或频率之类；这个运算或后面的某个运算让更晚的 token 进来",
        "位置 t 只用到 t 为止的位置",
    ),
    "scrambled": (
        "{operation} 按另一种顺序切开内存，于是头或特征混到 token 之中",
        "拆分用 x.view({B}, {T}, {n_heads}, {head_dim}).transpose(1, 2)，合并用 "
        "x.transpose(1, 2).reshape({B}, {T}, -1)",
        "拆分时先把最后一维分成各个头，再 transpose(1, 2)；合并时先 transpose(1, 2)，再 reshape 成 "
        "[batch, seq_len, width]",
    ),
    "moved": (
        "它把更晚的 token 移到更早的位置",
        "朝另一个方向移，或在左侧填充",
    ),
    "mixes": (
        "它让更晚的 token 到达更早的位置",
        "位置 t 只用到 t 为止的位置，例如在左侧填充",
    ),
    "other-axis": (
        "queries 和 keys 沿错误的维相乘，缺少 transpose(1, 2)",
        "把 token 放到倒数第二维：x.view({B}, {T}, {n_heads}, {head_dim}).transpose(1, 2)",
        "把 token 放到倒数第二维：先把最后一维分成各个头，再 transpose(1, 2)",
    ),
    "batch-scrambled": (
        "{operation} 跨过提示切开内存",
        "让 batch 保持为第一维，改变各维的顺序用 transpose",
    ),
    "batch-mixed": (
        "它跨过一批中的提示计算",
        "让 batch 那一维保持独立：只沿特征或 token 求和",
    ),
    "one-prompt": (
        "这一行是为单独一段提示写的，而这里有好几段",
        (
            "从输入取得 batch，如 B, T = ids.shape，并让它保持为第一维：x.view(B, T, {n_heads}, {head_dim})，"
            "而不是 x.view(T, …) 或 x.view(1, T, …)"
        ),
        (
            "从输入取得 batch，如 B, T = ids.shape，并让它保持为第一维：x.view(B, T, …)，"
            "而不是 x.view(T, …) 或 x.view(1, T, …)"
        ),
    ),
    "positions-of-prompts": (
        "位置的个数等于提示的段数，而应当是每个 token 一个",
        "按输入的 token 数计数：torch.arange(ids.shape[1])",
    ),
    "prompts-lost": (
        "从这里起，一批中的提示不再是第一维",
        "让 batch 保持为第一维：不要写 ids[0] 或 x.view(1, -1, D)",
    ),
    "padding-seen": (
        "填充的注意力掩码在这里没有起作用",
        "把掩码加到每个 query 的分数上，沿 key 那一维",
    ),
    "length-matters": (
        "它对更早的 token 给出的结果取决于 token 的总数",
        "用不随长度变化的大小，例如 head_dim；先拆分头，再混合 token",
    ),
    "no-softmax": (
        "权重没有经过沿 key 的 softmax",
        "torch.softmax(scores, dim=-1)",
    ),
    "rescaled": (
        "softmax 之后权重又被改变",
        "在 softmax 之前缩放分数，不再改变权重",
    ),
    "unscaled": (
        "分数没有缩放",
        "除以 {head_dim_factor}**0.5",
        "除以 head_dim（queries 和 keys 最后一维的大小）的平方根",
    ),
    "multiplied": (
        "分数乘以 √head_dim，而不是除以它",
        "除以 {head_dim_factor}**0.5",
        "除以 head_dim（queries 和 keys 最后一维的大小）的平方根",
    ),
    "not-rooted": (
        "分数除以了 head_dim，或两次除以它的平方根",
        "除以 {head_dim_factor}**0.5 一次",
        "除以 head_dim（queries 和 keys 最后一维的大小）的平方根一次",
    ),
    "scaled-by-dim": (
        "分数乘以了 head_dim",
        "除以 {head_dim_factor}**0.5",
        "除以 head_dim（queries 和 keys 最后一维的大小）的平方根",
    ),
    "scaled-by-other-size": (
        "分数除以了另一个大小的平方根，而不是 head_dim 的",
        "拆成多个头之后：scores / keys.shape[-1]**0.5",
    ),
    "positions-equal": (
        "每个位置都查表中的同一行",
        "torch.arange(T, device=ids.device)",
    ),
    "positions-not-added": (
        "查出了位置向量，结果却没有使用",
        "把它加到 token 嵌入上，例如 x = tok_embeds + pos_embeds",
    ),
    "positions-unused": (
        "{name} 存在，却没有使用",
        "把 {name} 在各位置 torch.arange(T) 上的结果加到 token 嵌入上",
    ),
    "no-positions": (
        "没有什么能区分各个位置",
        "加上位置嵌入，或旋转 queries 和 keys，或按距离给分数加偏置",
    ),
}
