"""Says how to install optional packages that a command needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.installing import install_command


@contextmanager
def extra_needed(extra: str, what: str) -> Iterator[None]:
    """Turn a failed import of an extra's package into a UsageError that says how to install it.

    Args:
        extra: The extra.
        what: Begins the sentence: "Watching a folder".
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("nstbatch"):
            raise
        raise UsageError(
            f"{what} needs another package, {error.name}. To install it: {install_command(extra)}"
        ) from error


@contextmanager
def torch_needed() -> Iterator[None]:
    """Turn a failed import of the exporter into a UsageError that says how to install PyTorch."""
    try:
        yield
    except ImportError as error:
        raise UsageError(
            f"Exporting needs PyTorch, which does not load ({error}). "
            f"To change that: {install_command('export')}"
        ) from error
