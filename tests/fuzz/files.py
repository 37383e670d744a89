"""Good, damaged and hostile files for the command lines to name."""

from __future__ import annotations

import json
import os
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import gptrace
from gptrace.model.quiet_torch import torch
from tests.fuzz.values import ESCAPES, MODELS, NOTEBOOK, STDIN

_SIZES = {"emb_dim": 8, "n_heads": 2, "n_layers": 1, "vocab_size": 97, "context_length": 16}
_LLAMA = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 8, "intermediate_size": 16,
    "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 97, "max_position_embeddings": 16,
}  # fmt: skip


def write_files(folder: Path) -> None:
    """Write them all into an empty folder, and the folder `out` for what the command lines write."""
    for write in (_write_code, _write_kept, _write_settings, _write_prompts, _write_weights, _write_odd):
        write(folder)


def _write_code(folder: Path) -> None:
    (folder / "models.py").write_text(MODELS)
    (folder / "models.ipynb").write_text(NOTEBOOK)
    (folder / "broken.py").write_text("def f(:\n")
    (folder / "broken.ipynb").write_text('{"cells": [5]}')
    hostile = [
        f"%{ESCAPES}",
        "'''",
        "while True: pass",
        f"x = '{ESCAPES}",
        "y = z = undefined()\n%%x",
        "-" * 9999,
    ]
    cells = [{"cell_type": "code", "source": source} for source in (*hostile, MODELS)]
    (folder / "hostile.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4}))
    (folder / "raises.py").write_text("raise ValueError('\\x1b[31m' + 'x' * 100000)\n")
    (folder / "exits.py").write_text("import sys\nsys.stdout.close()\nsys.exit(4)\n")
    (folder / "prints.py").write_text("print('\\x1b[31mred')\nimport torch\nx = torch.nn.Linear(2, 2)\n")


def _write_kept(folder: Path) -> None:
    session = gptrace.Session("tiny")
    trace = session.trace("Hello", measure="all").to_dict()
    kept: dict[str, Any] = {
        "trace": trace,
        "tokens": gptrace.tokens("Hi").to_dict(),
        "topk": session.topk("Hi").to_dict(),
        "loss": session.loss("Hello, I am").to_dict(),
        "generate": session.generate("Hi", max_new_tokens=2, trace=True).to_dict(),
        "lens": session.lens("Hi").to_dict(),
        "explain": session.explain("Hi", topics=["tying"]).to_dict(),
    }
    (folder / "damaged").mkdir()
    for name, report in list(kept.items()):
        kept |= {f"damaged/{name}-{number}": damaged for number, damaged in enumerate(_damaged(report))}
    kept["hostile"] = trace | {"notes": [ESCAPES]}
    kept["type"] = trace | {"calls": [trace["calls"][0] | {"type": [1]}]}
    kept["parent"] = trace | {"calls": [trace["calls"][0] | {"parent": 0}]}
    kept["loop"] = trace | {"calls": [call | {"parent": 1} for call in trace["calls"]]}
    kept["rows"] = trace | {"calls": [trace["calls"][0] | {"path": ESCAPES}] * 3}
    for name, content in kept.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    (folder / "version.json").write_text('{"schema": "gptrace.trace/9"}')
    (folder / "cut.json").write_text(json.dumps(trace)[:500])
    (folder / "deep.json").write_text("[" * 5000)
    (folder / "long.json").write_text(json.dumps({"schema": "A" * 300_000}))
    (folder / "nan.json").write_text(json.dumps(trace).replace('"seconds": ', '"seconds": NaN, "x": '))
    (folder / "bytes.json").write_bytes(b"\xff\xfe\x00")


def _damaged(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Return copies of a report in which a value of its first two levels is something else, or missing."""
    hostile: tuple[Any, ...] = (None, [], {}, ESCAPES, -(10**30), [[[]]])
    copies = [report | {key: hostile[number % len(hostile)]} for number, key in enumerate(report)]
    for key, value in report.items():
        inner = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
        if not isinstance(inner, dict):
            continue
        for number, name in enumerate(inner):
            changed = inner | {name: hostile[number % len(hostile)]}
            less = {each: inner[each] for each in inner if each != name}
            for damaged in (changed, less):
                copies.append(report | {key: damaged if inner is value else [damaged, *value[1:]]})
    return copies


def _write_settings(folder: Path) -> None:
    (folder / "config.json").write_text('{"n_layers": 1, "emb_dim": 48, "n_heads": 4}')
    (folder / "config.toml").write_text('vocab_size = "many"\n')
    (folder / "nested.toml").write_text('n_layers = 1\n[a.b]\n"\\u001b[31m" = [[[]]]\n')
    (folder / "huge.json").write_text('{"n_layers": 1' + "0" * 400 + "}")
    configurations = {
        "llama": _LLAMA,
        "odd": _LLAMA | {"model_type": "\x1b]0;title\x07\u202e"},
        "kernel": _LLAMA | {"attn_implementation": "owner/kernel"},
        "wrong": _LLAMA | {"hidden_size": [8], "architectures": "x"},
    }
    for name, configuration in configurations.items():
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(configuration))
    (folder / "odd" / "tokenizer.json").write_text("{}")
    (folder / "wrong" / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../x"}}')
    (folder / "kernel" / "model.safetensors").write_text("<html>")


def _write_prompts(folder: Path) -> None:
    (folder / "lines.jsonl").write_text('{"text": "Hi", "id": 1}\n\n{"ids": [1, 2]}\n{"text": 5}\nno\n')
    (folder / "prompts.csv").write_text("prompt,id\nHello,1\n")
    (folder / "stdin.bin").write_bytes(b"".join(STDIN))
    (folder / "out").mkdir()
    row = json.dumps({"index": 0, "text": "Hi"})
    (folder / "out" / "kept.jsonl").write_text(row + "\n")
    (folder / "out" / "torn.jsonl").write_text(row[:9])


def _write_weights(folder: Path) -> None:
    from safetensors.torch import save_file

    model = gptrace.GPTModel(_SIZES)
    state = model.state_dict()
    first = next(iter(state))
    sizes = state[first].shape
    odd = {
        "scalar": torch.tensor(1.0),
        "half": torch.zeros(sizes, dtype=torch.float16),
        "float8": torch.zeros(sizes, dtype=torch.float8_e5m2),
        "whole": torch.zeros(sizes, dtype=torch.int32),
        "complex": torch.zeros(sizes, dtype=torch.complex64),
        "nan": torch.full(sizes, float("nan")),
        "sparse": torch.zeros(sizes).to_sparse(),
        "meta": torch.zeros(sizes, device="meta"),
        "empty": torch.zeros(0),
        "nested": torch.nested.nested_tensor([torch.rand(2, 8), torch.rand(3, 8)], layout=torch.jagged),
    }
    torch.save(state, folder / "good.pt")
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "good.safetensors")
    for name, tensor in odd.items():
        torch.save(state | {first: tensor}, folder / f"{name}.pt")
    for name in ("uint4", "int4", "float4_e2m1fn_x2", "bits8", "uint16", "quint4x2", "float8_e8m0fnu"):
        tensor = torch.zeros(sizes, dtype=torch.uint8)
        with suppress(AttributeError, KeyError):  # not every version of torch has them all, and saves them
            torch.save(state | {first: tensor.view(getattr(torch, name))}, folder / f"{name}.pt")
    torch.save({ESCAPES: torch.ones(2)}, folder / "names.pt")
    torch.save({"model": state, "model_args": {"n_head": [[[[[[]]]]]]}}, folder / "args.pt")
    torch.save([1, 2], folder / "list.pt")
    whole = (folder / "good.pt").read_bytes()
    (folder / "cut.pt").write_bytes(whole[:400])
    (folder / "half-cut.pt").write_bytes(whole[: len(whole) // 2])
    (folder / "pickle.pt").write_bytes(pickle.dumps({"x": os.getcwd}))
    (folder / "page.bin").write_text("<!DOCTYPE html><title>log in</title>")
    (folder / "empty.safetensors").write_bytes(b"")
    (folder / "header.safetensors").write_bytes(
        (40).to_bytes(8, "little") + b'{"a": {"dtype": "F32"}}' + b" " * 40
    )


def _write_odd(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    (folder / "loop").symlink_to("loop")
    (folder / "empty").write_bytes(b"")
    (folder / "secret.json").write_text("{}")
    (folder / (ESCAPES.replace("\x00", "").replace("/", "") + ".json")).write_text("{}")
