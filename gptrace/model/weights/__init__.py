"""Whatever holds weights → a GPTModel: files are opened, their layout is recognised, and the model is filled.

Nothing is initialised that will be overwritten, and nothing is read twice: the parameters are views of the
mapped file wherever its dtype is the one to run in.
"""
