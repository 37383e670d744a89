"""Notebooks as Python modules: their imports, definitions, classes and constants alone are run."""
