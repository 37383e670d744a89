"""How the small trained GPT in the package was made: text in, weights out.

    python -m training.prepare  --text FOLDER --output IDS     books → cleaned token ids, some books held out
    python -m training.train    --ids IDS --output RUN         ids → weights, a log and a plot of the losses
    python -m training.export   --run RUN --output FILE        weights → int8, as they are in the package
    python -m training.evaluate --ids IDS --weights FILE       loss on held-out books, beside simpler models

Nothing in gptrace imports this folder, and it is not in the wheel.
"""
