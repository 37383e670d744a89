"""The language that text for people is in."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gptrace.errors import OptionError

LANGUAGES = ("en", "zh")
VARIABLE = "GPTRACE_LANG"
_LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")


def checked_language(language: object) -> str:
    """Return a language; raise an OptionError for one that nothing is translated into.

    >>> checked_language("zh")
    'zh'
    """
    if language not in LANGUAGES:
        hint = f"pick one of {', '.join(LANGUAGES)}"
        raise OptionError(f"the language is {language!r}", hint, option="lang")
    return str(language)


def language_of_environment(variables: Mapping[str, str] | None = None) -> str:
    """Return the language of the variable GPTRACE_LANG, or else of the locale; English where neither says.

    Raises an OptionError for a GPTRACE_LANG that is no language here.

    >>> language_of_environment({"LANG": "zh_CN.UTF-8"}), language_of_environment({"LANG": "de_DE.UTF-8"})
    ('zh', 'en')
    """
    variables = os.environ if variables is None else variables
    if variables.get(VARIABLE):
        return checked_language(variables[VARIABLE])
    # As in POSIX, the first of these that is set decides.
    locale = next((variables[name] for name in _LOCALE if variables.get(name)), "")
    return "zh" if locale.lower().startswith("zh") else "en"
