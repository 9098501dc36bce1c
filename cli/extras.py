"""Says how to install optional packages that a command needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nstbatch.runtime.errors import UsageError
from nstbatch.runtime.installing import install_command


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
