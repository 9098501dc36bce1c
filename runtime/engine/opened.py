"""Objects that own an engine, and close it at the end of a ``with`` block."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

from .engine import Engine

Owner = TypeVar("Owner", bound="Opened")


class Opened:
    """A loaded network: ``with nstbatch.StyleTransfer("vgg16") as transfer:``.

    Attributes:
        engine: The network on its device.
    """

    engine: Engine

    def close(self) -> None:
        """End the calls that other threads are making, and free the network's memory.

        Those calls end as if they had been stopped; later ones raise a UsageError. Closing twice
        does nothing.
        """
        self.engine.close()

    def __enter__(self: Owner) -> Owner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
