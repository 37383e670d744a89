"""torch, imported once; every other file that needs it takes it from here."""

import gc

# torch makes some 500,000 long-lived objects while it is imported; a collector that walks them again and
# again costs a tenth of the import, and finds nothing.
_collecting = gc.isenabled()
gc.disable()
try:
    import torch as torch
finally:
    if _collecting:
        gc.enable()
