"""Messages about models that are spread over a mesh of processes."""

from __future__ import annotations

SHARDING: dict[str, str] = {
    # the record
    "torch does not know how the plan spread this model, which has no DTensor and is under no FSDP2 or DDP: "
    "shapes, parameters and costs are those of this rank alone, and messages are not counted": (
        "torch 不知道方案怎样切分了这个模型（没有 DTensor，也不在 FSDP2 或 DDP 之下）："
        "形状、参数和开销只是本 rank 的，通信没有统计"
    ),
    # the mesh
    "mesh is of type {}": "mesh 的类型是 {}",
    "give a text like 'fsdp=128,tp=8', or a dict": "请给出 'fsdp=128,tp=8' 这样的文字，或者字典",
    "mesh has no dimensions": "设备网格没有维",
    "mesh {}: {} is not NAME=SIZE": "设备网格 {}：{} 不是 NAME=SIZE 的形式",
    "write it like --mesh fsdp=128,tp=8, the outermost dimension first": (
        "请写成 --mesh fsdp=128,tp=8 的形式，最外层的维写在最前面"
    ),
    "mesh has a dimension named {}": "设备网格有一维叫 {}",
    "a name has letters, digits and underscores, as in tp": "名字由字母、数字和下划线组成，例如 tp",
    "mesh dimension {} has size {}": "设备网格的维 {} 大小是 {}",
    "a size is at least 1": "大小至少是 1",
    "mesh {} has the dimension {} twice": "设备网格 {} 中的维 {} 出现了两次",
    "mesh {} has {} ranks": "设备网格 {} 有 {} 个 rank",
    "give a mesh of at most {} ranks": "请给出最多 {} 个 rank 的设备网格",
    "the mesh {} is for {} processes, but WORLD_SIZE is {}": (
        "设备网格 {} 需要 {} 个进程，但 WORLD_SIZE 是 {}"
    ),
    "start {} with torchrun --nproc-per-node {}, or unset WORLD_SIZE to simulate": (
        "请用 torchrun --nproc-per-node {1} 启动 {0} 个进程，或者取消设置 WORLD_SIZE，改为模拟"
    ),
    "no plan shards along the mesh dimension {}": "没有方案沿设备网格的维 {} 切分",
    "use {}, or write a plan: --parallel plan.py:parallelize": (
        "请用 {}，或者自己写一个方案：--parallel plan.py:parallelize"
    ),
    "the dimensions of the mesh {} are in another order than {}": "设备网格 {} 的各维没有按 {} 的顺序",
    "write --mesh {}": "请写 --mesh {}",
    # the rank
    "{} is {}, but the mesh {} has {} ranks": "{} 是 {}，但设备网格 {} 有 {} 个 rank",
    "pick one from 0 to {}": "请选 0 到 {} 之间的数",
    "{} is given, but torchrun gives each process its own": (
        "给出了 {}，但 torchrun 会给每个进程分配自己的 rank"
    ),
    "RANK is {}, but WORLD_SIZE is {}": "RANK 是 {}，但 WORLD_SIZE 是 {}",
    "number the processes from 0 to {}, as torchrun does": "请像 torchrun 那样把进程编号为 0 到 {}",
    "{} cannot be simulated: {}": "{} 无法模拟：{}",
    "measure it: start the processes with torchrun": "请改为实测：用 torchrun 启动各个进程",
    "drop --rank, or run the command without torchrun": "去掉 --rank，或者不用 torchrun 运行这条命令",
    "{} is given without a mesh": "给出了 {}，但没有给出设备网格",
    "add --mesh tp=2, or drop --{}": "加上 --mesh tp=2，或者去掉 --{}",
    # plans
    "{}={} does not divide {} {}": "{}={} 不能整除 {} {}",
    "pick a size of {} that does: {}": "请为 {} 选一个能整除它的大小：{}",
    "gptrace knows no plan that shards {}": "gptrace 没有切分 {} 的方案",
    "write a plan: --parallel plan.py:parallelize, a function (model, mesh) that returns the model": (
        "请写一个方案：--parallel plan.py:parallelize，即返回模型的函数 (model, mesh)"
    ),
    "parallel is of type {}, not a function": "parallel 的类型是 {}，不是函数",
    "give a function (model, mesh), or its name, as in plan.py:parallelize": (
        "请给出函数 (model, mesh)，或者它的名字，例如 plan.py:parallelize"
    ),
    "{} is of type {}, not a function": "{} 的类型是 {}，不是函数",
    "a plan is a function (model, mesh) that returns the model": "方案是返回模型的函数 (model, mesh)",
    "the plan {}{} cannot be called with a model and a mesh": "方案 {}{} 不能用一个模型和一个设备网格来调用",
    " (in the plan {})": "（在方案 {} 中）",
    "the plan {} returned a value of type {}, not a torch.nn.Module": (
        "方案 {} 返回的值类型是 {}，不是 torch.nn.Module"
    ),
    "this version of transformers cannot shard a model that is already built": (
        "这个版本的 transformers 不能切分已经构建好的模型"
    ),
    "pip install -U transformers, or give a plan of your own with --parallel plan.py:parallelize": (
        "请运行 pip install -U transformers，或者用 --parallel plan.py:parallelize 给出你自己的方案"
    ),
    "transformers cannot shard {}: {}": "transformers 不能切分 {}：{}",
    # simulated and measured ranks
    "this process is already in a process group, so it cannot simulate a rank": (
        "这个进程已经在进程组里，所以不能模拟一个 rank"
    ),
    "simulate in a process of its own, or call destroy_process_group() first": (
        "请在单独的进程里模拟，或者先调用 destroy_process_group()"
    ),
    "a simulated rank has no device, but the device is {}": "模拟的 rank 没有设备，但给出的设备是 {}",
    "drop --device, or measure with torchrun": "去掉 --device，或者用 torchrun 实测",
    "a mesh is measured on cpu or cuda, but the device is {}": (
        "设备网格只能在 cpu 或 cuda 上实测，但设备是 {}"
    ),
    "drop --device, or run the command without torchrun, which simulates one rank": (
        "去掉 --device，或者不用 torchrun 运行，那样会模拟一个 rank"
    ),
    "the model is already spread over a mesh": "模型已经分散在一个设备网格上",
    "trace it with gptrace.watch(model), or give the model before it was spread": (
        "请用 gptrace.watch(model) 跟踪它，或者给出分散之前的模型"
    ),
    "WORLD_SIZE is set, but other variables of a launcher are not: {}": (
        "设置了 WORLD_SIZE，但没有设置启动器的其他变量：{}"
    ),
    "start the processes with torchrun, or unset WORLD_SIZE to simulate one rank": (
        "请用 torchrun 启动这些进程，或者取消设置 WORLD_SIZE，改为模拟一个 rank"
    ),
    "the processes do not find each other: {}": "这些进程找不到彼此：{}",
    "are all of them running, and does MASTER_ADDR name the machine of rank 0?": (
        "它们都在运行吗？MASTER_ADDR 是 rank 0 所在的机器吗？"
    ),
    "another rank has ended: {}": "另一个 rank 已经结束：{}",
    "read the output of that process; the ranks wait for each other for 10 minutes": (
        "请查看那个进程的输出；各个 rank 之间最多等待 10 分钟"
    ),
}
