"""torch, imported with the garbage collector paused. Every other file imports it from here."""

import gc

# Importing torch creates about 500,000 objects that stay alive. Collections during the import walk them again
# and again: that takes a tenth of its time and frees nothing.
_is_collecting = gc.isenabled()
gc.disable()
try:
    import torch as torch
finally:
    if _is_collecting:
        gc.enable()
