"""Notes of a trace, and the likely causes of a failure."""

from __future__ import annotations

TRACES: dict[str, str] = {
    # axis names
    "this model cannot be built at other sizes; pass a class that takes its sizes as arguments": (
        "这个模型不能以别的尺寸构建；请传入以尺寸为参数的类"
    ),
    "in {} of {} forward passes, {}": "{1} 次前向传播中，有 {0} 次{2!t}",
    "only {}: {}": "只有 {!t}：{!t}",
    "batch and seq_len have names": "batch 和 seq_len 有名字",
    "{} has a name": "{} 有名字",
    "compiled while the trace ran: {}; what they ran since then has no row": (
        "跟踪期间被编译：{}；此后它们运行的内容没有行"
    ),
    "some sizes have names ({})": "部分尺寸有名字（{}）",
    "gptrace tries no more sizes after so much work": "计算量已到上限，gptrace 不再尝试其他尺寸",
    "multiples of a size have no names: {}": "尺寸的倍数没有名字：{!t}",
    "gptrace tries no more settings after so much work": "计算量已到上限，gptrace 不再尝试其他设置",
    "the model does not run with another {}": "改变 {} 时，模型无法运行",
    "the model does not run, or makes other calls, where another size is changed alone": (
        "单独改变其他尺寸时，模型无法运行，或者调用不一样"
    ),
    "this is stage {} of {} of a pipeline, and a stage alone cannot be built at other sizes": (
        "这是流水线 {1} 段中的第 {0} 段，单独一段不能以其他尺寸构建"
    ),
    "no axis has a name: {}": "各维都没有名字：{!t}",
    "this model is built already; gptrace.trace(…) names all axes if it gets model={}, config=… instead": (
        "这个模型已经构建好；请改把 model={}、config=… 传给 gptrace.trace(…)，各维就都有名字"
    ),
    "this model is built already; gptrace.trace(…) names all axes if it gets a function that builds it "
    "from its sizes instead": (
        "这个模型已经构建好；请改把按尺寸构建它的函数传给 gptrace.trace(…)，各维就都有名字"
    ),
    "no axis has a name: neither batch nor seq_len can be varied, and {}": (
        "各维都没有名字：batch 和 seq_len 都不能改变，而且{!t}"
    ),
    "at other sizes the model makes other calls": "换了尺寸，模型的调用就不一样",
    "at other sizes the model does many times the work": "换了尺寸，模型的计算量会成倍增加",
    "at other sizes the model raises {}": "换了尺寸，模型抛出 {}",
    "with {} prompts the model raises {}, at {}": "输入 {} 段提示时，模型抛出 {}，位于 {!t}",
    "with {} tokens the model raises {}, at {}": "输入 {} 个 token 时，模型抛出 {}，位于 {!t}",
    # notes
    "replaced while the trace ran: {}; calls of a new module have no row, since only modules that were "
    "there at "
    "the start are watched": ("跟踪期间被替换：{!t}；新模块的调用没有记录，因为只跟踪一开始就有的模块"),
    "no row for {}: submodules ran, but nothing called the module itself; module(x) is traced, "
    "module.forward(x) skips the hooks": (
        "没有 {!t} 的行：子模块运行了，但模块本身没有被调用；module(x) 会被跟踪，module.forward(x) 会绕过 "
        "hook"
    ),
    "torch does not see what {} holds, a plain list, tuple or dict: it has no rows here, and is neither "
    "trained nor saved; use nn.ModuleList, nn.ModuleDict or nn.ParameterList": (
        "torch 看不到 {!t} 里的东西，因为那是普通的列表、元组或字典：它们在这里没有行，"
        "既不会被训练，也不会被保存；请改用 nn.ModuleList、nn.ModuleDict 或 nn.ParameterList"
    ),
    "traced without the fused fast path of {}: the submodules run one by one, and the last digits may "
    "differ": ("跟踪时没有走 {} 的融合快速路径：子模块逐个运行，最后几位数字可能不同"),
    "forward() is declared with async def or holds yield, so it has not run when it returns: {}; use plain "
    "def and return": (
        "forward() 写成了 async def，或者里面有 yield，所以返回时还没有运行：{!t}；请改用普通的 def 和 return"
    ),
    "operations are not listed inside {}, which may run by fused kernels": (
        "没有列出 {!t} 内部的运算，它可能由融合算子执行"
    ),
    "{} at {} mixes the numbers of several tokens: such an axis is not called seq_len; {} says what "
    "is wrong there": "{1!t} 的 {0} 把几个 token 的数混在一起：这样的维不叫 seq_len；{2} 会说明错在哪里",
    "later tokens change what this model returns for earlier ones; {} names the line": "后面的 token 会改变"
    "这个模型在前面位置的结果；{} 会指出是哪一行代码",
    "{} at {} in {} is the first to make {}": "{1!t} 的 {0}（在 {2!t} 中）最先算出 {3}",
    "the model itself ({})": "模型本身（{!t}）",
    "{} in {} is the first to make {}": "{1!t} 中的 {0} 最先算出 {2}",
    "{} holds {}, and {} takes it": "{0} 里有 {1}，而 {2!t} 用到了它",
    "code outside of the model": "模型之外的代码",
    ", call {} of {}": "，{1} 次调用中的第 {0} 次",
    "{} is the first to turn finite inputs into {}{}": "{!t} 最先由有限的输入算出 {}{}",
    "; its {} is not finite": "；它的 {} 不是有限值",
    "{} more MACs ran outside of any call, for example in a backward pass": (
        "另有 {} MACs 在所有调用之外，例如在反向传播中"
    ),
    "{} more messages between processes were sent outside of any call": (
        "进程之间另有 {} 条消息在所有调用之外发送"
    ),
    "the whole model could not be run on device meta: its costs are missing, and a shape without a local "
    "shape is that of this process": (
        "无法在 meta 设备上运行整个模型：缺少整个模型的开销；没有标出本地形状的，就是本进程的形状"
    ),
    "the peak memory of the whole is missing: device meta, where it runs, has no kernels for fused "
    "attention": ("没有整体的内存峰值：整体在 meta 设备上运行，那里没有融合注意力的内核"),
    "the model itself": "模型本身",
    "compiled modules run uncompiled while they are traced: {}": "跟踪期间，编译过的模块按未编译的运行：{!t}",
    "no tensor": "无张量",
    # lines of source
    "lines of {} are not shown: {}": "不显示 {} 的代码行：{!t}",
    "this code is in no file": "这段代码不在任何文件里",
    "the file has changed since the model was loaded": "模型加载之后文件有改动",
    "TorchScript runs this model without Python, so no line of it can be followed": (
        "TorchScript 不经过 Python 运行这个模型，所以无法跟踪它的代码行"
    ),
    "no line of the model's own code ran: all its modules are those of torch": (
        "没有运行模型自己的代码行：它的模块都是 torch 的"
    ),
}
DIAGNOSIS: dict[str, str] = {
    "{}, line {}, in {}: {}": "{} 第 {} 行，{} 中：{}",
    "{}, line {}: {}": "{} 第 {} 行：{}",
    "a tensor has one axis fewer than this line expects; squeeze() may have removed it: without a dim "
    "it removes every axis of size 1, and the ids are {}": (
        "张量比这一行所要的少一维；可能是 squeeze() 去掉的：不写 dim 时，它去掉所有大小为 1 的维，而 "
        "id 的形状是 {}"
    ),
    "{} looks up a tensor of ids and got a value of type {}; {}": (
        "{!t} 用 id 的张量查表，得到的却是 {} 类型的值；{!t}"
    ),
    "for the positions of a text, torch.arange(seq_len) makes one": "文字的位置可以用 torch.arange(seq_len)",
    "torch.tensor(ids) makes one of a list": "torch.tensor(ids) 可以把列表转成张量",
    "{} needs the axis that it runs over: dim=-1 is the last one, the keys of attention scores": (
        "{} 要写明沿哪一维计算：dim=-1 是最后一维，也就是注意力分数的 key"
    ),
    "{} without dim, at {}, runs over axis 0 of one or three axes, and over axis 1 of others; for attention "
    "weights write dim=-1, the keys": (
        "{1} 的 {0} 没有写 dim，在一维或三维张量上沿第 0 维计算，否则沿第 1 维；"
        "注意力权重要写 dim=-1，也就是沿 key"
    ),
    "{} returned a coroutine: its forward is declared with async def; use plain def": (
        "{!t} 返回了协程：它的 forward 写成了 async def；请改用普通的 def"
    ),
    "{} returned a generator: its forward holds yield; use return": (
        "{!t} 返回了生成器：它的 forward 里有 yield；请改用 return"
    ),
    "a line of torch": "torch 中某一行",
    "{} is an attribute of {}: write self.{}": "{} 是 {} 的属性：要写成 self.{}",
    "{} has the key {}, and not {}": "{} 里的键是 {}，没有 {}",
    "{} holds modules and cannot be called itself: {}": "{} 只存放模块，本身不能调用：{!t}",
    "loop over it, as in `for block in {}: x = block(x)`, or make it an nn.Sequential": (
        "请用循环，例如 `for block in {}: x = block(x)`，或者改成 nn.Sequential"
    ),
    "call a module in it, as in `{}[key](x)`": "请调用其中的模块，例如 `{}[key](x)`",
    "the assertion failed with {}": "断言失败，此时 {}",
    "{} looks up rows by integer ids and got {}; ids.long() converts them to int64": (
        "{!t} 按整数 id 查表，得到的却是 {}；ids.long() 可以转成 int64"
    ),
    "{} got ids of {}, and torch looks up int64 and int32: ids.long()": (
        "{!t} 得到的 id 是 {}，而 torch 只用 int64 和 int32 查表：请用 ids.long()"
    ),
    "the prompt has {} tokens, but the position table {} has {} rows; shorten the prompt, or build the model "
    "with a longer context": (
        "prompt 有 {} 个 token，而位置嵌入表 {!t} 只有 {} 行；请缩短 prompt，或者构建上下文更长的模型"
    ),
    "id {} is outside the table {}, which has rows 0 to {}; for token ids, check that the tokenizer "
    "belongs to "
    "the model, or pass ids with --ids": (
        "id {} 超出了表 {!t}，它只有第 0 到 {} 行；如果是 token id，请检查分词器是否与模型配套，或者用 --ids"
        " 直接给出 id"
    ),
    "the ids have shape {}, without a batch axis; if the model expects [batch, seq_len], pass "
    "ids.unsqueeze(0)": (
        "id 的形状是 {}，没有 batch 这一维；如果模型要的是 [batch, seq_len]，请传 ids.unsqueeze(0)"
    ),
    "out of memory in {}{}; use fewer or shorter prompts, or --device meta for the shapes alone": (
        "内存不够：{!t}{!t}；请用更少或更短的 prompt，只看形状的话用 --device meta"
    ),
    " while allocating {}": "，当时要分配 {}",
    "{} returned a {} with {}, where one tensor is needed; take it out, as in {}(x)[0]": (
        "{} 返回的是一个 {}，里面有 {!t}，而这里要的是一个张量；请把它取出来，如 {}(x)[0]"
    ),
    "~ in {} needs bool or integers{}; x.bool() makes bool of zeros and ones": (
        "{!t} 里的 ~ 需要布尔值或整数{!t}；x.bool() 可以把 0 和 1 变成布尔值"
    ),
    "a mask or a table for the whole context is cut to the text, as in mask[:seq_len, :seq_len]": (
        "为整个上下文准备的掩码或表要截到文本的长度，如 mask[:seq_len, :seq_len]"
    ),
    "{} in {} needs a mask of bool{}; mask.bool() makes one of zeros and ones": (
        "{1!t} 里的 {0} 需要布尔类型的掩码{2!t}；mask.bool() 可以把 0 和 1 变成布尔值"
    ),
    " and got {}": "，得到的是 {}",
    "tensors on different devices meet in {}{}; create new tensors with device=x.device, or move them with "
    ".to()": ("{!t}{!t} 里的张量在不同的设备上；新建张量时请写 device=x.device，或者用 .to() 移动"),
    " (inputs on {}, parameters on {})": "（输入在 {} 上，参数在 {} 上）",
    " (inputs on {})": "（输入在 {} 上）",
    " (parameters on {})": "（参数在 {} 上）",
    "an operation in {} got {}{}; x.to(other.dtype) makes the dtypes equal": (
        "{!t} 里的一个运算得到了 {!t}{!t}；x.to(other.dtype) 可以让 dtype 一致"
    ),
    "; the parameters of the model are {}, so look where {} comes from": (
        "；模型的参数是 {}，所以请查 {} 从哪里来"
    ),
    "{} got {}{}, but its parameters are {}; convert the input with x.to(weight.dtype), or the model with "
    "model.to(dtype)": (
        "{!t} 得到的是 {!t}{!t}，而它的参数是 {}；请用 x.to(weight.dtype) 转换输入，或者用 "
        "model.to(dtype) 转换"
        "模型"
    ),
    ", which is the dtype of {}": "（{!t} 的 dtype）",
    "{}: {}, got {}{}": "{!t}：{!t}，得到的是 {}{}",
    ", made by {}": "，由 {} 给出",
    "{} are {}": "{!t} 都是 {}",
    "; its last axis is {}": "；它的最后一维是 {}",
    "; its last axis is {}, and {}": "；它的最后一维是 {}，而 {!t}",
    "{} expects [..., {}]": "{} 要的是 [..., {}]",
    "{} expects ids below {}": "{} 要的是小于 {} 的 id",
    "{} expects [batch, {}, {}]": "{} 要的是 [batch, {}, {}]",
    "{} expects [batch, {}, ...]": "{} 要的是 [batch, {}, ...]",
    "; with its last two axes swapped it would fit: x.transpose(-2, -1)": (
        "；交换最后两维就合适：x.transpose(-2, -1)"
    ),
    "; the channels are axis 1: x.transpose(1, 2) would fit": (
        "；通道要放在第 1 维：用 x.transpose(1, 2) 就对了"
    ),
    "a [{}, {}] matrix is multiplied by a [{}, {}] matrix: the inner sizes {} and {} must be equal": (
        "[{}, {}] 的矩阵乘以 [{}, {}] 的矩阵：内侧的大小 {} 和 {} 必须相等"
    ),
    "; the second matrix transposed, [{}, {}], would fit": "；把第二个矩阵转置成 [{}, {}] 就对了",
    "; the first matrix transposed, [{}, {}], would fit": "；把第一个矩阵转置成 [{}, {}] 就对了",
    "a batch of {} matrices is multiplied by a batch of {}": "{} 个一批的矩阵乘以 {} 个一批的矩阵",
    "matrices of {} columns are multiplied by matrices of {} rows; these must be equal": (
        "{} 列的矩阵乘以 {} 行的矩阵；二者必须相等"
    ),
    "; the second ones transposed, [{}, {}], would fit": "；把第二组矩阵转置成 [{}, {}] 就对了",
    "; for queries @ keys, transpose the keys: keys.transpose(-2, -1)": (
        "；计算 query @ key 时，要转置 key：keys.transpose(-2, -1)"
    ),
    "a width of {} does not divide into {} heads ({} / {} = {}); possible numbers of heads are {}": (
        "宽度 {} 不能分成 {} 个注意力头（{} / {} = {}）；头数可以是 {}"
    ),
    "view() does not work on a tensor whose axes were swapped, as by transpose(): use "
    "x.contiguous().view(…) or "
    "x.reshape(…)": (
        "张量的维调换过（例如用 transpose()）之后，不能再用 view()：请用 x.contiguous().view(…) 或 "
        "x.reshape(…)"
    ),
    "the tensor has {} elements, not a multiple of {} as the shape {} needs": (
        "张量有 {0} 个元素，不是形状 {2} 所要的 {1} 的倍数"
    ),
    "the tensor has {} elements, but the shape {} has {}": "张量有 {} 个元素，而形状 {} 有 {} 个",
    "two tensors{} do not broadcast: axis {} is {} in one and {} in the other; the sizes must be equal, or "
    "one "
    "of them 1": ("两个张量{}无法广播：第 {} 维一个是 {}，另一个是 {}；大小必须相等，或者其中一个是 1"),
    "cat joins tensors along axis {}, and all other axes must be equal: tensor {} has the size {} where the "
    "first has {}": ("cat 沿第 {} 维拼接张量，其他各维必须相等：第 {} 个张量的大小是 {}，而第一个是 {}"),
    "tensors of {} and of {} axes are joined; unsqueeze(dim) adds an axis": (
        "{} 维和 {} 维的张量拼在一起；unsqueeze(dim) 可以增加一维"
    ),
    "stack takes tensors of one shape: the first is {}, and number {} is {}": (
        "stack 要求张量形状相同：第一个是 {}，第 {} 个是 {}"
    ),
    "in einsum, {} stands for one size: it is {} at first, and {} in operand {}": (
        "在 einsum 里，{0} 只能表示一个大小：先是 {1}，到第 {3} 个操作数是 {2}"
    ),
    "einsum names {} axes of operand {}, which has {}": "einsum 给第 {1} 个操作数写了 {0} 维，而它有 {2} 维",
}
