"""Judge the axis names of many configurations: python -m tests.colliding [FIRST [COUNT]]"""

from __future__ import annotations

import sys
from collections import Counter

from gptrace.model.quiet_torch import torch
from tests.colliding.configurations import case
from tests.colliding.truth import Verdict, judge

FIRST, COUNT = (int(argument) for argument in [*sys.argv[1:3], *("0", "5000")[len(sys.argv) - 1 :]][:2])

torch.set_num_threads(1)
totals, refused = Verdict(), Counter[str]()
for number in range(FIRST, FIRST + COUNT):
    colliding = case(number)
    try:
        verdict = judge(colliding)
    except Exception as error:
        refused[f"{colliding.name.partition(' {')[0]}: {type(error).__name__}: {str(error)[:90]}"] += 1
        continue
    totals.axes += verdict.axes
    totals.named += verdict.named
    totals.moved += verdict.moved
    totals.wrong += verdict.wrong
    if verdict.wrong:
        print(f"{number}: {len(verdict.wrong)} wrong, first: {verdict.wrong[0]}", flush=True)
print(
    f"{COUNT} configurations: {totals.axes} axes, {totals.named} with a name, of these {totals.moved} moved"
)
print(f"{len(totals.wrong)} names are wrong; {sum(refused.values())} configurations did not run")
print(*(f"{count} × {reason}" for reason, count in refused.most_common()), sep="\n")
sys.exit(bool(totals.wrong))
