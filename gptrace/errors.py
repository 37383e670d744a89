"""The errors that gptrace raises on purpose, and the exit code of each.

    GptraceError
    ├── InputError                       exit 2: wrong usage or bad input
    │   ├── TextError                    the prompt: empty, not UTF-8, too long, ids out of range
    │   ├── ConfigError                  the model's configuration
    │   ├── WeightsError                 the weights: not there, damaged, or of another model
    │   ├── OptionError                  an option's value: k, temperature, format, dtype, output
    │   └── DeviceError                  the device is unknown or not there
    └── RunError                         exit 1: it ran and failed
        ├── DownloadError                the weights could not be fetched
        ├── MemoryNeededError            the model or its activations do not fit
        ├── ModelCodeError               a model's own code raised, while it was made or run
        ├── NoLogitsError                what the model returns is no score for the next token
        └── OutputError                  the result could not be written

Each says what was wrong and with which value (`message`), and what to do about it (`hint`). `option` names
the parameter whose value was wrong, where it is a single one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class GptraceError(Exception):
    """What was wrong, with which value, and what to do.

    >>> error = ConfigError("n_heads is 7", "pick a divisor of emb_dim 768")
    >>> print(error)
    n_heads is 7 (pick a divisor of emb_dim 768)
    >>> error.exit_code
    2
    """

    exit_code = EXIT_FAILED
    # Of a forward pass that raised while it was traced: the `Trace` up to there.
    trace: object = None
    option: str | None = None

    def __init__(self, message: str, hint: str, *, option: str | None = None) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint
        self.option = option or self.option

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})"


class InputError(GptraceError):
    """Wrong usage or bad input."""

    exit_code = EXIT_USAGE


class TextError(InputError):
    """The prompt cannot be used: empty, not UTF-8, too long, or ids out of range."""


class ConfigError(InputError):
    """The model's configuration is impossible or unknown."""


class WeightsError(InputError):
    """The weights are not there, cannot be read, or are of another model."""

    option = "weights"


class OptionError(InputError):
    """An option has a value that it cannot have."""


class DeviceError(InputError):
    """The device is unknown, or this machine does not have it."""

    option = "device"


class RunError(GptraceError):
    """The input was right, and the run failed all the same."""


class DownloadError(RunError):
    """The weights could not be fetched."""


class MemoryNeededError(RunError):
    """The model or its activations do not fit into memory."""


class ModelCodeError(RunError):
    """The code of somebody's own model raised: while it was imported, built or run."""


class NoLogitsError(RunError):
    """The model's output holds no logits, so there is nothing to predict with."""


class OutputError(RunError):
    """The result could not be written."""


@contextmanager
def about_option(option: str | None) -> Iterator[None]:
    """Name the option that an InputError raised in the block is about, unless the error names one itself."""
    try:
        yield
    except InputError as error:
        error.option = error.option or option
        raise
