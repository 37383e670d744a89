"""Text for people in English or Chinese. Records, JSON, CSV and exceptions stay English.

`words` makes text that knows its template: what a report says. `recorded` marks a sentence of a record or an
error, of which only the English text is left; `matching` finds its template again. `in_language` turns both
into the language of the reader, at the place where the text is shown. `chinese/` has the templates: the
English one is the key, its translation the value.
"""

from gptrace.translation.language import LANGUAGES, checked_language, language_of_environment
from gptrace.translation.words import in_language, joined, recorded, words

__all__ = [
    "LANGUAGES",
    "checked_language",
    "in_language",
    "joined",
    "language_of_environment",
    "recorded",
    "words",
]
