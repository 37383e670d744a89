"""Simple experiments, each of which shows one kind of flaw of a language model from the outside.

They know nothing of gptrace: each builds the model of a file, runs it, and compares logits, losses or
gradients. An experiment gets the record of a right model and the path of a file, right or broken, and is true
of a flaw.
"""
