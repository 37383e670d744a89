"""Values, sizes and lists as a message shows them. No other file of the package is imported here."""

from __future__ import annotations

import difflib
import math
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from reprlib import Repr

# A file may hold lists within lists, whose whole text would be longer than memory.
_BOUNDED = Repr()
_BOUNDED.maxlevel = 3
_BOUNDED.maxdict = _BOUNDED.maxlist = _BOUNDED.maxtuple = _BOUNDED.maxset = 8
_BOUNDED.maxstring = _BOUNDED.maxother = _BOUNDED.maxlong = sys.maxsize


def suggestion(unknown: str, names: Iterable[str]) -> str:
    """Return a hint that lists the valid `names`, after the one that is most like `unknown`.

    >>> suggestion("n_head", ["emb_dim", "n_heads"])
    'did you mean n_heads? Known: emb_dim, n_heads'
    >>> suggestion("mygpt", ["MyGPT"])
    'did you mean MyGPT? Known: MyGPT'
    >>> suggestion("gpt-2", ["gpt2-small", "gpt2-xl"])
    'did you mean gpt2-small? Known: gpt2-small, gpt2-xl'
    """
    names = list(names)
    by_case = {name.lower(): name for name in names}
    # "gpt2" begins gpt2-small, the first of its family, and is no slip for gpt2-xl, the shortest.
    plain = unknown.lower().replace("-", "").replace("_", "")
    longer = [name for name in by_case if name.replace("-", "").replace("_", "").startswith(plain)]
    similar = (
        longer if len(plain) > 2 and longer else difflib.get_close_matches(unknown.lower(), by_case, n=1)
    )
    known = ", ".join(names)
    return f"did you mean {by_case[similar[0]]}? Known: {known}" if similar else f"Known: {known}"


def quoted_value(value: object) -> str:
    """Return the repr of a value for a message, cut to 50 characters where it has more than 60.

    >>> quoted_value("12"), quoted_value(10**5000)
    ("'12'", 'a number of more than 4300 digits')
    """
    try:
        text = _BOUNDED.repr(value)
    except ValueError:  # Python refuses to write a longer int
        return "a number of more than 4300 digits"
    return text if len(text) <= 60 else f"{text[:50]}… ({len(text)} characters)"


def shortened(text: str, limit: int) -> str:
    """Return a text with at most about `limit` characters; what is left out is in its middle.

    >>> shortened("a" * 500 + "z", 9)
    'aaaaaa… (501 characters) …aaz'
    """
    if len(text) <= limit:
        return text
    end = limit // 3
    return f"{text[: limit - end]}… ({len(text)} characters) …{text[-end:]}"


def one_line(error: object, limit: int | None = 300) -> str:
    """Return the message of an exception, or a text, without line breaks, cut to `limit` characters.

    >>> one_line(ValueError("so\\n  it is"))
    'so it is'
    """
    text = " ".join(message_of(error).split())
    return text if limit is None else shortened(text, limit)


def line_without_passwords(error: object) -> str:
    """Return `one_line` without the names and passwords in its addresses, such as that in HF_ENDPOINT.

    >>> line_without_passwords("no route to http://me:p@ss@hub.example/api")
    'no route to http://hub.example/api'
    """
    # A password may hold "@". Cut after this, not before: "@" may be in what is left out.
    return shortened(re.sub(r"(?<=://)[^/\s]*@", "", one_line(error, None)), 300)


def message_of(error: object) -> str:
    """Return the message of an exception, or a text; the class may have a `__str__` that raises."""
    try:
        return str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:  # it may even exit
        return "(no message: its __str__ raises)"


def described(error: BaseException) -> str:
    """Return the class and the message of an exception.

    >>> described(ValueError("no")), described(SystemExit())
    ('ValueError: no', 'SystemExit')
    """
    text = message_of(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def enumerated(names: Collection[str], limit: int) -> str:
    """Return the first `limit` names with commas between them, and how many more there are.

    >>> enumerated(["a", "b", "c", "d"], limit=2)
    'a, b and 2 more'
    """
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(islice(names, limit)) + rest


def bracketed(axes: Sequence[object]) -> str:
    """Write axes in brackets.

    >>> bracketed((1, 4, 768))
    '[1, 4, 768]'
    """
    return f"[{', '.join(map(str, axes))}]"


def nearest_divisors(number: int, target: int) -> str:
    """Return the four divisors of a number that are nearest to a target, in ascending order.

    Of a number above 2**32, those between 2**16 and number / 2**16 are not looked for.

    >>> nearest_divisors(768, 7)
    '3, 4, 6, 8'
    """
    largest = min(math.isqrt(number), 1 << 16)
    small = [n for n in range(1, largest + 1) if number % n == 0]
    divisors = {*small, *(number // n for n in small)}
    nearest = sorted(divisors, key=lambda n: (abs(n - target), n))[:4]
    return ", ".join(map(str, sorted(nearest)))


def readable_bytes(count: int) -> str:
    """Return a number of bytes with a unit that suits it.

    >>> readable_bytes(652038144), readable_bytes(512)
    ('621.8 MiB', '512 B')
    """
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"
