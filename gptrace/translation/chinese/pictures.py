"""The sentences in pictures of a trace, and the reasons why there is none."""

from __future__ import annotations

PICTURES: dict[str, str] = {
    "gptrace {} writes it; here, pick one of {}": "gptrace {} 能写这种格式；这里请从 {} 里选",
    "{} is no format of this command": "这个命令不能写成 {}",
    "--landscape is for svg, and the format is {}": "--landscape 只用于 svg，而格式是 {}",
    "use -o FILE.svg": "请用 -o FILE.svg",
    "{} is no format of this report": "这个报告不能写成 {}",
    "gptrace run draws a trace in it": "gptrace run 能把跟踪结果画成这种格式",
    "{} is for tables, and {} is a picture": "{} 用于表格，而 {} 是图",
    "{} is not a format of a picture": "图没有 {} 这种格式",
    "pip install quickjs-ng": "pip install quickjs-ng",
    "an SVG of a trace needs quickjs-ng, which is not installed": (
        "跟踪结果的 SVG 需要 quickjs-ng，但没有安装"
    ),
}
PICTURE_REPORTS: dict[str, str] = {
    "This trace has no operations, which --ops records, so nothing says where tensors flow.": (
        "这份跟踪结果没有记录运算（--ops 会记录），所以不知道张量流向哪里。"
    ),
    "{} more inputs and outputs are not drawn, such as {}.": "另有 {} 个输入和输出没有画出，例如 {}。",
    "{} deeper boxes are closed: too much for one picture.": "更深的 {} 个框没有展开：一张图放不下。",
}
