"""Run the examples of the READMEs again and put in what they print now; then read the difference.

Outputs with a line of three dots are left as they are: somebody has shortened them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FUNCTIONS = f'gptrace() {{ "{sys.executable}" -m gptrace "$@"; }}; python() {{ "{sys.executable}" "$@"; }}\n'


def refreshed(block: re.Match[str]) -> str:
    """Return a console block with the outputs of its commands."""
    parts = re.split(r"^\$ ", block.group(1), flags=re.MULTILINE)
    written = [parts[0]]
    for part in parts[1:]:
        command, _, shown = part.partition("\n")
        if "\n...\n" not in f"\n{shown}":
            done = subprocess.run(
                ["bash", "-c", FUNCTIONS + command], capture_output=True, cwd=ROOT, stdin=subprocess.DEVNULL,
                check=True,
            )  # fmt: skip
            shown = done.stdout.decode()
        written.append(f"$ {command}\n{shown}")
    return f"```console\n{''.join(written)}```"


for readme in sorted(ROOT.glob("README*.md")):
    text = readme.read_text(encoding="utf-8")
    readme.write_text(re.sub(r"```console\n(.*?)```", refreshed, text, flags=re.DOTALL), encoding="utf-8")
