"""The exceptions of gptrace, and the exit code of each.

    GptraceError
    ├── InputError                       exit 2: wrong usage or bad input
    │   ├── TextError                    the prompt: empty, not UTF-8, too long, ids out of range
    │   ├── ConfigError                  the model's configuration
    │   ├── WeightsError                 the weights: missing, damaged, or of another model
    │   ├── OptionError                  an option's value: k, temperature, format, dtype, output
    │   └── DeviceError                  the device: unknown, or not in this machine
    └── RunError                         exit 1: it ran and failed
        ├── DownloadError                the model could not be downloaded
        ├── MemoryNeededError            the model or its activations do not fit
        ├── ModelCodeError               the model's own code raised an exception
        ├── NotFiniteError               the logits are NaN or infinite, so there is no next token
        ├── NoLogitsError                the model's output holds no logits
        └── OutputError                  the result could not be written

Each says what was wrong and with which value (`message`), and what to do about it (`hint`). `option` names
the parameter whose value was wrong, where it is a single one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from gptrace.wording import shortened

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
_LIMIT = 2000  # characters of a message or a hint


class GptraceError(Exception):
    """The base class of all errors that gptrace raises.

    `message` names the problem and the value, `hint` says what to do; the command line ends with `exit_code`.

    >>> error = ConfigError("n_heads is 7", "pick a divisor of emb_dim 768")
    >>> print(error)
    n_heads is 7 (pick a divisor of emb_dim 768)
    >>> error.exit_code
    2
    """

    exit_code = EXIT_FAILED
    # The `Trace` up to the exception, where a traced forward pass raised it.
    trace: object = None
    # The `Source` up to the exception, where `gptrace source` ran the model.
    source: object = None
    option: str | None = None
    # Every process that torchrun started raises it, or knows of it, so that the first can tell it for all.
    is_shared = False
    # Another process tells why: this one failed because that one did, or failed in the same way.
    is_told = False

    def __init__(self, message: str, hint: str, *, option: str | None = None) -> None:
        # Names and values from files and models are in them, as long as these are.
        self.message, self.hint = (shortened(text, _LIMIT) for text in (message, hint))
        super().__init__(self.message, self.hint)
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
    """The weights are missing or damaged, or belong to another model."""

    option = "weights"


class OptionError(InputError):
    """The value of an option is not allowed."""


class DeviceError(InputError):
    """The device is unknown, or not in this machine."""

    option = "device"


class RunError(GptraceError):
    """The run failed although the input was right."""


class DownloadError(RunError):
    """The model or its weights could not be downloaded."""


class MemoryNeededError(RunError):
    """The model or its activations do not fit into memory."""


class ModelCodeError(RunError):
    """The model's own code raised an exception while it was imported, built or run."""


# The hint for an exception of the model's own code that nothing more is known about.
OWN_CODE_RAISED = "the model's own code raised this; GPTRACE_DEBUG=1 shows the whole traceback"
# The same for a forward pass that is not traced. What fails earlier, such as an import, leaves no trace.
TRACE_SHOWS_CALL = (
    "the model's own code raised this; gptrace run shows the trace up to the failing call, "
    "GPTRACE_DEBUG=1 shows the whole traceback"
)
# The hint where the origin of a NaN or Inf was not found.
NAMES_ORIGIN = "gptrace run --columns nan names the call that made it"
# How the note begins on an output that holds no logits; the reason follows.
NO_NEXT_TOKENS = "no next tokens: "


class NotFiniteError(RunError):
    """The greatest logit is NaN or infinite, as `value` says, so there is no next token.

    `ids` are those that the model had got, where they are more than the prompt.
    """

    def __init__(self, message: str, hint: str, value: float) -> None:
        super().__init__(message, hint)
        self.value = value
        self.ids: tuple[int, ...] = ()


class NoLogitsError(RunError):
    """The model's output holds no logits, so there are no predictions."""


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
