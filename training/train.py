"""Train the small GPT on prepared token ids.

The length of a run is bound to tokens, so --tokens, --seed and the settings below say all about it. --minutes
measures how fast this machine is, says how many tokens that makes, and goes on as if they had been given.

In the output folder: log.csv and losses.svg, weights.safetensors (float16) and plan.json at every check,
and checkpoint.pt, from which --resume goes on after a stop as if there had been none.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from training.ids import read_texts
from training.log import Row, append_row, keep_rows, read_rows
from training.options import parse, planned
from training.plot import losses_svg
from training.run import Plan, Run, load_checkpoint, save_checkpoint

Tensor = torch.Tensor
# How long the speed is measured, and the part of the time that is left for what the measurement misses.
PROBE_SECONDS, RESERVE = 15.0, 0.04


def steps_in(seconds: float, run: Run, texts: dict[str, Tensor], checks: int) -> int:
    """Return how many steps, with their checks, this machine takes in `seconds`.

    The run is trained for a while, and then put back to where it was.
    """
    start = run.state()
    began = time.monotonic()
    run.train(3).item()  # the first steps compile, or find the fastest kernels
    run.held_out_losses(texts)
    check = time.monotonic()
    run.held_out_losses(texts)
    measured = time.monotonic()
    check = measured - check
    steps = 0
    while time.monotonic() < measured + PROBE_SECONDS:
        run.train(5).item()
        steps += 5
    now = time.monotonic()
    run.restore(start)
    speed = steps / (now - measured)
    left = (seconds - (now - began)) * (1 - RESERVE) - checks * check
    print(f"{speed * run.plan.tokens_per_step:,.0f} tokens/s; a check takes {check:.1f} s", flush=True)
    return max(checks, int(left * speed))


def write_results(run: Run, output: Path) -> None:
    """Write the weights, the plan and the plot of where the run stands."""
    tensors = {name: tensor.half().cpu() for name, tensor in run.model.state_dict().items()}
    if run.plan.model.tie_head:
        del tensors["out_head.weight"]  # the table of tokens again
    save_file(tensors, output / "weights.safetensors")
    plan = {
        **asdict(run.plan),
        "tokens": run.plan.steps * run.plan.tokens_per_step,
        "torch": torch.__version__,
    }
    plan["device"] = torch.cuda.get_device_name() if run.device.type == "cuda" else "cpu"
    (output / "plan.json").write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
    rows = read_rows(output / "log.csv")
    if len(rows) > 1:
        (output / "losses.svg").write_text(losses_svg(rows), encoding="utf-8")


def train(run: Run, texts: dict[str, Tensor], output: Path, checks: int, save_every: float) -> None:
    """Train a run to its end. At each of `checks` evenly spaced checks, log the losses.

    After `save_every` seconds, and at the end, a checkpoint and the results are written as well.
    """
    plan = run.plan
    earlier = read_rows(output / "log.csv")
    began = saved = time.monotonic()
    before = earlier[-1].seconds if earlier else 0.0
    for check in range(1, checks + 1):
        steps = plan.steps * check // checks - run.step
        if steps <= 0:
            continue
        loss = run.train(steps).item()
        rate = run.optimizer.param_groups[0]["lr"]
        seconds = before + time.monotonic() - began
        losses = run.held_out_losses(texts)
        row = Row(run.step, run.step * plan.tokens_per_step, seconds, rate, loss, losses)
        append_row(output / "log.csv", row)
        shown = ", ".join(f"{name} {loss:.3f}" for name, loss in {"training": loss, **losses}.items())
        print(f"step {run.step:,} of {plan.steps:,}, {seconds:.0f} s: {shown}", flush=True)
        if check == checks or time.monotonic() - saved > save_every:
            save_checkpoint(output / "checkpoint.pt", run.state())
            write_results(run, output)
            saved = time.monotonic()


def kept_steps(checkpoint: dict[str, Any], options: argparse.Namespace, plan: Plan) -> Plan:
    """Return the plan with the steps of a checkpoint; raise SystemExit where the plans differ otherwise."""
    steps = checkpoint["plan"]["steps"]
    if checkpoint["plan"] != asdict(replace(plan, steps=steps)) or (options.tokens and plan.steps != steps):
        raise SystemExit("the checkpoint is of another plan: give the options that it began with")
    return replace(plan, steps=steps)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and train."""
    began = time.monotonic()
    options = parse(__doc__, arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    device = torch.device(options.device)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # what is not in bfloat16 is in TensorFloat-32
    ids, texts = read_texts(options.ids, device)
    plan = planned(options)
    saved = options.output / "checkpoint.pt"
    checkpoint = load_checkpoint(saved, device) if options.resume and saved.exists() else None
    if checkpoint:
        plan = kept_steps(checkpoint, options, plan)
    run = Run(plan, ids, compiled=options.compile)
    if checkpoint:
        run.restore(checkpoint)
    elif options.minutes:
        left = options.minutes * 60 - (time.monotonic() - began)
        run.plan = plan = replace(plan, steps=steps_in(left, run, texts, options.checks))
    keep_rows(options.output / "log.csv", run.step)
    tokens = plan.steps * plan.tokens_per_step
    print(f"{plan.model.parameter_count():,} parameters, {plan.steps:,} steps: --tokens {tokens}", flush=True)
    train(run, texts, options.output, options.checks, options.save_every)


if __name__ == "__main__":
    main()
