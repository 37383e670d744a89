"""A run: a model, its optimizer, the text, and the step that it has reached."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from gptrace.model.config import GPTConfig
from gptrace.model.gpt import GPTModel
from training.crops import Crops
from training.schedule import learning_rate
from training.small_model import new_model, new_optimizer

Tensor = torch.Tensor


@dataclass(frozen=True)
class Plan:
    """Everything that decides how a run goes, beside the text.

    steps           how many steps the run has: the schedule is bound to them, not to the clock
    batch           crops in a batch; each has as many tokens as the context of the model
    learning_rate   the highest rate, reached after the warm-up
    clip            the gradient of all parameters together is scaled down to this norm
    """

    model: GPTConfig
    steps: int
    batch: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    clip: float = 1.0
    seed: int = 1

    @property
    def tokens_per_step(self) -> int:
        """How many tokens are predicted in a step."""
        return self.batch * self.model.context_length


class Run:
    """Trains a model by a plan on the text `ids` (N,), on the device where the text is.

    On a GPU the matrix products are in bfloat16 (autocast). `compiled` has torch.compile fuse what it can.
    """

    def __init__(self, plan: Plan, ids: Tensor, *, compiled: bool = False) -> None:
        self.plan, self.device = plan, ids.device
        # The fused kernel is faster on a GPU, the visible attention at this size on a CPU.
        config = replace(plan.model, attention="sdpa" if ids.is_cuda else "eager")
        self.crops = Crops(ids, config.context_length, plan.batch, plan.seed)
        self.model = new_model(config, plan.seed).to(self.device)
        self.optimizer = new_optimizer(self.model, plan.weight_decay)
        self.loss = torch.compile(next_token_loss) if compiled else next_token_loss
        self.step = 0

    def train(self, steps: int) -> Tensor:
        """Take the next `steps` steps; return their mean loss, a scalar on the device.

        Nothing here waits for the device.
        """
        self.model.train()
        total = torch.zeros((), device=self.device)
        for _ in range(steps):
            rate = learning_rate(self.step, self.plan.steps, self.plan.learning_rate)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            inputs, targets = self.crops.batch(self.step)
            with self._autocast():
                loss = self.loss(self.model, inputs, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.plan.clip)
            self.optimizer.step()
            self.optimizer.zero_grad()
            total += loss.detach()
            self.step += 1
        return total / max(1, steps)

    def held_out_losses(self, texts: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the mean loss on each held-out text, by its name."""
        with self._autocast():
            return {name: mean_loss(self.model, ids) for name, ids in texts.items()}

    def state(self) -> dict[str, Any]:
        """Return all that a resumed run needs, copied: it goes on as if it had never stopped."""
        kept = {
            "plan": asdict(self.plan),
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }
        copied: dict[str, Any] = torch.utils._pytree.tree_map_only(torch.Tensor, torch.clone, kept)
        return copied

    def restore(self, state: dict[str, Any]) -> None:
        """Go back, or on, to a state."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"].cpu())
        if state["random_cuda"] is not None:
            torch.cuda.set_rng_state(state["random_cuda"].cpu(), self.device)

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")


def next_token_loss(model: GPTModel, inputs: Tensor, targets: Tensor) -> Tensor:
    """Inputs and targets (B, T) → the mean cross-entropy of the next token, in nats: a scalar."""
    logits = model(inputs)  # (B, T, V)
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


@torch.no_grad()
def mean_loss(model: GPTModel, ids: Tensor, batch: int = 16) -> float:
    """Return the mean loss, in nats for each token, of a text `ids` (N,) cut into crops of one context.

    The tokens that are left over at the end of the text are left out. The model is in evaluation mode
    meanwhile. Raises ValueError for a text shorter than one crop.
    """
    T = model.config.context_length
    crops = (len(ids) - 1) // T
    if not crops:
        raise ValueError(f"a held-out text needs {T + 1} tokens; it has {len(ids)}")
    inputs = ids[: crops * T].view(crops, T).long()  # (crops, T)
    targets = ids[1 : crops * T + 1].view(crops, T).long()  # (crops, T)
    total, was_training = 0.0, model.training
    model.eval()
    for first in range(0, crops, batch):
        some = slice(first, first + batch)
        total += next_token_loss(model, inputs[some], targets[some]).item() * len(inputs[some])
    model.train(was_training)
    return total / crops


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state. A stop meanwhile leaves the earlier file whole."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Return the state in a file."""
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state
