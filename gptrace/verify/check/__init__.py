"""`gptrace check`: whether a model is right, and which line is not.

`engine.py` runs the checks in the order of `catalog.py`. Each check is one file, a function from the
`Subject`, the model under test, to a `Finding`. `recording.py` records a run operation by operation with its
values, `dependence.py` finds which tokens each value depends on, and `blame.py` finds the line that is wrong.
"""
