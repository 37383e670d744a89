"""What reports say: headers, column titles, summaries, legends. Separators of lists are here, too."""

from __future__ import annotations

REPORTS: dict[str, str] = {
    "{}; the line is {}: {}; {} says more": "{}；出错的一行是 {}：{}；{} 有更多说明",
    "{}; {} says more": "{}；{} 有更多说明",
    # separators
    ", ": "，",
    "; ": "；",
    ": ": "：",
    " · ": " · ",
    " and ": "和",
    # what stands before a message
    "note: {}": "注意：{}",
    "{}error:{} {}": "{}错误：{}{}",
    "{}hint:{} {}": "{}提示：{}{}",
    "error: {} (prompt {}; {})": "错误：{}（prompt {}；{}）",
    # the model
    "model": "模型",
    "{}, changed": "改过的 {}",
    "weights": "权重",
    "{} ({})": "{}（{}）",
    "{} parameters": "{} 个参数",
    "{} without out_head": "不含 out_head 为 {}",
    "{} in {} on {}": "{1}，{0}，在 {2} 上",
    "random, seed {}: the next tokens mean nothing": "随机，种子 {}：预测的 token 没有意义",
    "-m small is trained": "-m small 是训练好的模型",
    "without --weights random it is trained": "不加 --weights random 就是训练好的",
    "for real weights use --weights PATH": "要用真实权重，请加 --weights PATH",
    "none: device meta has shapes but no numbers, so there are no next tokens": (
        "无：设备 meta 上只有形状，没有数，所以不能预测下一个 token"
    ),
    "trained on {}": "用{}训练",
    "in the package, stored in {}": "随包提供，存储为 {}",
    "pretrained, {} at revision {}": "预训练，{}，版本 {}",
    "from {}": "来自 {}",
    "from {} at revision {}": "来自 {}，版本 {}",
    "{}, {} layout, stored in {}": "{}，{} 格式，以 {} 存储",
    "as in the model that was passed in": "传入的模型自带的权重",
    "made by {}": "由 {} 生成",
    "made by {} with seed {}: where they are random, the next tokens mean nothing": (
        "由 {} 生成，种子 {}：如果是随机的，预测的 token 就没有意义"
    ),
    "{} is {}": "{} 是{}",
    "{} rows that pad the vocabulary are never predicted": "词表末尾有 {} 行是填充，不会被预测",
    "assumed, since the file does not say: {}": "文件里没有写，按推算：{}",
    "config.json names the class {}, but the causal language model of that family was loaded, so the next "
    "tokens may mean nothing": (
        "config.json 里写的类是 {}，加载的却是同一系列的因果语言模型，所以预测的 token 可能没有意义"
    ),
    "{} and {} more hold NaN": "{} 等参数含有 NaN（另有 {} 个）",
    "{} holds NaN": "{} 含有 NaN",
    # prompts
    "prompt": "prompt",
    "prompt {}": "prompt {}",
    "prompts": "prompt",
    "ids {}": "id {}",
    "ids {} ": "id {} ",
    "{} token": "{} 个 token",
    "{} tokens": "{} 个 token",
    "{} of {}": "{1} 的 {0}",
    " … {} more …": " … 省略 {} 个 …",
    " + {} padding": " + {} 个填充",
    "… {} more prompts": "… 另有 {} 个 prompt",
    "padding": "填充",
    "{} of {} prompts, on the right, to {} tokens; each prediction is read at the prompt's last real token": (
        "{1} 个 prompt 中有 {0} 个在右边填充到 {2} 个 token；预测取自 prompt 的最后一个真实 token"
    ),
    "cut off": "截去",
    "{} tokens on the left of {} of {} prompts": "{2} 个 prompt 中有 {1} 个从左边截去，共 {0} 个 token",
    "of the logits divided by the temperature {}": "先把 logits 除以温度 {}",
    # candidates
    "After {}": "在 {} 之后",
    "Rank": "排名",
    "Next token": "下一个 token",
    "Next tokens": "下一个 token",
    "Token": "Token",
    "Id": "Id",
    "Probability": "概率",
    "Log-probability": "对数概率",
    "Logit": "Logit",
    "Position": "位置",
    "Bytes": "字节",
    "At each position of {}": "{} 的每个位置",
    "{}, rank {}": "{}，排名 {}",
    # run
    # check
    "Check": "检查",
    "Result": "结果",
    "line": "代码行",
    "cell {}, line {}": "单元格 {} 第 {} 行",
    "likely": "可能的错误",
    "instead": "应改为",
    "  (difference {}; rounding explains up to {})": "（相差 {}；舍入最多能解释 {}）",
    "  (off by {}; up to {} is allowed)": "（偏差 {}；最多允许 {}）",
    "No check applies or can be judged: this says nothing about the model.": (
        "没有一项适用或能够判断：这对模型没有说明任何事情。"
    ),
    "{} check fails": "{} 项不成立",
    "{} checks fail": "{} 项不成立",
    "{} check holds": "{} 项成立",
    "{} holds": "{} 项成立",
    "{} hold": "{} 项成立",
    "{} checks hold": "{} 项成立",
    "{} does not apply": "{} 项不适用",
    "{} do not apply": "{} 项不适用",
    "{} cannot be judged": "{} 项无法判断",
    "{}.": "{}。",
    "axes": "各维",
    # source
    "… {} more shapes": "… 另有 {} 种形状",
    "… {} lines": "… {} 行",
    "Module": "模块",
    "Type": "类型",
    "Input → output": "输入 → 输出",
    "Input": "输入",
    "Output": "输出",
    "Sizes": "大小",
    "Parameters": "参数",
    "Trainable": "可训练",
    "MACs": "MACs",
    "Time": "用时",
    "Own time": "自身用时",
    "Peak memory": "内存峰值",
    "Dtype": "Dtype",
    "Device": "设备",
    "Mean": "均值",
    "mean of output": "输出的均值",
    "std of output": "输出的标准差",
    "min of output": "输出的最小值",
    "max of output": "输出的最大值",
    "Std": "标准差",
    "Min": "最小",
    "Max": "最大",
    "NaN": "NaN",
    "same": "不变",
    "raised": "出错",
    "above": "见上",
    "view": "view",
    "in place": "原地",
    "no tensor": "无张量",
    "{} → {}": "{} → {}",
    "→ {}": "→ {}",
    "{} (local {})": "{}（本地 {}）",
    "{}, … {} more": "{}，… 另有 {} 个",
    "{}, same as {}": "{}（同 {}）",
    "{}, unlike {}": "{}（与 {} 不同）",
    "{}, unlike {} at {}": "{}（与 {} 不同：{}）",
    "too narrow for: {}; a pipe or a larger --width shows all columns": (
        "宽度不够，没有显示：{}；输出到管道，或加大 --width，就显示所有列"
    ),
    "{} calls of {} modules in {} ms": "{1} 个模块的 {0} 次调用，用时 {2} ms",
    "{} operations": "{} 次运算",
    "{} folded (--full shows them)": "折叠了 {} 次（--full 全部显示）",
    "{} below --depth": "{} 次比 --depth 更深",
    "parameters include the children's": "参数个数包含子模块",
    "(2) marks a module's second call": "(2) 表示模块的第二次调用",
    "{} MACs (multiply-accumulates) in matrix products, convolutions and attention": (
        "矩阵乘法、卷积和注意力共 {} MACs（乘加次数）"
    ),
    "the cost of {} is unknown": "{} 的开销未知",
    "peak memory of activations: {}, parameters not included": "激活值的内存峰值：{}，不含参数",
    "Each position has {} logits, one for each token of the vocabulary; softmax over those of the last "
    "position gives the next token.": (
        "每个位置有 {} 个 logit，词表里每个 token 一个；对最后一个位置的 logits 做 softmax，就得到下一个 "
        "token 的概率。"
    ),
    "Each position has {} logits; softmax over those of the last position gives the next token.": (
        "每个位置有 {} 个 logit；对最后一个位置的 logits 做 softmax，就得到下一个 token 的概率。"
    ),
    "not called: {}": "没有调用：{}",
    "not reached: {}": "没有执行到：{}",
    "{} and {} more": "{} 等（另有 {} 个）",
    "raised in {}: {}: {}": "{} 抛出异常（原文）：{}: {}",
    "the model itself": "模型本身",
    "{} {} {} on {}": "{} {} {}，在 {} 上",
    "arguments: {}": "输入：{}",
    "at: {}": "位于：{}",
    "likely: {}": "可能的原因：{}",
    # loss
    "Surprisal": "惊异度",
    "{}: {}": "{}：{}",
    "together": "合计",
    "together: {}": "合计：{}",
    "loss {}, perplexity {}": "损失 {}，困惑度 {}",
    "one token, so nothing is predicted": "只有一个 token，没有可预测的",
    "measure": "度量",
    "the loss is the mean surprisal, -ln p, in nats; equal probabilities for all tokens would give {}": (
        "损失是惊异度（surprisal）-ln p 的平均值，单位是 nat；如果每个 token 的概率都相等，损失是 {}"
    ),
    "windows": "窗口",
    "windows as long as the context, each {} tokens after the one before": (
        "窗口与上下文一样长，每个比前一个后移 {} 个 token"
    ),
    "the {} of {} tokens with the highest surprisal; --full shows all": (
        "{1} 个 token 中惊异度最高的 {0} 个；--full 全部显示"
    ),
    "probability ": "概率 ",
    "less": "更小",
    # generate
    "decoding": "解码",
    "greedy: the most likely token each time": "贪心：每次取最可能的 token",
    "sampled: {}": "采样：{}",
    "temperature {}": "温度 {}",
    "seed {}": "种子 {}",
    "stops at": "停止于",
    "{} new token, {}": "新增 {} 个 token，{}",
    "{} new tokens, {}": "新增 {} 个 token，{}",
    "stopped at --max-new-tokens": "到 --max-new-tokens 为止",
    "stopped by the end-of-text token": "遇到文末 token 而停止",
    "stopped before a --stop text": "在 --stop 的文字之前停止",
    "stopped by an error": "因出错而停止",
    "Queries @ keys": "query @ key",
    "Queries, keys, values": "query、key、value",
    "queries @ keys: {}": "query @ key：{}",
    "queries, keys, values: {}": "query、key、value：{}",
    "Step": "步",
    "Cached": "已缓存",
    "Logits": "Logits",
    # lens
    "lens": "lens",
    "each layer's output → {}": "每一层的输出 → {}",
    "the last layer's logits differ from the model's by {}": "最后一层的 logits 与模型的相差 {}",
    "Layer": "层",
    "After each token of {}, layer by layer": "在 {} 的每个 token 之后，逐层预测",
    "After the last token": "在最后一个 token 之后",
    "Rank of {}": "{} 的排名",
    "Its next tokens": "这一层预测的 token",
    "the last {} of {} positions; --full shows all": "{1} 个位置中的最后 {0} 个；--full 全部显示",
    "cells: the most likely token of the layer": "每一格：这一层认为最可能的 token",
    "cells: the most likely token of the layer; colour: rank that the layer gives to the model's "
    "prediction: ": ("每一格：这一层认为最可能的 token；颜色：模型所预测的 token 在这一层的排名："),
    "up to {}": "到 {}",
    "beyond": "更后",
    # diff
    "What": "哪一项",
    "{}: {}, {} calls": "{}：{}，{} 次调用",
    "calls: {}": "调用：{}",
    "{} removed": "少了 {} 次",
    "{} added": "多了 {} 次",
    "{} changed": "变了 {} 次",
    "the same, with the same shapes, dtypes and parameters": "相同，形状、dtype 和参数个数也相同",
    "operations: not compared; make both traces with --ops": "运算：没有比较；两份跟踪结果都要加 --ops",
    "operations: the same, in the same order": "运算：相同，顺序也相同",
    "rtol {} and atol {}": "rtol {}、atol {}",
    "values: not compared": "数值：没有比较",
    "values: not compared: no statistics in {}": "数值：没有比较：{} 里没有统计值",
    "make both traces with --columns mean,std,min,max,nan": (
        "两份跟踪结果都要加 --columns mean,std,min,max,nan"
    ),
    "values: the same in {} calls, within {}": "数值：{} 次调用都相同，容差 {}",
    "values: {} is the first of {} calls that differs beyond {}": (
        "数值：{1} 次调用中，{0} 是第一个差别超出容差（{2}）的"
    ),
    "the two traces have different prompts, so their values are expected to differ": (
        "两份跟踪结果的 prompt 不同，所以数值本来就会不同"
    ),
    "present": "有",
    "yes": "是",
    "no": "否",
    "call of {}": "调用 {}",
    "absent": "无",
    "removed": "少了",
    "added": "多了",
    "changed": "变了",
    "values": "数值",
    "type": "类型",
    "input": "输入",
    "output": "输出",
    "input dtype": "输入 dtype",
    "output dtype": "输出 dtype",
    "device": "设备",
    "parameters": "参数",
    "config {}": "配置 {}",
    "weights {}": "权重 {}",
    "step {}": "第 {} 步",
    # explain
    "these topics show more with trained weights (-m small): {}": (
        "下列主题换成训练好的权重（-m small）能看到更多：{}"
    ),
    "the claims stay as they were made; gptrace {} --lang {} makes them in this language": (
        "结论保持生成时的语言；用 gptrace {} --lang {} 生成这种语言的结论"
    ),
    # models
    "Model": "模型",
    "Aliases": "别名",
    "context": "上下文",
    "without out_head": "不含 out_head",
    "Pretrained": "预训练权重",
    "Size (float32)": "大小（float32）",
    "downloaded": "已下载",
    "included": "随包提供",
}
