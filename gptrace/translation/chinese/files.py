"""Messages about files and streams: where results go, and what is read again."""

from __future__ import annotations

FILES: dict[str, str] = {
    # output
    "stdout is closed": "stdout 已关闭",
    "send it somewhere, or use --output FILE": "请重定向 stdout，或者用 --output FILE",
    "stdout cannot be written: {}": "无法写入 stdout：{!t}",
    "is the disk full? Nothing more was written": "磁盘满了吗？之后的内容没有写出",
    "what was written stays; run the command again": "已写的内容会保留；请重新运行",
    "--output {}: a schema is JSON, and this suffix names another format": (
        "--output {}：schema 是 JSON，而这个后缀表示另一种格式"
    ),
    "give a name that ends in .json": "请给出以 .json 结尾的文件名",
    "--output {} is being written by another process": "另一个进程正在写 --output {}",
    "let that one end, or give another file name": "请等它结束，或者换一个文件名",
    "the file is as it was before": "文件保持原样",
    "--output {} cannot be written: {}": "无法写入 --output {}：{!t}",
    "--output {} cannot be written: permission denied": "无法写入 --output {}：没有权限",
    "pick a folder that you may write to": "请换一个可以写的文件夹",
    "--output {} is a folder": "--output {} 是文件夹",
    "name a file in it": "请写出其中的文件名",
    "--output {}: {} is not a folder": "--output {}：{} 不是文件夹",
    "--output {}: the folder {} is not there": "--output {}：文件夹 {} 不存在",
    "make it first: mkdir -p {}": "请先创建：mkdir -p {}",
    "--output {}: {}": "--output {}：{}",
    "give another file name": "请换一个文件名",
    # kept files
    "give a file that gptrace wrote with --json": "请给出 gptrace 用 --json 写的文件",
    "a folder": "文件夹",
    "a device": "设备",
    "a pipe": "管道",
    "a socket": "套接字",
    "something else": "特殊文件",
    "{} is {}, not a file": "{!t} 是{!s}，不是普通文件",
    "{} is larger than {}": "{!t} 大于 {}",
    "{} is not UTF-8 text: byte 0x{} at offset {}": "{0!t} 不是 UTF-8 文本：偏移 {2} 处的字节是 0x{1}",
    "traces are compared: make one with gptrace run … -o FILE.json": (
        "只能比较跟踪结果：用 gptrace run … -o FILE.json 生成"
    ),
    "{} holds {}, not {}": "{!t} 里是 {}，不是 {}",
    "{} has the schema {}": "{!t} 的 schema 是 {}",
    "gptrace reads what it wrote: {}": "gptrace 只能读它自己写的：{}",
    "{} is version {} of gptrace.{}, and this gptrace reads version 1": (
        "{0!t} 是 gptrace.{2} 的第 {1} 版，而这个 gptrace 只读第 1 版"
    ),
    "read it with the version of gptrace that wrote it, or write it again with this one": (
        "请用写它的那个版本的 gptrace 读取，或者用现在的版本重新生成"
    ),
    "{} is not JSON: {}": "{!t} 不是 JSON：{}",
    "{} is damaged: {}": "{!t} 已损坏：{}",
    "write it again with gptrace … --json": "请用 gptrace … --json 重新生成",
}
