"""Name an axis by what changes its size, not by the size itself.

A model with 12 heads and a prompt of 12 tokens has two axes of size 12, and the sizes alone cannot tell them
apart. So the same architecture is run twice more, with other, tiny sizes everywhere: emb_dim is 768 in the
real run, 140 in one resized run and 260 in the other; n_heads is 12, 5 and 13. An axis whose sizes in the
three runs are 768, 140 and 260 is emb_dim; an axis of size 3 in all of them is a plain 3.

One resized run would not do: a size that code computes from others may equal another one by chance. The sizes
in `gptrace.model.resized_sizes` are chosen such that no coincidence happens in both runs.

What decides is that a size is changed independently of the others, so the first models that are tried have a
width that is not the product of its heads; and that calls are compared with the same calls, so they are found
by their path and number, and have no names where another run has none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from typing import Any

from gptrace.model.architecture import Sizes
from gptrace.tracing.known_sizes import Side
from gptrace.tracing.repeated_blocks import RepeatedBlocks
from gptrace.tracing.resized_runs import ResizedRun

Dims = tuple[str, ...]
_PASS_SIZES = frozenset({"batch", "seq_len"})


def axis_name(
    sizes: Sequence[int | None], named: Mapping[str, tuple[int, ...]], *, multiples: bool = True
) -> str:
    """Return the name whose sizes an axis has in every run, or a multiple of them; else its size as a string.

    Without `multiples`, these have no name. A multiple of a size of the forward pass never has one: where an
    axis has two rows for each token, 2 is most often a setting, such as how many experts a token goes to.

    `sizes` are those of the axis in each run, the real run first, or None where it is unknown; `named` has
    those of each name, in the same order.

    >>> axis_name((3072, 140, 220), {"emb_dim": (768, 35, 55), "batch": (1, 17, 7)})
    '4*emb_dim'
    >>> axis_name((3, 3, 3), {"n_heads": (3, 7, 5)})
    '3'
    >>> axis_name((10, 18, 26), {"seq_len": (5, 9, 13)})
    '10'
    """
    last = sizes[-1]
    if last is not None and len(set(sizes)) > 1:  # an axis of the same size in all runs is a constant
        for name, name_sizes in named.items():
            if tuple(sizes) == name_sizes:
                return name
        for name, name_sizes in named.items() if multiples else ():
            if not _PASS_SIZES.isdisjoint(name.split("*")):
                continue
            factor = last // name_sizes[-1]
            if factor and tuple(sizes) == tuple(factor * size for size in name_sizes):
                return f"{factor}*{name}"
    return str(sizes[0])


def _are_proportional(sizes: Sequence[int | None], named: Sequence[int]) -> bool:
    """Tell whether an axis is the same part or multiple of a named size in all runs that know it."""
    first, *others = sizes
    return first is None or all(
        size is None or size * named[0] == first * of_name
        for size, of_name in zip(others, named[1:], strict=True)
    )


class AxisNames:
    """The axis names of one forward pass: its own shapes beside those of the resized runs.

    `sizes` are those of each name in the real run; the resized `runs` have theirs. `products` are pairs of
    names that a model may merge into one axis. `blocks` are those of which the runs have only two. Where the
    runs have only some settings changed, a factor may be another setting, so `multiples` have no names.
    `settings` are the values of all settings, of which the first run knows some as factors: see
    `forget_what_moves`.
    """

    def __init__(
        self,
        sizes: Sizes,
        runs: Sequence[ResizedRun],
        products: Sequence[tuple[str, str]],
        blocks: RepeatedBlocks | None = None,
        *,
        multiples: bool = True,
        settings: Mapping[str, int] | None = None,
    ) -> None:
        self._settings = settings or {}
        self.sizes, self.runs, self._blocks, self._multiples = sizes, runs, blocks, multiples
        # What the last pass with these names saw, and its TensorSpecs; see `specs_of_pass`. Then these, what
        # else was seen, and the records of its calls; see `records_of_pass`.
        self.last_pass: tuple[object, Any] = (None, ())
        self.last_records: tuple[object, object, Any] = (None, None, ())
        # Products come last: where n_heads*head_dim equals emb_dim, the name is emb_dim.
        by_run = [
            of_run | {f"{a}*{b}": of_run[a] * of_run[b] for a, b in products}
            for of_run in (sizes, *(run.sizes for run in runs))
        ]
        self._named = {name: tuple([of_run[name] for of_run in by_run]) for name in by_run[0]}

    def with_first_run(self, run: ResizedRun, *, multiples: bool) -> AxisNames:
        """Return the names with another first run, of the same sizes, and with or without `multiples`."""
        names = copy(self)
        names.runs = [run, *self.runs[1:]]
        names._multiples = multiples
        return names

    def sizes_in(self, axis_names: Collection[str]) -> Sizes:
        """Return the sizes in the real run, and the values of the settings that are factors in `axis_names`.

        Any other setting, such as a seed, may be equal to a size by chance.
        """
        others = {part for axis in axis_names for part in axis.split("*")} - self.sizes.keys()
        return {**self.sizes, **{key: value for key, value in self._settings.items() if key in others}}

    def of(self, side: Side, name: str, shape: tuple[int, ...]) -> Dims:
        """Return the axis names of a tensor, by its shape in the real run and in the resized ones.

        An axis is seq_len only if its lanes are tokens.
        """
        axes = self._axes(side, name, shape)
        if axes is None:
            return tuple(map(str, shape))
        small_side = self._small_side(side)
        names = tuple(
            [
                self._name(sizes, self.runs[0].known.factor(small_side, name, axis))
                for axis, sizes in enumerate(axes)
            ]
        )
        if "seq_len" in names and any(run.is_mixed(small_side, name) for run in self.runs):
            names = tuple(
                [
                    str(sizes[0]) if axis == "seq_len" else axis
                    for axis, sizes in zip(names, axes, strict=True)
                ]
            )
        return names

    def _name(self, sizes: Sequence[int | None], factor: str | None) -> str:
        """Return the name of an axis, of which a setting may be a `factor`."""
        if factor is None:
            return axis_name(sizes, self._named, multiples=self._multiples)
        value = self._settings[factor]
        parts = [None if size is None or size % value else size // value for size in sizes]
        name = axis_name(parts, self._named, multiples=False)
        # As in `axis_name`, no multiple of a size of the forward pass has a name. Besides, a setting may be
        # called seq_len without being that of the prompt.
        is_of_pass = not _PASS_SIZES.isdisjoint([factor, *name.split("*")])
        return str(sizes[0]) if parts[0] is None or name.isdigit() or is_of_pass else f"{factor}*{name}"

    def explains(self, side: Side, name: str, shape: tuple[int, ...]) -> bool:
        """Tell whether each axis of a tensor is a constant of the resized runs, or a part of a named size."""
        return all(
            len(set(sizes[1:])) == 1
            or any(_are_proportional(sizes, of_name) for of_name in self._named.values())
            for sizes in self._axes(side, name, shape) or ()
        )

    def _small_side(self, side: Side) -> Side:
        """Return the side in the resized runs that stands for this one."""
        return side if self._blocks is None else self._blocks.side(side)

    def _axes(self, side: Side, name: str, shape: tuple[int, ...]) -> list[tuple[int | None, ...]] | None:
        """Return the sizes of each axis in the real run and in the resized ones; None if the rank differs."""
        side = self._small_side(side)
        shapes = (shape, *(run.known.shape(side, name) for run in self.runs))
        return list(zip(*shapes, strict=True)) if len(set(map(len, shapes))) == 1 else None
