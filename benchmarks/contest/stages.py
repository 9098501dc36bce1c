"""Times the stages of one picture on one device, from file to file.

This runs in its own process with the default settings, except for the number of steps. The calls of
the engine and its descents are timed, so the stages are those of a normal run.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nstbatch.benchmarks.options import STAGE_ITERATIONS
from nstbatch.benchmarks.reports.report import Stages
from nstbatch.benchmarks.tasks.tasks import synthetic_pictures
from nstbatch.runtime.bundles.bundle import Bundle
from nstbatch.runtime.devices.providers import Provider
from nstbatch.runtime.engine.device_descent import Descent
from nstbatch.runtime.engine.engine import Engine, Targets
from nstbatch.runtime.engine.network import Network
from nstbatch.runtime.engine.network_sessions import NetworkSessions
from nstbatch.runtime.engine.session import Session
from nstbatch.runtime.pictures import images, sizes
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems.style_targets import StyleTargets
from nstbatch.runtime.systems.style_transfer import StyleTransfer

from .worker import Worker, reporting_failures

# In the order in which a picture passes them.
READ, OPEN, TARGETS, STEPS, UPDATE, WRITE, REST = STAGES = (
    "read",
    "open",
    "targets",
    "steps",
    "update",
    "write",
    "rest",
)


@dataclass(frozen=True)
class StageJob:
    """The picture to time, and the device."""

    model: str
    provider: Provider
    size: int
    """Long side of the picture, in pixels."""
    threads: int
    iterations: int = STAGE_ITERATIONS


def measure_stages(job: StageJob) -> Stages:
    """Time one picture from file to file in a new process; a ContestantError if it fails."""
    with Worker(serve_stages, job) as worker:
        stages: Stages = worker.answer()
        return stages


def serve_stages(pipe: Connection, job: StageJob) -> None:
    """The code of the process."""
    with reporting_failures(pipe, job.threads), tempfile.TemporaryDirectory() as folder:
        pipe.send(stages_of(job, Path(folder)))


class Stopwatch:
    """Adds up the time spent in each stage; a stage within another takes its time from it."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._running = [REST]
        self._since = clock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside the context to this stage."""
        self._switch()
        self._running.append(name)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def stop(self) -> None:
        """Stop the clock."""
        self._switch()

    def _switch(self) -> None:
        now = self._clock()
        self.seconds[self._running[-1]] += now - self._since
        self._since = now


def stages_of(job: StageJob, folder: Path) -> Stages:
    """Paint a picture in this process and time its stages.

    Args:
        job: The picture and the device.
        folder: An empty folder for the files.
    """
    photo_path, style_path = folder / "photo.jpg", folder / "style.jpg"
    for path, picture in zip(
        (photo_path, style_path), synthetic_pictures(2, job.size), strict=True
    ):
        images.write(path, sizes.from_nchw(picture[None]))
    options = StyleTransferOptions(size=job.size, iterations=job.iterations)
    device, precision = job.provider.device, job.provider.precision

    watch = Stopwatch()
    with watch.stage(OPEN):
        transfer = TimedTransfer(job, watch)
    with watch.stage(READ):
        photo, style = images.read(photo_path), images.read(style_path)
    result = transfer(photo, style, options)
    with watch.stage(WRITE):
        images.write(folder / "painted.jpg", result.image, result.alpha)
    watch.stop()
    return Stages(device, precision, job.model, job.size, result.steps, watch.seconds)


# --- Timed from outside -----------------------------------------------------------------------


class TimedTransfer(StyleTransfer):
    """A style transfer with a timed engine."""

    def __init__(self, job: StageJob, watch: Stopwatch) -> None:
        device, precision = job.provider.device, job.provider.precision
        super().__init__(job.model, device=device, precision=precision)
        self.engine = TimedEngine(job, watch)
        self._targets = StyleTargets(self.engine)


class TimedEngine(Engine):
    """An engine whose calls are timed."""

    def __init__(self, job: StageJob, watch: Stopwatch) -> None:
        device, precision = job.provider.device, job.provider.precision
        super().__init__(job.model, device=device, precision=precision, threads=job.threads)
        self._sessions = TimedSessions(self.bundle, job.threads, watch)
        self._network = Network(self.bundle, self._sessions, self.provider, tile_size=None)
        self._watch = watch

    def targets(self, *args: Any, **kwargs: Any) -> Targets:
        """As in :class:`Engine`; time to open sessions counts as opening."""
        with self._watch.stage(TARGETS):
            return super().targets(*args, **kwargs)

    def descent(self, *args: Any, **kwargs: Any) -> Descent:
        """As in :class:`Engine`."""
        with self._watch.stage(OPEN):
            descent = super().descent(*args, **kwargs)
            assert isinstance(descent, Descent)  # the engine is not shared
            return TimedDescent(descent, self._watch)


class TimedSessions(NetworkSessions):
    """Sessions whose opening a stopwatch looks at."""

    def __init__(self, bundle: Bundle, threads: int, watch: Stopwatch) -> None:
        super().__init__(bundle, threads)
        self._watch = watch

    def kept(self, *args: Any, **kwargs: Any) -> Session:
        """As in :class:`NetworkSessions`; time to open a session counts as opening."""
        with self._watch.stage(OPEN):
            return super().kept(*args, **kwargs)


class TimedDescent(Descent):
    """A descent over the buffers of another descent, whose calls are timed."""

    def __init__(self, descent: Descent, watch: Stopwatch) -> None:
        vars(self).update(vars(descent))
        self._watch = watch

    def compute(self) -> None:
        """As in :class:`Descent`."""
        with self._watch.stage(STEPS):
            super().compute()

    def update(self) -> None:
        """As in :class:`Descent`."""
        with self._watch.stage(UPDATE):
            super().update()
