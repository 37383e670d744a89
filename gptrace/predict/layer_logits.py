"""The logits that a model would return if an earlier block were its last.

The short way sends the output of a block through the final norm and the output head alone. A model may do
more after its last block: cap or scale the logits, mix streams, swap axes. Then the output of a block takes
the place of that of the last one, and the model's own code makes the logits of it.

Shapes: T tokens, D emb_dim, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gptrace.errors import RunError
from gptrace.model.build import LoadedModel
from gptrace.model.interrupts import interrupts_allowed
from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import allowed_rounding, as_float64
from gptrace.predict.capture import capture_tensors, replaced_output
from gptrace.predict.forward import extract_logits
from gptrace.predict.model_structure import ModelStructure
from gptrace.wording import one_line

Tensor = torch.Tensor
_MOST_MIXED = 4  # vectors that tell whether a module mixes tokens
_HINT = "gptrace run shows what runs after the blocks"


@dataclass(frozen=True, slots=True)
class TextLayers:
    """One text that has run: the model's logits and the last block's (T, V), and how far these are apart.

    `of_block` makes the logits (T, V) of a block, given its path; those of all blocks at once would take much
    memory.
    """

    logits: Tensor
    last: Tensor
    difference: float
    of_block: Callable[[str], Tensor]


class LayerLogits:
    """Makes the logits of each block of a model, for one text after the other.

    Which of the two ways is taken is settled with the first text.
    """

    def __init__(self, loaded: LoadedModel, structure: ModelStructure) -> None:
        self.blocks = structure.blocks
        self._loaded, self._to_logits = loaded, structure.to_logits
        self._is_short = bool(structure.to_logits)
        self._is_checked = False

    @property
    def through(self) -> tuple[str, ...]:
        """The modules that turn each layer's output into logits; empty where the whole model does."""
        return self._to_logits if self._is_short else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """The note for the report, where the whole model makes the logits."""
        if self._is_short:
            return ()
        return (
            f"the output of each layer took the place of that of {self.blocks[-1]}, and the model's own code "
            "made the logits: it does more than its final norm and its output head",
        )

    def run(self, batch: Tensor) -> TextLayers:
        """Run a text (1, T).

        Raises a RunError where the logits of a token need more than the last block returns for it.
        """
        with capture_tensors(self._loaded.module, self.blocks) as tensors, interrupts_allowed():
            logits = self._logits(batch)
        outputs = tensors.outputs
        if self._is_short:
            length = batch.shape[1]
            last = self._last_by_short_way(outputs[self.blocks[-1]], length)
            difference = _difference(last, logits)
            if last is not None and difference is not None:
                self._check_each_token_alone(outputs[self.blocks[-1]], length)
                return TextLayers(
                    logits, last, difference, lambda path: self._short_way(outputs[path], length)
                )
            self._is_short = False
        if len(logits) < batch.shape[1]:
            raise RunError(f"{self._loaded.name} returns logits for the last position alone", _HINT)
        self._check_nothing_else_counts(batch, outputs[self.blocks[-1]], logits)
        last = self._in_place_of_last(batch, outputs[self.blocks[-1]])
        difference = _difference(last, logits) or 0.0
        return TextLayers(logits, last, difference, lambda path: self._in_place_of_last(batch, outputs[path]))

    def _logits(self, batch: Tensor) -> Tensor:
        loaded = self._loaded
        return extract_logits(loaded.module(batch, **loaded.arguments), loaded, batch)[0]

    def _short_way(self, values: Tensor, length: int) -> Tensor:
        """Send the output of a block through the modules after the blocks: (…, T, D) → (T, V)."""
        values = values[:1]
        for path in self._to_logits:
            values = self._loaded.module.get_submodule(path)(values)
        # Where a model puts vectors of its own before the tokens, the tokens are the last rows.
        return values[0, -length:]

    def _last_by_short_way(self, values: Tensor, length: int) -> Tensor | None:
        try:
            return self._short_way(values, length)
        except Exception:  # the modules may want other inputs than the output of a block
            return None

    def _check_each_token_alone(self, values: Tensor, length: int) -> None:
        """Raise a RunError where the short way mixes tokens, as a further block does."""
        if self._is_checked:
            return
        # A model with several streams of vectors has another axis behind that of the tokens.
        axes = [axis for axis in range(1, values.dim() - 1) if values.shape[axis] == length]
        if all(self._mixes(values[:1], axis) for axis in axes or [values.dim() - 2]):
            first = self._to_logits[0]
            raise RunError(
                f"{first} in {self._loaded.name} runs after {self.blocks[-1]}, the last block found, "
                "and mixes the tokens: the layers before it have no predictions of their own",
                _HINT,
            )
        self._is_checked = True

    def _mixes(self, values: Tensor, axis: int) -> bool:
        """Tell whether the short way mixes the lanes of an axis: a few of them, every other one replaced."""
        count = min(values.shape[axis], _MOST_MIXED)
        values = values.narrow(axis, values.shape[axis] - count, count)
        if count == 1:
            values, count = torch.cat([values.roll(1, dims=-1), values], dim=axis), 2
        results = self._short_way(values, count)
        for replaced in (0, 1):
            mixed = values.clone()
            lanes = mixed.movedim(axis, 0)
            lanes[replaced::2] = lanes[replaced::2].roll(1, dims=-1)
            kept = slice(1 - replaced, None, 2)
            if _difference(self._short_way(mixed, count)[kept], results[kept]) is None:
                return True
        return False

    def _in_place_of_last(self, batch: Tensor, values: Tensor) -> Tensor:
        """Run a text (1, T), and let the last block return `values`: the logits (T, V)."""
        block = self.blocks[-1]
        try:
            with replaced_output(self._loaded.module.get_submodule(block), values), interrupts_allowed():
                return self._logits(batch)
        except Exception as error:  # it is no fault of the model, which has run well on its own values
            raise RunError(
                f"the output of {block} in {self._loaded.name} cannot be replaced by that of another layer: "
                f"{type(error).__name__}: {one_line(error)}",
                _HINT,
            ) from None

    def _check_nothing_else_counts(self, batch: Tensor, last: Tensor, logits: Tensor) -> None:
        """Run another text with the last block's output of this one, its tokens in reverse order.

        The logits must be those of this text in reverse order. They are not where the model reads anything
        else than that output, or where what follows mixes tokens, as further blocks do.
        """
        name, block = self._loaded.name, self.blocks[-1]
        length = batch.shape[1]
        axes = [axis for axis in range(last.dim() - 1) if last.shape[axis] == length]
        if not axes:
            raise RunError(
                f"the output of {block} in {name} is {list(last.shape)}, without an axis of the {length} "
                "tokens",
                _HINT,
            )
        other = (batch + 1) % min(logits.shape[-1], int(batch.max()) + 2)
        reversed_logits = [self._in_place_of_last(other, last.flip(axis)).flip(0) for axis in axes]
        if all(_difference(each, logits) is None for each in reversed_logits):
            raise RunError(
                f"the prediction of {name} after a token needs more than what {block}, the last block found, "
                "returns for that token: its layers have no predictions of their own",
                _HINT,
            )


def _difference(actual: Tensor | None, logits: Tensor) -> float | None:
    """Return how far logits are from the model's (T, V); None where that is more than rounding."""
    if actual is None:
        return None
    actual = actual[-len(logits) :]
    if actual.shape != logits.shape:
        return None
    expected, values = as_float64(logits), as_float64(actual)
    # A mask may make some logits infinite: then they have to be infinite in both.
    finite = expected.isfinite()
    difference = float((values - expected)[finite].abs().max()) if bool(finite.any()) else 0.0
    is_same = difference <= allowed_rounding(logits) and bool((values.isfinite() == finite).all())
    return difference if is_same else None
