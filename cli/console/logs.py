"""Sets the log level of a whole run: ``--quiet`` and ``--verbose``."""

from __future__ import annotations

import logging
import sys

from nstbatch.runtime.errors import UsageError


class StderrHandler(logging.Handler):
    """Prints to the current ``sys.stderr``, and so above a progress bar as well."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        print(self.format(record), file=sys.stderr)


def set_verbosity(*, quiet: bool, verbose: bool) -> None:
    """Set the level of this project's loggers: errors, warnings or everything.

    Raises:
        UsageError: Both are given.
    """
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other: give one of them at most.")
    logger = logging.getLogger("nstbatch")
    logger.handlers = [StderrHandler()]
    logger.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.WARNING)
