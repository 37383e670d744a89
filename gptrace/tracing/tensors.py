"""Find the tensors in the arguments and results of modules, and describe each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple, TypeVar
from weakref import ref

from gptrace.model.quiet_torch import torch
from gptrace.tracing.spread.placements import SplitBy, placed

Tensor = torch.Tensor
Parameter = torch.nn.Parameter
# Returns the graph that torch.jit.trace is recording, or None. While it records, each size of a shape is a
# tensor, so that the graph knows where the size came from.
_is_tracing = torch._C._get_tracing_state


class TensorInfo(NamedTuple):
    """Name, shape, dtype and device of a tensor, as they were when the trace saw it.

    `local_shape` is the shape of this process's part of a tensor that is spread over several, `split_by` has
    the mesh dimensions that split each axis, and `placements` has what torch says of each mesh dimension.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    local_shape: tuple[int, ...] | None = None
    split_by: SplitBy = ()
    placements: tuple[tuple[str, str], ...] = ()


PLAIN_TYPES = frozenset({Tensor, Parameter})
# Values that contain no tensor: by exact type, which is quick to tell, and by kind.
TENSORLESS_TYPES = frozenset({type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device})
_TENSORLESS_KINDS = (str, bytes, int, float, complex, torch.dtype, torch.device, torch.nn.Module, type)

# A cache of keys and values can hold hundreds of tensors; the rest of a longer value is left out. A mapping
# of the user's may list items without end, and each may be another container.
_TENSORS_PER_VALUE = 1000
_CONTAINERS_PER_VALUE = 10_000
_ITEMS_PER_CONTAINER = 10_000


class _Place:
    """Where a tensor can be, such as `output[0].logits`, and the descriptions of those that were seen there.

    The blocks of a model repeat the same facts, and get the same containers, such as a cache of keys and
    values. So a place is named once, and a tensor is described by a look-up. Sharing one object for equal
    descriptions also leaves the garbage collector less to walk during a forward pass.
    """

    __slots__ = ("infos", "inner", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.inner: dict[str | int, _Place] = {}
        self.infos: dict[tuple[object, ...], tuple[TensorInfo, ...]] = {}


Found = list[tuple[_Place, Tensor]]
_places: dict[str, _Place] = {}  # by the name of an argument or result
_LIMIT = 20_000  # of places and descriptions together
_kept = 0
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def _keep(table: dict[_Key, _Value], key: _Key, value: _Value) -> _Value:
    """Add an entry to the tables above; drop them all once there are too many, as of shapes without end."""
    global _kept
    _kept += 1
    if _kept > _LIMIT:
        _places.clear()
        _kept = 0
    table[key] = value
    return value


def place_of(name: str) -> _Place:
    """Return the place of an argument or result itself."""
    return _places.get(name) or _keep(_places, name, _Place(name))


def describe_tensors(name: str, value: object) -> tuple[TensorInfo, ...]:
    """Return a description of each tensor in `value`, in order, named by its place there.

    >>> [info.name for info in describe_tensors("output", (torch.ones(2), {"logits": torch.ones(3)}))]
    ['output[0]', 'output[1].logits']
    """
    if type(value) is Tensor or type(value) is Parameter:  # the usual case
        place = _places.get(name) or place_of(name)
        try:
            infos = place.infos.get((value.shape, value.dtype, value.device))
            if infos is not None:
                return infos
        except (RuntimeError, TypeError):
            pass
        return _described(place, value)
    return describe_each(find_tensors(name, value))


def describe_each(found: Found) -> tuple[TensorInfo, ...]:
    """Return a description of each of the tensors that were found."""
    try:
        if len(found) == 1 and type(found[0][1]) in PLAIN_TYPES:  # the usual case
            place, tensor = found[0]
            return place.infos[tensor.shape, tensor.dtype, tensor.device]
        return tuple([
            (place.infos[tensor.shape, tensor.dtype, tensor.device] if type(tensor) in PLAIN_TYPES
             else _described(place, tensor))[0]
            for place, tensor in found
        ])  # fmt: skip
    except (KeyError, RuntimeError, TypeError):
        return tuple([_described(place, tensor)[0] for place, tensor in found])


def _described(place: _Place, tensor: Tensor) -> tuple[TensorInfo, ...]:
    """Return the description of a tensor, alone in a tuple, and keep it with its place."""
    if type(tensor) in PLAIN_TYPES and not _is_tracing():
        try:
            sizes, dtype, device = tuple(tensor.shape), tensor.dtype, tensor.device
            facts = (TensorInfo(place.name, sizes, dtype, device),)
            return _keep(place.infos, (sizes, dtype, device), facts)
        except (RuntimeError, TypeError):  # nested tensors have no plain sizes, others have symbolic ones
            pass
    return (_tensor_info(place.name, tensor),)


def _tensor_info(name: str, tensor: Tensor) -> TensorInfo:
    # The shape of a DTensor is that of the whole tensor.
    parts = placed(tensor) if type(tensor) is not Tensor else None
    return TensorInfo(name, _shape(tensor), tensor.dtype, tensor.device, *(parts or ()))


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """Return the sizes; () for a tensor that has no plain ones: nested, or not yet initialised."""
    try:
        return tuple(map(int, tensor.shape))
    except (RuntimeError, TypeError, ValueError, AttributeError):
        return ()


def find_tensors(name: str, value: object) -> Found:
    """Return the tensors in `value`, in order, each with its place there."""
    if type(value) in PLAIN_TYPES:  # the usual case
        return [(_places.get(name) or place_of(name), value)]  # type: ignore[list-item]
    found: Found = []
    # The user's container may raise when it is iterated; that must not stop the forward pass.
    with suppress(Exception):
        _collect(place_of(name), value, found, set())
    return found[:_TENSORS_PER_VALUE]


def _positions(count: int) -> tuple[str, ...]:
    """Return the names of the positional arguments of an operation."""
    return ("input", *[f"args[{position}]" for position in range(1, count)])


_POSITIONS = _positions(8)  # nearly all operations have fewer


def find_operands(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found:
    """Return the tensors among the arguments of an operation, each with its place.

    >>> [place.name for place, _ in find_operands((torch.ones(2), torch.ones(2)), {"out": torch.ones(2)})]
    ['input', 'args[1]', 'out']
    """
    names = _POSITIONS if len(args) <= len(_POSITIONS) else _positions(len(args))
    return find_named(names, args, kwargs)


def find_named(names: Iterable[str], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found:
    """Return the tensors among arguments, each with its place; `names` are those of `args`, or more."""
    found: Found = []
    for name, value in zip(names, args):  # noqa: B905 - strict would refuse fewer arguments than names
        kind = type(value)
        if kind in PLAIN_TYPES:
            found.append((_places.get(name) or place_of(name), value))
        elif kind not in TENSORLESS_TYPES:
            found += find_tensors(name, value)
    if kwargs:
        for name, value in kwargs.items():
            if type(value) not in TENSORLESS_TYPES:
                found += find_tensors(name, value)
    return found


# Tells the items of a container with their keys, for all containers of one type.
_Items = Callable[[Any], Iterable[tuple[Any, Any]]]


def _collect(place: _Place, value: Any, found: Found, visited: set[int]) -> None:
    """Append the tensors in `value` to `found`; `visited` are the ids of the containers so far."""
    known = _items_by_type.get(id(type(value)))
    items_of = _items_of(value) if known is None else known[0]
    if items_of is _tensor_items:
        found.append((place, value))
        return
    # A list may contain itself, or another list many times.
    key_of_value = id(value)
    if items_of is _no_items or key_of_value in visited or len(visited) >= _CONTAINERS_PER_VALUE:
        return
    visited.add(key_of_value)
    is_list, are_attributes, known_inner = items_of is enumerate, items_of is _attributes, place.inner
    items = vars(value).items() if are_attributes else islice(items_of(value), _ITEMS_PER_CONTAINER)
    if are_attributes and len(items) > _ITEMS_PER_CONTAINER:  # type: ignore[arg-type]
        items = islice(items, _ITEMS_PER_CONTAINER)
    for key, item in items:
        kind = type(item)
        if kind in TENSORLESS_TYPES or (are_attributes and key[:1] == "_"):
            continue
        # Keys that are equal may have other names in a mapping: 1 and True.
        inner = known_inner.get(key) if is_list or type(key) is str else None
        if inner is None:
            inner = _inner_place(place, key, is_list)
        if kind is Tensor:
            found.append((inner, item))
        elif len(found) < _TENSORS_PER_VALUE:
            _collect(inner, item, found, visited)


def _inner_place(place: _Place, key: Any, is_list: bool) -> _Place:
    """Return the place of an item: by index, by attribute or name, or by another key of a mapping."""
    inner = _Place(f"{place.name}.{key}" if isinstance(key, str) else f"{place.name}[{key!r}]")
    return _keep(place.inner, key, inner) if is_list or type(key) is str else inner


# By the id of the type: a table of the types themselves would keep classes, and modules with them, alive.
_items_by_type: dict[int, tuple[_Items, ref[type]]] = {}


def _items_of(value: object) -> _Items:
    known = _items_by_type.get(id(type(value)))
    if known is not None:
        return known[0]
    items_of, key = _find_items_of(value), id(type(value))
    _items_by_type[key] = items_of, ref(type(value), lambda _: _items_by_type.pop(key, None))
    return items_of


def _find_items_of(value: object) -> _Items:
    """Return how to read the items of this value and of others of its type."""
    if isinstance(value, Tensor):
        return _tensor_items
    if isinstance(value, _TENSORLESS_KINDS) or value is None:
        return _no_items
    if isinstance(value, Mapping):  # includes the ModelOutput of transformers
        return lambda mapping: mapping.items()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return lambda pair: zip(pair._fields, pair, strict=True)
    if isinstance(value, list | tuple):
        return enumerate
    if dataclasses.is_dataclass(value):
        return _dataclass_items
    # An instance of a user-defined class, such as a cache of keys and values.
    if hasattr(value, "__dict__") and not callable(value) and type(value).__module__ != "builtins":
        return _attributes
    return _no_items


def _dataclass_items(value: Any) -> Iterable[tuple[str, Any]]:
    return ((field.name, getattr(value, field.name, None)) for field in dataclasses.fields(value))


def _attributes(value: Any) -> Iterable[tuple[str, Any]]:
    attributes: dict[str, Any] = vars(value)
    return attributes.items()


def _tensor_items(value: object) -> Iterable[tuple[Any, Any]]:
    return ()


def _no_items(value: object) -> Iterable[tuple[Any, Any]]:
    return ()
