"""`main()` owns errors, pipes and exit codes. It imports little, so that it soon handles Ctrl-C."""

from __future__ import annotations

import _thread
import gc
import os
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NoReturn

import gptrace
from gptrace.cli import output_file, raw_stderr, streams
from gptrace.cli.language import language_of, set_language
from gptrace.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    OWN_CODE_RAISED,
    GptraceError,
    RunError,
)
from gptrace.hiding_modules import hiding_file
from gptrace.model.interrupts import forget_lost_interrupt
from gptrace.ranks import rank
from gptrace.wording import message_of

_MEMORY_HINT = "torch alone takes some 300 MiB; free some memory, or raise the limit"
_RENAME_HINT = "rename that file, or take its folder out of PYTHONPATH"
_BUG_HINT = "this may be a bug in gptrace; GPTRACE_DEBUG=1 shows where it happened"
# Under torchrun it takes a tenth of that, unless the machine is very busy.
_SECONDS_FOR_FIRST_RANK = 10
# How long after an interrupt in a destructor the next one comes: by then the destructor has ended.
_SECONDS_TO_NEXT_INTERRUPT = 0.01
_has_said_interrupted = False


def run_and_exit(blocked_signals: Iterable[int] | None = None) -> NoReturn:
    """Run the `gptrace` command as a process of its own; block these signals alone, if they are given."""
    # torch makes half a million objects that live to the end; looking for garbage among them costs a tenth
    # of a short run and finds none.
    gc.disable()
    sys.unraisablehook = _interrupt_again
    # The error about a forward that is declared with async def tells the same, with the cause.
    warnings.filterwarnings("ignore", r"coroutine '.*\bforward' was never awaited", RuntimeWarning)
    code = EXIT_INTERRUPTED
    try:
        if blocked_signals is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked_signals)
        raw_stderr.start()
        code = main()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:  # before `main` could handle it, or once more at its end
        if not _has_said_interrupted:
            _interrupted()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    raw_stderr.wait()
    # Everything is written and flushed. Python would take up to a second to free the model and torch, object
    # by object; the system does it at once.
    os._exit(code)


def _interrupt_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Repeat an interrupt that came in a destructor or a callback of Python, which lets no exception out."""
    if unraisable.exc_type is KeyboardInterrupt:
        threading.Timer(_SECONDS_TO_NEXT_INTERRUPT, _interrupt_main).start()
    else:
        sys.__unraisablehook__(unraisable)


def _interrupt_main() -> None:
    """Interrupt the main thread; by a signal, where there are signals, since that ends what it waits for."""
    forget_lost_interrupt()
    if hasattr(signal, "pthread_kill"):
        main_thread = threading.main_thread().ident
        assert main_thread is not None  # it runs
        signal.pthread_kill(main_thread, signal.SIGINT)
    else:
        _thread.interrupt_main()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed, 2 wrong input, 130 interrupted.

    Nothing but KeyboardInterrupt during the very first imports gets past it.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    set_language(language_of(arguments))
    try:
        return _run(arguments)
    except streams.ReaderGoneError:
        return EXIT_DONE
    except KeyboardInterrupt:
        return _interrupted()
    except GptraceError as error:
        return _fail(error.message, error.hint, error.exit_code, error)
    except BaseException as error:  # the code of a user's model may raise anything
        if isinstance(error, MemoryError) or "failed to map segment" in message_of(error):
            return _fail("not enough memory to load torch and the model", _MEMORY_HINT, EXIT_FAILED, error)
        if (own := _error_of_user_code(error)) is not None:
            return _fail(own.message, own.hint, own.exit_code, error)
        if file := hiding_file(error):
            problem = f"{message_of(error)}: {file} hides the library of that name"
            return _fail(problem, _RENAME_HINT, EXIT_FAILED, error)
        # Not raised on purpose: a bug, or a case that was not foreseen.
        return _fail(f"{type(error).__name__}: {message_of(error)}", _BUG_HINT, EXIT_FAILED, error)


def _run(arguments: Sequence[str]) -> int:
    if list(arguments) in (["--version"], ["-V"]):  # needs no parser
        streams.write_stdout(f"gptrace {gptrace.__version__}\n")
        return EXIT_DONE
    try:
        os.getcwd()
    except OSError as error:
        raise RunError(
            f"the current folder is gone: {error.strerror}", "cd to a folder that exists"
        ) from None
    from gptrace.cli.app import call
    from gptrace.cli.logged_notices import log_as_notices

    with streams.only_data_on_stdout(), log_as_notices():
        result = call(arguments)
        file = result.destination.file
        if rank() > 0:  # the first of the processes that torchrun started writes for all
            deque(result.pieces(), maxlen=0)
        elif file is None:
            streams.write_stdout_pieces(result.pieces(), at_once=result.is_live)
        else:
            output_file.write_file(file, result.pieces(), kept=result.kept)
        final_error = result.final_error()
        if final_error is not None:
            raise final_error
        return result.exit_code


def _error_of_user_code(error: BaseException) -> GptraceError | None:
    """Return what to say where an object of the user raised, such as a `__getattr__` or a `__repr__`."""
    if "torch" not in sys.modules:  # no user code is imported without it
        return None
    try:
        from gptrace.model.user_code_errors import is_of_user_code, user_code_error
    except (AttributeError, ImportError):  # another module is called torch
        return None
    if not is_of_user_code(error):
        return None
    return user_code_error(error, " (while gptrace read the model)", OWN_CODE_RAISED)


def _interrupted() -> int:
    """Say that the run was interrupted; of the processes that torchrun started, the first one tells it."""
    global _has_said_interrupted
    if rank() > 0:
        return EXIT_INTERRUPTED
    # A second Ctrl-C must not interrupt this message.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = _fail("interrupted", streams.state_of_output(), EXIT_INTERRUPTED, None)
        _has_said_interrupted = True
        return code
    finally:
        signal.signal(signal.SIGINT, before)


def _fail(message: str, hint: str, code: int, error: BaseException | None) -> int:
    if error is not None and os.environ.get("GPTRACE_DEBUG") == "1":
        streams.write_traceback(error)
    is_shared = isinstance(error, GptraceError) and error.is_shared
    is_told = isinstance(error, GptraceError) and error.is_told
    if is_told or (rank() > 0 and (is_shared or code == EXIT_USAGE)):
        # A wrong command line is wrong in every process, and the first tells it. torchrun ends all processes
        # as soon as one has failed, so those that say nothing must not be earlier.
        time.sleep(_SECONDS_FOR_FIRST_RANK)
        if is_shared or is_told:
            return code
    streams.write_error(message, hint)
    return code
