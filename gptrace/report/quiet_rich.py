"""rich, imported without a draw from Python's random numbers. Every other file imports it from here.

`rich.style` draws once when it is imported. A script that has seeded the generator would get other numbers
from then on, because a report was printed.
"""

import random

_state = random.getstate()
try:
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console, RenderableType
    from rich.segment import Segment
    from rich.style import Style
    from rich.table import Table as RichTable
    from rich.text import Text
    from rich.theme import Theme
finally:
    random.setstate(_state)

__all__ = ["Console", "RenderableType", "RichTable", "Segment", "Style", "Text", "Theme", "box", "cell_len"]
