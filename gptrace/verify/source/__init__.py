"""`gptrace source`: shapes beside the model's own code.

`code.py` reads a file, `run.py` runs the model and puts the two together, `comments.py` and `writing.py` put
the shapes into the file itself.
"""
