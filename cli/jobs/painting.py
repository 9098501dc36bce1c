"""Painters, the pictures that they make, and the outcome of a job."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nstbatch.runtime.errors import NstbatchError

from .parameters import Setting
from .plan import Job, Plan, Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nstbatch.runtime.descent.progress import ProgressCallback


CHANNELS = "channels"
"""Field of the line of a dream whose photo chose the channels: their numbers."""


class Status(StrEnum):
    """The result of a job."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    PLANNED = "planned"
    """Only in the report of a dry run."""


@dataclass(frozen=True, eq=False)
class Painting:
    """A finished picture: (H, W, 3) sRGB in [0, 1], its (H, W) alpha, and how it was made.

    The image of one whose file is ``encoded`` may have no channels, (H, W, 0).
    """

    image: NDArray[np.float32]
    alpha: NDArray[np.float32] | None
    losses: Mapping[str, float]
    steps: int
    provider: str
    precision: str
    companions: Mapping[str, bytes] = field(default_factory=dict)
    """Further files of the picture, by the suffix that replaces the picture's: ``.json``."""
    encoded: bytes | None = None
    """The bytes of the output file, if a worker has made it, or if it is not this image: a film."""
    modified_ns: int | None = None
    """The modification time of such a file, in nanoseconds since 1970; None for now."""
    details: Mapping[str, object] = field(default_factory=dict)
    """Further fields of the line in ``--json`` and the ledger, beside those of the job."""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    """Settings that the painter found out itself, for the recipe."""
    seconds: float | None = None
    """Duration of its own work, without waiting for other pictures; None if the painter never
    waits."""


Stop = Callable[[], bool]

# Makes the picture of a job. Raises KeyboardInterrupt if it was stopped, a UsageError for a fault
# of the whole batch, and any other exception for a fault of this job.
Painter = Callable[[Job, "ProgressCallback", Stop], Painting]


class PaintingService(Protocol):
    """Paints for the batch of another process."""

    @property
    def plan(self) -> Plan:
        """The plan of that batch."""

    @property
    def processes(self) -> int:
        """Number of processes that paint for it, which share the memory."""

    def serve(self, painter: Painter, terminate: Callable[[], None], at_once: int) -> None:
        """Paint until the batch ends.

        Args:
            painter: Paints one photo.
            terminate: Ends the calls under way; may be called from any thread.
            at_once: Number of photos that the painter may work on at a time.
        """


@dataclass(frozen=True)
class Outcome:
    """The result of one job, or a file or folder that could not be read."""

    input: Path | None
    """The photo, or a word for what the picture is made from; None for many images."""
    output: Path | None
    status: Status
    reason: str | None = None
    seconds: float = 0.0
    steps: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    provider: str | None = None
    precision: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Job, status: Status, reason: str | None = None, **facts: Any) -> Outcome:
        """Return the outcome of a job; ``facts`` are further fields."""
        source = None if job.source is Source.IMAGES else job.input
        details = {**job.details, **facts.pop("details", {})}
        return cls(source, job.output, status, reason, details=details, **facts)

    @property
    def name(self) -> Path:
        """The name for people: that of the input, or else that of the output."""
        return self.input or self.output or Path()

    def record(self) -> dict[str, object]:
        """Return the object that ``--json`` prints; other programs rely on its fields."""
        return {
            "input": None if self.input is None else os.fspath(self.input),
            "output": None if self.output is None else os.fspath(self.output),
            "status": self.status.value,
            "reason": self.reason,
            "seconds": round(self.seconds, 3),
            "steps": self.steps,
            # JSON has no word for what is not finite.
            "losses": {
                name: loss if math.isfinite(loss) else None for name, loss in self.losses.items()
            },
            "provider": self.provider,
            "precision": self.precision,
            **self.details,
        }


class BatchStoppedError(NstbatchError):
    """A fault that stops the whole batch; the batch can be resumed later."""
