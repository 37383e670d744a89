"""What the random command lines are made of: texts, numbers, words, prompts on stdin, variables, models."""

from __future__ import annotations

import json
import re

ESCAPES = "\x1b[31mred\x1b]0;title\x07\u202e\u200b\r\x00"
TEXTS = (
    "Hello", "Hello, I am", "你好", " ", "", "\n", "-", "--", "a" * 300, "<|endoftext|>", "🙂" * 5,
    "=cmd|'/c'!A1", "[/red]x[bold]", "a|b`c`<b>&", ESCAPES.replace("\x00", ""), "\udce9", "%s%n{0}",
    " " * 400,
)  # fmt: skip
NUMBERS = (
    "0", "1", "-1", "2", "5", "1.5", "nan", "inf", "-inf", "1e400", "1_0", "٣", "0x10", "9" * 20, "", " ",
    "3.0", "50257", "50258", "1e-300", "two", "²", "+3", "80", "200", "0.5",
)  # fmt: skip
WORDS = tuple(
    re.findall(
        r"\S+",
        """
        tiny gpt2-small- TINY all en zh fr last json table html svg csv markdown jsonl text cpu meta meta:0
        cuda:99 cuda mps auto float32 bfloat16 float16 float64 int8 random pretrained tying flow trace topk
        mean,nan path,macs flops att *.att.* Linear layers.0 [ n_layers=1 n_layers=0 n_layers=1000000
        emb_dim=48 emb_dim=-1 n_heads=5 vocab_size=300 x=y = drop_rate=2 activation=relu attention=sdpa
        tie_head=true hf: hf:none hf:../.. hf:odd hf:llama lm_head out_head h e 15496,11 loss lens
        generate tokens schema
        """,
    )
)
# The long line is a few windows of a GPT-2: the loss of much more would be work of minutes, and no hang.
STDIN = (
    b"", b"Hello\n", b"\xff\n", b"a\n\nb\n", b"\x00\n", b"\r\n\r\n", "你好\n🙂\n".encode(), b"no newline",
    b" " * 2_000 + b"\nafter\n", b'"Hello"\n[1]\nnull\n', b'{"ids": [1e3]}\n{"ids": []}\n{"text": ""}\n',
    b'{"text": "Hi", "error": 1}\n{"text": "\\ud800"}\n{"text": "a", "text": "b"}\n',
    b'{"text": "a", "x": ' + b"[" * 200 + b"]" * 200 + b"}\n{",
    b'{"text": "a", "=1+1": "\\u001b[31m|\\u202e", "n": NaN}\n',
    b"prompt,id\nHello,1\n", b'{"index": 0}\n',
)  # fmt: skip
# Variables of the environment, each with the values that it may have.
VARIABLES: dict[str, tuple[str, ...]] = {
    "COLUMNS": ("²", "0", "-5", "1", "40", "9" * 30),
    "TERM": ("dumb", ""),
    "FORCE_COLOR": ("1",),
    "NO_COLOR": ("1",),
    "GPTRACE_DEBUG": ("0", "yes"),
    "_GPTRACE_COMPLETE": (
        "complete_bash", "source_zsh", "complete_klingon", "source_klingon", "complete_", "x",
    ),
    "HF_ENDPOINT": ("x", "http://[", ""),
}  # fmt: skip
# The values that suit an option, where its name tells more than the kind of its value.
SUITABLE = {
    "--format": ("table", "json", "jsonl", "csv", "markdown", "html", "svg"),
    "--ids": ("15496 11", "1", "-1", "99999", "a", "", "[1, 2]", "9" * 30),
    "--positions": ("all", "last", "x"),
    "--max-new-tokens": ("1", "2", "0", "x"),
    "--input-format": ("lines", "lines", "jsonl", "jsonl", "text", "x"),
    "--columns": ("all", "mean,nan", "path,macs", "flops", ",", "params", "time,memory", "x" * 500),
    "--seed": NUMBERS,
    "--threads": ("1", "2", "0", "-1", "two"),
    "--token": TEXTS,
    "--stop": TEXTS,
    # Never a file of the folder: it would be replaced.
    "--output": (
        "out/a.json", "out/b.jsonl", "out/c.csv", "out/d.md", "out/e.html", "out/h.svg", "out/f.txt", "out/g",
        "out",
        "absent/x.json", "/dev/null", "/dev/full", "/dev/stdout", "-", "out/kept.jsonl", "out/torn.jsonl",
        "out/" + "n" * 300 + ".json",
    ),
}  # fmt: skip
MODELS = """
import os, subprocess, sys, torch, warnings, logging
nn = torch.nn
class Good(nn.Module):
    def __init__(self, vocab_size=50257, emb_dim=8):
        super().__init__(); self.e = nn.Embedding(vocab_size, emb_dim)
        self.h = nn.Linear(emb_dim, vocab_size)
    def forward(self, x): return self.h(self.e(x))
class Blocks(Good):
    def __init__(self, vocab_size=50257, emb_dim=8, n_layers=2):
        super().__init__(vocab_size, emb_dim)
        self.blocks = nn.ModuleList(nn.Linear(emb_dim, emb_dim) for _ in range(n_layers))
    def forward(self, x):
        x = self.e(x)
        for block in self.blocks: x = block(x)
        return self.h(x)
class Prints(Good):
    def forward(self, x):
        print("\\x1b[31mnoise"); sys.stderr.write("\\x1b]0;title\\x07noise\\n"); return super().forward(x)
class PrintsRaw(Good):
    def forward(self, x):
        os.write(2, b"\\x1b[31mnoise\\n"); os.write(1, b"\\x1b]0;title\\x07")
        subprocess.run(["printf", r"\\033[2Jnoise"]); return super().forward(x)
class PrintsWarnings(Good):
    def forward(self, x):
        warnings.warn("\\x1b[31mred"); logging.error("\\x1b[31mred"); return super().forward(x)
class Raises(Good):
    def forward(self, x): raise RuntimeError("\\x1b[31m" + "x" * 100000)
class Exits(Good):
    def forward(self, x): raise SystemExit(3)
class ExitsWhenBuilt(Good):
    def __init__(self): sys.exit("\\x1b[31mbye")
class Interrupts(Good):
    def forward(self, x): raise KeyboardInterrupt
class Stops(Good):
    def forward(self, x): raise StopIteration
class Recurses(Good):
    def forward(self, x): return self.forward(x)
class NoMemory(Good):
    def forward(self, x): raise MemoryError
class Nan(Good):
    def forward(self, x): return super().forward(x) * float("nan")
class Infinite(Good):
    def forward(self, x): return super().forward(x) + float("inf")
class Two(Good):
    def forward(self, x): return super().forward(x)[..., :2]
class Nothing(Good):
    def forward(self, x): return None
class Ints(Good):
    def forward(self, x): return super().forward(x).long()
class Empty(Good):
    def forward(self, x): return super().forward(x)[..., :0]
class Flat(Good):
    def forward(self, x): return super().forward(x).flatten()
class Named(Good):
    def forward(self, input_ids): return {"logits": super().forward(input_ids), "\\x1b[31m": {1: [None]}}
class Shrinks(Good):
    def forward(self, x): return super().forward(x)[:, -1]
class Sparse(Good):
    def forward(self, x): return super().forward(x).to_sparse()
class Complex(Good):
    def forward(self, x): return super().forward(x).to(torch.complex64)
class Half(Good):
    def forward(self, x): return super().forward(x).to(torch.float8_e4m3fn)
class NoStr(Exception):
    def __str__(self): raise ValueError("no words")
class Wordless(Good):
    def forward(self, x): raise NoStr
class Closes(Good):
    def forward(self, x): sys.stdout.close(); return super().forward(x)
class ClosesBoth(Good):
    def forward(self, x): os.close(1); os.close(2); return super().forward(x)
class Takes(Good):
    def forward(self, x): sys.stdout = sys.stderr = None; return super().forward(x)
class Holds(Good):
    def __init__(self): super().__init__(); self.__dict__["parent"] = self
class Unhashable(Good):
    __hash__ = None
class Odd(Good):
    def __getattr__(self, name):
        if name.startswith("_"): return super().__getattr__(name)
        raise RuntimeError("\\x1b[31mno " + name)
class Fills(Good):
    def __init__(self):
        super().__init__(); self.register_buffer("\\x1b[31mred", torch.zeros(1))
class Uses(Good):
    def __init__(self, cfg): super().__init__(cfg["vocab_size"], cfg["emb_dim"])
class Generator(Good):
    def forward(self, x): yield super().forward(x)
class Lazy(nn.Module):
    def __init__(self): super().__init__(); self.e, self.h = nn.Embedding(50257, 8), nn.LazyLinear(50257)
    def forward(self, x): return self.h(self.e(x))
Evil = type("\\x1b[31mEVIL\\u202e", (Good,), {})
number = 5
built = Good()
text = "\\x1b[31mred"
def makes_none(cfg): return None
def makes_good(): return Good()
def raises(cfg): raise NoStr
CFG = {"vocab_size": 50257, "emb_dim": 8, "\\x1b[31mred": [1, 2]}
"""
OBJECTS = tuple(
    "".join(names) for names in re.findall(r"^(?:class|def) (\w+)|^(\w+) =", MODELS, re.MULTILINE)
)
NOTEBOOK = json.dumps(
    {"cells": [{"cell_type": "code", "source": [MODELS]}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
)
