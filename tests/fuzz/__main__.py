"""Run many random command lines: python -m tests.fuzz [FIRST [COUNT]]"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.running import fuzz

FIRST, COUNT = (int(argument) for argument in [*sys.argv[1:3], *("0", "10000")[len(sys.argv) - 1 :]][:2])

with TemporaryDirectory() as folder:
    failures = fuzz(range(FIRST, FIRST + COUNT), Path(folder))
sys.exit(bool(failures))
