"""The Chinese templates, by the English ones: those of messages, and those of reports.

A hole of the English template is `{}`. In the Chinese one, `{}` is the next of them, `{1}` the second, and
`{!t}` or `{1!t}` one whose value is words, to be translated in its turn; `{!s}` one whose words have to be
known, or else it is another sentence. All other values stay as they are.

`tests/translation` lists the templates of the code that have no entry here, ready to be pasted, and entries
that no code uses.
"""

from __future__ import annotations

from gptrace.translation.chinese.command_line import COMMAND_LINE, PARSER
from gptrace.translation.chinese.models import MODELS, WEIGHTS
from gptrace.translation.chinese.predictions import PREDICTIONS, TEXTS
from gptrace.translation.chinese.reports import REPORTS
from gptrace.translation.chinese.traces import DIAGNOSIS, TRACES

# What stands around other messages and has no words of its own.
STRUCTURE: dict[str, str] = {"{}: ": "{!t}：", "; {}": "；{!s}"}
MESSAGES: dict[str, str] = {
    **COMMAND_LINE, **PARSER, **MODELS, **WEIGHTS, **TEXTS, **PREDICTIONS, **TRACES, **DIAGNOSIS, **STRUCTURE,
}  # fmt: skip

__all__ = ["MESSAGES", "PARSER", "REPORTS", "STRUCTURE"]
