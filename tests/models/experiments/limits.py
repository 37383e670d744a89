"""Caches, vocabulary and context length."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gptrace.model.quiet_torch import torch
from tests.models.collection import RightModel, small
from tests.models.experiments.running import SMALL_VOCABULARY, Tensor, differ, lively, run, some_ids


def _with_use_cache(model: Any, parts: list[Tensor]) -> Tensor:
    model.reset_kv_cache()
    logits = torch.cat([run(model, part, use_cache=True) for part in parts], dim=1)
    model.reset_kv_cache()
    return logits


def _with_past_key_values(model: Any, parts: list[Tensor]) -> Tensor:
    past, logits = None, []
    for part in parts:
        with torch.no_grad():
            output = model(part, past_key_values=past, use_cache=True)
        logits.append(output["logits"])
        past = output["past_key_values"]
    return torch.cat(logits, dim=1)


def _with_input_pos(model: Any, parts: list[Tensor]) -> Tensor:
    length = sum(part.shape[1] for part in parts)
    model.setup_caches(1, length)
    positions = torch.split(torch.arange(length), [part.shape[1] for part in parts])
    logits = [run(model, part, input_pos=place) for part, place in zip(parts, positions, strict=True)]
    return torch.cat(logits, dim=1)


def _with_cache_object(model: Any, parts: list[Tensor]) -> Tensor:
    cache = type(model).forward.__globals__["KVCache"](len(model.trf_blocks))
    model.reset_kv_cache()
    return torch.cat([run(model, part, cache=cache) for part in parts], dim=1)


CACHES: dict[str, Callable[[Any, list[Tensor]], Tensor]] = {
    "use_cache": _with_use_cache,
    "past_key_values": _with_past_key_values,
    "input_pos": _with_input_pos,
    "cache_object": _with_cache_object,
}


def cache_changes_answers(record: RightModel, path: Path) -> bool:
    """Token by token, or in parts, gives other logits than all at once; also the second time."""
    longer = {record.context: 64} if record.context else {}  # room for what is not reset
    model, ids = lively(small(record, path, **longer)), some_ids()
    whole = run(model, ids)
    feed = CACHES[record.cache]
    for sizes in ([1] * 12, [5] + [1] * 7, [4, 3, 5]):
        if differ(feed(model, [*torch.split(ids, sizes, dim=1)]), whole):
            return True
    return differ(run(model, ids), whole)


def _raises(model: Any, ids: Tensor) -> bool:
    try:
        run(model, ids)
    except Exception:  # whatever a model refuses with
        return True
    return False


def accepts_an_id_beyond(record: RightModel, path: Path) -> bool:
    """The id after the last one of the vocabulary is answered."""
    model, ids = small(record, path), some_ids()
    ids[0, 3] = SMALL_VOCABULARY
    return not _raises(model, ids)


def refuses_the_last_id(record: RightModel, path: Path) -> bool:
    """The last id of the vocabulary is not accepted."""
    return _raises(small(record, path), torch.full((1, 4), SMALL_VOCABULARY - 1))


def has_another_vocabulary(record: RightModel, path: Path) -> bool:
    """There are fewer or more logits than the vocabulary has tokens."""
    return run(small(record, path), some_ids()).shape[-1] != SMALL_VOCABULARY


def answers_beyond_its_context(record: RightModel, path: Path) -> bool:
    """One token more than the context length is answered, with logits for every position."""
    model = small(record, path, **{record.context: 16})
    return not _raises(model, some_ids(length=17)) and run(model, some_ids(length=17)).shape[1] == 17


def ignores_the_newest_token(record: RightModel, path: Path) -> bool:
    """In a text that is one token too long, the last token changes nothing."""
    model, ids = lively(small(record, path, **{record.context: 16})), some_ids(length=17)
    changed = ids.clone()
    changed[0, -1] = (ids[0, -1] + 7) % SMALL_VOCABULARY
    return not _raises(model, ids) and not differ(run(model, changed), run(model, ids))
