"""Random command lines with hostile values, files and models: what goes in, and what must never come out.

Each line is made from a number alone, so that a failure is made again with
`python -m tests.fuzz NUMBER`.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import select
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import gptrace
from gptrace.cli import main
from gptrace.cli.app import COMMANDS
from gptrace.model.quiet_torch import torch

SECONDS = 20  # no command line here may take longer
_ESCAPES = "\x1b[31mred\x1b]0;title\x07\u202e\u200b\r\x00"
TEXTS = (
    "Hello", "Hello, I am", "你好", " ", "", "\n", "-", "--", "a" * 300, "<|endoftext|>", "🙂" * 5,
    "=cmd|'/c'!A1", "[/red]x[bold]", "a|b`c`<b>&", _ESCAPES.replace("\x00", ""), "\udce9", "%s%n{0}",
    " " * 400,
)  # fmt: skip
NUMBERS = (
    "0", "1", "-1", "2", "5", "1.5", "nan", "inf", "-inf", "1e400", "1_0", "٣", "0x10", "9" * 20, "", " ",
    "3.0", "50257", "50258", "1e-300", "two", "²", "+3",
)  # fmt: skip
# What a line on stderr begins with, in both languages.
_BEGINNINGS = ("error: ", "hint: ", "note: ", "错误：", "提示：", "注意：")
WORDS = tuple(
    re.findall(
        r"\S+",
        """
tiny gpt2-small- TINY all en zh fr last json table html svg csv markdown jsonl text cpu meta meta:0
cuda:99 cuda mps auto float32 bfloat16 float16 float64 int8 random pretrained tying flow trace topk
mean,nan path,macs flops att *.att.* Linear layers.0 [ n_layers=1 n_layers=0 n_layers=1000000 emb_dim=48
emb_dim=-1 n_heads=5 vocab_size=300 x=y = drop_rate=2 activation=relu attention=sdpa tie_head=true hf:
hf:none hf:../.. lm_head out_head
""",
    )
)
MODELS = """
import sys, torch
nn = torch.nn
class Good(nn.Module):
    def __init__(self, vocab_size=50257, emb_dim=8):
        super().__init__(); self.e = nn.Embedding(vocab_size, emb_dim)
        self.h = nn.Linear(emb_dim, vocab_size)
    def forward(self, x): return self.h(self.e(x))
class Prints(Good):
    def forward(self, x):
        print("\\x1b[31mnoise"); sys.stderr.write("\\x1b]0;title\\x07noise\\n"); return super().forward(x)
class Raises(Good):
    def forward(self, x): raise RuntimeError("\\x1b[31m" + "x" * 100000)
class Exits(Good):
    def forward(self, x): raise SystemExit(3)
class Nan(Good):
    def forward(self, x): return super().forward(x) * float("nan")
class Two(Good):
    def forward(self, x): return super().forward(x)[..., :2]
class Nothing(Good):
    def forward(self, x): return None
class Ints(Good):
    def forward(self, x): return super().forward(x).long()
class NoStr(Exception):
    def __str__(self): raise ValueError("no words")
class Wordless(Good):
    def forward(self, x): raise NoStr
class Closes(Good):
    def forward(self, x): sys.stdout.close(); return super().forward(x)
class Holds(Good):
    def __init__(self): super().__init__(); self.__dict__["parent"] = self
class Unhashable(Good):
    __hash__ = None
Evil = type("\\x1b[31mEVIL\\u202e", (Good,), {})
number = 5
def makes_none(cfg): return None
"""


@dataclass(frozen=True)
class CommandLine:
    """A command line, with what is on stdin and in the environment."""

    arguments: list[str]
    stdin: bytes | None = None
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What a command line came to; `code` is None where it took too long, negative for a signal."""

    code: int | None
    out: bytes
    err: bytes


def write_files(folder: Path) -> None:
    """Write good, damaged and hostile files for the command lines to name."""
    (folder / "models.py").write_text(MODELS)
    (folder / "broken.py").write_text("def f(:\n")
    (folder / "raises.py").write_text("raise ValueError('\\x1b[31m' + 'x' * 100000)\n")
    trace = gptrace.trace("Hello", model="tiny", measure=["statistics"]).to_dict()
    kept = {
        "trace": trace,
        "tokens": gptrace.tokens("Hi").to_dict(),
        "topk": gptrace.topk("Hi", model="tiny").to_dict(),
    }
    kept["type"] = json.loads(json.dumps(trace)) | {"calls": [trace["calls"][0] | {"type": [1]}]}
    kept["parent"] = json.loads(json.dumps(trace)) | {"calls": [trace["calls"][0] | {"parent": 0}]}
    kept["hostile"] = json.loads(json.dumps(trace)) | {"notes": [_ESCAPES], "schema": "gptrace.trace/1"}
    for name, content in kept.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    (folder / "version.json").write_text('{"schema": "gptrace.trace/9"}')
    (folder / "cut.json").write_text(json.dumps(trace)[:500])
    (folder / "deep.json").write_text("[" * 5000)
    (folder / "long.json").write_text(json.dumps({"schema": "A" * 300_000}))
    (folder / "config.json").write_text('{"n_layers": 1, "emb_dim": 48, "n_heads": 4}')
    (folder / "config.toml").write_text('vocab_size = "many"\n')
    (folder / "bytes.json").write_bytes(b"\xff\xfe\x00")
    (folder / "lines.jsonl").write_text('{"text": "Hi", "id": 1}\n\n{"ids": [1, 2]}\n{"text": 5}\nno\n')
    model = gptrace.GPTModel(
        {"emb_dim": 8, "n_heads": 2, "n_layers": 1, "vocab_size": 97, "context_length": 16}
    )
    state = model.state_dict()
    torch.save(state, folder / "good.pt")
    torch.save(state | {"tok_emb.weight": torch.tensor(1.0)}, folder / "scalar.pt")
    torch.save({"model": state, "model_args": {"n_head": [[[[[[]]]]]]}}, folder / "args.pt")
    (folder / "cut.pt").write_bytes((folder / "good.pt").read_bytes()[:400])
    (folder / "pickle.pt").write_bytes(pickle.dumps({"x": os.getcwd}))
    (folder / "empty.safetensors").write_bytes(b"")


def command_line(number: int, folder: Path) -> CommandLine:
    """Return the command line of a number."""
    rng = random.Random(number)
    files = [*sorted(path.name for path in folder.iterdir()), ".", "absent", "/dev/null"]
    objects = re.findall(r"^(?:class|def) (\w+)|^(\w+) =", MODELS, re.MULTILINE)
    models = [
        "tiny",
        "tiny",
        "tiny",
        *(f"models.py:{''.join(names)}" for names in objects),
        "raises.py:x",
        "broken.py:f",
    ]

    def value() -> str:
        return str(rng.choice([*TEXTS, *NUMBERS, *WORDS, *files, *models]))

    command = rng.choice([*COMMANDS, *COMMANDS, value()])
    arguments = [command] + [rng.choice(TEXTS) for _ in range(rng.choice((0, 1, 1, 1, 2)))]
    if command in ("diff", "show"):
        arguments = [command, *(rng.choice(files) for _ in range(rng.choice((1, 2))))]
    if rng.random() < 0.85:
        arguments += ["-m", rng.choice(models)]
    plausible = {
        "-f": ("table", "json", "jsonl", "csv", "markdown", "html"),
        "-k": NUMBERS,
        "--columns": WORDS,
        "--ids": ("15496 11", "1", "-1", "99999", "a", ""),
        "--set": WORDS,
        "--seed": NUMBERS,
        "--temperature": NUMBERS,
        "--weights": files,
        "--config": files,
        "--width": NUMBERS,
        "--device": WORDS,
        "--dtype": WORDS,
        "--only": WORDS,
        "--type": WORDS,
        "--depth": NUMBERS,
        "--positions": ("all", "last", "x"),
        "--token": TEXTS,
        "--batch-size": NUMBERS,
        "--stride": NUMBERS,
        "--max-new-tokens": ("1", "2", "0", "x"),
        "--top-k": NUMBERS,
        "--top-p": NUMBERS,
        "--stop": TEXTS,
        "--topic": WORDS,
        "--lang": WORDS,
        "--head": WORDS,
        "--input-format": ("lines", "jsonl", "text", "x"),
        "--expect": files,
        "--rtol": NUMBERS,
        "--threads": NUMBERS,
    }
    flags = (
        "--json",
        "--full",
        "--ops",
        "--truncate",
        "--lines",
        "--no-special",
        "--logprobs",
        "--trace",
        "--no-cache",
    )
    for _ in range(rng.choice((0, 1, 1, 2, 3, 4))):
        if rng.random() < 0.3:
            arguments.append(rng.choice(flags))
        else:
            option = rng.choice(list(plausible))
            arguments += [option, value() if rng.random() < 0.15 else rng.choice(plausible[option])]
    stdin = rng.choice(
        (None, None, b"", b"Hello\n", b"\xff\n", b"a\n\nb\n", (folder / "lines.jsonl").read_bytes())
    )
    variables = (
        {f"GPTRACE_{rng.choice(('K', 'MODEL', 'SEED', 'WIDTH', 'FORMAT', 'LANG'))}": value()}
        if rng.random() < 0.1
        else {}
    )
    arguments = [argument.replace("\x00", "") for argument in arguments]
    return CommandLine(arguments, stdin, {name: text.replace("\x00", "") for name, text in variables.items()})


def run(line: CommandLine, folder: Path) -> Result:
    """Run a command line in a child of this process, which has torch already."""
    out, err = (folder / f".{name}-{os.getpid()}" for name in ("out", "err"))
    source = folder / f".in-{os.getpid()}"
    source.write_bytes(line.stdin or b"")
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)
            for name in [name for name in os.environ if name.startswith("GPTRACE_")]:
                del os.environ[name]
            os.environ.update(
                {"HF_HOME": "/nowhere", "HF_HUB_OFFLINE": "1", "GPTRACE_MODEL": "tiny"},
                **{k: os.fsencode(v).decode("utf-8", "replace") for k, v in line.variables.items()},
            )
            for number, target, flags in ((0, source if line.stdin is not None else "/dev/null", os.O_RDONLY),
                                          (1, out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
                                          (2, err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)):  # fmt: skip
                os.dup2(os.open(target, flags, 0o600), number)
            sys.stdin, sys.stdout, sys.stderr = (
                os.fdopen(number, mode, encoding="utf-8", closefd=False)
                for number, mode in ((0, "r"), (1, "w"), (2, "w"))
            )
            for name in ("stdout", "stderr"):
                setattr(sys, f"__{name}__", getattr(sys, name))
            code = main(line.arguments)
        except BaseException as error:
            os.write(2, f"Traceback: {type(error).__name__} came out of main()".encode())
            code = 99
        os._exit(code)
    return Result(_wait(child), out.read_bytes(), err.read_bytes())


def _wait(child: int) -> int | None:
    """Return the exit code of a child, or None for one that has to be ended."""
    descriptor = os.pidfd_open(child)
    try:
        if not select.select([descriptor], [], [], SECONDS)[0]:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        os.close(descriptor)


def complaints(line: CommandLine, result: Result) -> list[str]:
    """Return what a command line should never come to."""
    out, err = result.out.decode("utf-8", "replace"), result.err.decode("utf-8", "replace")
    found = []
    if result.code not in (0, 1, 2, 130):
        found.append(f"exit code {result.code}")
    if "Traceback" in err or "may be a bug" in err or "可能是 gptrace 的错误" in err:
        found.append("a bug: " + err[:300])
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", out + err):
        found.append("raw control characters")
    stray = [row for row in err.splitlines() if not row.startswith(_BEGINNINGS)]
    if stray and "Prints" not in " ".join(line.arguments):
        found.append(f"stray lines on stderr: {stray[:3]}")
    if any(len(row) > 4000 for row in err.splitlines()):
        found.append("an error line of thousands of characters")
    if result.code == 2 and err.count("error: ") + err.count("错误：") != 1:
        found.append("not one error line")
    options = line.arguments[: line.arguments.index("--")] if "--" in line.arguments else line.arguments
    if "--json" in options and result.code == 0 and out and line.arguments[0] not in ("pull",):
        try:
            json.loads(out)
        except ValueError as error:
            found.append(f"no JSON: {error}")
    return found


def fuzz(numbers: range, folder: Path) -> list[str]:
    """Run the command lines of some numbers; return a paragraph for each that went wrong."""
    torch.set_num_threads(1)  # threads of the parent are not there in a fork
    write_files(folder)
    failures = []
    start = time.monotonic()
    for number in numbers:
        line = command_line(number, folder)
        for complaint in complaints(line, run(line, folder)):
            failures.append(f"{number}: {complaint}\n  {line}")
    print(f"{len(numbers)} command lines, {len(failures)} failures, {time.monotonic() - start:.0f} s")
    return failures
