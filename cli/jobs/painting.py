"""What a painter is, what it makes of a photo, and what became of it: the words of every batch."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nstbatch.runtime.descent.progress import ProgressCallback

    from .plan import Job


class Status(StrEnum):
    """What became of a photo."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    PLANNED = "planned"
    """Only in the report of a dry run."""


@dataclass(frozen=True, eq=False)
class Painting:
    """A finished picture: (H, W, 3) sRGB in [0, 1], its (H, W) alpha, and how it was made."""

    image: NDArray[np.float32]
    alpha: NDArray[np.float32] | None
    losses: Mapping[str, float]
    steps: int
    provider: str
    precision: str
    companions: Mapping[str, bytes] = field(default_factory=dict)
    """Further files that belong to the picture, by what replaces its suffix: ``.json``."""
    encoded: bytes | None = None
    """The output itself where it is not this image, such as a film."""


Stop = Callable[[], bool]

# From a photo to a picture. Raises KeyboardInterrupt when it was stopped, a UsageError for what is
# wrong with the whole batch, and any other exception for what is wrong with this photo.
Painter = Callable[["Job", "ProgressCallback", Stop], Painting]


@dataclass(frozen=True)
class Outcome:
    """What became of one photo, or of a folder that could not be looked into."""

    input: Path
    output: Path | None
    status: Status
    reason: str | None = None
    seconds: float = 0.0
    steps: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    provider: str | None = None
    precision: str | None = None

    def record(self) -> dict[str, object]:
        """Return the object that ``--json`` prints; other programs rely on its fields."""
        return {
            "input": os.fspath(self.input),
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
        }
