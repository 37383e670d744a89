"""The Chinese templates, by the English ones: those of messages, and those of reports.

A hole of the English template is `{}`. In the Chinese one, `{}` is the next of them, `{1}` the second, and
`{!t}` or `{1!t}` one whose value is words, to be translated in its turn; `{!s}` one whose words have to be
known, or else it is another sentence. All other values stay as they are.

`tests/translation` lists the templates of the code that have no entry here, ready to be pasted, and entries
that no code uses.
"""

from __future__ import annotations

from gptrace.translation.chinese.command_line import COMMAND_LINE, PARSER
from gptrace.translation.chinese.files import FILES
from gptrace.translation.chinese.meshes import MESH_REPORTS, MESHES
from gptrace.translation.chinese.models import MODELS
from gptrace.translation.chinese.pages import PAGES
from gptrace.translation.chinese.pictures import PICTURE_REPORTS, PICTURES
from gptrace.translation.chinese.predictions import PREDICTIONS, TEXTS
from gptrace.translation.chinese.reports import REPORTS as REPORT_TEXTS
from gptrace.translation.chinese.sharding import SHARDING
from gptrace.translation.chinese.traces import DIAGNOSIS, TRACES
from gptrace.translation.chinese.weights import WEIGHTS

# What stands around other messages and has no words of its own.
STRUCTURE: dict[str, str] = {
    "{}: ": "{!t}：",
    "; {}": "；{!s}",
    ": {}": "：{!s}",
    # lines of notebooks, whose file is that of a cell
    "{}, cell {}, line {}": "{} 单元格 {} 第 {} 行",
    "{}, cell {}, line {}, in {}: {}": "{} 单元格 {} 第 {} 行，{} 中：{}",
    "cell {}, line {}, in {}: {}": "单元格 {} 第 {} 行，{} 中：{}",
    # of the operating system
    "No such file or directory": "没有这个文件或文件夹",
    "Permission denied": "没有权限",
    "Not a directory": "路径中有一段不是文件夹",
    "Is a directory": "这是文件夹",
    "File name too long": "文件名太长",
    "No space left on device": "磁盘已满",
    "Read-only file system": "文件系统是只读的",
    "Too many levels of symbolic links": "符号链接的层数太多",
    "Input/output error": "读写出错",
}
MESSAGES: dict[str, str] = {
    **COMMAND_LINE, **PARSER, **FILES, **MODELS, **WEIGHTS, **TEXTS, **PREDICTIONS, **TRACES, **DIAGNOSIS,
    **SHARDING, **PAGES, **PICTURES, **MESHES, **STRUCTURE,
}  # fmt: skip
REPORTS: dict[str, str] = {**REPORT_TEXTS, **PICTURE_REPORTS, **MESH_REPORTS}

__all__ = ["MESSAGES", "PARSER", "REPORTS", "STRUCTURE"]
