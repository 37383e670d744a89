"""torch, imported once, without its warning about a missing numpy, which we do not need.

Every other file that needs torch takes it from here.
"""

import gc
import warnings

# torch makes some 500,000 long-lived objects while it is imported; a collector that walks them again and
# again costs a tenth of the import, and finds nothing.
_collecting = gc.isenabled()
gc.disable()
try:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
        import torch as torch
finally:
    if _collecting:
        gc.enable()
