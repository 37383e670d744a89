"""The results of prompts have this in common: the caller's own keys, and the reason why one is missing."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec.structs import fields

from gptrace.record.base import Record, about


class Problem(Record, frozen=True):
    """Why one prompt of a stream has no result, and what to do about it."""

    message: Annotated[str, about("what was wrong, and with which value")]
    hint: Annotated[str, about("what to do about it")]


ResultDtype = Annotated[
    str, about("in JSON Lines: the dtype that the model computes in, where it is not float32")
]


class PromptResult(Record, frozen=True):
    """The result of one prompt.

    The field `extra` of each subclass holds the other keys of the JSON line that the prompt came in; in the
    JSON they stand beside the fields.
    """

    pass_through: ClassVar[str] = "extra"

    @classmethod
    def own_keys(cls) -> frozenset[str]:
        """Return the keys of a result in JSON that are its own, not passed through."""
        return frozenset(field.encode_name for field in fields(cls)) - {cls.pass_through}
