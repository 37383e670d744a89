"""Models that torch has spread over processes: what of them is here, what is elsewhere, and what travels.

The work of such a model is counted where its kernels run, on the tensors of this process. What the model is
as a whole comes from a twin on device meta that nothing has spread.
"""
