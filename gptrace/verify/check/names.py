"""The names of the checks as a user gives them. No torch here, so that mistakes are found early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from gptrace.errors import OptionError
from gptrace.predict.validation import in_known_order
from gptrace.verify.check.catalog import NAMES, Catalog
from gptrace.verify.check.chinese import CHINESE
from gptrace.verify.check.english import ENGLISH
from gptrace.wording import quoted_value, suggestion

CATALOGS: Mapping[str, Catalog] = MappingProxyType({"en": ENGLISH, "zh": CHINESE})


def resolve_checks(names: Sequence[str]) -> tuple[str, ...]:
    """Return the named checks in their own order; all without a name. Raise OptionError for an unknown one.

    >>> resolve_checks(["causal", "finite"])
    ('finite', 'causal')
    """
    chosen, unknown = in_known_order(names, NAMES)
    if unknown is not None:
        problem = f"there is no check {quoted_value(unknown)}"
        raise OptionError(problem, suggestion(unknown, NAMES), option="only")
    return chosen


def check_list(language: str) -> str:
    """Return the names of all checks, each with what must hold."""
    width = max(map(len, NAMES))
    invariants = CATALOGS[language].invariants
    return "".join(f"{name:<{width}}  {invariants[name]}\n" for name in NAMES)
