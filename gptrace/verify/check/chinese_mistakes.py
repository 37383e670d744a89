"""The likely mistakes in Chinese, and what to write instead, by the key of a blame."""

from __future__ import annotations

LIKELY = {
    "unknown": (
        "",
        "",
    ),
    "no-mask": (
        "分数没有经过因果掩码就进入 softmax",
        (
            "scores = scores.masked_fill(mask, -torch.inf)，其中 mask 在 query 之后的 key 上为 True，例如 "
            "torch.ones(T, T, dtype=torch.bool).triu(1)；融合注意力用 is_causal=True"
        ),
    ),
    "mask-wrong": (
        "掩码遮住的不正好是每个 query 之后的 key",
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
        "除以 {head_dim}**0.5",
        "除以 head_dim（queries 和 keys 最后一维的大小）的平方根",
    ),
    "multiplied": (
        "分数乘以 √head_dim，而不是除以它",
        "除以 {head_dim}**0.5",
        "除以 head_dim（queries 和 keys 最后一维的大小）的平方根",
    ),
    "not-rooted": (
        "分数除以了 head_dim，或两次除以它的平方根",
        "除以 {head_dim}**0.5 一次",
        "除以 head_dim（queries 和 keys 最后一维的大小）的平方根一次",
    ),
    "scaled-by-dim": (
        "分数乘以了 head_dim",
        "除以 {head_dim}**0.5",
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
    "dropout-on": (
        "评估模式下 dropout 仍在起作用",
        "给 F.dropout 传 training=self.training，或用 nn.Dropout；融合注意力评估时用 dropout_p=0.0",
    ),
    "eval-not-reached": (
        (
            "评估模式下 dropout 仍然开着：eval() 到不了 {name} 里的模块，"
            "它是普通的 list、tuple 或 dict，torch 看不见"
        ),
        "self.{attribute} = nn.ModuleList([…]) 或 nn.ModuleDict({{…}})：这样 eval() 和优化器才能到达它们",
    ),
    "random": (
        "评估模式下它仍取随机数",
        "只在 self.training 时取随机数",
    ),
    "state": (
        "它读取上一次调用留下的状态",
        "把一次调用的中间结果放在局部变量里，或在开始时重置",
    ),
    "written": (
        "它就地改写了属于调用者或模型的东西",
        "用名字末尾没有下划线的函数，或先 clone",
    ),
    "cache-positions": (
        "每一步的位置又从 0 开始，而不是接在已缓存的 token 之后",
        "torch.arange(start, start + T)，其中 start 是已缓存的 token 数",
    ),
    "cache-other": (
        "有缓存时，这里的结果与没有缓存时不同",
        "把旋转之后的新 keys 和 values 沿 token 那一维接在已缓存的后面，并按绝对位置遮住",
    ),
    "vocabulary-head": (
        "输出层的大小与词表不同",
        "nn.Linear(emb_dim, vocab_size)",
    ),
    "vocabulary-table": (
        "token 表的行数与分数数不同，或 id 先被改变",
        "nn.Embedding(vocab_size, emb_dim)，id 原样传入",
    ),
    "positions-clamped": (
        "超出表的位置被截到最后一行",
        "拒绝更长的提示，或在前向传播之前截到最后 context_length 个 token",
    ),
    "positions-wrapped": (
        "超出表的位置又从头开始",
        "拒绝更长的提示，或在前向传播之前截到最后 context_length 个 token",
    ),
    "cut": (
        "太长的提示丢掉了最后的 token",
        "ids[:, -context_length:] 保留最后的；最好拒绝这样的提示",
    ),
    "refuses-context": (
        "模型拒绝其配置中所写长度的提示",
        "表和掩码的大小用 context_length",
    ),
    "softmax-inside": (
        "forward 以 softmax 结束，而损失又做一次",
        "返回分数；需要概率时再用 softmax",
    ),
    "scale": (
        "分数一开始就太大",
        "用小的标准差（例如 0.02）初始化输出层",
    ),
    "tied-scale": (
        "输出层与嵌入共用权重，而嵌入的标准差 1 对它来说太大",
        "nn.init.normal_({name}, std=0.02)",
    ),
    "shifted-twice": (
        "标签在这里移位，而调用者已经移过，或移了两次",
        "只在一处移位：在这里，或在数据中",
    ),
    "not-shifted": (
        "标签就是输入的 id，却没有移位",
        "cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())",
    ),
    "shifted-back": (
        "移位的方向反了",
        "cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())",
    ),
    "other-shift": (
        "logits 与标签之间的移位不是 1",
        "cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())",
    ),
    "other-loss": (
        "损失是用别的方法算出的，或由别的东西算出",
        "cross_entropy(logits.flatten(0, 1), targets.flatten())",
    ),
    "loss-multiple": (
        "各个 token 的损失被加起来或乘了系数，所以不是平均值",
        "cross_entropy(logits.flatten(0, 1), targets.flatten())，它对 token 取平均",
    ),
    "loss-without-zero": (
        "ignore_index 或掩码略去了 id 为 0 的 token",
        "ignore_index=-100，填充的标签取 -100；如果 0 是填充，表里写 padding_idx=0",
    ),
    "detached": (
        "{operation} 在计算图之外运行，梯度不能经过它",
        "在通往 logits 的路上不要用 detach()、.data 和 torch.no_grad()",
    ),
    "custom-backward": (
        "这个函数的 backward 不是其 forward 的导数",
        "用 torch.autograd.gradcheck 比较",
    ),
    "parameter-unread": (
        "{name} 被创建，却从未使用",
        "在 forward 中使用它，或删去它",
    ),
    "nan-gradient": (
        "梯度是 NaN 或无穷，例如 0 处的平方根",
        "在根号或对数之内加一个小的 eps",
    ),
    "nan-weights": (
        "{name} 含有 NaN 或无穷",
        "检查它的初始化或加载",
    ),
    "makes-nan": (
        "{operation} 由有限的数得出 NaN",
        "让输入保持在范围之内：clamp，或加一个小的 eps",
    ),
    "makes-inf": (
        "{operation} 由有限的数得出无穷",
        "让输入保持在范围之内：clamp，或加一个小的 eps",
    ),
    "takes-nan": (
        "{operation} 得到的输入已经是 NaN，是谁得出的没有记录到",
        "请看这里的输入：它不是由 torch 的运算得出的，例如来自 NumPy",
    ),
    "takes-inf": (
        "{operation} 得到的输入已经是无穷，是谁得出的没有记录到",
        "请看这里的输入：它不是由 torch 的运算得出的，例如来自 NumPy",
    ),
    "hides-all": (
        "掩码对某个 query 遮住了全部 key，而空的 softmax 是 NaN",
        "让每个 query 看到自己的 key：用 triu(diagonal=1) 遮住",
    ),
    "unregistered": (
        "模块放在普通的列表、元组或字典里，torch 看不到它们",
        "nn.ModuleList([…])、nn.ModuleDict({{…}})、nn.ParameterList([…])",
    ),
    "never-called": (
        "模块被创建，却从未调用",
        "在 forward 中调用它，或删去它",
    ),
    "padding-positions": (
        "位置把填充也算在内",
        "position_ids = (attention_mask.cumsum(-1) - 1).clamp(min=0)",
    ),
    "to-python": ("Python 的数没有梯度，{name} 得不到梯度", "直接用张量，不要用 .item() 或 .tolist()"),
    "no-path": ("由 {name} 得出的结果没有进入 logits", "在通往 logits 的路上使用它的结果"),
    "no-grad-forward": (
        "整个前向传播都在 torch.no_grad() 之下",
        "把 torch.no_grad() 放在不训练的调用外面，不要放进模型里",
    ),
    "gradient-stops": (
        "{operation} 在这里的梯度为 0 或不是有限的数",
        "换用有梯度的运算，或让输入避开没有梯度的地方",
    ),
    "item-not-called": (
        "列表中的模块在这里轮流调用，却漏掉了一些",
        "依次调用 {name} 中的每一个：for block in {name}: x = block(x)",
    ),
    "positions-repeat": ("不同的位置在这里变成相同", "按原样使用每个位置，从 0 到 T - 1"),
    "positions-late": ("位置在各个块之后才加入", "在第一个块之前加到嵌入上"),
    "positions-dropped": ("含有位置的结果没有被使用", "把函数的返回值赋给变量"),
    "keys-without-positions": ("只有 queries 带有位置，所有 keys 看起来都一样", "keys 也要旋转或加上位置"),
    "cache-not-reset": ("清空之后，先前缓存的内容仍在", "把所有缓存和位置计数器都恢复到初始值"),
    "cache-not-passed": ("这次调用没有把缓存传下去", "把缓存或 use_cache 传给每个块"),
    "cache-kept": (
        "这里保留的 keys 或 values 不是以后各步需要的",
        "保留全部 keys 和 values，先前 token 的在前",
    ),
    "stuck": (
        "{name} 与和它相乘的参数都从 0 开始，两者永远得不到梯度",
        "其中一个用随机数开始",
    ),
    "bounded-scores": (
        "{operation} 把分数限制在很窄的范围内，没有 token 能得到接近 1 的概率",
        "直接返回输出头的分数",
    ),
    "not-trained": (
        "{name} 在训练中不变",
        "让损失依赖于它，并保留它的 requires_grad",
    ),
    "loses-precision": (
        "{operation} 在 bfloat16 下保留的位数太少",
        "id 和位置用 int64，这一步用 float32 计算",
    ),
    "other-device": (
        "这一行的某个张量与权重不在同一个设备上",
        "用 device=x.device 创建新张量，常量用 register_buffer 保存，使它随模型移动",
    ),
}
