"""Find the equal blocks of a model: of these, a resized run needs two.

Nothing is taken for granted. The blocks must be built alike; in the real run they must make the same calls,
with tensors of the same shapes; and in the resized runs the two blocks must agree. Where anything differs,
the resized runs have all blocks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from gptrace.model.architecture import Architecture, Resizing
from gptrace.model.quiet_torch import torch
from gptrace.tracing.known_sizes import Side
from gptrace.tracing.operations import Operation
from gptrace.tracing.parameters import is_lazy, named_modules_with_aliases
from gptrace.tracing.resized_runs import ResizedRun, tensors_of_call
from gptrace.tracing.span import Occurrence, Site, Span, numbered_calls
from gptrace.tracing.tensors import TensorInfo

_Explains = Callable[[Side, str, tuple[int, ...]], bool]
Module = torch.nn.Module
KEPT = 2  # the first block, and one that follows another
_OF_EVERY_MODULE = frozenset(vars(Module()))
_PLAIN = frozenset({bool, int, float, complex, str, bytes, torch.dtype, torch.device})


class RepeatedBlocks(NamedTuple):
    """The lists of equal blocks, by path; `depth` is their number, `key` the setting that says so."""

    key: str
    depth: int
    lists: tuple[str, ...]

    def resizing(self, resizing: Resizing) -> Resizing:
        """Return the same small model with two blocks."""
        return resizing._replace(changes=(*resizing.changes, (self.key, KEPT)))

    def block(self, path: str) -> tuple[str, int, str] | None:
        """Return the list, the number of the block in it and the path in that block; None outside of blocks.

        >>> RepeatedBlocks("n_layer", 12, ("transformer.h",)).block("transformer.h.7.attn.c_proj")
        ('transformer.h', 7, 'attn.c_proj')
        """
        for of_list in self.lists:
            if path.startswith(f"{of_list}."):
                number, _, inside = path[len(of_list) + 1 :].partition(".")
                return of_list, int(number), inside
        return None

    def site(self, site: Site) -> Site:
        """Return the site in a model of two blocks that stands for this one."""
        block = self.block(site[0])
        if block is None or block[1] < KEPT:
            return site
        of_list, _, inside = block
        return (f"{of_list}.{KEPT - 1}.{inside}".removesuffix("."), *site[1:])

    def side(self, side: Side) -> Side:
        """Return the side in a model of two blocks that stands for this one."""
        occurrence, direction = side
        return occurrence._replace(site=self.site(occurrence.site)), direction


def find_repeated_blocks(
    architecture: Architecture, paths: Sequence[tuple[str, Module]]
) -> RepeatedBlocks | None:
    """Return the lists of equal blocks that are as long as the configuration says; None without any.

    `paths` are those of all modules. None, too, if blocks in such a list are not built alike.
    """
    if architecture.depth is None or architecture.depth[1] <= KEPT:
        return None
    key, depth = architecture.depth
    numbers = [str(number) for number in range(depth)]
    lists: list[str] = []
    for path, module in paths:
        is_list = isinstance(module, torch.nn.ModuleList | torch.nn.Sequential)
        if not is_list or list(module._modules) != numbers:
            continue
        if any(path.startswith(f"{outer}.") for outer in lists):
            continue  # inside a block, as experts are
        first, *others = module._modules.values()
        if not all(_are_alike(first, other, number) for number, other in enumerate(others, 1)):
            return None
        lists.append(path)
    return RepeatedBlocks(key, depth, tuple(lists)) if lists else None


def _are_alike(first: Module | None, other: Module | None, number: int) -> bool:
    """Tell whether the first block and that of this number are built alike, down to their attributes."""
    if first is None or other is None or first is other:
        return False
    pairs = zip_longest(named_modules_with_aliases(first), named_modules_with_aliases(other))
    return all(
        a is not None and b is not None and a[0] == b[0] and _are_alike_inside(a[1], b[1], number)
        for a, b in pairs
    )


def _are_alike_inside(first: Module, other: Module, number: int) -> bool:
    if type(first) is not type(other) or _tensors(first) != _tensors(other):
        return False
    a, b = vars(first), vars(other)
    return a.keys() == b.keys() and all(
        _same_value(a[name], b[name], number) for name in a if name not in _OF_EVERY_MODULE
    )


def _tensors(module: Module) -> list[tuple[str, torch.Size, torch.dtype] | tuple[str, None, None]]:
    """Return the name, shape and dtype of each parameter and buffer that the module holds itself."""
    return [
        (name, None, None) if tensor is None or is_lazy(tensor) else (name, tensor.shape, tensor.dtype)
        for name, tensor in (*module._parameters.items(), *module._buffers.items())
    ]


def _same_value(a: Any, b: Any, number: int) -> bool:
    """Tell whether two attributes are the same for certain, or the numbers of the two blocks."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(_same_value(x, y, number) for x, y in zip(a, b, strict=True))
    if type(a) not in _PLAIN:
        return False
    return bool(a == b) or (type(a) is int and (a, b) == (0, number))


class _Pass(NamedTuple):
    """A real forward pass: its calls, and the operations in each."""

    calls: Sequence[tuple[Span, Occurrence]]
    operations: Mapping[Span, Sequence[Operation]]

    def tensors(self, span: Span, call: Occurrence) -> Iterator[tuple[Side, TensorInfo]]:
        """Return each tensor of a call and of the operations in it, with its side."""
        return tensors_of_call(span, call, self.operations.get(span, ()))


def stand_for_all(
    blocks: RepeatedBlocks,
    runs: Sequence[ResizedRun],
    spans: Sequence[Span],
    operations: Mapping[Span, Sequence[Operation]],
    explains: _Explains,
) -> bool:
    """Tell whether resized `runs` with two blocks say as much of the real pass as runs with all would.

    `spans` and `operations` are those of the real pass; `explains` is that of the axis names.
    """
    if not all(_have_two_blocks(blocks, run) for run in runs):
        return False
    real = _Pass(list(numbered_calls(spans)), operations)
    by_block: dict[tuple[str, int], list[object]] = {}
    for span, call in real.calls:
        block = blocks.block(span.path)
        if block is not None:
            of_list, number, inside = block
            facts = inside, span.class_name, call.numbers, _facts(blocks, real, span, call, runs)
            by_block.setdefault((of_list, number), []).append(facts)
        elif any(_may_depend_on_depth(side, info, runs, explains) for side, info in real.tensors(span, call)):
            return False
    expected = {(of_list, number) for of_list in blocks.lists for number in range(blocks.depth)}
    return by_block.keys() == expected and all(
        facts == by_block[of_list, 0] for (of_list, _), facts in by_block.items()
    )


def _have_two_blocks(blocks: RepeatedBlocks, run: ResizedRun) -> bool:
    numbers = {(block[0], block[1]) for site in run.sites if (block := blocks.block(site[0])) is not None}
    return numbers == {(of_list, number) for of_list in blocks.lists for number in range(KEPT)}


def _facts(
    blocks: RepeatedBlocks, real: _Pass, span: Span, call: Occurrence, runs: Sequence[ResizedRun]
) -> list[object]:
    """Return what must be the same in all blocks: each tensor that the runs know, there and in the real pass.

    A cache that the resized runs do without grows from block to block.
    """
    facts: list[object] = []
    for side, info in real.tensors(span, call):
        resized = [run.known.shape(blocks.side(side), info.name) for run in runs]
        if any(resized):
            occurrence, direction = side
            place = occurrence.site[1:], occurrence.numbers, direction, info.name
            facts.append((*place, info.shape, info.dtype, resized))
    return facts


def _may_depend_on_depth(
    side: Side,
    info: TensorInfo,
    runs: Sequence[ResizedRun],
    explains: _Explains,
) -> bool:
    """Tell whether runs with all blocks might say more about a tensor outside of blocks.

    With two blocks they lack the last tensors of a list that has one for each block, such as hidden states;
    and an axis that merges the blocks with another has no name.
    """
    if all(run.known.shape(side, info.name) for run in runs):
        return not explains(side, info.name, info.shape)
    first = re.sub(r"\d+", "0", info.name)
    return first != info.name and any(run.known.shape(side, first) for run in runs)
