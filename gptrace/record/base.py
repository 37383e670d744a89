"""The base of every record: a frozen struct whose encoding is the JSON and whose type is the JSON Schema.

A field without a default is always in the JSON. A field with a default is a fact that may not have been
measured: it is absent from the JSON where it has its default. Field names are the names in the JSON; where
Python needs another one, `msgspec.field(name=…)` says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]


def about(description: str, **bounds: Any) -> Meta:
    """Return the description of a field, and its bounds (`ge`, `gt`, `min_length`), for the JSON Schema."""
    return Meta(description=description, **bounds)


Versions = Annotated[dict[str, str], about("version of each program that made the record")]

if TYPE_CHECKING:
    Number = float
    MeasuredNumber = float | None
    HexBytes = bytes
    Base64Bytes = bytes
else:

    class Number(float):
        """A float that the JSON shows as null where it is NaN or infinite."""

    # None, and absent from the JSON, where it was not measured; so null is always NaN or an infinity.
    MeasuredNumber = Number

    class HexBytes(bytes):
        """Bytes that the JSON shows in hexadecimal."""

    class Base64Bytes(bytes):
        """The bytes of an array of numbers, which the JSON shows in base64."""


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """A frozen record. Two records are equal if all their fields are equal.

    NaN and the infinities, all null in the JSON, are equal to each other. Fields named `seconds` are not
    compared.
    """

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(
            _says_the_same(getattr(self, name), getattr(other, name))
            for name in self.__struct_fields__
            if name != "seconds"
        )

    def __hash__(self) -> int:
        # Floats are left out, since NaN equals an infinity here, and so are dicts, which have no hash.
        values = (getattr(self, name) for name in self.__struct_fields__)
        return hash((type(self), *(value for value in values if not isinstance(value, float | dict))))


def _says_the_same(a: object, b: object) -> bool:
    if isinstance(a, float) and isinstance(b, float) and not (math.isfinite(a) or math.isfinite(b)):
        return True
    return a == b


class Report(Record, frozen=True):
    """A record that is a whole report: it prints as a table, shows itself in a notebook, turns into JSON.

    `items` names the field that may be long: it is written piece by piece, and is what JSON Lines hold.

    Only here and in `Trace.page` does a record import from a later folder, `gptrace.report`: `print(record)`
    shows a table.
    """

    items: ClassVar[str] = "results"

    @classmethod
    def output_name(cls) -> str:
        """Return the name of the output: "topk" for the schema "gptrace.topk/1"."""
        return str(cls.__struct_config__.tag).removeprefix("gptrace.").partition("/")[0]

    @property
    def is_stream(self) -> bool:
        """Whether the items come one by one, and can be read once."""
        return isinstance(getattr(self, self.items), Iterator)

    def __str__(self) -> str:
        from gptrace.report import render

        return render(self, "table").rstrip("\n")

    def show(self, **view: Any) -> None:
        """Print the report as a table, the way `gptrace show` does.

        The keyword arguments are the fields of `gptrace.report.View`: `width` in columns (None: as wide as
        needed), `color`, `lang` ("en" or "zh"; None: that of GPTRACE_LANG or the locale), `full` (fold
        nothing), and for a trace `columns` (names such as "macs"), `depth`, `only` (a glob of module paths)
        and `type` (a glob of module types). Raises an OptionError for a name or value that there is not, and
        for a column that was not measured.
        """
        from gptrace.report import View, print_report

        print_report(self, View.of(**view))

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows: an element, where `-f html` writes a whole page."""
        from gptrace.report import View, outputs
        from gptrace.report.html import to_html

        return to_html(outputs.parts(self, View()), View().language_of(self))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Return what a notebook shows, and the same as text for a terminal."""
        from gptrace.report.notebook import Shown

        try:
            is_whole = not self.is_stream  # what is read here could not be read again
        except AttributeError:  # a trace that is still recording
            is_whole = False
        if not is_whole:
            return {"text/plain": repr(self)}
        return Shown(self)._repr_mimebundle_()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object as plain dicts and lists: NaN and the infinities are None."""
        from gptrace.record.writing import to_dict

        return to_dict(self)

    def to_json(self) -> str:
        """Return `to_dict()` as JSON text: ASCII only, without NaN or Infinity."""
        from gptrace.record.writing import json_pieces

        return "".join(json_pieces(self))
