"""Messages about models, their configuration and their weights."""

from __future__ import annotations

MODELS: dict[str, str] = {
    # choosing a model
    "{} is not a model name": "{} 不是模型名",
    "; for your own model use FILE.py:OBJECT, for one of transformers hf:FOLDER": (
        "；你自己的模型用 FILE.py:OBJECT，transformers 的模型用 hf:FOLDER"
    ),
    "model is a {}, neither a name nor a model": "model 是 {}，既不是名字，也不是模型",
    "give a preset's name, FILE.py:OBJECT, hf:FOLDER, a torch.nn.Module, its class, or a factory": (
        "请给出预设的名字、FILE.py:OBJECT、hf:FOLDER、torch.nn.Module、它的类，或者返回它的函数"
    ),
    "{} cannot be set for a model that is built already": "模型已经构建好，不能再设置 {}",
    "drop them, or give the name of a preset": "去掉它们，或者给出预设的名字",
    "use gptrace run --device meta": "请用 gptrace run --device meta",
    "device meta has shapes, but no numbers to {} with": "设备 meta 上只有形状，没有数，无法计算结果",
    "seed {} does not fit into 64 bits": "种子 {} 超出 64 位",
    "give a whole number from 1 to {}": "请给出 1 到 {} 的整数",
    "seed is {}": "seed 是 {}",
    "pick a whole number": "请给出整数",
    "pick a seed from 0 to 2**64 - 1": "种子可以是 0 到 2**64 - 1",
    "{} is not a device": "{} 不是设备名",
    "pick one of {}, or cuda:N": "可选：{}，或者 cuda:N",
    "write it like cuda or cuda:0": "例如写成 cuda 或 cuda:0",
    "this machine has no device {}": "这台机器上没有设备 {}",
    "it has: {}; --device auto picks one": "它有：{}；--device auto 会自动选择",
    "{}: it needs {}": "{!t}：需要 {!t}",
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
    "config is a {}": "config 是 {}",
    "give a file, a dict or a GPTConfig": "请给出文件、dict 或 GPTConfig",
    "--config {}: an object in a .py file can configure only a model of your own": (
        "--config {}：.py 文件里的对象只能配置你自己的模型"
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
    "{}{} holds a {}, not keys and values": "{!t}{} 里是 {}，不是键和值",
    "{}{} is not a file": "{!t}{} 不是文件",
    "{}{} is larger than {} MiB": "{!t}{} 大于 {} MiB",
    "the model's ": "模型的 ",
    "not UTF-8 text": "不是 UTF-8 文本",
    "give a .json or .toml file of configuration keys": "请给出写有配置键的 .json 或 .toml 文件",
    "a file named *.toml must be TOML; any other must be JSON": (
        "名为 *.toml 的文件必须是 TOML，其他文件必须是 JSON"
    ),
    'write it like {{"emb_dim": 768, "n_heads": 12}}': '例如写成 {{"emb_dim": 768, "n_heads": 12}}',
    "--set {} is not KEY=VALUE": "--set {} 不是 KEY=VALUE",
    "write it like --set n_layers=2": "例如写成 --set n_layers=2",
    "emb_dim {} is not divisible by n_heads {}": "emb_dim {} 不能被 n_heads {} 整除",
    "n_heads could be {}": "n_heads 可以是 {}",
    "{}, not a whole number": "{!t}，不是整数",
    "give {} as a whole number": "{} 要写成整数",
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
    "the weights in {} lack {}": "{} 里的权重缺少 {!t}",
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
    "pip install 'gptrace[hf]'": "pip install 'gptrace[hf]'",
    # models of the user
    "write FILE.py:OBJECT or package.module:OBJECT, as in model.py:GPT": (
        "请写 FILE.py:OBJECT 或 package.module:OBJECT，例如 model.py:GPT"
    ),
    "{} is neither a .py file nor a module": "{} 既不是 .py 文件，也不是模块",
    "looked in {}; {}": "在 {} 里找过；{!t}",
    "it defines {}": "它定义了 {}",
    "{} {} does not say which object of the file": "{} {} 没有写是文件里的哪个对象",
    "{} {} names no object": "{} {} 没有写对象的名字",
    "{}: {} is not a file": "{}：{} 不是文件",
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
    "the course's GPT_CONFIG_124M, changed": "改过的课程配置 GPT_CONFIG_124M",
    "of type {}": " {} 的对象",
    "the model's own code raised this; gptrace run shows the trace up to the failing call, GPTRACE_DEBUG=1 "
    "shows the whole traceback": (
        "异常来自模型自己的代码，英文信息是原文；gptrace run 显示到出错为止的跟踪结果，GPTRACE_DEBUG=1 显示"
        "完整的 traceback"
    ),
    ", at {}": "，位于 {!s}",
    " (while {} was imported)": "（导入 {} 时）",
    " (while {} was built)": "（构建 {} 时）",
    " (while the configuration of {} was built)": "（构建 {} 的配置时）",
    " (while {} loaded its state dict)": "（{} 加载 state dict 时）",
    " (in the output of {})": "（在 {} 的输出中）",
    " (in the forward pass of {})": "（在 {} 的前向传播中）",
    "__init__ has to call super().__init__() before it sets any attribute": (
        "__init__ 要先调用 super().__init__()，再设置属性"
    ),
    "{} has no attribute {}; did you mean {}?": "{} 没有属性 {}；是不是想写 {}？",
    "{} has no method forward": "{} 没有 forward 方法",
    "; rename {} to forward": "；请把 {} 改名为 forward",
}
WEIGHTS: dict[str, str] = {
    # files
    "give a folder with model.safetensors or pytorch_model.bin, or a .safetensors, .bin, .pt or .pth file": (
        "请给出含有 model.safetensors 或 pytorch_model.bin 的文件夹，或者 .safetensors、.bin、.pt、.pth 文件"
    ),
    "download it again, completely": "请重新下载完整的文件",
    "the file is truncated or damaged; download it again": "文件不完整或已损坏；请重新下载",
    "save model.state_dict() instead of the whole model, best as safetensors, where the file was made: "
    "safetensors.torch.save_file(model.state_dict(), ...)": (
        "请在生成文件的地方保存 model.state_dict()，而不是整个模型，最好用 safetensors："
        "safetensors.torch.save_file(model.state_dict(), ...)"
    ),
    "save one with torch.save(model.state_dict(), path)": "请用 torch.save(model.state_dict(), path) 保存",
    "it holds no state dict, only a {}": "里面没有 state dict，只有 {}",
    "it has no weight_map": "里面没有 weight_map",
    "it lists {}, which no shard holds": "里面列出了 {}，但哪个分片里都没有",
    "--weights {} is not a file": "--weights {} 不是文件",
    "the file is empty": "文件是空的",
    "it holds no keys and values": "里面没有键和值",
    "the header claims {} bytes of a file of {}": "文件头说有 {} 字节，文件只有 {} 字节",
    "the file is truncated or not safetensors; download it again": (
        "文件不完整，或者不是 safetensors；请重新下载"
    ),
    "it is neither a safetensors file nor a PyTorch file that holds only tensors": (
        "既不是 safetensors 文件，也不是只含张量的 PyTorch 文件"
    ),
    "the folder holds none of {}": "文件夹里没有其中任何一个：{}",
    "the shard {} is not beside it": "分片 {} 不在同一个文件夹里",
    "the shard {} is missing": "缺少分片 {}",
    "it is not JSON: {}": "不是 JSON：{}",
    "the file wants to run {}, so it was not loaded": "文件要执行 {}，所以没有加载",
    "it cannot be read: {}": "无法读取：{}",
    "{} is a {} tensor": "{} 是 {} 张量",
    "save it dense, in floating point": "请保存成稠密的浮点张量",
    # the hub
    "fetching {} of {}; this happens once": "正在下载 {1!t}，共 {0}；只下载一次",
    "check the network and HF_ENDPOINT, then run the same command again: the download resumes": (
        "请检查网络和 HF_ENDPOINT，再运行同样的命令：下载会接着进行"
    ),
    "the weights of {}": "{} 的权重",
    "write hf:./my-model or hf:Qwen/Qwen3-0.6B": "请写成 hf:./my-model 或 hf:Qwen/Qwen3-0.6B",
    "the model {}": "模型 {}",
    "HF_HUB_OFFLINE is set; unset it once to fetch the weights": (
        "设置了 HF_HUB_OFFLINE；要下载权重，请先取消它"
    ),
    "is the name right? And is HF_ENDPOINT a mirror that lacks this repository?": (
        "名字对吗？HF_ENDPOINT 是不是一个没有这个仓库的镜像？"
    ),
    "give the folder that save_pretrained() wrote": "请给出 save_pretrained() 写出的文件夹",
    "--model hf:{} is neither a folder nor OWNER/NAME": "--model hf:{} 既不是文件夹，也不是 OWNER/NAME",
    "{} holds no weights": "{} 里没有权重",
    "{} holds no config.json": "{} 里没有 config.json",
    "is it a model for transformers? --weights random needs only its config.json": (
        "它是 transformers 的模型吗？--weights random 只需要它的 config.json"
    ),
    "{} is not safetensors: it starts with {}, so it was removed": (
        "{} 不是 safetensors：开头是 {}，所以删除了"
    ),
    "check HF_ENDPOINT: does it serve the files themselves?": "请检查 HF_ENDPOINT：它给出的是文件本身吗？",
    "pip install 'gptrace[{}]'": "pip install 'gptrace[{}]'",
    "{} could not be fetched: {}: {}": "无法下载 {}（英文信息是原文）：{}: {}",
    "{} at revision {}": "{} 的版本 {}",
    "--model hf:{}: the folder has no config.json": "--model hf:{}：文件夹里没有 config.json",
    "{} has no weight_map of names": "{} 里没有写名字的 weight_map",
    "{}: the shard {} is not beside it": "{}：分片 {} 不在同一个文件夹里",
    "fetching {} needs huggingface_hub, which is not installed": (
        "下载{!t}需要 huggingface_hub，而它没有安装"
    ),
    # layouts
    "nanoGPT or minGPT": "nanoGPT 或 minGPT",
    "{}'s own": "{} 自己的",
    "the weights have no h.0.attn.c_attn.weight": "权重里没有 h.0.attn.c_attn.weight",
    "is a shard missing?": "是不是少了分片？",
    "{} has the shape {}, so it is no matrix": "{} 的形状是 {}，不是矩阵",
    "is it the right file?": "是这个文件吗？",
    "--weights reads only GPT-2's architecture; use --model hf:FOLDER for this one": (
        "--weights 只读 GPT-2 架构；这个模型请用 --model hf:FOLDER"
    ),
    "{} occurs twice, once as {}": "{} 出现了两次，其中一次写作 {}",
    "keep the weights of one model in the file": "文件里只保留一个模型的权重",
    "{} has the shape {}, but the width of the embedding is {}": "{} 的形状是 {}，而嵌入的宽度是 {}",
    "one of its sides must have that width": "它必须有一边是这个宽度",
    "the weights lack {}": "权重里缺少 {!t}",
    "the settings say {}: {}, a {}": "设置里写着 {}: {}，类型是 {}",
    "it has to be a plain number, a text, or true or false": "它必须是数、文字，或者 true、false",
    "config.json says model_type: {}": "config.json 里写着 model_type: {}",
    "config.json asks for activation_function {}, unknown here": (
        "config.json 要用的 activation_function 是 {}，这里不认识"
    ),
    "it has {}": "可用的有 {}",
    "config.json says {}: {}, which gptrace's model does not support": (
        "config.json 里写着 {}: {}，而 gptrace 的模型不支持"
    ),
    "use --model hf:FOLDER to trace the model of transformers itself": (
        "用 --model hf:FOLDER 直接跟踪 transformers 的模型"
    ),
    "the layout of the weights is unknown: {}": "认不出权重的格式：{!t}",
    "gptrace looks for tok_emb.weight (the course) or wte.weight (GPT-2, nanoGPT, minGPT); for the weights "
    "of "
    "your own model, add --model FILE.py:CLASS": (
        "gptrace 要找的是 tok_emb.weight（课程）或 wte.weight（GPT-2、nanoGPT、minGPT）；"
        "你自己模型的权重请加上 "
        "--model FILE.py:CLASS"
    ),
    "a weight is a matrix, a bias is a vector; query, key and value are a third of it each": (
        "权重是矩阵，偏置是向量；query、key、value 各占三分之一"
    ),
    "the settings say {}: {}, the tensors {}": "设置里写着 {}: {}，张量却是 {}",
    "is a shard missing, or the file of another model?": "是不是少了分片，或者是别的模型的文件？",
    "{} has the shape {}": "{} 的形状是 {}",
    # loading
    "the configuration": "配置",
    "is a shard missing, or is it another architecture?": "是不是少了分片，或者是别的架构？",
    "missing: {}": "缺少：{!t}",
    "unexpected: {}": "多出：{!t}",
    "missing: {}; unexpected: {}": "缺少：{!t}；多出：{!t}",
    "{} has the shape {}, expected {}": "{} 的形状是 {}，应为 {!t}",
    "is it the file of a model with other sizes, or damaged?": "是尺寸不同的模型的文件，还是文件损坏了？",
    "the sizes in the file: {}": "文件里的尺寸：{}",
    "weights are float16, bfloat16, float32 or float64": "权重可以是 float16、bfloat16、float32 或 float64",
    "the number of heads is unknown, and emb_dim {} is no multiple of {}": (
        "注意力头的数目未知，而 emb_dim {} 不是 {} 的倍数"
    ),
    "give it with --set n_heads=…": "请用 --set n_heads=… 给出",
    "{} has {} {}, the weights have {}": "{!t}里 {} 是 {}，权重里是 {}",
    "--weights {}: {} is {}, and {} in the model": "--weights {}：{} 是 {}，模型里是 {}",
    # limits of modules, and of what a server sends
    "{} has {}, a {}, in its {}": "{} 的{!t}里有 {}，类型是 {}",
    "parameters and buffers": "参数和缓冲区",
    "PyTorch cannot list it: register modules and tensors, each by a name that is a string": (
        "PyTorch 无法列出它：请只登记模块和张量，名字用字符串"
    ),
    "{} nests modules more than {} levels deep, and PyTorch calls itself at each": (
        "{} 的模块嵌套超过 {} 层，而 PyTorch 每层都要递归一次"
    ),
    "nest them less, or call sys.setrecursionlimit() where the model is defined": (
        "请减少嵌套，或者在定义模型的地方调用 sys.setrecursionlimit()"
    ),
    "the server does not say how large {} is": "服务器没有说明 {} 有多大",
    "{} are to be fetched, and {} has room for {}": "要下载 {}，而 {} 只剩 {}",
    "HF_HOME may name a folder elsewhere": "HF_HOME 可以指定别处的文件夹",
    "{} sends more than the {} that were expected": "{} 发来的数据超过了预期的 {}",
    "{} has sent {} bytes in {} s": "{} 只发来了 {} 个字节，用时 {} 秒",
    "check the network and HF_ENDPOINT, then run the same command again": (
        "请检查网络和 HF_ENDPOINT，然后再运行同一条命令"
    ),
    "check HF_ENDPOINT: is it the hub, or a mirror of it?": "请检查 HF_ENDPOINT：它是 hub 或者它的镜像吗？",
    "{} gives logits on device meta, without numbers": "{} 给出的 logits 在 meta 设备上，没有数值",
    "gptrace run shows the shapes": "gptrace run 会显示形状",
}
