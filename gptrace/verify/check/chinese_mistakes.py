"""The likely mistakes in Chinese, and what to write instead, by the key of a blame."""

from __future__ import annotations

from gptrace.verify.check.chinese_attention_mistakes import ATTENTION

LIKELY = {
    "unknown": (
        "",
        "",
    ),
    **ATTENTION,
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
        "{operation} 收到的输入已有 NaN，来源没有记录到",
        "请检查这里的输入：它不是 torch 的运算得出的，例如来自 NumPy",
    ),
    "takes-inf": (
        "{operation} 收到的输入已有无穷，来源没有记录到",
        "请检查这里的输入：它不是 torch 的运算得出的，例如来自 NumPy",
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
    "overwritten": (
        "它原地改写了反向传播还需要的张量",
        "使用返回新张量的运算，例如用 x = x + y 代替 x += y",
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
