"""What every system has in common: a bundle on a device, and what a run of it leaves behind."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from nstbatch.runtime.arrays import Array
from nstbatch.runtime.descent.loop import StopReason
from nstbatch.runtime.engine.engine import Engine


@dataclass(frozen=True, kw_only=True)
class Result:
    """A picture, and how it came about."""

    image: Array
    """(H, W, 3), RGB in [0, 1]; smaller than asked for if the run ended at a coarser size."""
    alpha: Array | None = None
    """(H, W): the photo's own, at the size of the image; None if there was none."""
    losses: Mapping[str, float]
    """Of this image: weighted, by term, and their "total"."""
    steps: int
    seconds: float
    provider: str
    precision: str
    reason: StopReason


class System:
    """A bundle on a device, ready to make pictures; those of one shape share what was set up."""

    default_model: ClassVar[str] = "vgg16"

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        """Choose what to work with; see :class:`nstbatch.runtime.engine.engine.Engine`.

        Args:
            model: Name of a bundle, or its folder; None for the system's own.
            device: What runs it.
            precision: Of the convolutions.
            threads: How many to use; None for all cores of this process.
        """
        model = self.default_model if model is None else model
        self.engine = Engine(model, device=device, precision=precision, threads=threads)
