"""Messages about weights: their files, the hub, their layouts."""

from __future__ import annotations

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
    "it holds no state dict, only a value of type {}": "里面没有 state dict，只有 {}",
    "it has no weight_map": "里面没有 weight_map",
    "it lists {} in {}, which does not hold it": "里面说 {} 在 {} 中，但该分片没有它",
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
    "it cannot be read: {}": "无法读取：{!t}",
    "{} is a {} tensor": "{} 是 {} 张量",
    "save it dense, in floating point": "请保存成稠密的浮点张量",
    "{} is stored as {}": "{} 以 {} 存储",
    "save it in float32, float16 or bfloat16": "请保存成 float32、float16 或 bfloat16",
    "{} has the shape {}, but {} in the file": "{} 的形状是 {}，而文件里只有 {}",
    "save it with tensor.contiguous(), so that every number is there": (
        "请用 tensor.contiguous() 保存，让每个数都在文件里"
    ),
    "it ends too early": "文件不完整",
    "save the state dict again with torch.save(model.state_dict(), path)": (
        "请用 torch.save(model.state_dict(), path) 重新保存 state dict"
    ),
    "{}: the file wants to run bytearray, so it was not loaded": "{!t}：文件要执行 bytearray，所以没有加载",
    "{}: it is neither a safetensors file nor a PyTorch file": (
        "{!t}：既不是 safetensors 文件，也不是 PyTorch 文件"
    ),
    "{}: it holds {} compressed ({} unpacked), which torch.save never does": (
        "{!t}：其中的 {} 是压缩的（解压后 {}），而 torch.save 从不压缩"
    ),
    "{}: its list of tensors has {}": "{!t}：张量清单有 {}",
    "give a file that holds a state dict alone, best as safetensors": (
        "请给出只含 state dict 的文件，最好是 safetensors"
    ),
    "{} of --model hf:{}": "--model hf:{1} 的 {0}",
    # the hub
    "fetching {} of {}; this happens once": "正在下载 {1!t}，共 {0}；只下载一次",
    "check the network and HF_ENDPOINT, then run the same command again: whole files are kept": (
        "请检查网络和 HF_ENDPOINT，再运行同样的命令：已经下载完的文件会保留"
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
    "is the name right? A private repository needs HF_TOKEN; a mirror in HF_ENDPOINT may lack it": (
        "名字对吗？私有仓库需要 HF_TOKEN；HF_ENDPOINT 的镜像可能没有这个仓库"
    ),
    "it may need an account: ask for access on its page of the hub, and set HF_TOKEN to your token": (
        "可能需要账号：请在它的 hub 页面上申请访问，再把 HF_TOKEN 设为你的 token"
    ),
    "give the folder that save_pretrained() wrote": "请给出 save_pretrained() 写出的文件夹",
    "--model hf:{}: {} is not a valid revision": "--model hf:{}：{} 不是版本名",
    "name a branch, a tag or a commit, such as hf:Qwen/Qwen3-0.6B@main": (
        "请写分支、标签或提交，例如 hf:Qwen/Qwen3-0.6B@main"
    ),
    "--model hf:{} is neither a folder nor OWNER/NAME": "--model hf:{} 既不是文件夹，也不是 OWNER/NAME",
    "--model hf:{}: {}": "--model hf:{}：{!t}",
    "{} holds no weights": "{} 里没有权重",
    "{} holds no config.json": "{} 里没有 config.json",
    "is it a model for transformers? --weights random needs only its config.json": (
        "它是 transformers 的模型吗？--weights random 只需要它的 config.json"
    ),
    "pip install huggingface_hub": "pip install huggingface_hub",
    "{} is not safetensors": "{} 不是 safetensors 文件",
    "{} is not a PyTorch file": "{} 不是 PyTorch 文件",
    "{} is not JSON": "{} 不是 JSON 文件",
    "{} is not text, but a web page": "{} 是网页，不是文本文件",
    ": it starts with {}, so it was removed": "：它以 {} 开头，所以删除了",
    "waiting for {}, which has not answered for {} s; Ctrl-C ends it": (
        "正在等 {}，它已经 {} 秒没有应答；按 Ctrl-C 结束"
    ),
    "the folder of the hub's cache has to be yours to read and write: HF_HOME names another one": (
        "hub 的缓存文件夹必须可读可写：可以用 HF_HOME 指定另一个"
    ),
    "waiting for {}, which asks for {} s between requests; Ctrl-C ends it": (
        "正在等 {}，它要求两次请求之间间隔 {} 秒；按 Ctrl-C 结束"
    ),
    "{} has not completed its answer within {} s": "{} 在 {} 秒内没有完成应答",
    "{} has sent {} pages of a list, and names more": "{} 已经发来 {} 页列表，还没有结束",
    "{} asks to wait {} s before the next request": "{} 要求等待 {} 秒再发下一个请求",
    "{} did not answer within {} s, {} times": "{0} 有 {2} 次没有在 {1} 秒内应答",
    "the download was interrupted": "下载已中断",
    "waiting until an earlier download has stopped; Ctrl-C ends the wait": (
        "正在等前一次下载停下来；按 Ctrl-C 结束等待"
    ),
    "an earlier download of this process has not stopped within {} s": (
        "这个进程的前一次下载在 {} 秒内没有停下来"
    ),
    "start a new process": "请启动一个新的进程",
    "the server names {} by {}, which is not a plain hash": "服务器给{!t}的名字是 {}，它不是普通的哈希值",
    "a file": "文件",
    "a commit": "提交",
    "the server sent {} at revision {}, not {}": "服务器发来的是 {} 的版本 {}，而不是 {}",
    "the recursion limit of {}, which sys.setrecursionlimit() set, is too low to run {}": (
        "sys.setrecursionlimit() 把递归深度上限设成了 {}，太低，无法运行 {}"
    ),
    "leave it at Python's 1000": "请保留 Python 默认的 1000",
    "{} nests modules more than {} levels deep, and PyTorch calls itself at each": (
        "{} 的模块嵌套超过 {} 层，而 PyTorch 每一层都要递归一次"
    ),
    "nest them less, or call sys.setrecursionlimit() where the model is defined": (
        "请减少嵌套，或者在定义模型的地方调用 sys.setrecursionlimit()"
    ),
    "{} has {}, of type {}, in its submodules": "{} 的子模块中有 {}，它的类型是 {}",
    "{} has {}, of type {}, in its parameters and buffers": "{} 的参数和 buffer 中有 {}，它的类型是 {}",
    "PyTorch cannot list it: register modules and tensors, each by a name that is a string": (
        "PyTorch 无法列出它：只能注册模块和张量，名字都要是字符串"
    ),
    "check HF_ENDPOINT: is it the hub, or a mirror of it?": "请检查 HF_ENDPOINT：它是 hub 或 hub 的镜像吗？",
    "{} are to be fetched, and {} has room for {}": "要下载 {}，而 {} 只剩 {} 空间",
    "{} has sent {} bytes in {} s": "{0} 在 {2} 秒内只发来 {1} 字节",
    "HF_HOME may name a folder elsewhere": "可以用 HF_HOME 指定别处的文件夹",
    "the server does not say how large {} is": "服务器没有说明 {} 有多大",
    "{} sends more than the {} that were expected": "{} 发来的内容超过应有的 {}",
    "check HF_ENDPOINT: does it serve the files themselves?": "请检查 HF_ENDPOINT：它给出的是文件本身吗？",
    "{} could not be fetched: {}: {}": "无法下载 {}（英文信息是原文）：{}: {}",
    "{} at revision {}": "{} 的版本 {}",
    "--model hf:{}: the folder has no config.json": "--model hf:{}：文件夹里没有 config.json",
    "{} has no weight_map of names": "{} 里没有写名字的 weight_map",
    "{}: the shard {} is not beside it": "{}：分片 {} 不在同一个文件夹里",
    "fetching {} needs huggingface_hub, which is not installed": (
        "下载{!t}需要 huggingface_hub，而它没有安装"
    ),
    "transformers cannot be imported: {}: {}": "无法导入 transformers（英文信息是原文）：{}: {}",
    "huggingface_hub cannot be imported: {}: {}": "无法导入 huggingface_hub（英文信息是原文）：{}: {}",
    "is a variable wrong, such as HF_ENDPOINT or HF_HUB_ETAG_TIMEOUT?": (
        "是不是有变量写错了，例如 HF_ENDPOINT 或 HF_HUB_ETAG_TIMEOUT？"
    ),
    # layouts
    "nanoGPT or minGPT": "nanoGPT 或 minGPT",
    "{}'s own": "{} 自己的",
    "the weights have no h.0.attn.c_attn.weight": "权重里没有 h.0.attn.c_attn.weight",
    "the weights have block {}, and no block {}": "权重里有第 {} 个 block，却没有第 {} 个",
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
    "the settings say {}: {}, of type {}": "设置里写着 {}: {}，类型是 {}",
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
    # in the package, and stored as int8
    "the weights of {} are in the package already": "{} 的权重就在包里，无需下载",
    "public-domain English prose": "公有领域的英文散文",
    "{} is {}, the trained weights of {} have {}": "{} 是 {}，而 {} 训练好的权重是 {}",
    "add --weights random for a model of other sizes": "要用其他尺寸的模型，请加 --weights random",
    "a scale is a floating-point number for each row": "每一行要有一个浮点数作为比例",
}
