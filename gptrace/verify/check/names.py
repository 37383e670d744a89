"""The names of the checks as a user gives them. No torch here, so that mistakes are found early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from gptrace.errors import OptionError
from gptrace.predict.validation import in_known_order
from gptrace.verify.check.catalog import ALL_NAMES, NAMES, ON_REQUEST, Catalog
from gptrace.verify.check.chinese import CHINESE
from gptrace.verify.check.english import ENGLISH
from gptrace.wording import quoted_value, suggestion

CATALOGS: Mapping[str, Catalog] = MappingProxyType({"en": ENGLISH, "zh": CHINESE})


def resolve_checks(names: Sequence[str], more: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the named checks in their own order, and `more`; raise OptionError for an unknown name.

    Without a name these are all but those that run on request alone.

    >>> resolve_checks(["causal", "finite"], ["learns"])
    ('finite', 'causal', 'learns')
    """
    chosen, unknown = in_known_order(names, ALL_NAMES)
    if unknown is not None:
        problem = f"there is no check {quoted_value(unknown)}"
        raise OptionError(problem, suggestion(unknown, ALL_NAMES), option="only")
    wanted = {*(chosen if names else NAMES), *more}
    return tuple(name for name in ALL_NAMES if name in wanted)


def check_list(language: str) -> str:
    """Return the names of all checks, each with what must hold."""
    width = max(map(len, ALL_NAMES))
    invariants = CATALOGS[language].invariants
    option = {name: f"  (--{name})" for name in ON_REQUEST}
    return "".join(f"{name:<{width}}  {invariants[name]}{option.get(name, '')}\n" for name in ALL_NAMES)
