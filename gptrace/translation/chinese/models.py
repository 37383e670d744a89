"""Messages about models and their configuration."""

from __future__ import annotations

MODELS: dict[str, str] = {
    # choosing a model
    "{} is not a model name": "{} 不是模型名",
    "; for your own model use FILE.py:OBJECT, for one of transformers hf:FOLDER": (
        "；你自己的模型用 FILE.py:OBJECT，transformers 的模型用 hf:FOLDER"
    ),
    "model is of type {}, neither a name nor a model": "model 是 {}，既不是名字，也不是模型",
    "give a preset's name, FILE.py:OBJECT, hf:FOLDER, a torch.nn.Module, its class, or a factory": (
        "请给出预设的名字、FILE.py:OBJECT、hf:FOLDER、torch.nn.Module、它的类，或者返回它的函数"
    ),
    "{} cannot be set for a model that is built already": "模型已经构建好，不能再设置 {}",
    "drop them, or give its class, or the name of a preset": "去掉它们，或者给出它的类，或者预设的名字",
    "use gptrace run --device meta": "请用 gptrace run --device meta",
    "{} cannot be checked: it takes {} tokens, and the checks need {}": (
        "{} 无法检查：它只接受 {} 个 token，而检查至少需要 {} 个"
    ),
    "{} cannot be checked: it has {} ids, and the checks need {}": (
        "{} 无法检查：它只有 {} 个 id，而检查至少需要 {} 个"
    ),
    "the ids": "输入的 id",
    "what its operations make of so many tokens is more than {}": "这么多 token 的全部中间结果超过 {}",
    "check the model at a smaller size": "请在较小的尺寸上检查模型",
    "– {} cannot be judged: {}": "– {} 无法判断：{}",
    "– {} does not apply: {}": "– {} 不适用：{}",
    "check it at a larger size, for example with --set": "请在更大的尺寸上检查，例如用 --set",
    "{} cannot be checked: {}": "{} 无法检查：{!t}",
    "{} shows how far its forward pass gets": "{} 会显示它的前向传播走到了哪里",
    "; {} was called with {}": "；{} 收到的是 {}",
    "{}, at {}, lacks a transpose(1, 2); {}": "{}（{}）漏了 transpose(1, 2)；{!t}",
    "{} is a block, not a model: it takes vectors [batch, seq_len, {}], and raises for token ids": (
        "{} 是一个块，不是模型：它接受向量 [batch, seq_len, {}]，收到 token id 就报错"
    ),
    "give the model that has such blocks: -m {}": "请给出含有这种块的模型：-m {}",
    "give the whole model, which takes token ids; in Python, gptrace.watch traces a block alone": (
        "请给出整个模型，它接受 token id；在 Python 中，gptrace.watch 可以单独跟踪一个块"
    ),
    "a copy of the model uses the parameters of the original": "模型的副本用了原模型的参数",
    "the model cannot be copied": "模型无法复制",
    "the model cannot be copied to the CPU": "模型无法复制到 CPU",
    "forward returns the logits of the last position alone": "forward 只返回最后一个位置的 logits",
    "at a smaller size the model does many times the work": "在较小的尺寸上，模型的工作量是原来的许多倍",
    "gptrace's own cache": "gptrace 自己的缓存",
    "{} holds tensors on device meta, which have shapes alone": "{} 有张量在设备 meta 上，只有形状，没有数",
    "use gptrace run --device meta, or build the model with numbers": (
        "请用 gptrace run --device meta，或者构建带数值的模型"
    ),
    "device meta has shapes, but no numbers to {} with": "设备 meta 上只有形状，没有数，无法计算结果",
    "seed {} does not fit into 64 bits": "种子 {} 超出 64 位",
    "give a whole number from 1 to {}": "请给出 1 到 {} 的整数",
    "seed is {}": "seed 是 {}",
    "pick a whole number": "请给出整数",
    "pick a seed from 0 to 2**64 - 1": "种子可以是 0 到 2**64 - 1",
    "{} is not a device": "{} 不是设备名",
    "pick one of {}, or cuda:N": "可选：{}，或者 cuda:N",
    "pick one of {}, or auto": "可选：{}，或者 auto",
    "dtype auto is {}: matrix products run at {} GFLOP/s in float32, {} in bfloat16": (
        "dtype auto 选定 {}：矩阵乘法在 float32 下为 {} GFLOP/s，在 bfloat16 下为 {} GFLOP/s"
    ),
    "each step reads a copy of {} of weights, stored by columns, which this machine multiplies faster": (
        "每一步读取一份按列存放的权重副本（{}），这台机器用它做乘法更快"
    ),
    "dtype auto is float32, since device meta computes nothing": (
        "dtype auto 选定 float32，因为设备 meta 上什么都不计算"
    ),
    "this processor has no instructions that multiply bfloat16 (avx512_bf16, amx_bf16), so batches may run "
    "slower than in float32; --dtype auto measures which is faster": (
        "这个处理器没有 bfloat16 乘法指令（avx512_bf16、amx_bf16），批次可能比 float32 更慢；"
        "--dtype auto 会测出哪个更快"
    ),
    "--dtype auto measures this machine, and the workers run on {}": (
        "--dtype auto 测量的是这台机器，而工作进程在 {} 上运行"
    ),
    "give --dtype float32 or --dtype bfloat16": "请给出 --dtype float32 或 --dtype bfloat16",
    "--resume: the first run may have been in another dtype than --dtype auto picks now": (
        "--resume：上一次运行的 dtype 可能与 --dtype auto 现在选定的不同"
    ),
    "give the dtype of the first run, which it wrote to stderr": (
        "请给出上一次运行的 dtype，它写在那次的 stderr 里"
    ),
    "{} on {}": "{1} 上的 {0}",
    "this machine has no device {}": "这台机器上没有设备 {}",
    "it has: {}; --device auto picks one": "它有：{}；--device auto 会自动选择",
    "{}: it needs {}": "{!t}：需要 {!t}",
    "{} on {}: it needs {}": "{1} 上的 {0}：需要 {2!t}",
    "{} cannot be put on {}: {}": "{} 不能放到 {} 上：{}",
    "--device cpu always works": "--device cpu 总是可以用",
    "{} is placed by accelerate's hooks": "{} 由 accelerate 的钩子放置",
    "{}, so it cannot be put on {}": "{!t}，不能放到 {} 上",
    "{}, so its dtype cannot be changed": "{!t}，不能改变它的 dtype",
    "drop --device": "去掉 --device",
    "drop --dtype, or build the model in that dtype": "去掉 --dtype，或者用那种 dtype 构建模型",
    "--device auto spreads it over all devices, memory and disk": (
        "--device auto 会把它分散到所有设备、内存和磁盘上"
    ),
    "with pip install accelerate, --device auto spreads it over all devices, memory and disk": (
        "执行 pip install accelerate 之后，--device auto 会把它分散到所有设备、内存和磁盘上"
    ),
    "{} is not a dtype": "{} 不是 dtype",
    "weights are {}": "weights 是 {}",
    "threads is {}": "threads 是 {}",
    "give random, pretrained, or the path of a file or folder": (
        "请给出 random、pretrained，或者文件、文件夹的路径"
    ),
    "give the path of a state dict of that model": "请给出那个模型的 state dict 的路径",
    "there are no published weights for {}": "{} 没有公开的权重",
    "--model hf: names no model": "--model hf: 后面没有写模型",
    "write hf:FOLDER, or hf:OWNER/NAME for one on the hub": (
        "请写 hf:FOLDER，或者用 hf:OWNER/NAME 指定 hub 上的模型"
    ),
    "config is of type {}": "config 是 {}",
    "give a file, a dict or a GPTConfig": "请给出文件、dict 或 GPTConfig",
    "--config {}: an object in a file can configure only a model of your own": (
        "--config {}：文件里的对象只能配置你自己的模型"
    ),
    "give a .json or .toml file of configuration keys, or use --model FILE.py:OBJECT": (
        "请给出写有配置键的 .json 或 .toml 文件，或者用 --model FILE.py:OBJECT"
    ),
    "--weights {}: no such file or folder": "--weights {}：没有这个文件或文件夹",
    "--weights {}: {}": "--weights {}：{!t}",
    "{} with {} parameters": "有 {1} 个参数的 {0}",
    # memory
    "{} needs {}, but {} is free": "{!t} 需要 {}，而空闲内存只有 {}",
    "not enough memory for {}": "内存不够：{!t}",
    "pick a smaller model or fewer tokens, or use --device meta to see shapes only": (
        "请用更小的模型或更少的 token；只看形状的话，用 --device meta"
    ),
    # configuration
    "{} holds a value of type {}, not keys and values": "{!t} 里是 {}，不是键和值",
    "the model's {}": "模型的 {}",
    "give a .json or .toml file of configuration keys": "请给出写有配置键的 .json 或 .toml 文件",
    "a file named *.toml must be TOML; any other must be JSON": (
        "名为 *.toml 的文件必须是 TOML，其他文件必须是 JSON"
    ),
    'write it like {{"emb_dim": 768, "n_heads": 12}}': '例如写成 {{"emb_dim": 768, "n_heads": 12}}',
    "--set {} is not KEY=VALUE": "--set {} 不是 KEY=VALUE",
    "write it like --set n_layers=2": "例如写成 --set n_layers=2",
    "{} {} is not divisible by {} {}; {} could be {}": "{} {} 不能被 {} {} 整除；{} 可以是 {}",
    "emb_dim {} is not divisible by n_heads {}": "emb_dim {} 不能被 n_heads {} 整除",
    "n_heads could be {}": "n_heads 可以是 {}",
    "{}, not a whole number": "{!t}，不是整数",
    "give {} as a whole number": "{} 要写成整数",
    "a model of these sizes would have {} parameters": "这些大小的模型会有 {} 个参数",
    "choose sizes that make at most {}": "请选择参数总数不超过 {} 的大小",
    "{} must be from 1 to {}": "{} 必须在 1 到 {} 之间",
    "{} must be a number of at least 0 and below 1": "{} 必须是不小于 0、小于 1 的数",
    "{} must be true or false": "{} 必须是 true 或 false",
    "{} must be one of {}": "{} 必须是其中之一：{}",
    "{} is not a configuration key": "{} 不是配置键",
    "{} has no setting {}": "{} 没有设置项 {}",
    "drop it": "去掉它",
    # models of transformers
    "--model hf:{}": "--model hf:{}",
    "the weights in {}": "{} 里的权重",
    "the weights in {} as {}": "把 {} 里的权重转成 {}",
    "the weights in {} lack {}": "{} 里的权重缺少 {!t}",
    "the weights of {} in the installed package cannot be read: {}": "安装包里 {} 的权重无法读取：{}",
    "install gptrace again": "请重新安装 gptrace",
    "is a shard missing, or are these the weights of another model?": (
        "是不是少了分片，或者是别的模型的权重？"
    ),
    "{}: the model comes with code of its own, which gptrace never runs": (
        "{}：这个模型附带自己的代码，gptrace 从不运行这样的代码"
    ),
    "use a model whose architecture is part of transformers": "请用架构属于 transformers 的模型",
    "is it a causal language model, and does this version of transformers support it?": (
        "它是因果语言模型吗？这个版本的 transformers 支持它吗？"
    ),
    "--model hf:… needs transformers, which is not installed": "--model hf:… 需要 transformers，而它没有安装",
    "pip install transformers": "pip install transformers",
    "the configuration of {} has {} {}": "{} 的配置里 {} 是 {}",
    "a model has up to {} layers; --set {}=… changes the number": (
        "模型最多可以有 {} 层；用 --set {}=… 修改层数"
    ),
    "the configuration of {} asks for more than {} modules": "{} 的配置要求的模块超过 {} 个",
    "are its numbers of layers and experts right? --set KEY=VALUE changes one": (
        "层数和专家数对吗？用 --set KEY=VALUE 修改"
    ),
    # models of the user
    "write FILE.py:OBJECT, FILE.ipynb:OBJECT or package.module:OBJECT, as in model.py:GPT": (
        "请写 FILE.py:OBJECT、FILE.ipynb:OBJECT 或 package.module:OBJECT，例如 model.py:GPT"
    ),
    "{} is neither a .py file nor a notebook nor a module": "{} 既不是 .py 文件，也不是笔记本或模块",
    "looked in {}; {}": "在 {} 里找过；{!t}",
    "it defines {}": "它定义了 {}",
    "{} {} does not say which object of the file": "{} {} 没有写是文件里的哪个对象",
    "{} {} names no object": "{} {} 没有写对象的名字",
    "{}: {} does not exist": "{}：{} 不存在",
    "{} is built already, so it takes no configuration": "{} 已经构建好，不接受配置",
    "drop --config and --set, or name its class": "去掉 --config 和 --set，或者写它的类名",
    "its own code": "它自己的代码",
    "{} is a Python module, not a model": "{} 是 Python 模块，不是模型",
    "{} is of type {}, and builds no module": "{} 的类型是 {}，不能构建模型",
    "name a torch.nn.Module, its class, or a function that returns one": (
        "请写 torch.nn.Module、它的类，或者返回它的函数"
    ),
    "{} returned a value of type {}, not a torch.nn.Module": ("{} 返回的值类型是 {}，不是 torch.nn.Module"),
    "name a subclass of torch.nn.Module, or a function that returns a module": (
        "请写 torch.nn.Module 的子类，或者返回模块的函数"
    ),
    " (--config {} would use the file's own)": "（--config {} 会用文件里自己的配置）",
    "modules of {} have no hash, and torch needs one": "{} 的对象不可哈希，而 torch 需要哈希",
    "write __hash__ = torch.nn.Module.__hash__ in the body of {}": (
        "请在 {} 的类体里写 __hash__ = torch.nn.Module.__hash__"
    ),
    "{} has more than {} paths to its submodules": "{} 到子模块的路径超过 {} 条",
    "it holds the same modules many times over, and PyTorch follows every path: hold each once": (
        "同样的模块在其中出现了很多次，而 PyTorch 会走遍每一条路径：请让每个模块只出现一次"
    ),
    "{}, of type {}, contains itself: PyTorch follows its submodules forever": (
        "{}（类型 {}）包含自身：PyTorch 会无休止地遍历它的子模块"
    ),
    "keep a parent where PyTorch does not look for submodules, as in self.{} = [parent]": (
        "请把父模块放在 PyTorch 不会当作子模块的地方，例如 self.{} = [parent]"
    ),
    "{}: there is no {}": "{}：没有 {}",
    "{}: there is no module {}": "{}：没有模块 {}",
    "is it installed in this environment, or in this folder? For a file: FILE.py:OBJECT": (
        "它装在这个环境里吗，或者在这个文件夹里吗？如果是文件，写 FILE.py:OBJECT"
    ),
    "check the spelling of the name": "请检查名字的拼写",
    "it defines no class and no function": "它没有定义类，也没有定义函数",
    "without --config the configuration is a plain dict, GPT_CONFIG_124M; try --config {}; --set KEY=VALUE "
    "changes a key": (
        "没有 --config 时，配置是普通的 dict，即 GPT_CONFIG_124M；可以试试 --config {!t}；--set KEY=VALUE 改"
        "其中一个键"
    ),
    "{}:NAME, a .json or a .toml file": "{}:NAME、.json 文件或 .toml 文件",
    "{}() requires {}, and the configuration has no such key": "{}() 需要 {}，而配置里没有这样的键",
    "give each with --set {}=…, or all with --config": "逐个用 --set {}=… 给出，或者一起用 --config 给出",
    "a plain dict": "普通的 dict",
    "the course's GPT_CONFIG_124M": "课程里的 GPT_CONFIG_124M",
    "{}, the only configuration there": "{}，那里唯一的配置",
    "{} never reads {}, and its configuration has no such key": "{} 从不读取 {}，它的配置也没有这个键",
    "it defines no configuration: no dict with sizes such as emb_dim, and no class called …Config": (
        "它没有定义配置：既没有含 emb_dim 之类尺寸的 dict，也没有名为 …Config 的类"
    ),
    "the course's GPT_CONFIG_124M, changed": "改过的课程配置 GPT_CONFIG_124M",
    "of type {}": " {} 的对象",
    "the model's own code raised this; gptrace run shows the trace up to the failing call, GPTRACE_DEBUG=1 "
    "shows the whole traceback": (
        "异常来自模型自己的代码，英文信息是原文；gptrace run 显示到出错为止的跟踪结果，GPTRACE_DEBUG=1 显示"
        "完整的 traceback"
    ),
    "the forward pass raised {}": "前向传播抛出了 {}",
    "the forward pass raised {}, in {}": "前向传播在 {1} 抛出了 {0}",
    "the report shows where and why; GPTRACE_DEBUG=1 shows the whole traceback": (
        "位置和原因见报告；GPTRACE_DEBUG=1 显示完整的 traceback"
    ),
    "the model's own code raised this; GPTRACE_DEBUG=1 shows the whole traceback": (
        "异常来自模型自己的代码，英文信息是原文；GPTRACE_DEBUG=1 显示完整的 traceback"
    ),
    ", at {}": "，位于 {!s}",
    " (while gptrace read the model)": "（gptrace 读取模型时）",
    " (while {} was imported)": "（导入 {} 时）",
    " (while {} was read)": "（读取 {} 时）",
    " (while {} was built)": "（构建 {} 时）",
    " (while the configuration of {} was built)": "（构建 {} 的配置时）",
    " (while {} loaded its state dict)": "（{} 加载 state dict 时）",
    " (in the output of {})": "（在 {} 的输出中）",
    " (in the forward pass of {})": "（在 {} 的前向传播中）",
    "__init__ has to call super().__init__() before it sets any attribute": (
        "__init__ 要先调用 super().__init__()，再设置属性"
    ),
    "{} is a property of {}, and its own code raised AttributeError": (
        "{} 是 {} 的 property，它自己的代码抛出了 AttributeError"
    ),
    "{} has no attribute {}; did you mean {}?": "{} 没有属性 {}；是不是想写 {}？",
    "{} has no method forward": "{} 没有 forward 方法",
    "; rename {} to forward": "；请把 {} 改名为 forward",
    # notebooks
    "is a loop": "是循环",
    "is a with block": "是 with 块",
    "waits for something": "要等待",
    "deletes something": "是删除",
    "is neither an import nor a definition nor a constant": "既不是导入，也不是定义或常量",
    "calls {}": "调用 {}",
    "runs more than {} lines of code": "运行的代码超过 {} 行",
    "cell {}, line {} ({}) was left out: it {}": "单元格 {} 第 {} 行（{}）被跳过：它{!t}",
    "is no Python code: {}": "不是 Python 代码：{}",
    "is in a cell that begins with {}": "在以 {} 开头的单元格里",
    "raised {}: {}": "抛出 {}：{}",
    "needs {}, and {}": "需要 {}，而{!t}",
    "only imports, definitions, classes and constants of a notebook are run": (
        "笔记本里只运行导入、定义、类和常量"
    ),
    "{}; define it in one of these": "{!t}；请在这些代码里定义它",
    "{}; name what it calls: {}": "{!t}；请指定它所调用的：{}",
    "{}: there is no {}, since {}": "{}：没有 {}，因为{!t}",
    "there is no {}, since {}; {}": "没有 {}，因为{!t}；{!t}",
    "give a notebook as Jupyter saves it: FILE.ipynb:OBJECT": (
        "请给出 Jupyter 保存的笔记本：FILE.ipynb:OBJECT"
    ),
    "open it in Jupyter and save it, which converts it": "用 Jupyter 打开再保存，就会转换",
    "{} is a notebook of the language {}": "{} 是 {} 语言的笔记本",
    "the code in {} is larger than {}": "{} 里的代码超过 {}",
    "clear its outputs in Jupyter, and save it again": "在 Jupyter 里清除输出，再保存一次",
    "{} has the old nbformat {}": "{} 是旧格式，nbformat {}",
    "{} is JSON, but no notebook: it has no cells": "{} 是 JSON，但不是笔记本：没有单元格",
    "give a notebook of Python code": "请给出用 Python 写的笔记本",
    "{} has no cells of Python code": "{} 里没有 Python 代码的单元格",
    "give a notebook that defines the model": "请给出定义模型的笔记本",
    "put the model into a notebook or a .py file of its own": "请把模型放进单独的笔记本或 .py 文件",
    "{} is not JSON: its outputs hold NaN or Infinity": ("{} 不是 JSON：它的输出里有 NaN 或 Infinity"),
    # magics of notebooks
    'write it like %gptrace run model "Hello", or %gptrace check model': (
        '请写成 %gptrace run model "Hello" 或 %gptrace check model'
    ),
    "its options are --ops, --columns, --depth, --only, --type, --full and --lang": (
        "可用的选项有 --ops、--columns、--depth、--only、--type、--full 和 --lang"
    ),
    "%%gptrace {}: not for a cell": "%%gptrace {}：不能用于单元格",
    "no module was called in this cell": "这个单元格里没有调用模块",
    "{} further calls are not shown: the first one of each module is": (
        "另有 {} 次调用没有显示：每个模块只显示第一次"
    ),
    "{} is no command for a model of a notebook": "{} 这个命令不能用于笔记本里的模型",
    "%gptrace {} names no model": "%gptrace {} 没有写模型",
    "{} is not for a notebook": "{} 不能用在笔记本里",
    "drop {}, or name a class or a function that builds the model": (
        "去掉 {}，或者给出它的类，或者构建它的函数"
    ),
    "{} cannot be read as words: {}": "{} 无法拆成单词：{}",
    "run the cell that makes the model first": "请先运行构建模型的单元格",
    "this notebook has no {}": "这个笔记本里没有 {}",
    "{} has no attribute {}": "{} 没有属性 {}",
}
