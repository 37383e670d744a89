"""Messages and reports about a model that is spread over devices."""

from __future__ import annotations

MESHES: dict[str, str] = {
    "{} is of a model on one device, so it has no {}": "{!t} 来自单个设备上的模型，所以没有 {}",
    "spread the model: gptrace run --mesh tp=2 --columns {} -o FILE.json": (
        "请把模型分散到多个设备上：gptrace run --mesh tp=2 --columns {} -o FILE.json"
    ),
    "the model is spread over devices; without --mesh, this is measured on one": (
        "模型分散在多个设备上；不用 --mesh 时，可以在一个设备上测量"
    ),
}
MESH_REPORTS: dict[str, str] = {
    # the header
    "none: a simulation has shapes but no numbers, so there are no next tokens": (
        "无：模拟时只有形状，没有数值，所以不能预测下一个 token"
    ),
    "mesh": "设备网格",
    "rank": "rank",
    " × ": " × ",
    "{} rank": "{} 个 rank",
    "{} ranks": "{} 个 rank",
    "simulated in one process": "在一个进程里模拟",
    "measured with {}": "实测，通信后端 {}",
    "spread by {}": "切分方案：{}",
    "the built-in plan": "内置",
    "the plan of transformers": "transformers 自带",
    "this rank: {} of {} parameters": "本 rank 持有的参数：{} / {}",
    # columns, and what is in them
    "Here": "本 rank",
    "Sent": "通信",
    "{} here": "{}（本 rank）",
    "whole": "整个",
    "{} {}, {}": "{} {}，{}",
    "{} {} × {}, {}": "{} {} × {}，{}",
    "{} {} in {} messages, {}": "{0} 共 {1}，{2} 条，{3}",
    "… {} more": "… 另有 {} 种",
    # below the table of calls
    "no messages between ranks": "rank 之间没有通信",
    "Messages of this rank in one forward pass": "一次前向传播中本 rank 的通信",
    "ring estimate: the bytes that each rank sends if messages are passed along a ring": (
        "环形估计：消息沿环传递时每个 rank 发出的字节数"
    ),
    "Along": "沿网格维",
    "Kind": "种类",
    "Ranks": "rank 数",
    "Messages": "消息数",
    "Ring estimate": "环形估计",
    "This rank and the whole model": "本 rank 与整个模型",
    "This rank": "本 rank",
    "Whole model": "整个模型",
    "buffers": "缓冲区",
    "peak of activations": "激活值峰值",
    "All ranks": "所有 rank",
    "Buffers": "缓冲区",
    "Peak of activations": "激活值峰值",
    "Bytes of messages": "消息字节",
    "rank {} differs from rank 0: {} {}, on rank 0 {}": "rank {} 与 rank 0 不同：{} 是 {}，rank 0 上是 {}",
    "macs": "MACs",
    "versions": "版本",
    "calls": "调用",
    "outputs": "输出",
    "traffic": "通信",
    "predictions": "预测",
    "none": "无",
    "… {} more difference between ranks": "… rank 之间还有 {} 处不同",
    "… {} more differences between ranks": "… rank 之间还有 {} 处不同",
    "of a forward pass alone: no gradients, no optimizer state, no allocator overhead, no overlap of messages"
    " with computation, no timing": (
        "只算一次前向传播：不含梯度、优化器状态和内存分配器的开销，也不考虑用时，以及通信与计算的重叠"
    ),
    # differences between two traces
    "input here": "本 rank 的输入",
    "output here": "本 rank 的输出",
    "parameters here": "本 rank 的参数",
    "MACs here": "本 rank 的 MACs",
    "messages": "通信",
    "no message": "没有通信",
    "backend": "通信后端",
    "plan": "切分方案",
}
