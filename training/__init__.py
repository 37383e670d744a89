"""How the small trained GPT in the package was made: text in, weights out.

    python -m training.prepare  --text FOLDER --output IDS         books → token ids, some books held out
    python -m training.train    --ids IDS --output RUN --tokens N  ids → weights, a log, a plot of the losses
    python -m training.export   --weights FILE --output SMALL      weights → int8, as the package has them
    python -m training.evaluate --ids IDS --weights SMALL          loss on other books, beside simpler models

FILE is RUN/weights.safetensors. `make small-model TEXT=FOLDER` takes all four steps. Nothing in gptrace
imports this folder, and it is not in the wheel.
"""
