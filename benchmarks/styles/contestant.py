"""One way to paint on one device, in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from nstbatch.benchmarks.contest.worker import open_warm, reporting_failures
from nstbatch.benchmarks.options import Entry
from nstbatch.benchmarks.tasks.matrix_rate import Product, fastest, onnx_products
from nstbatch.benchmarks.tasks.tasks import synthetic_pictures
from nstbatch.benchmarks.tasks.turns import take_turn
from nstbatch.runtime.arrays import Array
from nstbatch.runtime.descent.pyramid import OPENING, Level
from nstbatch.runtime.pictures.sizes import from_nchw
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.system import never

from .ways import Way

if TYPE_CHECKING:
    from nstbatch.runtime.systems.style_system import StyleSystem


@dataclass(frozen=True)
class StyleJob:
    """The work of a worker process."""

    way: Way
    entry: Entry
    model: str
    threads: int
    warm_up: int
    """Steps before the first turn."""
    steps: int
    """Timed steps in a turn."""


def serve_style(pipe: Connection, job: StyleJob) -> None:
    """Warm up and send the state, then take a turn for each message; the code of the process."""
    with reporting_failures(pipe, job.threads):
        contestant, opened = open_warm(lambda: StyleContestant(job), job.warm_up)
        products = fastest(contestant.products())
        pipe.send((opened, contestant.steps, contestant.work))
        while pipe.recv():
            pipe.send(take_turn(contestant.step, products, job.steps))


class StyleContestant:
    """The steps of a picture's last size, as ``stylize`` takes them."""

    def __init__(self, job: StyleJob) -> None:
        """Compute the targets and open the sessions.

        Raises:
            ProviderError: The device cannot be used.
            ImageError: The picture is too small.
        """
        options: Any = job.way.options
        transfer = system_of(job)
        photo, painting = map(from_nchw, synthetic_pictures(2, options.size)[:, None])
        levels = transfer.plan(photo, painting, options).levels
        self.steps, self.work = sum(level.steps for level in levels), work_of(levels)
        with transfer.engine.in_fp32() if transfer.needs_fp32(options) else nullcontext():
            run = transfer.plan(photo, painting, replace(options, scales=1))
            self._descent = transfer.open_first(run)
            self._descent.evaluate()
            self._provider, self._threads = transfer.engine.provider, job.threads

    @property
    def precision(self) -> str:
        """Precision of its convolutions."""
        return self._provider.precision

    @property
    def device(self) -> str:
        """Device that holds its buffers."""
        return self._provider.memory

    @property
    def images(self) -> Array:
        """A copy of the current images."""
        return self._descent.images

    def step(self) -> None:
        """Take one step as the loop does: one update and one evaluation."""
        self._descent.to_next_look(1, never)

    def products(self) -> tuple[Product, ...]:
        """Products on the same provider."""
        return onnx_products(self._provider, self._threads)


def system_of(job: StyleJob) -> StyleSystem[Any]:
    """Return the system of a way's method on the device of its job."""
    place: dict[str, Any] = {"device": job.entry.name, "precision": job.entry.precision}
    if isinstance(job.way.options, StyleTransferOptions):
        from nstbatch.runtime.systems.style_transfer import StyleTransfer

        return StyleTransfer(job.model, **place, threads=job.threads)
    from nstbatch.runtime.systems.nearest_neighbor_style import NearestNeighborStyle

    return NearestNeighborStyle(job.model, **place, threads=job.threads)


def work_of(levels: Sequence[Level]) -> float:
    """Return the work of a whole picture, in steps of its last size.

    A step counts by its pixels, and the opening of a size as :data:`OPENING` of its steps.
    """
    pixels = [math.prod(level.canvas) for level in levels]
    works = ((OPENING + level.steps) * each for level, each in zip(levels, pixels, strict=True))
    return sum(works) / pixels[-1]
