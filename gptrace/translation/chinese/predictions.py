"""Messages about texts, tokens and predictions."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "the text": "文字",
    "the text argument": "文字参数",
    "the prompt": "prompt",
    "the prompt: ": "prompt：",
    "line {}": "第 {} 行",
    "{} is empty": "{!t}是空的",
    "stdin is empty": "stdin 是空的",
    "pipe prompts into it, one on each line": "请用管道输入 prompt，每行一个",
    'give text as an argument, as in "Hello"': '请把文字写成参数，例如 "Hello"',
    "--lines reads prompts from stdin, but there is also the text {}": (
        "--lines 从 stdin 读取 prompt，却还给出了文字 {}"
    ),
    "stdin holds more than {} MiB": "stdin 超过 {} MiB",
    "pass less text at a time, for example with `head -c` or `split`": (
        "请一次少传一些文字，例如用 `head -c` 或 `split`"
    ),
    "stdin cannot be read: {}": "无法读取 stdin：{!t}",
    "give text another way": "请用别的方式给出文字",
    "{} is not UTF-8: byte 0x{} at offset {}": "{0!t}不是 UTF-8：偏移 {2} 处的字节是 0x{1}",
    "convert it first, for example with: iconv -f LATIN1 -t UTF-8": (
        "请先转换编码，例如用：iconv -f LATIN1 -t UTF-8"
    ),
    "stdin is shared by the {} processes of WORLD_SIZE, so each would read a part of it": (
        "WORLD_SIZE 的 {} 个进程共用一个 stdin，每个进程只会读到一部分"
    ),
    "give the text as an argument, or run the command without torchrun": (
        "请把文字写成参数，或不用 torchrun 运行这条命令"
    ),
    "task is {}": "task 是 {}",
    "model is of type {}, which would travel with every pickle": (
        "model 的类型是 {}，它会随每个 pickle 一起传送"
    ),
    "give its name, as in model='tiny' or model='model.py:GPT'": (
        "请给出它的名字，例如 model='tiny' 或 model='model.py:GPT'"
    ),
    "there is no column {}; there are {}": "没有 {} 这一列；现有的列是 {}",
    "name it, as in {}={}": "请指明列名，例如 {}={}",
    "the column {} is there already": "已经有 {} 这一列",
    "rename or drop it before": "请先改名或删去它",
    "line {} of stdin": "stdin 的第 {} 行",
    "line {} of stdin is empty": "stdin 的第 {} 行是空的",
    "lines {} of stdin are empty": "stdin 的第 {!t} 行是空的",
    "drop empty lines, for example with: grep .": "请去掉空行，例如用：grep .",
    "the text holds U+{} at character {}, which is half of a surrogate pair and no character": (
        "文字的第 {1} 个字符是 U+{0}，它只是代理对的一半，不是字符"
    ),
    "the text must be valid Unicode; check that the shell uses UTF-8": (
        "文字必须是有效的 Unicode；请检查 shell 是否使用 UTF-8"
    ),
    # lines of a stream
    'write it like {{"text": "Hello"}} or {{"ids": [15496]}}': (
        '例如写成 {{"text": "Hello"}} 或 {{"ids": [15496]}}'
    ),
    "{} is nested too deeply": "{!t}嵌套太深",
    "{} levels at most": "最多 {} 层",
    "{} is longer than {} MiB": "{!t}超过 {} MiB",
    "split it": "请把它拆开",
    "{} is not an object with either text or ids": "{!t}不是含有 text 或 ids（二者之一）的对象",
    "{}: text is {}, not a string": "{!t}：text 是 {}，不是字符串",
    "the prompt has the key {}, which is reserved for results": "prompt 里有键 {}，而它是结果专用的",
    "rename the key": "请给这个键改名",
    # arguments in Python
    "give either text or ids": "text 和 ids 只能给一个",
    'for example "Hello", or ids=[15496]': '例如 "Hello"，或者 ids=[15496]',
    "the list of texts is empty": "文字的列表是空的",
    "give at least one text": "请至少给出一段文字",
    "a text is of type {}": "有一段文字的类型是 {}",
    "give a str, or a list of them": "请给出 str，或者 str 的列表",
    "give a list of ids, or a list of such lists": "请给出 id 的列表，或者这种列表的列表",
    "{}ids are {}, not a list of whole numbers": "{!t}ids 是 {}，不是整数的列表",
    "write them like [15496, 11]": "例如写成 [15496, 11]",
    "ids are of type {}": "ids 的类型是 {}",
    "ids and lists of ids are mixed": "id 和 id 的列表混在一起",
    "{}{} is not a token id": "{!t}{} 不是 token id",
    "token ids are whole numbers": "token id 是整数",
    "ids cannot be read: {}": "无法读取 ids：{}",
    "give a dense tensor with numbers in it": "请给出含有数的稠密张量",
    "there are {} texts, and one is explained at a time": "有 {} 段文字，而一次只能讲解一段",
    "there are {} texts, and a model is checked with one": "有 {} 段文字，而检查模型只用一段",
    "give one of them": "请只给其中一段",
    # tokens
    "the text is empty": "文字是空的",
    "a prompt needs at least one character": "prompt 至少要有一个字符",
    "the text {}": "文字 {}",
    "the text {} gives no tokens": "文字 {} 得不到任何 token",
    "give more text, or --ids": "请多给一些文字，或者用 --ids",
    "the list of ids is empty": "id 的列表是空的",
    "a prompt needs at least one id": "prompt 至少要有一个 id",
    "id {} is negative": "id {} 是负数",
    "token ids start at 0": "token id 从 0 开始",
    "the ids {}": "id {}",
    "the tokenizer fails at {}: {}": "分词器处理不了{!t}（英文信息是原文）：{}",
    "shorten long runs of one character, or give --ids": "请缩短连续重复的字符，或者用 --ids",
    "{} is not a token id": "{} 不是 token id",
    'write ids as whole numbers: --ids "15496 11 314"': 'id 要写成整数：--ids "15496 11 314"',
    "id {} at position {}{} is not in the vocabulary of {}": "id {}（位置 {!t}{!t}）不在大小为 {} 的词表里",
    " of prompt {}": "，prompt {}",
    "ids go from 0 to {}{}": "id 从 0 到 {}{}",
    "; the tokenizer has a larger vocabulary than the model: give --ids": (
        "；分词器的词表比模型的大：请用 --ids"
    ),
    "the text{} has {} tokens, the model's context holds {}": (
        "文字（{1} 个 token{0!t}）超出模型的上下文，它只有 {2} 个 token"
    ),
    "shorten it, or keep the last {} tokens with --truncate": (
        "请缩短文字，或者用 --truncate 只保留最后 {} 个 token"
    ),
    "tokenizer is of type {}, not a tokenizer": "tokenizer 的类型是 {}，不是分词器",
    "give a tokenizer of transformers, or an object with the methods of gptrace.text.tokenizer.Tokenizer": (
        "请给出 transformers 的分词器，或者具有 gptrace.text.tokenizer.Tokenizer 各方法的对象"
    ),
    "the model's own {} with {} tokens": "模型自己的 {}（{} 个 token）",
    "GPT-2's tokenizer with its {} tokens": "GPT-2 的分词器（{} 个 token）",
    "the folder {}": "文件夹 {}",
    "{} has no tokenizer": "{!t} 没有分词器",
    "{} has no tokenizer{}, so text cannot be read": "{!t} 没有分词器{!t}，无法读取文字",
    " (its tokenizer cannot be loaded: {}: {})": "（它的分词器无法加载，英文信息是原文：{}: {}）",
    'give ids: --ids "1 2 3"': '请给出 id：--ids "1 2 3"',
}
PREDICTIONS: dict[str, str] = {
    # options
    "k is {}": "k 是 {}",
    "it must be from 1 to {}, the size of the vocabulary": "必须在 1 到词表大小 {} 之间",
    "it must be a whole number": "必须是整数",
    "temperature is {}": "temperature 是 {}",
    "it must be a number above 0; 1 leaves the probabilities as the model gives them": (
        "必须是大于 0 的数；取 1 时概率与模型给出的一样"
    ),
    "--token {} is {} tokens: {}": "--token {} 是 {} 个 token：{}",
    "--token {} is {} tokens{}": "--token {} 是 {} 个 token{}",
    "name exactly one; a word within a text begins with its space, as in --token ' Paris'": (
        "只能写一个 token；文字中间的词要带上前面的空格，例如 --token ' Paris'"
    ),
    "the context length is {}, but the loss needs at least 2 tokens": (
        "上下文长度是 {}，而计算损失至少要 2 个 token"
    ),
    "use a larger model": "请用更大的模型",
    "stride is {}": "stride 是 {}",
    "it must be from 1 to {}, less than the context": "必须在 1 到 {} 之间，比上下文小",
    "top_p is {}": "top_p 是 {}",
    "it must be above 0, and 1 at most": "必须大于 0，且不超过 1",
    "a stop is {}": "stop 中有 {}",
    "a stop is {}, which is not Unicode text": "停止的文字是 {}，它不是 Unicode 文本",
    "no model writes that: give the text to stop at, in UTF-8": (
        "没有模型会写出它：请用 UTF-8 给出要在哪段文字处停止"
    ),
    "give the text to stop at": "请给出要在哪段文字之前停止",
    "{} is not a topic": "{} 不是主题名",
    "positions is {}": "positions 是 {}",
    "it must be a whole number of at least 1": "必须是不小于 1 的整数",
    # logits
    "{} says what is wrong there": "{} 会说明错在哪里",
    "the greatest logit is {}, so there is no next token": "最大的 logit 是 {}，所以不能预测下一个 token",
    "a batch of {} × {} tokens": "{} × {} 个 token 的 batch",
    "{} is built in a way that gptrace cannot read: {}: {}": (
        "gptrace 看不懂 {} 的结构（英文信息是原文）：{}: {}"
    ),
    "gptrace's own code raised this, not the model's; GPTRACE_DEBUG=1 shows the whole traceback": (
        "异常来自 gptrace 自己的代码，不是模型的；GPTRACE_DEBUG=1 显示完整的 traceback"
    ),
    "{} in {} takes {}, and what made it was not recorded": (
        "{1!t} 里的 {0} 收到的输入已有 {2}，来源没有记录到"
    ),
    "{} at {} in {} takes {}, and what made it was not recorded": (
        "{2!t} 里 {1!t} 的 {0} 收到的输入已有 {3}，来源没有记录到"
    ),
    "--resume: the results in {} are in {}, and this run is in {}": (
        "--resume：{} 里的结果是用 {} 计算的，而这次用 {}"
    ),
    "give --dtype {}, or another --output": "请加 --dtype {}，或换一个 --output",
    "give another --output": "请换一个 --output",
    "forward() is declared with async def, so it has not run; use plain def": (
        "forward() 写成了 async def，所以没有运行；请改用普通的 def"
    ),
    "forward() holds yield, so it has not run; use return": (
        "forward() 里有 yield，所以没有运行；请改用 return"
    ),
    "{} gives nothing to predict with": "{} 的输出无法用来预测",
    "a note of the report says why": "原因见报告里的说明",
    "the report holds the shapes up to there": "报告里有到这一步为止的形状",
    "{} gives nothing to predict with: {}": "{} 的输出无法用来预测：{!t}",
    "gptrace run shows its shapes": "用 gptrace run 看它的形状",
    "{} gives logits on device meta, without numbers": "{} 给出的 logits 在 meta 设备上，没有数值",
    "{} gives logits for the last position alone": "{} 只给出最后一个位置的 logits",
    "have its forward() return the logits of every position, [batch, seq_len, vocab_size]": (
        "请让它的 forward() 返回每个位置的 logits，即 [batch, seq_len, vocab_size]"
    ),
    "the output has {} score for each position, but id {} is in the vocabulary: they score no next token": (
        "输出在每个位置上只有 {} 个分数，而词表里有 id {}：它们不是对下一个 token 的打分"
    ),
    "the output has {} scores for each position, but id {} is in the vocabulary: they score no next token": (
        "输出在每个位置上只有 {} 个分数，而词表里有 id {}：它们不是对下一个 token 的打分"
    ),
    "the output, of type {}, holds no tensor [batch, seq_len, V]": (
        "输出（类型 {}）里没有形状为 [batch, seq_len, V] 的张量"
    ),
    "{} is no [batch, seq_len, V]": "{}，不是 [batch, seq_len, V]",
    "{} is {}, not floating point": "{} 的 dtype 是 {}，不是浮点数",
    "{} is {}, which torch cannot sort": "{} 的 dtype 是 {}，torch 不能给它排序",
    "{} is sparse": "{} 是稀疏的",
    "forward() returned None{}": "forward() 返回了 None{!t}",
    "{} returned None{}": "{} 返回了 None{!t}",
    ": {} at {} has no return; end it with one": "：{1!t} 处的 {0} 没有 return；请在结尾写上",
    ": {} at {} has no return; end it with return {}": (
        "：{1!t} 处的 {0} 没有 return；请在结尾写上 return {2}"
    ),
    "forward() returned None; is a `return` missing?": "forward() 返回了 None；是不是少了 `return`？",
    "the output holds {} tensors that could be logits, {}: return the logits in a field named logits": (
        "输出里有 {} 个张量可能是 logits：{}；请把 logits 放在名叫 logits 的字段里返回"
    ),
    "the output {}": "输出 {!t}",
    "the output's logits {}": "输出的 logits {!t}",
    "the output is [{}], no [batch, seq_len, V]": "输出是 [{}]，不是 [batch, seq_len, V]",
    "no next tokens: {}": "没有预测：{!t}",
    "{}: ids are shown without text": "{!t}：只显示 id，不显示文字",
    ", which read the text": "（文字是用它读的）",
    "the model gives {} logits and was not made for {}{}: ids are shown without text": (
        "模型给出 {} 个 logit，与{!t}{!t}不配套：只显示 id，不显示文字"
    ),
    "the model": "模型",
    "token id {} has no logit among the model's {}": "模型的 {1} 个 logit 里没有 token id {0} 的",
    "its vocabulary is not that of the tokenizer: leave out --token": (
        "模型的词表不是分词器的词表：请去掉 --token"
    ),
    "no next token after prompt {}: the greatest logit is NaN or infinite; {}": (
        "prompt {} 之后无法预测：最大的 logit 是 NaN 或无穷；{!t}"
    ),
    "padding changes what this model predicts: the next tokens after prompt {} come from a run without "
    "padding, all shapes and figures of calls from the padded batch": (
        "填充会改变这个模型的预测：prompt {} 之后的 token 取自没有填充的运行，形状和各次调用的数值则取自填充"
        "后的 batch"
    ),
    # lens and head
    "--head {} is no module that ran": "--head {} 不是运行过的模块",
    "--head {} makes no logits": "--head {} 给出的不是 logits",
    "it may be one of: {}": "可能是其中之一：{}",
    "{} has no list of blocks that are called one after the other": "{} 里没有依次调用的一组 block",
    "{} returns logits for the last position alone": "{} 只返回最后一个位置的 logits",
    "gptrace run shows what runs after the blocks": "用 gptrace run 看各个 block 之后还运行了什么",
    "the output of each layer took the place of that of {}, and the model's own code made the logits: "
    "it does more than its final norm and its output head": (
        "各层的输出依次代替了 {} 的输出，再由模型自己的代码算出 logits：它做的不止最终归一化和输出层"
    ),
    "the output of {} in {} is {}, without an axis of the {} tokens": (
        "{1} 里 {0} 的输出是 {2}，没有与 {3} 个 token 对应的维"
    ),
    "the output of {} in {} cannot be replaced by that of another layer: {}: {}": (
        "{1} 里 {0} 的输出不能换成别的层的输出（英文信息是原文）：{2}: {3}"
    ),
    "{} in {} runs after {}, the last block found, and mixes the tokens: the layers before it have no "
    "predictions of their own": (
        "{1} 里的 {0} 在找到的最后一个 block（{2}）之后运行，而且会混合各个 token 的信息："
        "它之前的各层没有自己的预测"
    ),
    "the prediction of {} after a token needs more than what {}, the last block found, returns for "
    "that token: its layers have no predictions of their own": (
        "{} 在一个 token 之后的预测，不只取决于找到的最后一个 block（{}）在这个 token 上的输出："
        "它的各层没有自己的预测"
    ),
    "gptrace run shows what it has": "用 gptrace run 看它有什么",
    "{} runs more than once, so {} has no layers to tell apart": ("{} 运行了不止一次，所以分不清 {} 的各层"),
    "gptrace run shows each of its calls": "用 gptrace run 看它的每次调用",
    # the cache
    "the model's own cache is not used: {}; each step runs all tokens": (
        "没有使用模型自己的缓存：{!t}；每一步都重算所有 token"
    ),
    "with it the logits differ by up to {}": "用了它，logits 最多相差 {}",
    "a step with it failed: {}": "用它的一步出错：{!t}",
}
