"""Weight files → a GPTModel: files are opened, their layout is recognised, their tensors are assigned.

The model is not initialised first. Its parameters are views of the memory-mapped file where the dtype on disk
is the dtype of the run, so nothing is copied.
"""
