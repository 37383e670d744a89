"""The versions that a report names. Nothing here imports torch."""

import platform

import gptrace


def versions_with(**others: str) -> dict[str, str]:
    """Return the versions of gptrace, of other programs and of Python."""
    return {"gptrace": gptrace.__version__, **others, "python": platform.python_version()}
