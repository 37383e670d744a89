"""The options that commands share, each declared once, in the groups that `--help` shows.

They are type aliases: options of a Typer callback would be accepted only before the command's name.
"""
