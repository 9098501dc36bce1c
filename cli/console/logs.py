"""Messages of this program and of its libraries: ``--quiet``, ``--verbose``, and no colours."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from nstbatch.runtime.errors import UsageError

STDERR = 2

# ONNX Runtime's log severities.
WARNING, FATAL = 2, 4

# The logger that Python's warnings go to, after logging.captureWarnings.
OF_PYTHON = "py.warnings"

log = logging.getLogger(__name__)


class StderrHandler(logging.Handler):
    """Prints to the current ``sys.stderr``, and so above a progress bar as well."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        print(self.format(record), file=sys.stderr)


def set_verbosity(*, quiet: bool, verbose: bool) -> None:
    """Set which messages are printed: errors, warnings, or with ``verbose`` everything.

    Everything includes the warnings of Python's libraries, which are for programmers.

    Raises:
        UsageError: Both are given.
    """
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other: give one of them at most.")
    level = logging.ERROR if quiet else logging.DEBUG if verbose else logging.WARNING
    for name, least in (("nstbatch", level), (OF_PYTHON, level if verbose else logging.CRITICAL)):
        logger = logging.getLogger(name)
        logger.handlers = [StderrHandler()]
        logger.setLevel(least)


def import_onnxruntime() -> None:
    """Import ONNX Runtime so that it prints no lines of its own on standard error, if it is there.

    It would print them in red, to files and pipes too, and those of its import cannot be switched
    off (microsoft/onnxruntime#27092). Errors reach the user as exceptions, so the lines are details
    for ``--verbose``. Older versions, such as 1.24, cannot hand them over.
    """
    with suppress(ImportError), _without_standard_error():
        import onnxruntime as ort

        if hasattr(ort, "set_default_logger_callback"):
            ort.set_default_logger_callback(_log_line, WARNING)
        else:
            ort.set_default_logger_severity(FATAL)


def _log_line(severity: int, category: str, session: str, place: str, message: str) -> None:
    log.debug("ONNX Runtime, %s: %s", place, message.strip())


@contextmanager
def _without_standard_error() -> Iterator[None]:
    """Drop what is written to standard error, by libraries in C++ too, within a ``with`` block."""
    sys.stderr.flush()
    try:
        kept = os.dup(STDERR)
    except OSError:  # it is closed
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, STDERR)
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
        os.close(null)
