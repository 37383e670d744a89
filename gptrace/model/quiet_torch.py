"""torch, imported while the garbage collector and Ctrl-C wait. Every other file imports it from here."""

import gc

from gptrace.model.interrupts import interrupts_held

# Importing torch creates about 500,000 objects that stay alive. Collections during the import walk them again
# and again: that takes a tenth of its time and frees nothing.
_is_collecting = gc.isenabled()
gc.disable()
try:
    # Its C code imports NumPy and drops what that raises: an interrupt would be lost, and NumPy half there.
    with interrupts_held(is_firm=True):
        import torch as torch
finally:
    if _is_collecting:
        gc.enable()
