"""How much is said on standard error, for a whole run: ``--quiet`` and ``--verbose``."""

from __future__ import annotations

import logging
import sys

from nstbatch.runtime.errors import UsageError


class StderrHandler(logging.Handler):
    """Prints to wherever standard error leads at that moment, so also above a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        print(self.format(record), file=sys.stderr)


def set_verbosity(*, quiet: bool, verbose: bool) -> None:
    """Choose what the loggers of this project print: errors, warnings or everything.

    Raises:
        UsageError: For both at once.
    """
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other.")
    logger = logging.getLogger("nstbatch")
    logger.handlers = [StderrHandler()]
    logger.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.WARNING)
