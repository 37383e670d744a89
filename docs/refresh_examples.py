"""Run the examples of README and docs again and write what they print into the pages: `make examples`.

Read the difference before you commit it. Outputs that are shortened with three dots stay as they are. Where
one no longer matches, the new output is printed here, to be shortened by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # the tests run the same examples, with the same code

from tests.doc_examples import pages, refreshed  # noqa: E402


def main() -> int:
    """Rewrite every page; return 1 where a shortened output has to be written again by hand."""
    code = 0
    for page in pages():
        text, complaints = refreshed(page.read_text(encoding="utf-8"))
        page.write_text(text, encoding="utf-8")
        for complaint in complaints:
            sys.stderr.write(f"{page.relative_to(ROOT)}: shorten this output again\n{complaint}\n")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
