"""The reader's wishes: how wide, in colour or not, in which language, which rows and columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from gptrace.errors import OptionError
from gptrace.translation import checked_language, language_of_environment

THEMES = ("light", "dark")


def checked_theme(theme: str) -> str:
    """Return the name of a theme; raise an OptionError for one that there is not.

    >>> checked_theme("dark")
    'dark'
    """
    if theme not in THEMES:
        raise OptionError(f"the theme is {theme!r}", f"pick one of {', '.join(THEMES)}", option="theme")
    return theme


@dataclass(frozen=True, slots=True)
class View:
    """How a report is shown; the last fields are for a trace.

    width              columns of text; None is as wide as needed
    color              whether to write colours for a terminal
    encoding           encoding of the terminal; glyphs that it lacks become words
    lang               language: "en" or "zh"; None is that of GPTRACE_LANG, or else of the locale
    theme              "light" or "dark" for HTML and SVG; None: HTML follows the reader, SVG is light
    landscape          whether the SVG of a trace is 16:9
    full               whether to show every row, and fold nothing
    log_probabilities  whether candidates show them too
    columns            columns of a trace; without any, the usual ones and those that were measured
    depth              deepest level of modules to show; None is all
    only               glob of module paths to show
    type               glob of module types or operations to show
    """

    width: int | None = None
    color: bool = False
    encoding: str = "utf-8"
    lang: str | None = None
    theme: str | None = None
    landscape: bool = False
    full: bool = False
    log_probabilities: bool = False
    columns: tuple[str, ...] = ()
    depth: int | None = None
    only: str | None = None
    type: str | None = None

    def language_of(self, report: object) -> str:
        """Return the language to show a report in; raise an OptionError for one that there is not.

        An explanation is shown in the language of its claims, unless another one is asked for.
        """
        if self.lang is not None:
            return checked_language(self.lang)
        own: str | None = getattr(report, "language", None)
        return language_of_environment() if own is None else own

    @classmethod
    def of(cls, *, columns: str | Iterable[str] = (), **wishes: Any) -> View:
        """Return the view of some keyword arguments; raise an OptionError for a wrong name.

        >>> View.of(columns=["output", "macs"], depth=1).columns
        ('output', 'macs')
        """
        from gptrace.report.columns import parse_columns

        names = [field.name for field in fields(cls)]
        unknown = next((name for name in wishes if name not in names), None)
        if unknown is not None:
            raise OptionError(f"{unknown!r} is no way to show a report", f"known: {', '.join(names)}")
        text = columns if isinstance(columns, str) else ",".join(columns)
        return cls(columns=parse_columns(text) if text else (), **wishes)
