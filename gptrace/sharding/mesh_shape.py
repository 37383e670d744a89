"""The shape of a mesh of processes, as in "fsdp=128,tp=8". Nothing here imports torch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gptrace.errors import OptionError
from gptrace.wording import quoted_value

# Along fsdp, torch makes a tensor for each parameter and each of so many ranks, which takes a minute.
MOST_RANKS = 65_536
_EXAMPLE = "write it like --mesh fsdp=128,tp=8, the outermost dimension first"
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_SIZE = re.compile("[0-9]{1,30}")  # int() also takes 1_0 and other scripts


@dataclass(frozen=True, slots=True)
class MeshShape:
    """The dimensions of a mesh by name, the outermost first; neighbouring ranks differ in the last one.

    >>> shape = MeshShape.parse("fsdp=128,tp=8")
    >>> shape.size, shape.coordinate(9)
    (1024, {'fsdp': 1, 'tp': 1})
    """

    dims: Mapping[str, int]

    @classmethod
    def parse(cls, mesh: object) -> MeshShape:
        """Read a text such as "fsdp=128,tp=8", or a mapping of sizes by name; raise OptionError.

        >>> MeshShape.parse({"tp": 2})
        MeshShape(dims={'tp': 2})
        """
        if isinstance(mesh, MeshShape):
            return mesh
        if isinstance(mesh, str):
            pairs = [_pair(part, mesh) for part in mesh.split(",")]
        elif isinstance(mesh, Mapping):
            pairs = [_checked(name, size) for name, size in mesh.items()]
        else:
            raise _error(
                f"mesh is of type {type(mesh).__name__}", "give a text like 'fsdp=128,tp=8', or a dict"
            )
        names = [name for name, _ in pairs]
        if not names:
            raise _error("mesh has no dimensions", _EXAMPLE)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise _error(f"mesh {quoted_value(mesh)} has the dimension {twice!r} twice", "drop one of them")
        shape = cls(dict(pairs))
        if shape.size > MOST_RANKS:
            problem = f"mesh {shape} has {shape.size:,} ranks"
            raise _error(problem, f"give a mesh of at most {MOST_RANKS:,} ranks")
        return shape

    def __str__(self) -> str:
        return ",".join(f"{name}={size}" for name, size in self.dims.items())

    @property
    def size(self) -> int:
        """The number of ranks."""
        return math.prod(self.dims.values())

    def coordinate(self, rank: int) -> dict[str, int]:
        """Return the position of a rank in each dimension."""
        position = {}
        for name, size in reversed(list(self.dims.items())):
            rank, position[name] = divmod(rank, size)
        return {name: position[name] for name in self.dims}

    def check_rank(self, rank: object) -> int:
        """Return the rank; raise an OptionError for one that the mesh does not have."""
        if type(rank) is not int or not 0 <= rank < self.size:
            option, hint = "rank", f"pick one from 0 to {self.size - 1}"
            problem = f"{option} is {quoted_value(rank)}, but the mesh {self} has {self.size:,} ranks"
            raise OptionError(problem, hint, option=option)
        return rank


def _pair(part: str, mesh: str) -> tuple[str, int]:
    name, equals, size = (each.strip() for each in part.partition("="))
    if not equals or not _SIZE.fullmatch(size):
        raise _error(f"mesh {quoted_value(mesh)}: {quoted_value(part.strip())} is not NAME=SIZE", _EXAMPLE)
    return _checked(name, int(size))


def _checked(name: object, size: object) -> tuple[str, int]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        problem = f"mesh has a dimension named {quoted_value(name)}"
        raise _error(problem, "a name has letters, digits and underscores, as in tp")
    if type(size) is not int or size < 1:
        raise _error(f"mesh dimension {name!r} has size {quoted_value(size)}", "a size is at least 1")
    return name, size


def _error(problem: str, hint: str) -> OptionError:
    return OptionError(problem, hint, option="mesh")
