"""Models that torch has spread over processes: the part of this process, the whole, and the messages.

The work of such a model is counted where its kernels run, on the tensors of this process. The facts of the
whole model come from a twin on device meta that nothing has spread.
"""
