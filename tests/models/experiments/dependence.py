"""What a position, a prompt or a run may depend on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

from gptrace.model.quiet_torch import torch
from tests.models.collection import RightModel, small
from tests.models.experiments.running import SMALL_VOCABULARY, differ, functional, lively, run, some_ids


def leaks(record: RightModel, path: Path) -> bool:
    """A token that changes changes logits before it."""
    model, ids = lively(small(record, path)), some_ids()
    before = run(model, ids)
    for position in range(1, ids.shape[1]):
        changed = ids.clone()
        changed[0, position] = (ids[0, position] + 7) % SMALL_VOCABULARY
        if differ(run(model, changed)[:, :position], before[:, :position]):
            return True
    return False


def length_matters(record: RightModel, path: Path) -> bool:
    """Tokens that are appended, as padding on the right is, change logits before them."""
    model, ids = lively(small(record, path)), some_ids()
    whole = run(model, ids)
    return any(differ(run(model, ids[:, :length]), whole[:, :length]) for length in (3, 4, 8, 11))


def neighbours_matter(record: RightModel, path: Path) -> bool:
    """A prompt has other logits among others than alone, or in another order of them."""
    model, ids = lively(small(record, path)), some_ids(batch=3)
    together, turned = run(model, ids), run(model, ids.flip(0)).flip(0)
    alone = torch.cat([run(model, row[None]) for row in ids])
    return differ(together, alone) or differ(turned, alone)


def left_padding_matters(record: RightModel, path: Path) -> bool:
    """Tokens that attention_mask hides on the left change the logits of the others."""
    model, ids = lively(small(record, path)), some_ids(length=7)
    padded = functional.pad(ids, (4, 0), value=0)
    mask = (torch.arange(11) >= 4).long()[None]
    alone = run(model, ids, attention_mask=torch.ones_like(ids))
    arguments = {"attention_mask": mask}
    if "position_ids" in inspect.signature(model.forward).parameters:  # then it is for the caller to say
        arguments["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    return differ(run(model, padded, **arguments)[:, 4:], alone)


def order_is_lost(record: RightModel, path: Path) -> bool:
    """With one block, two earlier tokens may change places and the last logits stay: it sees no positions."""
    model, ids = lively(small(record, path, **{record.layers: 1})), some_ids()
    swapped = ids.clone()
    swapped[0, 2], swapped[0, 7] = ids[0, 7], ids[0, 2]
    return not differ(run(model, swapped)[:, -1], run(model, ids)[:, -1])


def far_and_near_look_the_same(first: int, second: int) -> Callable[[RightModel, Path], bool]:
    """As `order_is_lost`, for two given positions: these two the model does not tell apart."""

    def experiment(record: RightModel, path: Path) -> bool:
        model, ids = lively(small(record, path, **{record.layers: 1})), some_ids()
        swapped = ids.clone()
        swapped[0, first], swapped[0, second] = ids[0, second], ids[0, first]
        return not differ(run(model, swapped)[:, -1], run(model, ids)[:, -1])

    return experiment


def is_random(record: RightModel, path: Path) -> bool:
    """In evaluation mode, the same ids give other logits the second time."""
    model, ids = lively(small(record, path)), some_ids()
    return differ(run(model, ids), run(model, ids))


def remembers(record: RightModel, path: Path) -> bool:
    """Another text in between, a longer one, changes the logits of a text."""
    longer = {record.context: 64} if record.context else {}  # room for what is remembered
    model, ids = lively(small(record, path, **longer)), some_ids()
    before = run(model, ids)
    run(model, some_ids(length=20, seed=2))
    return differ(run(model, ids), before)


def changes_itself(record: RightModel, path: Path) -> bool:
    """Forward changes a parameter or a buffer."""
    model = lively(small(record, path))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run(model, some_ids())
    return any(not torch.equal(value, before[name]) for name, value in model.state_dict().items())


def changes_its_input(record: RightModel, path: Path) -> bool:
    """Forward writes into the ids that it was given."""
    ids = some_ids()
    before = ids.clone()
    run(small(record, path), ids)
    return not torch.equal(ids, before)
