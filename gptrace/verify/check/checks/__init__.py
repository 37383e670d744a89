"""One file for each check, with the name of the check: a function from the Experiments to a Finding."""
