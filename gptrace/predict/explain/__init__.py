"""`gptrace explain`: claims about a model, measured on one prompt, in English or Chinese.

`topics` measures. Each function there makes one claim: a key, its figures, and whether they bear it out.
`english` and `chinese` are catalogs. For each key they have a sentence and a template for its figures.
`run` joins both by key, so a catalog can neither move a ✓ nor change one.

To add a claim, write a function in a file of `topics` that returns `model.claim("its_key", holds, figure=…)`,
and give `its_key` a sentence in both catalogs. To add a topic, write a file of its name in `topics`, enter it
in `gptrace.predict.validation.TOPICS`, and give it a title in both catalogs.
"""
